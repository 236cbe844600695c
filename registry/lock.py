"""The lock that writers of one registry share: flock on a file beside it."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import RegistryError, remedy

_PAUSE_S = 0.02


@contextmanager
def locked(
    path: Path,
    timeout_s: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Holds the lock file `path`, made when missing and never removed; it falls when its holder dies.

    RegistryError when it cannot be had within `timeout_s`.
    """
    deadline = monotonic() + timeout_s
    while (descriptor := _try(path)) is None:
        if monotonic() >= deadline:
            raise RegistryError(
                f"{path}: another program has held this lock for {timeout_s:g} s; "
                f"see who does (fuser {path}), let it finish, and try again"
            )
        sleep(_PAUSE_S)
    try:
        yield
    finally:
        os.close(descriptor)


def _try(path: Path) -> int | None:
    """The descriptor that holds the lock; None when another one does."""
    try:
        descriptor = _open(path)
    except OSError as error:
        raise RegistryError(f"{path}: cannot be opened: {error.strerror}; {remedy(error)}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass  # held, or deleted meanwhile: a lock on a file that has no name guards nothing
    except OSError as error:
        os.close(descriptor)
        raise RegistryError(f"{path}: cannot be locked: {error.strerror}; {remedy(error)}") from error
    os.close(descriptor)
    return None


def _open(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags | os.O_CREAT | os.O_RDWR, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, flags | os.O_RDONLY)  # another user's file: reading it is enough for flock
