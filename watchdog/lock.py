"""One watchdog a bot. The kernel drops the lock when its holder dies, however it dies."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

PATIENCE_S = 0.5
"""Whoever asks for the holder takes a shared lock for a moment: that must keep no watchdog from starting."""
GIVES_WAY_S = 3.0
"""How long a second watchdog may hold one of two locks before this one believes that it means to stay."""


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
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            os.close(fd)  # or this process would keep itself from taking it later
            raise
        self._fd = fd

    @property
    def lost(self) -> bool:
        """Whether the file of a lock that is held was deleted or replaced: it then keeps nobody out any more."""
        if self._fd is None:
            return False
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False  # the folder cannot be looked at: that says nothing about the file
        return not os.path.samestat(found, os.fstat(self._fd))

    def take_again(self) -> None:
        """Takes the lock on the file that is, or is made, at `path` now. Raises as `take`; the old one then stays."""
        before = self._fd
        self.take()
        if before is not None:
            os.close(before)

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

    def is_open_in(self, pid: int) -> bool:
        """Whether that process has this file open, as its holder has even after the file was deleted. False where this
        user may not see what that process has open."""
        path = os.path.realpath(self.path)
        for fd in _listed(Path(f"/proc/{pid}/fd")):
            with contextlib.suppress(OSError):
                if str(fd.readlink()).removesuffix(" (deleted)") == path:
                    return True
        return False


class Keeper:
    """Sees to it that the locks in `held` keep others out for as long as this watchdog runs: a cleanup, an rsync or a
    person may delete a lock's file, and with it the lock. `state_dir` is made anew where it is gone."""

    def __init__(
        self, held: Sequence[Lock], state_dir: Path, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._held, self._state_dir, self._monotonic = held, state_dir, monotonic
        self._contested_s: float | None = None
        self._said = ""

    def look(self) -> None:
        """Two looks at the disk while all is well. LockedError when another watchdog has taken this one's place."""
        lost = [lock for lock in self._held if lock.lost]
        for lock in lost:
            try:
                if lock.path.parent == self._state_dir:
                    self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock.take_again()
            except LockedError:
                # Another watchdog that is starting gives it back when it meets one that is still held here.
                now_s = self._monotonic()
                self._contested_s = now_s if self._contested_s is None else self._contested_s
                if len(lost) == len(self._held) or now_s - self._contested_s >= GIVES_WAY_S:
                    raise
                return
            except OSError as error:
                self._say(f"{lock.path} was deleted or replaced, and cannot be taken anew: {error}")
                return
            log.critical("%s was deleted or replaced; it was made and taken anew", lock.path)
        self._contested_s, self._said = None, ""

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            log.critical("%s", text)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


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
