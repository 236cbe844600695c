"""How bots log that a prediction was made, and that a risk check failed. All patterns are for single lines.

They are for people's eyes: what they find is counted and told, and halts nothing.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from config import Monitor
from triggers import LogLine

LONGEST = 1_000
"""Characters of a message that are searched."""

ERRORS = frozenset({"ERROR", "CRITICAL", "FATAL"})

PREDICTIONS = (
    r"\bpredict(?:ion|ions|ed|s)\b(?! (?:model|engine|service|thread|worker|loop|history|file|log)\b)",
    r"\b(?:ml|model|ensemble|trading|new) signal\b",
    r"\bsignal(?: generated)? ?[:=]",
    r"\bml[_ ]confidence ?[:=]",
)
"""A line of them below WARNING that denies nothing ("no prediction", "prediction skipped") tells of a prediction."""

RISK = (
    r"\brisk (?:check|manager|limit|control|guard|gate|rule|validation)s?\b.{0,80}?"
    r"\b(?:fail(?:ed|ure|s)?|reject(?:ed|s)?|block(?:ed|s)?|den(?:ied|ies)|refus(?:ed|es)|exceed(?:ed|s)?"
    r"|breach(?:ed|es)?|violat(?:ed|ion|es)|hit|reached)\b",
    r"\b(?:order|trade|position|signal|entry)\b.{0,40}?\b(?:rejected|blocked|denied|refused|vetoed) by (?:the )?"
    r"risk\b",
    r"\b(?:fail(?:ed|ure)|reject(?:ed|ion)|violat(?:ed|ion)|breach(?:ed)?)\b.{0,20}?\brisk "
    r"(?:check|limit|rule|control)",
    r"\bcircuit breaker (?:is |was |has )?(?:been )?(?:tripped|triggered|activated|opened|open)\b",
    r"\bkill[ -]?switch (?:is |was |has )?(?:been )?(?:engaged|activated|triggered|tripped)\b",
    r"\b(?:daily|maximum|max) (?:loss|drawdown|exposure|position size)(?: limit)? (?:was |is )?"
    r"(?:reached|exceeded|breached|hit)\b",
)
"""A risk check that failed, at any level."""

_DENIED = re.compile(
    r"\b(?:no|not|never|without|skip\w*|wait\w*|fail\w*|error\w*|cannot|could|unable|disabled|stale|missing|loading"
    r"|loaded|initiali[sz]\w*)\b|n't\b",
    re.IGNORECASE,
)
_NO_FAILURE = re.compile(
    r"\b(?:no|not|never|without|0)\b.{0,30}?\b(?:fail|reject|block|exceed|breach|violat|hit|reached|trip|trigger)"
    r"|n't\b.{0,30}?\b(?:fail|reject|exceed)|: ?(?:0|none|false)\b",
    re.IGNORECASE,
)
_CONFIDENCE = re.compile(
    r"\b(?:ml_)?(?:conf(?:idence)?|prob(?:ability)?)\b[ :=(]{0,4}([0-9]{1,3}(?:\.[0-9]{1,12})?) ?(%?)",
    re.IGNORECASE,
)
_UP = re.compile(r"\b(?:up|long|buy|bullish)\b|(?<![\w.-])\+?1(?:\.0)?(?![\w.%])", re.IGNORECASE)
_DOWN = re.compile(r"\b(?:down|short|sell|bearish)\b|(?<![\w.])-1(?:\.0)?(?![\w.%])", re.IGNORECASE)


class Forecast(NamedTuple):
    """What one prediction says: `up` True, False, or None (flat, or not told); `confidence` as a share, or None."""

    up: bool | None
    confidence: float | None


class BotSays:
    """The patterns of one bot: the operator's, or ours."""

    def __init__(self, settings: Monitor) -> None:
        self._ours = settings.prediction_patterns is None
        self._predictions = _compiled(settings.prediction_patterns or PREDICTIONS)
        self._our_risk = settings.risk_patterns is None
        self._risk = _compiled(settings.risk_patterns or RISK)

    def predicts(self, line: LogLine) -> bool:
        """Whether the line tells of a prediction that was made."""
        text = _head(line.message)
        if not any(pattern.search(text) for pattern in self._predictions):
            return False
        return not self._ours or (line.level in {"DEBUG", "INFO", "NOTSET"} and _DENIED.search(text) is None)

    def risk_failed(self, line: LogLine) -> bool:
        """Whether the line tells of a risk check that failed."""
        text = _head(line.message)
        if not any(pattern.search(text) for pattern in self._risk):
            return False
        return not self._our_risk or _NO_FAILURE.search(text) is None


def forecast(message: str) -> Forecast:
    """The direction and the confidence that a line of the log names, as far as it does."""
    text = _head(message)
    found = _CONFIDENCE.search(text)
    confidence = None
    if found is not None:
        number = float(found[1]) / (100.0 if found[2] or float(found[1]) > 1 else 1.0)
        confidence = number if number <= 1 else None
        text = text[: found.start()] + text[found.end() :]
    up, down = _UP.search(text) is not None, _DOWN.search(text) is not None
    return Forecast(None if up == down else up, confidence)


def _compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(pattern, re.IGNORECASE) for pattern in patterns]


def _head(message: str) -> str:
    return message[:LONGEST].split("\n", 1)[0]
