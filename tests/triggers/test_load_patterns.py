"""Lines of real bots, and lines that only look like them."""

import re

import pytest

from tests.triggers.test_load_error import judged, line
from triggers import tells_loaded, tells_loading
from triggers.load_patterns import PATTERNS, tells_headline

FAILURES = [
    "Error loading model: invalid load key, '\\x00'.. Using dummy model.",
    "Model file not found: ./models_saved/ensemble_model.pkl. Using dummy model.",
    "Initializing dummy model for testing",
    "Error loading ML models: No module named 'xgboost'",
    "Error loading RL agent: bad magic number. Using dummy agent.",
    "Error loading model: bad magic number",
    "Error while loading ensemble model: EOFError",
    "Error loading model v2.1.0 from models_saved/ensemble_v2.1.0.pkl: truncated",
    "Failed to load model weights: size mismatch",
    "Failed to unpickle model",
    "Failed to load 'models_saved/ensemble_v2.1.0.pkl'",
    "Could not load models_saved/rl_agent_v2.1.0.zip",
    "Couldn't read model file",
    "Cannot load the RL agent",
    "Unable to deserialize model",
    "Exception when loading the agent",
    "RL agent could not be loaded",
    "Model file could not be opened",
    "Ensemble loading failed: no such key",
    "Model failed to load",
    "Model file is corrupted",
    "Model not found at models_saved/ensemble.pkl",
    "Model missing",
    "[Errno 2] No such file or directory: './models_saved/rl_agent_v2.1.0.zip'",
    "FileNotFoundError: models_saved/ensemble_v2.1.0.joblib",
    "_pickle.UnpicklingError: pickle data was truncated",
    "checksum verification failed for model v2.1.0",
    "Model v2.1.0: checksum mismatch",
    "Falling back to untrained model",
    "Using a random agent",
    "Using untrained RL agent",
    "Model v2.1.0 could not be loaded, no predictions",
    "Failed to initialize ensemble model: No module named 'lightgbm'",
    "Checksum mismatch for models_saved/ensemble_v2.1.0.pkl",
    "Model not found in models_saved, trading nothing",
]

LIBRARIES = [
    # torch
    "Error(s) in loading state_dict for ActorCritic:\n\tMissing key(s) in state_dict: policy.0.weight.",
    "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory",
    "Weights only load failed. In PyTorch 2.6, we changed the default value of the `weights_only` argument",
    # pickle, joblib, scikit-learn
    "Error loading model: Ran out of input",
    "EOFError: Ran out of input (./models_saved/ensemble_v2.1.0.pkl)",
    "ValueError: node array from the pickle has an incompatible dtype (model ensemble_v2.1.0.pkl)",
    "AttributeError: Can't get attribute 'Ensemble' on <module '__main__' from 'main.py'>",
    # XGBoost, LightGBM, CatBoost
    'xgboost.core.XGBoostError: [10:00:00] /src/io/local_filesys.cc:209: Check failed: Open "m.ubj": opening failed',
    "lightgbm.basic.LightGBMError: Model file m.txt is not available for reads",
    "_catboost.CatBoostError: catboost/libs/model/model.cpp:1185: Incorrect model file descriptor",
    # ONNX
    "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from net.onnx failed:Protobuf parsing failed.",
    "[ONNXRuntimeError] : 3 : NO_SUCHFILE : Load model from net.onnx failed:File doesn't exist",
    # TensorFlow, Keras, safetensors, stable-baselines
    "OSError: SavedModel file does not exist at: net/{saved_model.pbtxt|saved_model.pb}",
    "ValueError: File not found: n.keras. Please ensure the file is an accessible `.keras` zip file.",
    "OSError: Unable to synchronously open file (file signature not found) (models_saved/ensemble.h5)",
    "safetensors_rust.SafetensorError: Error while deserializing header: HeaderTooLarge",
    "zipfile.BadZipFile: File is not a zip file: models_saved/rl_agent_v2.1.0.zip",
]

TRACEBACKS = [
    (
        "Traceback (most recent call last):\n"
        '  File "/app/models/ensemble.py", line 44, in load\n    self.model = joblib.load(path)\n'
        "ModuleNotFoundError: No module named 'sklearn'\n",
        "ModuleNotFoundError: No module named 'sklearn'",
    ),
    (
        'Traceback (most recent call last):\n  File "/app/main.py", line 12, in load_models\n    self._open(path)\n'
        "PermissionError: [Errno 13] Permission denied",
        "PermissionError: [Errno 13] Permission denied",
    ),
]

HARMLESS_TRACEBACKS = [
    'Traceback (most recent call last):\n  File "/app/models/ensemble.py", line 80, in predict\n'
    "    return self.model.predict(x)\nTimeoutError",
    'Traceback (most recent call last):\n  File "/app/models/ensemble.py", line 20, in configure\n'
    "    self.model_config = yaml.load(file)\nyaml.scanner.ScannerError: mapping values are not allowed here",
    'Traceback (most recent call last):\n  File "/app/data.py", line 9, in load_candles\n    rows = pickle.load(f)\n'
    "EOFError",
]

DUMMIES = [
    "Using dummy model",
    "using the dummy agent instead",
    "Initialising dummy model",
    "Model not loaded, falling back to dummy",
    "Model is not there. Dummy model active",
    "No model found, using dummy model",
    "Replaced it with dummy",
    "Using DummyModel",
]

HARMLESS = [
    "Error loading config: missing key",
    "Error loading order book for SOLUSDT",
    "Error loading market data for model input",
    "Error loading prices, agent waits",
    "Error loading model metadata",
    "Error loading user agent list",
    "Error reading agent position",
    "Failed to load model config",
    "Failed to load model_config.yaml",
    "Failed to load model performance history",
    "Failed to open order for model signal",
    "Failed to restore position, model keeps trading",
    "Cannot open position: model confidence too low",
    "No model prediction for this bar",
    "Features missing for model",
    "model missing feature rsi_14",
    "Model predictions missing for SOLUSDT",
    "Order book checksum mismatch, agent resyncs",
    "checksum mismatch for order book, agent will resync",
    "Price cache: invalid load key",
    "No such file or directory: 'data/prices.pkl'",
    "Model loaded, no dummy model in use",
    "Not using dummy model",
    "We don't use the dummy model",
    "dummy_variable_trap avoided",
    "Encoded weekday with dummy variables",
    "use_dummy_model: False",
    "dummy model: disabled",
    "dummy model fallback: off",
    "The dummy model is not used",
    "Using dummy_model=False",
    "Training random forest model",
    "Using random forest model with 300 trees",
    "Using ensemble model with 2 of 3 members",
    "fallback to dummy model: enabled",
    "If the file is missing the bot falls back to a dummy model",
    "Creating dummy variables for 3 columns",
    "dummy_model_path is set but not used",
    "No longer using dummy agent, the trained one is back",
    "Model not loaded yet",
    "Model not found in cache, reading it from disk",
    "Failed to load model, retrying in 5 s (attempt 1 of 3)",
    "Model missing 2 of 40 features, filled with 0",
    "Trying to unpickle estimator RandomForest from version 1.2 when using version 1.4 (model)",
    "Model confidence 0.41 is low, no trade",
    "Error loading models/config.yaml: bad indentation",
    "Failed to load historical data",
    "Failed to load markets: exchange is down",
    "Could not load position state, starting flat",
    "Could not load checkpoint, starting from scratch",
    "Could not restore agent positions",
    "Could not load New Relic agent",
    "Failed to initialize Datadog agent",
    "Error in trading loop: invalid load key in the candle cache",
    "zipfile.BadZipFile: File is not a zip file: data/SOLUSDT-1m-2026-02.zip",
    "[Errno 2] No such file or directory: 'logs/model_metrics.csv'",
    "Kill switch: daily loss limit reached",
]


@pytest.mark.parametrize("message", [*FAILURES, *LIBRARIES])
def test_a_failure_fires(message: str) -> None:
    assert judged(line(message, "ERROR")).state == "firing"


def test_every_pattern_is_there_for_a_line() -> None:
    for pattern in PATTERNS:
        assert any(re.search(pattern, message, re.IGNORECASE) for message in [*FAILURES, *LIBRARIES]), pattern


@pytest.mark.parametrize(("message", "end"), TRACEBACKS)
def test_a_traceback_through_the_loading_of_a_model_fires_with_its_last_line(message: str, end: str) -> None:
    verdict = judged(line(f"Start failed\n{message}", "CRITICAL"))
    assert verdict.reason == f"the bot's log says: CRITICAL {end}"


@pytest.mark.parametrize("message", HARMLESS_TRACEBACKS)
def test_a_traceback_of_something_else_does_not_fire(message: str) -> None:
    assert judged(line(f"Error in trading loop\n{message}", "ERROR")).state != "firing"


@pytest.mark.parametrize("message", DUMMIES)
def test_a_dummy_fires_at_any_level(message: str) -> None:
    assert judged(line(message, "DEBUG")).state == "firing"


@pytest.mark.parametrize("message", HARMLESS)
def test_what_only_looks_like_it_does_not_fire(message: str) -> None:
    assert judged(line(message, "ERROR")).state != "firing"


@pytest.mark.parametrize(
    "message",
    [
        "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl",
        "Loading RL agent from ./models_saved/rl_agent_v2.0.0.zip",
        "Reloading model v2.1.0",
        "Loading ./models_saved/ensemble_v2.0.0.pkl",
    ],
)
def test_a_load_that_begins(message: str) -> None:
    assert tells_loading(message)
    assert not tells_loaded(message)


@pytest.mark.parametrize(
    "message",
    [
        "Ensemble model v2.0.0 loaded successfully",
        "Model ensemble_v2.0.0.pkl loaded in 1.2 s",
        "Ensemble model loaded successfully",
        "RL agent loaded successfully",
        "Loaded ensemble model (v2.1.0)",
        "Successfully loaded model v2.1.0",
        "Models loaded",
    ],
)
def test_a_load_that_ended_well(message: str) -> None:
    assert tells_loaded(message)
    assert not tells_loading(message)


@pytest.mark.parametrize(
    "message",
    [
        "Model not loaded yet",
        "Model could not be loaded",
        "Waiting for the model to be loaded",
        "The agent wasn't loaded",
        "Loaded 500 candles for model input",
        "Loaded model config",
        "Loading market data",
        "Error loading model: x",
        "",
        "Traceback\nEnsemble model loaded successfully\nLoading model from x",
    ],
)
def test_what_is_neither(message: str) -> None:
    assert not tells_loaded(message)
    assert not tells_loading(message)


def test_a_headline_is_no_load_of_its_own() -> None:
    assert tells_headline("Loading ML models...")
    assert not tells_loading("Loading ML models...")
    assert not tells_headline("Loading model from x")


@pytest.mark.parametrize(
    "message",
    [
        "not loading model v2.1.0 (quarantined)",
        "Skipping loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl",
        "Loading shadow model from ./models_saved/ensemble_v2.1.0.pkl",
        "Loading the challenger model v2.2.0",
    ],
)
def test_what_is_not_loaded_to_trade_is_no_load(message: str) -> None:
    assert not tells_loading(message)
