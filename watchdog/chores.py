"""What can wait, and may take its time: the comparison after a rollback, and the daily rehearsal of the next one.

One at a time beside the ticks. A rehearsal is never run while an incident is open, while the bot is halted or the
watchdog paused, and is cut short when that begins.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Coroutine
from datetime import datetime, timedelta

from registry import RegistryError
from watchdog import dry_run, rehearsal, scratch, validation
from watchdog.collect import Collector
from watchdog.incidents import Incidents
from watchdog.world import World

log = logging.getLogger(__name__)

AFTER_A_MISTAKE = timedelta(hours=1)
SLICE_S = 0.2


class CutShort(Exception):
    """Something more urgent came."""


class Chores:
    """To be looked at after each tick, and settled in the end."""

    def __init__(self, world: World, incidents: Incidents, collector: Collector) -> None:
        self._world, self._incidents, self._collector = world, incidents, collector
        self._task: asyncio.Task[None] | None = None
        self._not_before: datetime | None = None
        self._tidy = False

    def look(self) -> None:
        """Begins what is due, if nothing is being done."""
        if self._task is not None:
            if not self._task.done():
                return
            task, self._task = self._task, None
            self._ended(task)
        now = self._world.now()
        if self._world.interrupts.handing_over or (self._not_before is not None and now < self._not_before):
            return
        try:
            chore = self._next(now)
        except (sqlite3.Error, RegistryError) as error:
            log.error("what is due cannot be known now: %s", error)
            return
        if chore is not None:
            self._task = asyncio.get_running_loop().create_task(chore)

    @property
    def busy(self) -> bool:
        """Whether something is being done."""
        return self._task is not None and not self._task.done()

    async def finish(self) -> None:
        """Waits until what is being done has ended."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def settle(self) -> None:
        """Cuts short what is being done, and waits until nothing is left of it."""
        if self._task is not None:
            self._task.cancel()
        await self.finish()

    def _next(self, now: datetime) -> Coroutine[None, None, None] | None:
        if self._incidents.current is not None:
            return None
        if not self._tidy:
            self._tidy = True
            return self._tidy_up()
        incident = validation.due(self._world)
        if incident is not None:
            return validation.validate(self._world, incident.id)
        target = self._to_rehearse(now)
        return None if target is None else rehearsal.rehearse(self._world, target, self._wait)

    def _to_rehearse(self, now: datetime) -> str | None:
        """The target, when its rehearsal is due and possible."""
        world, target = self._world, self._collector.target
        if target is None or self._urgent() is not None or world.paused():
            return None
        kept = world.journal.get(rehearsal.KEPT)
        if scratch.obstacle(world.settings) is not None or rehearsal.is_no_dry_run(kept, world.settings):
            return None
        what = rehearsal.fingerprint(world.settings, world, target)
        return target if rehearsal.is_due(kept, what, now) else None

    def _urgent(self) -> str | None:
        """What comes before any chore."""
        if self._incidents.current is not None:
            return "an incident is open"
        if self._world.halted is not None:
            return "the bot is halted"
        return "the watchdog ends" if self._world.interrupts.handing_over else None

    async def _wait(self, seconds: float) -> None:
        until = self._world.clock.monotonic() + seconds
        self._look_up()
        while (rest := until - self._world.clock.monotonic()) > 0:
            await self._world.sleep(min(SLICE_S, rest))
            self._look_up()

    def _look_up(self) -> None:
        urgent = self._urgent() or ("the watchdog is paused" if self._world.paused() else None)
        if urgent is not None:
            raise CutShort(urgent)

    async def _tidy_up(self) -> None:
        """What a rehearsal left behind that was killed with its watchdog."""
        await dry_run.end_leftovers(dry_run.mark(self._world.settings))
        await asyncio.to_thread(scratch.clear, self._world.settings)
        rehearsal.try_again(self._world)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is None:
            return
        if isinstance(error, CutShort):
            log.info("a rehearsal was cut short: %s", error)
            return
        self._not_before = self._world.now() + AFTER_A_MISTAKE
        log.error("a chore failed; it is tried again in an hour", exc_info=error)
        if not isinstance(error, sqlite3.Error | RegistryError | OSError):
            what = f"a chore failed: {type(error).__name__}: {error}"
            text = f"{what}\nThe watching goes on; it is tried again in an hour."
            self._world.teller.tell("chore-failed", text, "warning")
