"""How bots say that they load a model, that it went well, and that it went wrong. All patterns are for single lines.

Written for the lines of real bots: "Error loading RL agent: bad magic number. Using dummy agent.", "Model file not
found: ./models_saved/ensemble_model.pkl". A false alarm costs a good model, so every pattern asks for a model by name:
"Error loading order book" and "Failed to load model config" are none of our business.
"""

import re


def _any(*words: str) -> str:
    return "(?:" + "|".join(words) + ")"


# A few words may stand before the model ("ML models", "the RL agent", "v2.1.0 ensemble"). After a preposition comes
# another thing ("Error loading prices for the model"), and a "user agent" is a header.
_STOP = _any(
    "for", "of", "from", "in", "to", "with", "by", "on", "and", "or", "while", "before", "after", "user"
)
_BEFORE = rf"(?:(?!{_STOP}\b)['\"]?[\w./()-]{{1,200}}['\"]? ){{0,3}}?"
_ABOUT = _any(
    *(
        "configs?",
        "configuration",
        "settings",
        "metadata",
        "metrics",
        "registry",
        "info",
        "stat(?:s|istics|us)",
    ),
    *(
        "history",
        "list",
        "performance",
        "card",
        "inputs?",
        "outputs?",
        "predictions?",
        "features?",
        "data",
        "prices?",
    ),
)
# Agents of other trades: monitoring, and the header of a request.
_AGENT = (
    "".join(rf"(?<!{word}[ -])" for word in ("user", "datadog", "relic", "sentry", "monitoring", "apm"))
    + "agents?"
)
_KIND = _any(
    "models?", _AGENT, "ensembles?", "classifiers?", "regressors?", "predictors?", "neural net(?:work)?s?"
)
_NAME = rf"\b{_KIND}\b(?![/\\]|[ _-]?{_ABOUT}\b)"
_SUFFIX = _any("pkl", "pickle", "joblib", "onnx", "pth?", "h5", "keras", "safetensors", "zip", "bin")
_FILE = rf"(?<![\w./\\-])[\w./\\:-]{{0,200}}(?:model|agent|ensemble)[\w./\\-]{{0,200}}\.{_SUFFIX}\b"
_THING = rf"(?:{_NAME}|['\"]?{_FILE})"
_ITS_FILE = rf"(?:{_NAME} file\b|['\"]?{_FILE})"

_LOAD = _any("load", "unpickle", "deseriali[sz]e")
_LOADING = _any("load", "unpickl", "deseriali[sz]") + "ing"
_READ, _READING = _any("read", "open", "restore", "import"), _any("read", "open", "restor", "import") + "ing"
_FAILED = _any("error", "failure", "failed", "exception", "problem") + r"(?: (?:while|when|in|at|on|during))?"
_CANNOT = _any("failed to", "unable to", "could not", "couldn't", "cannot", "can't", "can not")
_DIFFERS = _any("mismatch", "fail(?:ed|ure)", "invalid", "wrong", "differs")
_DAMAGED = _any("not found", "missing", "corrupt(?:ed)?", "damaged", "truncated")
_CACHE = r"(?:the |local )?(?:cache|memory)\b"
_END = rf"(?= ?(?:$|[:;,.!(-]|(?:at|in|on)\b(?! {_CACHE})))"
_NO_FEED = r"^(?!.*\b(?:order ?book|book|depth|message|download)\b)"
_INSTEAD = _any("using", "falling back (?:on|to)", "fell back to", "fallback to")

PATTERNS = (
    rf"\b{_FAILED} (?:{_LOADING} {_BEFORE}{_THING}|{_READING} {_BEFORE}{_ITS_FILE})",
    rf"\b{_CANNOT} (?:{_LOAD} {_BEFORE}{_THING}|{_READ} {_BEFORE}{_ITS_FILE})",
    rf"\b(?:{_FAILED} initiali[sz]ing|{_CANNOT} initiali[sz]e) {_BEFORE}\b(?:models?|ensembles?|RL agents?)\b"
    rf"(?![ _-]?{_ABOUT}\b)",
    rf"{_THING} (?:file |[\w.-]{{1,40}} )?(?:could not|couldn't|cannot|can't) be "
    r"(?:loaded|read|opened|unpickled|found)\b",
    rf"{_THING} (?:file )?(?:failed to load|load(?:ing)? (?:has )?failed|load(?:ing)? error|failed loading)\b",
    rf"{_THING} (?:file )?(?:is |was )?{_DAMAGED}\b{_END}",
    rf"\b(?:No such file or directory|FileNotFoundError)\b.*{_FILE}",
    rf"{_NO_FEED}.*?\bchecksum\b.*?\b{_DIFFERS}\b.*{_THING}",
    rf"{_NO_FEED}.*?{_NAME}.*?\bchecksum\b.*?\b{_DIFFERS}\b",
    rf"\b{_INSTEAD} {_BEFORE}(?:untrained|random) (?:RL )?(?:model|agent)\b",
    # torch, ONNX, TensorFlow and Keras, XGBoost, LightGBM, CatBoost and safetensors say it in their own words.
    r"\bloading state_dict for\b|\bPytorchStreamReader failed\b|\bWeights only load failed\b",
    r"\bload model from .{1,300} failed\b|\bINVALID_PROTOBUF\b",
    r"\bSavedModel file does not exist\b|\baccessible `\.keras` zip file\b",
    r"\bXGBoostError\b.{0,300}(?:\bopening\b|header|corrupt)|\bModel file .{0,200}not available for reads\b",
    r"\bIncorrect model file descriptor\b|\bSafetensorError\b",
)
"""What could not be loaded, in WARNING, ERROR and CRITICAL lines. Case does not matter."""

_LIBRARY = _any(
    "joblib",
    "torch",
    "pickle",
    "cloudpickle",
    "dill",
    "PPO",
    "RecurrentPPO",
    "A2C",
    "DQN",
    "SAC",
    "TD3",
    "DDPG",
)
FRAME = re.compile(
    r"^File .{1,300}, in _*load_\w{0,20}(?:model|agent|ensemble)s?$"
    rf"|(?:model|agent|ensemble)s? = .{{0,80}}\b(?:{_LIBRARY}\.load|load_model)\("
)
"""A line of a traceback that passes through the loading of a model."""

RETRIES = re.compile(r"\b(?:retrying|will retry|will be retried|trying again|retry in \d)\b", re.IGNORECASE)
"""Not the last word: the last attempt tells whether it failed."""

PICKLE = re.compile(
    r"\b(?:invalid load key|bad magic number|UnpicklingError|pickle data was truncated|Ran out of input)\b",
    re.IGNORECASE,
)
"""What Python says of a damaged pickle, at the end of a traceback: a model's, unless the message is about a cache."""

DAMAGE = re.compile(
    r"\b(?:not a zip file|Unable to (?:synchronously )?open file \(|incompatible dtype|Can't get attribute)",
    re.IGNORECASE,
)
"""What libraries say of any file that they cannot read: a model's, if the message names one."""

NAMES_MODEL = re.compile(r"model|agent|ensemble", re.IGNORECASE)

WORDS = (
    *(
        "load",
        "dummy",
        "model",
        "agent",
        "ensemble",
        "classifier",
        "regressor",
        "predictor",
        "network",
        "checksum",
    ),
    *("pickl", "magic", "out of input", "pytorch", "boost", "protobuf", "keras", "safetensor"),
)
"""In lower case: one of these is in every message of a failure. Nearly every line has none and costs nothing."""

_MADE = _any("initiali[sz]ing", "creating", "loading", r"replac\w+ (?:it )?(?:with|by)")
_DUMMY = re.compile(
    r"\bdummy[ -](?:ML |RL )?(?:models?|agents?|ensembles?)\b"
    rf"|\b(?:{_INSTEAD}|{_MADE}) (?:an? |the )?dummy(?:model|agent)?\b(?![_-])"
    r"(?! (?:variables?|columns?|data|features?)\b)",
    re.IGNORECASE,
)
# What could happen, and what is switched on for the case, has not happened.
_WOULD = re.compile(r"\b(?:falls? back|would|could|may|fallback) (?:on |to )?(?:an? |the )?$", re.IGNORECASE)
# Denied before it, in the same clause ("loaded, no dummy model"), or right after it ("dummy model: disabled").
_NOT = _any(r"\b(?:no|not|never|without|disabl\w+|avoid\w*|instead of|rather than)", "n't")
_DENIED = re.compile(rf"{_NOT}(?: \w+){{0,2}} $", re.IGNORECASE)
_OFF = re.compile(
    r"(?: \w+)?(?: ?[:=] ?| is | was )?(?:\b(?:false|off|none|no|not|disabled|unused|removed|allowed|enabled)\b|n't)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:]|\. ")

LOADING = re.compile(
    r"(?<!error )(?<!failed )(?<!not )(?<!never )(?<!skip )(?<!skipped )(?<!skipping )(?<!without )(?<!instead of )"
    r"\b(?:re)?loading (?!(?:an? |the |its )?(?:shadow|challenger|canary)\b)"
    rf"{_BEFORE}{_THING}(?<!s)(?! (?:failed|error))",
    re.IGNORECASE,
)
"""A load began: "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl". Not a headline, nothing that is not
done ("not loading model v2.1.0"), and no model that does not trade (a shadow, a challenger)."""

HEADLINE = re.compile(rf"\b(?:re)?loading {_BEFORE}(?:models|agents|ensembles)\b", re.IGNORECASE)
"""Several loads are about to begin: "Loading ML models..."."""

LOADED = re.compile(
    r"^(?!.*(?:\b(?:not|never|cannot|to|will|be|could|without)\b|n't)(?: \w+)? loaded\b)"
    rf".*(?:{_NAME}(?:[^.;]|\.(?=\S)){{0,60}}\bloaded\b|\bloaded {_BEFORE}{_THING})",  # a version has dots
    re.IGNORECASE,
)
"""A load ended well: "Ensemble model loaded successfully"."""


def tells_loading(message: str) -> bool:
    """Whether a message says, in its first line, that a load began."""
    return LOADING.search(_first_line(message)) is not None


def tells_loaded(message: str) -> bool:
    """Whether a message says, in its first line, that a load ended well."""
    return LOADED.search(_first_line(message)) is not None


def tells_headline(message: str) -> bool:
    """Whether a message says, in its first line, that several loads are about to begin."""
    return HEADLINE.search(_first_line(message)) is not None


def tells_dummy(line: str) -> bool:
    """Whether a line says that a dummy took a model's place."""
    for found in _DUMMY.finditer(line):
        clause = _CLAUSE.split(line[: found.start()])[-1]
        denied = _DENIED.search(clause) or _OFF.match(line, found.end())
        if not denied and not _WOULD.search(clause):
            return True
    return False


LONGEST = 1_000
"""Characters of a line that are searched: what a line is about stands at its beginning."""


def _first_line(message: str) -> str:
    return message[:LONGEST].split("\n", 1)[0]
