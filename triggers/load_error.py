"""A model that could not be loaded.

Fires when the bot's log says that a model could not be loaded, or (at every level) that a dummy took its place, since
such a bot keeps trading, at random; when the bot ends in the midst of loading, unless a person stopped it; and when it
ended again and again before it had loaded anything. A bot that ends once without a word of loading proves nothing about
the model: it may have missed its exchange. A new start of the bot clears what was said before it.
"""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from triggers.following import Moment
from triggers.load_patterns import (
    DAMAGE,
    FRAME,
    LONGEST,
    NAMES_MODEL,
    PATTERNS,
    PICKLE,
    RETRIES,
    WORDS,
    tells_dummy,
    tells_headline,
    tells_loaded,
    tells_loading,
)
from triggers.records import BotExited, BotStarted, Entry, GaveUp, LogLine, Record
from triggers.verdict import Verdict

LOUD = frozenset({"WARNING", "WARN", "ERROR", "CRITICAL", "FATAL"})
_ENDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BY_PEOPLE = frozenset(code for number in _ENDED for code in (-number, 128 + number))
"""Exit codes of a bot that was told to stop; a shell and a container say 128 + the signal."""

SLACK = timedelta(seconds=1)
"""A process's start is known to the second only: what it logs in its first second may seem older."""

LOADING_TAKES = timedelta(minutes=10)
"""Bots that never say that a load has ended do not load for ever."""

QUOTED = 200


@dataclass(frozen=True)
class LoadErrorSettings:
    """`patterns`: regular expressions of the operator, searched in every line whatever its level, in place of ours
    (those for WARNING and above, and the one for dummies). Case does not matter."""

    patterns: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for pattern in self.patterns or ():
            try:
                re.compile(pattern, re.IGNORECASE)
            except re.error as error:
                raise ValueError(
                    f"load_error.patterns: {pattern!r} is no regular expression: {error}"
                ) from error


class _State(msgspec.Struct, forbid_unknown_fields=True):
    error: str | None = None
    error_at: Moment | None = None
    started_at: Moment | None = None
    loading: bool = False
    loaded: bool = False
    told_at: Moment | None = None
    """When the last line about loading was written."""
    ever_loaded: bool = False
    exited_at: Moment | None = None
    exit_code: int | None = None
    gave_up: str | None = None


class LoadErrorRule:
    """Keeps the first error since the bot's last start, and how far its loading has come."""

    name = "load_error"

    def __init__(self, settings: LoadErrorSettings) -> None:
        chosen = PATTERNS if settings.patterns is None else settings.patterns
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in chosen]
        self._ours = settings.patterns is None
        self._state = _State()

    @property
    def loading(self) -> bool:
        """A load began since the bot's last start, and has not ended."""
        return self._state.loading

    @property
    def loaded(self) -> bool:
        """A model was loaded in this deployment, by whichever process of the bot."""
        return self._state.ever_loaded

    def observe(self, record: Record) -> None:
        """Looks at log lines, at starts and ends of the bot, and at entries: a bot that trades has loaded."""
        state = self._state
        if isinstance(record, LogLine):
            self._read(record)
        elif isinstance(record, BotStarted):
            self._start(record.at)
        elif isinstance(record, BotExited):
            state.exited_at, state.exit_code = record.at, record.code
        elif isinstance(record, Entry):
            if state.told_at is None or record.at > state.told_at:
                state.loading, state.ever_loaded = False, True
        elif isinstance(record, GaveUp) and not state.ever_loaded:
            times = f"{record.restarts + 1} times in {record.minutes:.0f} min"
            state.gave_up = f"the bot exited {times} before it had loaded its model"

    def _read(self, line: LogLine) -> None:
        state, message = self._state, line.message
        if state.started_at is not None and line.at < state.started_at - SLACK:
            return
        level, lower = line.level.upper(), message.lower()
        if "load" not in lower:
            pass  # nearly every line
        elif tells_loaded(message):
            state.loading, state.loaded, state.ever_loaded, state.told_at = False, True, True, line.at
        elif level not in LOUD and (tells_loading(message) or tells_headline(message)):
            state.loading, state.told_at = True, line.at
        if state.error is None and (said := self._error(level, message, lower)) is not None:
            quote = said if len(said) <= QUOTED else said[: QUOTED - 1] + "…"
            state.error, state.error_at = f"the bot's log says: {line.level} {quote}", line.at

    def _error(self, level: str, message: str, lower: str) -> str | None:
        """The line of a message that tells of one."""
        if not self._ours:
            return next((line for line in _lines(message) if self._matches(line)), None)
        loud = (
            level in LOUD and any(word in lower for word in WORDS) and not RETRIES.search(message[:LONGEST])
        )
        if not loud and "dummy" not in lower:
            return None
        about_model = loud and "cache" not in lower
        damage = about_model and NAMES_MODEL.search(message) is not None
        lines = _lines(message)
        for line in lines:
            if tells_dummy(line) or (loud and self._matches(line)):
                return line
            if (about_model and PICKLE.search(line)) or (damage and DAMAGE.search(line)):
                return line
            if loud and len(lines) > 1 and FRAME.search(line):
                return lines[-1]  # a traceback's last line tells the error
        return None

    def _matches(self, line: str) -> bool:
        return any(pattern.search(line) for pattern in self._patterns)

    def _start(self, at: datetime) -> None:
        """Forgets what earlier processes said and did; a start that is told late clears nothing newer."""
        state, begin = self._state, at - SLACK
        if state.started_at is not None and at < state.started_at:
            return
        state.started_at = at
        if state.error_at is not None and state.error_at < begin:
            state.error = state.error_at = None
        if state.told_at is not None and state.told_at < begin:
            state.loading = state.loaded = False
        if state.exited_at is not None and state.exited_at <= at:
            state.exited_at = state.exit_code = None

    def evaluate(self, now: datetime) -> Verdict:  # noqa: ARG002  (the time plays no part)
        """Fires from the first error on. It has no numbers: one error is enough."""
        state = self._state
        error = state.error or self._died_loading() or state.gave_up
        if error is not None:
            return Verdict(self.name, "firing", None, None, error)
        if state.loading:
            return Verdict(self.name, "ok", None, None, "the model is being loaded, no load error yet")
        if state.loaded:
            return Verdict(self.name, "ok", None, None, "the model was loaded, no load error")
        return Verdict(
            self.name, "no_data", None, None, "the bot's log says nothing of loading since its last start"
        )

    def _died_loading(self) -> str | None:
        state = self._state
        if state.exited_at is None or not state.loading or state.exit_code in BY_PEOPLE:
            return None
        if state.exit_code is None:
            return None  # not our child: a person may have stopped it; if it crashes, so will its restart
        if state.told_at is not None and state.exited_at - state.told_at > LOADING_TAKES:
            return None
        code = state.exit_code
        how = f" (killed by signal {-code})" if code < 0 else f" (exit code {code})"
        return f"the bot exited{how} while it was loading its model"

    def reset(self, since: datetime) -> None:  # noqa: ARG002
        """Forgets errors and loads."""
        self._state = _State()

    def dump(self) -> dict[str, Any]:
        """All of it."""
        state: dict[str, Any] = msgspec.to_builtins(self._state)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Takes it over."""
        self._state = msgspec.convert(state, _State)

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []


def _lines(message: str) -> list[str]:
    return [text for line in message.splitlines() if (text := line[:LONGEST].strip())]
