"""A bot, a clock, a disk and an outbox in memory: what the watchdog's core acts on in its tests.

The journal and the registry are the real ones; the bot implements `BotControl` and writes a real log file. The
clock moves only when somebody sleeps on it. Every part asks the house's `Switch` before and after it does
something: there a test ends the process, orders a halt, or hands over.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from notifier import Alert
from registry import ModelRegistry
from watchdog.bots.base import BotError, EndedAtOnceError, NoAnswerError, Running, Stopped, Wait
from watchdog.clock import Clock
from watchdog.journal import Journal
from watchdog.shapes import fits

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)

Loads = Literal["well", "nothing", "another", "dummy", "error", "exits", "exits late", "never done"]


class Killed(BaseException):
    """kill -9, as far as one process can know it: nothing may catch this."""


class TooLong(BaseException):
    """More was slept than any test means to."""


class Switch:
    """Counts the points at which something is about to be done, or was just done, and acts at one of them."""

    def __init__(self) -> None:
        self.points: list[str] = []
        self.at: int | None = None
        self.act: Callable[[], None] | None = None
        self.dead = False

    def point(self, name: str) -> None:
        """One point. After a kill every further one kills again: a dead process does nothing more."""
        if self.dead:
            raise Killed(name)
        self.points.append(name)
        if self.act is not None and len(self.points) - 1 == self.at:
            self.act()

    def kill_at(self, number: int) -> None:
        """Ends the process at point `number`."""
        self.at, self.act = number, self.kill

    def do_at(self, number: int, act: Callable[[], None]) -> None:
        """Calls `act` at point `number`."""
        self.at, self.act = number, act

    def kill(self) -> None:
        """Ends the process now."""
        self.dead = True
        raise Killed(self.points[-1] if self.points else "at once")

    def reset(self) -> None:
        """A new process."""
        self.points, self.at, self.act, self.dead = [], None, None, False


@dataclass
class ManualClock:
    """Wall and monotonic time of the machine; `sleep` moves both. `slept` is what all sleeps took, in s."""

    switch: Switch = field(default_factory=Switch)
    wall: datetime = START
    monotonic_s: float = 1000.0
    slept: float = 0.0
    at_sleep: list[Callable[[], None]] = field(default_factory=list)
    most_s: float = 20_000.0

    def clock(self, offset: timedelta = timedelta(0)) -> Clock:
        """The watchdog's clock on this machine; `offset`: the steps that were known before."""
        return Clock(lambda: self.wall, lambda: self.monotonic_s, offset)

    def go(self, seconds: float) -> None:
        """Time passes."""
        self.wall += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.wall += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Sleeps without waiting, and lets the other tasks run."""
        self.switch.point("sleep")
        self.go(seconds)
        self.slept += seconds
        if self.slept > self.most_s:
            raise TooLong(f"{self.slept:.0f} s")
        for look in self.at_sleep:
            look()
        await asyncio.sleep(0)
        self.switch.point("slept")


@dataclass(frozen=True)
class FakeRunning(Running):
    """A process in memory: it knows when it was started."""

    at: datetime = START

    def started_at(self, now_utc: datetime) -> datetime:
        """When it was started."""
        return self.at


@dataclass
class Start:
    """One start of the bot: what was current, and whether that verified."""

    version: str | None
    verified: bool
    quarantined: bool


class FakeBot:
    """Implements BotControl. `loads`: how each version loads (default: well). It lives on when the watchdog dies."""

    kind = "process"

    def __init__(self, machine: ManualClock, registry: Path, log: Path) -> None:
        self._machine, self._folder, self._log_path = machine, registry, log
        self.loads: dict[str, Loads] = {}
        self.supervised = False
        self.trouble: str | None = None
        self.silent = 0
        """So many looks get no answer from its owner."""
        self.known: tuple[int, int, str] | None = None
        """A real process that it is remembered as."""
        self.slow_start: asyncio.Event | None = None
        """A start waits for it."""
        self.ends_at_once = 0
        """So many starts end before a process is seen."""
        self.ignores_stop = 0
        """So many stops fail."""
        self.cannot_start = 0
        """So many starts fail."""
        self.no_answer = 0
        """So many starts find an owner that does not answer."""
        self.brought_back_by: str | None = None
        self.processes: list[FakeRunning] = []
        self.codes: dict[int, int] = {}
        self.starts: list[Start] = []
        self.stops = 0
        self.output: list[str] = []
        self.trimmed = 0
        self.at_start: Callable[[], None] | None = None
        self.at_stop: Callable[[], None] | None = None
        self._pid = 4710
        self._later: list[tuple[float, Callable[[], None]]] = []
        machine.at_sleep.append(self._live_on)

    # -- BotControl

    async def find(self) -> list[Running]:
        if self.silent > 0:
            self.silent -= 1
            raise BotError("the owner does not answer; see whether it runs")
        return list(self.processes)

    async def stop(self, timeout_s: float) -> Stopped:
        self._machine.switch.point("bot.stop")
        if self.at_stop is not None:
            self.at_stop()
        await self._machine.sleep(0.3)
        if self.ignores_stop > 0:
            self.ignores_stop -= 1
            raise BotError("pid 4711 (python main.py) does not end, not even by SIGKILL; end it by hand")
        self.stops += 1
        pids = tuple(process.pid for process in self.processes)
        for process in list(self.processes):
            self._end(process, -15)
        self._machine.switch.point("bot.stopped")
        if not pids:
            return Stopped((), "was not running", 0.0, None)
        return Stopped(pids, "SIGTERM", 0.3, self.brought_back_by)

    async def start(self, wait: Wait | None = None) -> Running:
        self._machine.switch.point("bot.start")
        await (wait or self._machine.sleep)(0.1)
        while self.slow_start is not None and not self.slow_start.is_set():
            await (wait or self._machine.sleep)(0.1)
        if self.ends_at_once > 0:
            self.ends_at_once -= 1
            raise EndedAtOnceError("it ended at once, exit code 203")
        if self.no_answer > 0:
            self.no_answer -= 1
            raise NoAnswerError("the engine does not answer; see whether it runs")
        if self.cannot_start > 0:
            self.cannot_start -= 1
            raise BotError("python: no such program; mend bot.process.command")
        if self.processes:
            raise BotError(f"it runs already (pid {self.processes[0].pid})")
        running = self.begin()
        self._machine.switch.point("bot.started")
        return running

    def exit_code(self, bot: Running) -> int | None:
        return self.codes.get(bot.pid)

    def output_tail(self, lines: int = 40) -> list[str]:
        return self.output[-lines:]

    def remember(self) -> tuple[int, int, str] | None:
        if self.known is not None:
            return self.known
        if not self.processes:
            return None
        return (self.processes[0].pid, self.processes[0].started_ticks, "boot")

    def trim_output(self) -> None:
        self.trimmed += 1

    # -- what it does

    @property
    def pid(self) -> int | None:
        """The one process's pid; None when it is down."""
        assert len(self.processes) < 2, self.processes
        return self.processes[0].pid if self.processes else None

    def begin(self, *, by_hand: bool = False) -> FakeRunning:
        """A process of the bot begins; it reads the registry and loads its model."""
        registry = ModelRegistry(self._folder)
        version: str | None = registry.registry["current_version"]
        verified = version is not None and registry.verify_checksum(version)
        quarantined = version is not None and registry.is_quarantined(version)
        if not by_hand:
            self.starts.append(Start(version, verified, quarantined))
            if self.at_start is not None:
                self.at_start()
        self._pid += 1
        process = FakeRunning(self._pid, self._pid * 100, by_hand, "python main.py", self._machine.wall)
        self.processes.append(process)
        self._load(process, str(version))
        return process

    def die(self, code: int = 1) -> None:
        """It ends by itself."""
        for process in list(self.processes):
            self._end(process, code)

    def log(self, message: str, level: str = "INFO", logger: str = "main") -> None:
        """A line of its log."""
        at = self._machine.wall
        line = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} - {logger} - {level} - {message}\n"
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a", encoding="utf-8") as file:
            file.write(line)

    def _load(self, process: FakeRunning, version: str) -> None:
        how = self.loads.get(version, "well")
        if how == "nothing":
            self.log("Starting trading loop")
            return
        self.log("Loading ML models...")
        named = version if how != "another" else "v1.8.0" if version != "v1.8.0" else "v1.9.0"
        self.log(f"Loading ensemble model from ./models_saved/ensemble_{named}.pkl")
        if how in {"well", "another"}:
            self.log("Ensemble model loaded successfully")
        elif how == "dummy":
            self.log("Error loading model: invalid load key, '\\x00'.. Using dummy model.", "ERROR")
            self.log("Initializing dummy model for testing", "WARNING")
        elif how == "error":
            self.log("Error loading ML models: No module named 'xgboost'", "ERROR")
        elif how == "exits":
            self.output = ["Traceback (most recent call last):", "ModuleNotFoundError: xgboost"]
            self._end(process, 1)
        elif how == "exits late":
            self._later.append((self._machine.monotonic_s + 0.7, lambda: self._end(process, 1)))

    def _live_on(self) -> None:
        due = [what for at, what in self._later if at <= self._machine.monotonic_s]
        self._later = [(at, what) for at, what in self._later if at > self._machine.monotonic_s]
        for what in due:
            what()

    def _end(self, process: FakeRunning, code: int) -> None:
        if process in self.processes:
            self.processes.remove(process)
            self.codes[process.pid] = code


class Faults:
    """When the disk refuses. `writes` counts the transactions that were begun."""

    def __init__(self) -> None:
        self.writes = 0
        self.refuse: Callable[[int], bool] = lambda number: False
        self.at_commit = False

    def begin(self) -> bool:
        """Whether this transaction fails."""
        self.writes += 1
        return self.refuse(self.writes)


class FakeDiskJournal(Journal):
    """The real journal, on a disk that may refuse to write, in a process that may be killed around each write."""

    def __init__(
        self, path: Path, switch: Switch, faults: Faults, redact: Callable[[str], str] = str
    ) -> None:
        self._switch, self._faults = switch, faults
        self._ready = False
        super().__init__(path, redact=redact)
        self._ready = True

    def _open(self) -> None:
        super()._open()
        self._db.execute("PRAGMA synchronous=OFF")  # nothing here outlives the machine

    def put(self, name: str, value: Any) -> None:
        """As the next start will look at it."""
        assert value is None or fits(name, json.loads(json.dumps(value))), (name, value)
        super().put(name, value)

    @contextmanager
    def writing(self) -> Iterator[None]:
        if not self._ready or self._db.in_transaction:
            with super().writing():
                yield
            return
        self._switch.point("journal.write")
        refused = self._faults.begin()
        if refused and not self._faults.at_commit:
            raise sqlite3.OperationalError("disk I/O error")
        with super().writing():
            yield
            self._switch.point("journal.commit")
            if refused:
                raise sqlite3.OperationalError("database or disk is full")
        self._switch.point("journal.written")


class SwitchedRegistry(ModelRegistry):
    """The real registry, in a process that may be killed around its switch."""

    switch: Switch

    def rollback(self, *args: Any, **kwargs: Any) -> str | None:
        self.switch.point("registry.rollback")
        chosen = super().rollback(*args, **kwargs)
        self.switch.point("registry.rolled back")
        return chosen


class Told:
    """The outbox in memory: a key that is known is not taken again. It outlives the process."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.alerts: list[Alert] = []
        self.refused: list[Alert] = []
        self.fails = 0
        """So many alerts meet a mistake of ours."""

    def put(self, alert: Alert) -> None:
        self._switch.point("tell")
        if self.fails:
            self.fails -= 1
            raise ZeroDivisionError("a mistake of ours")
        if alert.key is not None and alert.key in self.keys:
            self.refused.append(alert)
        else:
            self.alerts.append(alert)
        self._switch.point("told")

    @property
    def keys(self) -> list[str]:
        """The keys that were taken, in order."""
        return [alert.key for alert in self.alerts if alert.key is not None]

    @property
    def texts(self) -> list[str]:
        """All texts, in order."""
        return [alert.text for alert in self.alerts]

    def said(self, part: str) -> bool:
        """Whether an alert says `part`."""
        return any(part in text for text in self.texts)
