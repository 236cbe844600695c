"""A model that could not be loaded.

Fires when the bot's log says that a model could not be loaded or that a dummy model took its place (such a bot keeps
trading, at random), when the bot ends while it loads its model, and when it ended again and again before it had
loaded one. A bot that ends before it came to loading proves nothing about the model by itself: it may have missed its
exchange. A new start of the bot clears what the one before had said.
"""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triggers.records import BotExited, BotStarted, GaveUp, LogLine, Record
from triggers.verdict import Verdict

_THING = r"(?:model|models|agent|ensemble|checkpoint|weights)"
_WORDS = r"(?:[\w./-]+ ){0,2}"

PATTERNS = (
    rf"\berror (?:while )?loading {_WORDS}{_THING}\b",
    rf"\b(?:failed|unable|could not|couldn't|cannot|can't) (?:to )?(?:load|unpickle|deserialize) {_WORDS}{_THING}\b",
    rf"\b{_THING} (?:file )?(?:is )?(?:not found|missing|corrupt(?:ed)?)\b",
    rf"\b{_THING} (?:could not|cannot|failed to) (?:be )?load(?:ed)?\b",
    r"\bdummy (?:model|agent)\b(?! (?:is )?(?:not|off|disabled|removed))",
    r"\binvalid load key\b|\bbad magic number\b|\bUnpicklingError\b",
    rf"\bchecksum (?:mismatch|failed|error)\b.*\b{_THING}\b|\b{_THING}\b.*\bchecksum (?:mismatch|failed|error)\b",
)
"""What failures to load look like, in WARNING, ERROR and CRITICAL lines; case does not matter."""

DUMMY = re.compile(
    r"\b(?:using|initiali[sz]ing|falling back to|fallback to) (?:a |an |the )?dummy (?:model|agent)\b",
    re.IGNORECASE,
)
"""A dummy that took a model's place counts at every level."""

LOADING = re.compile(rf"\bloading\b.*\b{_THING}\b.*\bfrom\b", re.IGNORECASE)
"""A load began: "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl"."""

LOADED = re.compile(rf"\b{_THING}\b.*\bloaded\b|\bloaded\b.*\b{_THING}\b", re.IGNORECASE)
"""A load ended well: "Ensemble model loaded successfully"."""

NOT_LOADED = re.compile(r"\b(?:not|n't|never|be) (?:yet )?loaded\b", re.IGNORECASE)

_LOUD = frozenset({"WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"})
_BY_PEOPLE = frozenset({-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})
QUOTED = 200


@dataclass(frozen=True)
class LoadErrorSettings:
    """`patterns`: regular expressions, searched without regard to case."""

    patterns: Sequence[str] = PATTERNS

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"load_error.patterns: {pattern!r} is no regular expression: {error}"
                ) from error


def tells_loading(message: str) -> bool:
    """Whether a line says that a load began."""
    return LOADING.search(message) is not None


def tells_loaded(message: str) -> bool:
    """Whether a line says that a load ended well."""
    return LOADED.search(message) is not None and NOT_LOADED.search(message) is None


class LoadErrorRule:
    """Keeps the first error since the bot's last start, and how far its loading has come."""

    name = "load_error"

    def __init__(self, settings: LoadErrorSettings) -> None:
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in settings.patterns]
        self._error: str | None = None
        self._error_at: datetime | None = None
        self._started_at: datetime | None = None
        self.loading = False
        """A load began and has not ended."""
        self.loaded = False
        """A model was loaded since the bot's last start."""

    def observe(self, record: Record) -> None:
        """Looks at log lines, and at starts and ends of the bot."""
        if isinstance(record, LogLine):
            self._read(record)
        elif isinstance(record, BotStarted):
            self._start(record)
        elif isinstance(record, BotExited):
            self._exit(record)
        elif isinstance(record, GaveUp) and not self.loaded:
            self._fail(
                record.at,
                f"the bot ended {record.restarts + 1} times in {record.minutes:.0f} min before it had loaded its model",
            )

    def _read(self, line: LogLine) -> None:
        if self._started_at is not None and line.at < self._started_at:
            return
        if tells_loaded(line.message):
            self.loading, self.loaded = False, True
        elif tells_loading(line.message):
            self.loading = True
        loud = line.level.upper() in _LOUD and any(pattern.search(line.message) for pattern in self._patterns)
        if loud or DUMMY.search(line.message):
            self._fail(line.at, f"the bot's log says: {_quote(line)}")

    def _start(self, record: BotStarted) -> None:
        self._started_at = record.at
        self.loading = self.loaded = False
        if self._error_at is None or self._error_at <= record.at:
            self._error = self._error_at = None

    def _exit(self, record: BotExited) -> None:
        if self.loading and not self.loaded and record.code not in _BY_PEOPLE:
            how = (
                ""
                if record.code is None
                else f" (exit code {record.code})"
                if record.code >= 0
                else f" (signal {-record.code})"
            )
            self._fail(record.at, f"the bot ended{how} while it was loading its model")

    def _fail(self, at: datetime, reason: str) -> None:
        if self._error is None:
            self._error, self._error_at = reason, at

    def evaluate(self, now: datetime) -> Verdict:  # noqa: ARG002
        """Fires from the first error on."""
        if self._error is not None:
            return Verdict(self.name, "firing", 1.0, 0.0, self._error)
        if self.loaded:
            return Verdict(self.name, "ok", 0.0, 0.0, "the model was loaded, 0 load errors (limit 0)")
        return Verdict(
            self.name, "no_data", None, 0.0, "the bot's log says nothing of loading since its last start"
        )

    def reset(self, since: datetime) -> None:  # noqa: ARG002
        """Forgets errors and loads."""
        self._error = self._error_at = self._started_at = None
        self.loading = self.loaded = False

    def dump(self) -> dict[str, Any]:
        """All of it."""
        at, started = self._error_at, self._started_at
        return {
            "error": self._error,
            "error_at": at and at.isoformat(),
            "started_at": started and started.isoformat(),
            "loading": self.loading,
            "loaded": self.loaded,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes it over."""
        self._error = state["error"]
        self._error_at = state["error_at"] and datetime.fromisoformat(state["error_at"])
        self._started_at = state["started_at"] and datetime.fromisoformat(state["started_at"])
        self.loading, self.loaded = bool(state["loading"]), bool(state["loaded"])

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []


def _quote(line: LogLine) -> str:
    first = line.message.splitlines()[0] if line.message else ""
    return f"{line.level} {first[:QUOTED]}{'…' if len(first) > QUOTED else ''}"
