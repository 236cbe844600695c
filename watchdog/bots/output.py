"""The file that takes what a bot writes to its standard output and error."""

import contextlib
import logging
import os
import re
import shutil
from pathlib import Path

LIMIT_BYTES = 10 * 1024 * 1024
_TAIL_BYTES = 64 * 1024
_LINE_CHARS = 1000
_NOT_TEXT = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]"
)  # colours and control characters

log = logging.getLogger(__name__)


class BotOutput:
    """The bot itself appends to it, and needs no watchdog to go on writing. Readable by the owner alone."""

    def __init__(self, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._begin = 0  # where the bot that was started last began to write

    def open(self) -> int:
        """A descriptor for the bot to append to, after a file over the limit was put aside as `.1`.

        A full or read-only disk must not keep the bot down: its output then goes nowhere, which is logged.
        """
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            if self._size() > self._limit_bytes:
                self._path.replace(self._aside)
            fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            log.warning("%s cannot be written (%s): the bot's output is lost", self._path, e.strerror)
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._begin = os.fstat(fd).st_size
        return fd

    def trim(self) -> None:
        """Empty a file over the limit while the bot goes on writing; its text is copied to `.1` first, if there is
        room for it: on a full disk this file may be what fills it."""
        try:
            if self._size() <= self._limit_bytes:
                return
            try:
                shutil.copyfile(self._path, self._aside)
                self._aside.chmod(0o600)
            except OSError as e:
                log.warning("%s: the bot's output until now is not kept: %s", self._aside, e.strerror)
                with contextlib.suppress(OSError):
                    self._aside.unlink()
            os.truncate(self._path, 0)  # the bot appends, so that it goes on at the new end
            self._begin = 0
        except OSError as e:
            log.warning("%s cannot be kept small: %s", self._path, e.strerror)

    def tail(self, lines: int) -> list[str]:
        """The last lines since the last start, as text without colours; [] if there are none."""
        try:
            with self._path.open("rb") as f:
                size = f.seek(0, os.SEEK_END)
                begin = self._begin if self._begin <= size else 0  # emptied by somebody else meanwhile
                cut = max(begin, size - _TAIL_BYTES)
                f.seek(cut)
                text = f.read(_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        found = [
            _NOT_TEXT.sub("", line)[:_LINE_CHARS] for line in re.split(r"\r?\n", text.removesuffix("\n"))
        ]
        if cut > begin:
            del found[0]  # half a line
        return found[-lines:] if text and lines > 0 else []

    @property
    def _aside(self) -> Path:
        return self._path.with_name(self._path.name + ".1")

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0
