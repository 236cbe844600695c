"""A house to live in for long: wired as the daemon wires it, and a bot that remembers all that ever happened to it."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from registry import ModelRegistry, RegistryError
from registry.store import Store
from tests.faults.oracle import Start
from tests.watchdog.fakes import FakeBot, FakeRunning, ManualClock, SwitchedRegistry
from tests.watchdog.house import House
from watchdog.bots.base import Running, Stopped, Wait
from watchdog.hashes import remembered
from watchdog.world import World

LOADS_NO_MODEL = frozenset({"dummy", "error", "exits", "exits late", "never done"})


@dataclass(frozen=True)
class LivingRunning(FakeRunning):
    """Its age is known by the monotonic clock, as that of a real process."""

    machine: ManualClock = field(default_factory=ManualClock, compare=False)
    began_s: float = 0.0

    def started_at(self, now_utc: datetime) -> datetime:
        return now_utc - timedelta(seconds=self.machine.monotonic_s - self.began_s)


class LivingBot(FakeBot):
    """One that cannot read the registry ends at once."""

    def __init__(self, machine: ManualClock, registry: Path, log: Path) -> None:
        super().__init__(machine, registry, log)
        self._zero = (machine.wall, machine.monotonic_s)
        self.story: list[Start] = []
        self.versions: dict[int, str | None] = {}
        self.deaths: Counter[str | None] = Counter()
        self.unloadable: set[str | None] = set()
        """Versions that were started and could not be loaded."""
        self.told_to_stop = False
        """Its owner does not bring it back by itself."""
        self.children: set[int] = set()
        """Of the watchdog that lives now: of others nobody knows how they end, unless they have an owner."""
        self.is_halted: Callable[[], bool] = lambda: False
        self._asked = True

    async def start(self, wait: Wait | None = None) -> Running:
        self._asked = self._verifies()  # what changes before the bot itself reads nobody can help
        return await super().start(wait)

    async def stop(self, timeout_s: float) -> Stopped:
        found = await super().stop(timeout_s)
        self.told_to_stop = True
        return found

    def begin(self, *, by_hand: bool = False) -> FakeRunning:
        version = self.current()
        halted = not by_hand and self.is_halted()
        self.story.append(Start(self.now(), version, by_hand or self._asked, not by_hand, halted))
        self._pid += 1
        machine = self._machine
        process = LivingRunning(
            self._pid, self._pid * 100, by_hand, "python main.py", machine.wall, machine, machine.monotonic_s
        )
        self.processes.append(process)
        self.versions[process.pid], self.told_to_stop = version, False
        if not by_hand:
            self.children.add(process.pid)
        if version is None:
            self.output = ["json.decoder.JSONDecodeError: registry.json"]
            self._end(process, 1)
            return process
        if self.loads.get(version, "well") in LOADS_NO_MODEL:
            self.unloadable.add(version)
        self._load(process, version)
        return process

    def exit_code(self, bot: Running) -> int | None:
        return super().exit_code(bot) if self.supervised or bot.pid in self.children else None

    def log(self, message: str, level: str = "INFO", logger: str = "main") -> None:
        super().log(message, level, logger)
        os.utime(self._log_path, times=(self._machine.wall.timestamp(),) * 2)

    def _end(self, process: FakeRunning, code: int) -> None:
        if process in self.processes and code != -15:
            self.deaths[self.versions[process.pid]] += 1
        super()._end(process, code)

    def now(self) -> datetime:
        """True time, whatever the wall clock says."""
        wall, monotonic_s = self._zero
        return wall + timedelta(seconds=self._machine.monotonic_s - monotonic_s)

    def current(self) -> str | None:
        """The version that registry.json names; None while it cannot be read."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            version: str | None = json.loads((self._folder / "registry.json").read_bytes())["current_version"]
            return version
        return None

    def _verifies(self) -> bool:
        version = self.current()
        try:
            return version is not None and ModelRegistry(self._folder).verify_checksum(version)
        except RegistryError:
            return False


class ImpatientRegistry(SwitchedRegistry):
    """Looks once at a registry.json that is no JSON: nobody writes it while it looks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._store = Store(self.folder, lock_timeout_s=0.2, patience_s=0.0)


class LivingHouse(House):
    """A house whose parts know of each other as in `watchdog.assemble`."""

    bot: LivingBot
    bot_class = LivingBot
    registry_class = ImpatientRegistry

    def _world(self) -> World:
        world, machine = super()._world(), self.machine
        known = remembered(world.journal)
        known.wall, known.monotonic = lambda: machine.wall.timestamp(), lambda: machine.monotonic_s
        world.registry.hashes = known
        return world

    def _assemble(self) -> None:
        super()._assemble()
        world, collector = self.world, self.collector
        world.evidence = collector.evidence
        world.before_start, world.after_start = collector.before_start, collector.after_start
        world.judged = self.watch.judged
        self.bot.children.clear()

    def flag(self, name: str, text: str = "") -> None:
        """As `House.flag`, and later than every other flag that lies there."""
        super().flag(name, text)
        own = self.settings.control_dir / name
        others = [path.stat().st_ctime_ns for path in own.parent.glob("[A-Z]*") if path != own]
        while own.stat().st_ctime_ns <= max(others, default=0):
            time.sleep(0.001)  # for the kernel's stamps are some milliseconds coarse
            own.chmod(0o644)

    @property
    def trades(self) -> Path:
        """The trade log."""
        return self.settings.trade_log.path

    def write_trade(self, text: str) -> None:
        """One line of it, written now."""
        self.trades.parent.mkdir(parents=True, exist_ok=True)
        with self.trades.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        os.utime(self.trades, times=(self.machine.wall.timestamp(),) * 2)
