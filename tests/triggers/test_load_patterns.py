"""Lines of real bots, and lines that only look like them."""

import pytest

from tests.triggers.test_load_error import judged, line
from triggers import tells_loaded, tells_loading
from triggers.load_patterns import tells_headline

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
]


@pytest.mark.parametrize("message", FAILURES)
def test_a_failure_fires(message: str) -> None:
    assert judged(line(message, "ERROR")).state == "firing"


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
