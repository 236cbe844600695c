"""registry.json on disk: read while others write it, written so that it is always whole, old or new.

Other programs write this file in place and hold no lock. So a reader that meets half a file looks again for a
moment, and a writer that finds the file changed since it was read starts over from what is there now.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any

from registry.errors import RegistryError, remedy
from registry.hashing import opened
from registry.lock import locked

logger = logging.getLogger(__name__)

FILE_NAME = "registry.json"
LOCK_NAME = FILE_NAME + ".lock"
MOST_BYTES = 16 << 20
"""A file of ten thousand versions has half of it; a larger one would hold up whoever reads it."""

LONGEST_NAME = 200
_ATTEMPTS = 5
_PAUSE_S = 0.02

Stamp = tuple[int, int, int] | None
"""Inode, mtime in ns and size of the file; None where there is no file."""


class _ChangedMeanwhile(Exception):
    """Somebody wrote registry.json between our reading and our writing."""


class Store:
    """The file `registry.json` in an absolute folder. Keeps nothing in memory between calls."""

    def __init__(
        self,
        folder: Path,
        *,
        lock_timeout_s: float = 10.0,
        patience_s: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder = folder
        self.path = folder / FILE_NAME
        self._lock_timeout_s = lock_timeout_s
        self._patience_s = patience_s
        self._sleep = sleep
        self._monotonic = monotonic

    def read(self, *, or_empty: bool = False) -> dict[str, Any]:
        """The registry as it is now, with at least `models`, `current_version` and `history` in it.

        A file that is no JSON yet is read again for `patience_s`. Raises RegistryError when the file is
        missing (unless `or_empty` and its folder is there), unreadable, no JSON, or of another shape.
        """
        return self._read(or_empty)[0]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the lock that our writers share; RegistryError when it cannot be had within `lock_timeout_s`.

        The lock lies beside the file that is written: for a symbolic link that is beside its target.
        """
        path = self._target().with_name(LOCK_NAME)
        with locked(path, self._lock_timeout_s, sleep=self._sleep, monotonic=self._monotonic):
            yield

    def update(
        self,
        change: Callable[[dict[str, Any]], AbstractContextManager[object] | None],
        *,
        or_empty: bool = False,
    ) -> None:
        """Read, change, replace. Call it under `locked()`.

        `change` alters the dict that it is given and returns a context manager inside which the new file
        takes the place of the old: what is done on entering it must be undone when an exception leaves it.
        None means that there is nothing to write. `change` may be called again, with what others wrote.
        """
        for _ in range(_ATTEMPTS):
            data, stamp = self._read(or_empty)
            around = change(data)
            if around is None:
                return
            try:
                self._replace(data, stamp, around)
            except _ChangedMeanwhile:
                continue
            return
        raise RegistryError(
            f"{self.path}: another program keeps writing it; nothing was changed, stop it and try again"
        )

    def _read(self, or_empty: bool) -> tuple[dict[str, Any], Stamp]:
        deadline = self._monotonic() + self._patience_s
        while True:
            try:
                with opened(self.path) as raw, BufferedReader(raw) as file:
                    stamp = _stamp(os.fstat(file.fileno()))
                    text = file.read(MOST_BYTES + 1)
            except FileNotFoundError as error:
                if or_empty and self.folder.is_dir():
                    return self._shaped({}), None
                raise self._system_error("cannot be read", error) from error
            except OSError as error:
                raise self._system_error("cannot be read", error) from error
            if len(text) > MOST_BYTES:
                raise RegistryError(
                    f"{self.path}: is larger than {MOST_BYTES >> 20} MiB; take out what is no version and no history"
                )
            try:
                data = self._parsed(text)
            except RegistryError:
                if self._monotonic() >= deadline:
                    raise
            else:
                return self._shaped(data), stamp
            self._sleep(_PAUSE_S)

    def _parsed(self, text: bytes) -> object:
        try:
            return json.loads(text.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            column = error.start - (text.rfind(b"\n", 0, error.start) + 1) + 1
            fault, place = "is not UTF-8", f"{line}:{column}"
        except json.JSONDecodeError as error:
            fault, place = f"is not JSON: {error.msg}", f"{error.lineno}:{error.colno}"
        except (ValueError, RecursionError) as error:
            fault, place = f"is not readable JSON: {error}", "1:1"
        raise RegistryError(
            f"{self.path}:{place}: the file {fault}; mend that place, or restore it from a backup"
        )

    def _shaped(self, data: object) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise self._misshapen("", "an object")
        if not isinstance(data.setdefault("models", {}), dict):
            raise self._misshapen('"models" ', "an object of version: entry")
        if not isinstance(data.setdefault("current_version", None), str | None):
            raise self._misshapen('"current_version" ', "a text or null")
        if not isinstance(data.setdefault("history", []), list):
            raise self._misshapen('"history" ', "a list of events")
        current = data["current_version"]
        for name in (*([current] if current else []), *data["models"]):
            if not is_name(name):
                raise self._misshapen(
                    f"the version {name[:LONGEST_NAME]!a} ", "one line of printable characters"
                )
        return data

    def _misshapen(self, what: str, wanted: str) -> RegistryError:
        return RegistryError(
            f"{self.path}:1:1: {what}must be {wanted}; mend it, or restore the file from a backup"
        )

    def _system_error(self, what: str, error: OSError) -> RegistryError:
        return RegistryError(f"{self.path}: {what}: {error.strerror or error}; {remedy(error)}")

    def _target(self) -> Path:
        return Path(os.path.realpath(self.path))

    def _replace(self, data: dict[str, Any], stamp: Stamp, around: AbstractContextManager[object]) -> None:
        try:
            text = json.dumps(data, indent=2) + "\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise RegistryError(
                f"{self.path}: JSON cannot hold what was given ({error}); nothing was changed"
            ) from error
        target = self._target()
        temporary = target.with_name(f".{FILE_NAME}.new")
        try:
            try:
                _write_beside(temporary, text.encode(), target)
                with around:
                    if _stamp_of(target) != stamp:
                        raise _ChangedMeanwhile
                    temporary.replace(target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._system_error("cannot be written, the old one is untouched", error) from error
        sync_folder(target.parent)


def is_name(text: str) -> bool:
    """Whether a text can name something: it is said in alerts and logs, where it must not begin lines of its own."""
    return text.isprintable() and 0 < len(text) <= LONGEST_NAME


def sync_folder(folder: Path) -> None:
    """Puts renames in a folder on the disk. A failure is told and no more: the rename itself has happened."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        logger.warning("%s: not known to be on the disk: %s; %s", folder, error.strerror, remedy(error))


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _stamp_of(path: Path) -> Stamp:
    try:
        return _stamp(path.stat())
    except FileNotFoundError:
        return None


def _write_beside(temporary: Path, text: bytes, old: Path) -> None:
    """Writes a new file, on disk when this returns, with mode and owner of the one that it will replace."""
    temporary.unlink(missing_ok=True)  # left by a writer that was killed; the lock says that none is at work
    with temporary.open("xb") as file:
        file.write(text)
        try:
            status = old.stat()
        except FileNotFoundError:
            pass
        else:
            _keep_owner(file.fileno(), status)
            os.fchmod(file.fileno(), status.st_mode & 0o7777)
        file.flush()
        os.fsync(file.fileno())


def _keep_owner(descriptor: int, status: os.stat_result) -> None:
    owner = status.st_uid if os.geteuid() == 0 else -1
    try:
        os.fchown(descriptor, owner, status.st_gid)
    except PermissionError:
        logger.debug("the group of %s cannot be kept by this user", FILE_NAME)
