"""Watches the files of a model version: are they there, and are they what the registry says.

A file is hashed when its stat changed, and once an hour whatever its stat says. Hashing runs in a thread, so that
a model of gigabytes on a slow disk stops neither the watching nor the stopping of the bot.
"""

import asyncio
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from triggers.records import ArtifactCheck
from watchdog.log_files import check_regular, open_regular, reason

_CHUNK = 1 << 20
_FRESH_S = 2.0
"""Two changes within one tick of a file system's clock (4 ms, on FAT 2 s) leave the same stat."""

State = Literal["ok", "missing", "mismatch", "changing", "unreadable"]


@dataclass(frozen=True, slots=True)
class _Stat:
    mtime_ns: int
    ctime_ns: int
    size: int
    device: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "_Stat":
        return cls(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_dev, found.st_ino)


@dataclass(frozen=True, slots=True)
class _Hashed:
    stat: _Stat
    sha256: str
    monotonic: float
    """When, s."""
    fresh: bool
    """Whether the file had only just been written, so that its stat is no proof."""

    def proves(self, stat: _Stat) -> bool:
        return stat == self.stat and not self.fresh


class ArtifactWatch:
    """Remembers what was hashed when. `rehash_every_s`: also without a change; `settle_s`: see `check`."""

    hashed_files: int = 0
    """How often a file was hashed so far."""

    def __init__(
        self,
        rehash_every_s: float = 3600.0,
        settle_s: float = 0.3,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rehash_every_s = rehash_every_s
        self._settle_s = settle_s
        self._sleep = sleep
        self._hashed: dict[Path, _Hashed] = {}

    async def check(
        self,
        version: str,
        artifacts: Mapping[str, tuple[Path, str | None]],
        now: datetime,
        monotonic: float,
    ) -> list[ArtifactCheck]:
        """One record for each artifact (name -> path, SHA-256 in hex as registered), at `now` (aware UTC).

        A file that differs is looked at again, at once and after `settle_s`; if it changed meanwhile somebody is
        writing it, and it is `changing`. `monotonic` is in seconds. Never raises for what the disk does.
        """
        # Of files that are no longer asked for nothing needs to be remembered.
        paths = {path for path, _ in artifacts.values()}
        self._hashed = {path: hashed for path, hashed in self._hashed.items() if path in paths}
        checks = []
        for name, (path, expected) in artifacts.items():
            state, detail = await self._look(path, (expected or "").strip().lower(), now, monotonic)
            checks.append(ArtifactCheck(now, version, name, str(path), state, detail))
        return checks

    async def _look(self, path: Path, expected: str, now: datetime, monotonic: float) -> tuple[State, str]:
        try:
            if not expected:
                _look_at(path)
                return "unreadable", "the registry holds no checksum"
            hashed = await self._hash(path, now, monotonic)
            if hashed.sha256 == expected:
                return "ok", ""
            if await self._is_changing(path, hashed.stat):
                return "changing", f"{path} is being written"
        except (FileNotFoundError, NotADirectoryError):
            return "missing", f"{path} is not there"
        except OSError as error:
            return "unreadable", reason(error, path)
        return "mismatch", f"SHA-256 is {hashed.sha256[:12]}..., the registry says {expected[:12]}..."

    async def _hash(self, path: Path, now: datetime, monotonic: float) -> _Hashed:
        stat = _look_at(path)
        known = self._hashed.get(path)
        if known is not None and known.proves(stat) and monotonic - known.monotonic < self._rehash_every_s:
            return known
        stop = threading.Event()
        try:
            stat, digest = await asyncio.to_thread(_sha256, path, stop)
        finally:
            stop.set()  # a check that is cancelled leaves no thread reading on
        self.hashed_files += 1
        fresh = abs(now.timestamp() - stat.ctime_ns / 1e9) < _FRESH_S
        self._hashed[path] = _Hashed(stat, digest, monotonic, fresh)
        return self._hashed[path]

    async def _is_changing(self, path: Path, stat: _Stat) -> bool:
        if _look_at(path) != stat:
            return True
        await self._sleep(self._settle_s)
        return _look_at(path) != stat


def _look_at(path: Path) -> _Stat:
    found = path.stat()
    check_regular(found.st_mode, path)
    return _Stat.of(found)


def _sha256(path: Path, stop: threading.Event) -> tuple[_Stat, str]:
    """The file's stat from before it was read, and its SHA-256 in hex; cut short once `stop` is set."""
    digest = hashlib.sha256()
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        stat = _Stat.of(os.fstat(file.fileno()))
        while not stop.is_set() and (chunk := file.read(_CHUNK)):
            digest.update(chunk)
    return stat, digest.hexdigest()
