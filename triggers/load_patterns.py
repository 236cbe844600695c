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
_KIND = _any(
    "models?", "agents?", "ensembles?", "classifiers?", "regressors?", "predictors?", "neural net(?:work)?s?"
)
_NAME = rf"\b{_KIND}\b(?![ _-]?{_ABOUT}\b)"
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
_END = r"(?= ?(?:$|[:;,.!(-]|(?:at|in|on)\b))"
_NO_FEED = r"^(?!.*\b(?:order ?book|book|depth|message|download)\b)"
_INSTEAD = _any("using", "falling back (?:on|to)", "fell back to", "fallback to")

PATTERNS = (
    rf"\b{_FAILED} (?:{_LOADING} {_BEFORE}{_THING}|{_READING} {_BEFORE}{_ITS_FILE})",
    rf"\b{_CANNOT} (?:{_LOAD} {_BEFORE}{_THING}|{_READ} {_BEFORE}{_ITS_FILE})",
    rf"{_THING} (?:file )?(?:could not|couldn't|cannot|can't) be (?:loaded|read|opened|unpickled|found)\b",
    rf"{_THING} (?:file )?(?:failed to load|load(?:ing)? (?:has )?failed|load(?:ing)? error|failed loading)\b",
    rf"{_THING} (?:file )?(?:is |was )?{_DAMAGED}\b{_END}",
    rf"\b(?:No such file or directory|FileNotFoundError)\b.*{_FILE}",
    rf"{_NO_FEED}.*?\bchecksum\b.*?\b{_DIFFERS}\b.*{_NAME}",
    rf"{_NO_FEED}.*?{_NAME}.*?\bchecksum\b.*?\b{_DIFFERS}\b",
    rf"\b{_INSTEAD} {_BEFORE}(?:untrained|random) (?:model|agent)\b",
)
"""What could not be loaded, in WARNING, ERROR and CRITICAL lines. Case does not matter."""

PICKLE = re.compile(
    r"\b(?:invalid load key|bad magic number|UnpicklingError|pickle data was truncated)\b", re.IGNORECASE
)
"""What Python says of a damaged pickle, at the end of a traceback: a model's, unless the message is about a cache."""

_MADE = _any("initiali[sz]ing", "creating", "loading", r"replac\w+ (?:it )?(?:with|by)")
_DUMMY = re.compile(
    r"\bdummy[ -](?:ML |RL )?(?:models?|agents?|ensembles?)\b"
    rf"|\b(?:{_INSTEAD}|{_MADE}) (?:an? |the )?dummy(?:model|agent)?\b(?![_-])",
    re.IGNORECASE,
)
# Denied before it, in the same clause ("loaded, no dummy model"), or right after it ("dummy model: disabled").
_NOT = _any(r"\b(?:no|not|never|without|disabl\w+|avoid\w*|instead of|rather than)", "n't")
_DENIED = re.compile(rf"{_NOT}(?: \w+){{0,2}} $", re.IGNORECASE)
_OFF = re.compile(
    r"(?: \w+)?(?: ?[:=] ?| is | was )?(?:\b(?:false|off|none|no|not|disabled|unused|removed)\b|n't)",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;:]|\. ")

LOADING = re.compile(
    rf"(?<!error )(?<!failed )\b(?:re)?loading {_BEFORE}{_THING}(?<!s)(?! (?:failed|error))", re.IGNORECASE
)
"""A load began: "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl". Not a headline."""

HEADLINE = re.compile(rf"\b(?:re)?loading {_BEFORE}(?:models|agents|ensembles)\b", re.IGNORECASE)
"""Several loads are about to begin: "Loading ML models..."."""

LOADED = re.compile(
    r"^(?!.*(?:\b(?:not|never|cannot|to|will|be|could|without)\b|n't)(?: \w+)? loaded\b)"
    rf".*(?:{_NAME}[^.;]{{0,60}}\bloaded\b|\bloaded {_BEFORE}{_THING})",
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
        if not _DENIED.search(clause) and not _OFF.match(line, found.end()):
            return True
    return False


LONGEST = 1_000
"""Characters of a line that are searched: what a line is about stands at its beginning."""


def _first_line(message: str) -> str:
    return message[:LONGEST].split("\n", 1)[0]
