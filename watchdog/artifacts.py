"""Watches the files of a model version: are they there, are they what the registry says, and is the entry signed.

The registry checks them, in a thread, so that a model of gigabytes on a slow disk stops neither the watching nor the
stopping of the bot. What it hashed is remembered (`registry.memory`).
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from registry import ArtifactState, HashMemory, ModelRegistry
from triggers.records import ArtifactCheck

T = TypeVar("T")


class _Stopped(Exception):
    """Nobody waits for what is being hashed."""


class ArtifactWatch:
    """Turns what the registry finds into records for the rules. `settle_s`: see `check`."""

    def __init__(
        self,
        registry: ModelRegistry,
        hashes: HashMemory,
        settle_s: float = 0.3,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._registry, self._hashes = registry, hashes
        self._settle_s, self._sleep = settle_s, sleep

    async def check(self, version: str, now: datetime) -> list[ArtifactCheck]:
        """One record for each artifact, at `now` (aware UTC), the main one first.

        A file that differs is looked at again, at once and after `settle_s`; if it changed meanwhile somebody is
        writing it, and it is `changing`. RegistryError when the entry cannot be used; nothing else, whatever the disk
        does.
        """
        states = await _in_thread(
            lambda look: self._registry.looking(look, self._hashes).check(version),
        )
        return [await self._record(version, state, now) for state in states]

    async def hash_anew(self, path: Path) -> None:
        """Hashes a file, whatever is remembered of it. One that cannot be is looked at by the next check."""

        def work(look: Callable[[], None]) -> None:
            try:
                self._hashes.sha256(path, look, max_age_s=0.0)
            except OSError:
                self._hashes.forget(path)

        await _in_thread(work)

    async def _record(self, version: str, found: ArtifactState, now: datetime) -> ArtifactCheck:
        state = "unreadable" if found.state == "no_checksum" else found.state
        detail = "" if found.ok else found.detail.removeprefix(f"{found.name}: ")
        if found.state == "mismatch" and await self._is_changing(found.path):
            state, detail = "changing", f"{found.path} is being written"
        return ArtifactCheck(now, version, found.name, str(found.path), state, detail)

    async def _is_changing(self, path: Path) -> bool:
        """Whether it is another file by now than the one whose hash differed; one that vanished is."""
        hashed = self._hashes.stat_of(path)
        for pause_s in (0.0, self._settle_s):
            if pause_s:
                await self._sleep(pause_s)
            try:
                if await _in_thread(lambda _: self._hashes.disk.stat(path)) != hashed:
                    return True
            except OSError:
                return True
        return False


async def _in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """Runs `work` with a look that ends its hashing once nobody waits for it: who is cancelled leaves no thread
    reading on."""
    stop = threading.Event()

    def look() -> None:
        if stop.is_set():
            raise _Stopped

    try:
        return await asyncio.to_thread(work, look)
    finally:
        stop.set()
