"""One watchdog a bot. The kernel drops the lock when its holder dies, however it dies."""

import fcntl
import os
import time
from pathlib import Path

PATIENCE_S = 0.5
"""Whoever asks for the holder takes a shared lock for a moment: that must keep no watchdog from starting."""


class LockedError(Exception):
    """Another watchdog holds the lock; the message names its pid."""


class Lock:
    """A `flock` on a file, which holds the holder's pid for people to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def take(self) -> None:
        """Takes the lock, or raises LockedError (or OSError, when the file cannot be made)."""
        # For its owner alone: whoever can open the file could hold the lock, and keep every watchdog from starting.
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        if not _taken(fd):
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise LockedError(
                f"another watchdog (pid {pid}) acts for this bot: it holds {self.path}. One is enough; "
                f"to replace it: kill {pid}"
            )
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Gives the lock back; the file stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def holder(self) -> int | None:
        """The pid of the watchdog that holds the lock now, or None. Needs no right to write."""
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
            return int(pid) if pid.isdigit() else 0
        finally:
            os.close(fd)
        return None


def _taken(fd: int) -> bool:
    """Whether the lock could be had within `PATIENCE_S`."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(0.005)
        else:
            return True
