"""The bot's log, in the format of Python's logging, as records: `asctime - name - LEVEL - message`.

Lines below a message that are no message of their own (tracebacks) belong to it. Of a very long one the
beginning and the end are kept: the end of a traceback is what says what went wrong.
"""

import re
from collections import deque
from collections.abc import Iterable
from datetime import datetime, tzinfo

from triggers.records import LogLine
from watchdog.plain import plain
from watchdog.times import LocalTimes

MAX_LINES = 64
"""Of one message; MAX_CHARS likewise."""
MAX_CHARS = 16 << 10
_LAST_LINES = 16
_LAST_CHARS = 256
_FIRST_LINES = MAX_LINES - _LAST_LINES
_FIRST_CHARS = MAX_CHARS - _LAST_LINES * (_LAST_CHARS + 1)

# 2026-03-01 09:59:58,101 - models.ensemble - INFO - Ensemble model loaded successfully
_HEADER = re.compile(
    r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)"
    r" - (.{1,200}?) {0,8} - {1,8}\[?([A-Za-z]{1,20}|Level \d{1,4})\]? {0,8} - (.*)",
    re.DOTALL,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class BotLogParser:
    """Turns lines into records. A message is complete when the next one begins or at `flush`."""

    headless: int = 0
    """Lines before any message: they give no record."""

    def __init__(self, tz: tzinfo) -> None:
        self._utc = LocalTimes(tz).utc
        self._header: tuple[datetime, str, str] | None = None
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._room = _FIRST_CHARS
        self._left_out = 0

    def feed(self, lines: Iterable[bytes]) -> list[LogLine]:
        """The messages that these lines complete. Never raises."""
        done: list[LogLine] = []
        for line in lines:
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            if not text.isprintable():
                text = plain(_COLOUR.sub("", text))
            if (message := self._begin(text, done)) is not None:
                text = message
            elif self._header is None:
                self.headless += 1
                continue
            elif not self._first and not text.strip():
                continue  # blank lines alone make no record
            self._add(text)
        return done

    def flush(self) -> list[LogLine]:
        """What is there of the last message. Lines that follow below it become a record with the same header."""
        done: list[LogLine] = []
        self._finish(done)
        return done

    def _begin(self, text: str, done: list[LogLine]) -> str | None:
        """The message, if `text` begins one; the one before is then complete."""
        # Most lines of a traceback end here.
        found = _HEADER.match(text) if text[:2] == "20" else None
        if found is None:
            return None
        stamp, logger, level, message = found.groups()
        try:
            at = self._utc(stamp)
        except ValueError:
            return None
        self._finish(done)
        self._header = (at, level.upper(), logger)
        return message

    def _add(self, text: str) -> None:
        if len(self._first) < _FIRST_LINES and self._room > 1:
            text = text[: self._room - 1]
            self._first.append(text)
            self._room -= len(text) + 1
            return
        self._left_out += len(self._last) == _LAST_LINES
        self._last.append(text[:_LAST_CHARS])

    def _finish(self, done: list[LogLine]) -> None:
        if self._header is None or not self._first:
            return
        gap = [f"... {self._left_out} lines left out ..."] if self._left_out else []
        at, level, logger = self._header
        done.append(LogLine(at, level, logger, "\n".join([*self._first, *gap, *self._last])))
        self._first, self._room, self._left_out = [], _FIRST_CHARS, 0
        self._last.clear()
