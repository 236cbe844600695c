"""Which process each run of the bot's containers is, who started it, and how the runs before ended."""

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.bots import proc
from watchdog.bots.base import BotError, Running
from watchdog.bots.container import Container, lives_in, signed, time_of
from watchdog.bots.container_starter import exit_code_after
from watchdog.bots.engine import Engine
from watchdog.bots.found import Found

Key = tuple[int, int]  # pid, started_ticks
KEPT = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HiddenRunning(Running):
    """A container whose process cannot be seen from here (an engine on another machine, a hidden /proc): pid 0, and the
    engine's own start time, in microseconds of its clock, in place of ticks. `age_s` as of the look."""

    age_s: float

    def started_at(self, now_utc: datetime) -> datetime:
        """By the engine's clock: a wall clock that was stepped since moves it."""
        return now_utc - timedelta(seconds=self.age_s)


@dataclass(frozen=True)
class Run:
    """A container from one start to its end. `main` is None for one whose process cannot be seen."""

    container: Container
    key: Key
    main: proc.Stat | None
    started_by: str

    def running(self, ours: Key | None) -> Running:
        """For the procedure."""
        adopted, command = self.key != ours, self.container.command
        if self.main is not None:
            return Running(*self.key, adopted, command, started_by=self.started_by)
        began = time_of(self.container.started)
        age_s = max(0.0, time.time() - began.timestamp()) if began else 0.0
        return HiddenRunning(*self.key, adopted, command, age_s=age_s, started_by=self.started_by)


class Runs:
    """Kept from look to look: a run keeps its name until it ends. `ours` is the run that a watchdog began."""

    def __init__(
        self,
        engine: Engine,
        ours: Key | None,
        who: Callable[[Container, proc.Stat | None], Awaitable[str]],
    ) -> None:
        self._engine, self._who = engine, who
        self.ours = self.known = ours
        self.up: list[Run] = []
        """The one known from before first, then by age."""
        self._codes: deque[tuple[Key, int | None]] = deque(maxlen=KEPT)

    def code(self, key: Key) -> int | None:
        """How a run ended, negative for a signal; None while it lasts or if nobody knows."""
        return next((code for known, code in self._codes if known == key), None)

    def last_seen(self) -> str:
        """For people whose engine does not answer: the process that they may have to look after themselves."""
        stat = proc.stat(self.known[0]) if self.known else None
        alive = stat is not None and not stat.dead and self.known == (stat.pid, stat.started_ticks)
        return f" The bot's process (pid {stat.pid}) lives on." if alive and stat else ""

    async def see(self, found: Found, *, begun: bool = False) -> None:
        """One look. `begun`: what is new in it was started by the watchdog. BotError."""
        before = {(run.container.id, run.container.started): run for run in self.up}
        runs = [await self._run(c, found, before.get((c.id, c.started)), begun=begun) for c in found.up]
        up = [run for run in runs if run is not None]
        ended = [run for run in self.up if run.key not in {other.key for other in up}]
        self._codes.extend([(run.key, await self._ended(run, found)) for run in ended])
        self.up = sorted(up, key=lambda run: (run.key != self.known, run.container.started))
        self.known = self.up[0].key if self.up else None

    async def _run(self, container: Container, found: Found, known: Run | None, *, begun: bool) -> Run | None:
        if known is not None:
            return replace(known, container=container)
        main = next((s for s in found.processes[container.id] if s.pid == container.pid), None)
        if main is None and not (container := await self._hidden(container)).up:
            return None  # it ended in this moment, as the next look will find
        started = time_of(container.started)
        hidden = (0, int(started.timestamp() * 1e6) if started else 0)
        key = hidden if main is None else (main.pid, main.started_ticks)
        if begun:
            self.ours = key
        by = "the watchdog" if key == self.ours else await self._who(container, main)
        return Run(container, key, main, by)

    async def _hidden(self, container: Container) -> Container:
        """The container once more, down where its process is no longer there rather than hidden."""
        again = next(iter(await self._engine.inspect([container.id])), None)
        same = (
            again is not None
            and again.up
            and (again.pid, again.started) == (container.pid, container.started)
        )
        return (
            container
            if same and not lives_in(container.pid, container.id)
            else replace(container, status="exited")
        )

    async def _ended(self, run: Run, found: Found) -> int | None:
        now = next((c for c in found.ours if c.id == run.container.id), None)
        if now is not None and now.started == run.container.started and not now.up:
            return now.exit_code
        try:
            events = await self._engine.events(run.container.id, run.container.started)
        except BotError as error:
            log.info("how the bot ended is not known: %s", error)
            return None
        started = time_of(run.container.started)
        code = None if started is None else exit_code_after(events, started)
        return None if code is None else signed(code)
