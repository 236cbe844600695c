"""A house for the fake bot: settings, a registry with versions, the real journal, and processes of the watchdog."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

import config
from config import Settings
from tests.watchdog.fakes import (
    START,
    FakeBot,
    FakeDiskJournal,
    Faults,
    ManualClock,
    Switch,
    SwitchedRegistry,
    Told,
)
from watchdog.chores import Chores
from watchdog.collect import Collector
from watchdog.incident import Incident
from watchdog.incidents import Incidents
from watchdog.interrupts import HandOver, Interrupts
from watchdog.journal import Journal
from watchdog.obey import Orders
from watchdog.orders import ControlFolder
from watchdog.rules import build_engine
from watchdog.runner import Runner
from watchdog.tell import Teller
from watchdog.watch import Watch
from watchdog.world import World


def settings_in(top: Path, changes: Mapping[str, Any] | None = None) -> Settings:
    """Settings of a bot in `top`, quick but for the given `changes` (section by section)."""
    body: dict[str, Any] = {
        "bot": {
            "name": "sol-perp",
            "control": "process",
            "process": {"command": ["python", "main.py"]},
            "log": "logs/trading_bot.log",
            "start_timeout": "5s",
            "stays_up_for": "1s",
        },
        "registry": {"path": "models_saved"},
        "trade_log": {"path": "logs/trades.jsonl", "initial_equity": 2000},
        "rollback": {"monitor_for": "2s", "validate_for": "2s"},
    }
    for name, value in (changes or {}).items():
        body[name] = {**body.get(name, {}), **value} if isinstance(value, Mapping) else value
    path = top / "watchdog.yaml"
    path.write_text(yaml.safe_dump(body), encoding="utf-8")
    return config.load(path, {})


@cache
def empty_journal() -> bytes:
    """The file of a journal in which nothing is written yet: made once, for making it waits for the disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "watchdog.db"
        Journal(path).close()
        return path.read_bytes()


def redacted(text: str) -> str:
    """Without the one secret that there is."""
    return text.replace("hunter2", "***")


def steps_known_to(journal: Journal) -> timedelta:
    """What the wall clock was stepped by, as the last watchdog knew it (as `watchdog.assemble` reads it)."""
    return timedelta(seconds=(journal.get("checkpoint") or {}).get("offset_s", 0.0))


class House:
    """One bot with its registry, log and journal in `top`; `wake` is a new process of the watchdog on them."""

    bot_class: type[FakeBot] = FakeBot
    registry_class: type[SwitchedRegistry] = SwitchedRegistry

    def __init__(
        self,
        top: Path,
        versions: tuple[str, ...] = ("v1.8.0", "v1.9.0", "v2.0.0", "v2.1.0"),
        **changes: Any,
    ) -> None:
        top.mkdir(parents=True, exist_ok=True)
        self.top = top
        self.settings = settings_in(top, changes)
        self.settings.state_dir.mkdir()
        (self.settings.state_dir / "watchdog.db").write_bytes(empty_journal())
        self.switch, self.faults = Switch(), Faults()
        self.machine = ManualClock(self.switch, START - timedelta(days=10))
        self.models = self.settings.registry.path
        self._stock(versions)
        self.machine.wall = START
        self.bot = self.bot_class(self.machine, self.models, self.settings.bot.log)
        self.told = Told(self.switch)
        self._assemble()

    def _assemble(self) -> None:
        """A new process: everything that lives in memory."""
        self.world = self._world()
        self.incidents = Incidents(self.world)
        self.control = ControlFolder(self.settings.control_dir)
        self.control.prepare()
        world = self.world
        self.engine = build_engine(self.settings, world.now())
        self.collector = Collector(
            self.settings, world.clock, world.journal, world.registry, self.bot, self.engine
        )
        world.paused = lambda: self.control.paused() is not None
        self.chores = Chores(world, self.incidents, self.collector)
        self.orders = Orders(world, self.control, self.incidents, self.collector)
        self.watch = Watch(world, self.collector, self.engine, self.incidents, self.control)

    def _stock(self, versions: tuple[str, ...]) -> None:
        self.models.mkdir()
        models: dict[str, Any] = {}
        history: list[dict[str, Any]] = []
        before = None
        for version in versions:
            at = self.machine.wall.isoformat()
            models[version] = self._entry(version, "archived", at)
            event = {"version": version, "action": "promoted", "previous_version": before, "timestamp": at}
            history.append(event)
            before = version
            self.machine.go(3600)
        if before is not None:
            models[before]["status"] = "production"
        self.write({"models": models, "current_version": before, "history": history})

    def _entry(self, version: str, status: str, at: str) -> dict[str, Any]:
        content = f"model {version}".encode()
        (self.models / f"ensemble_{version}.pkl").write_bytes(content)
        return {
            "version": version,
            "model_type": "ensemble",
            "path": f"models_saved/ensemble_{version}.pkl",
            "checksum": hashlib.sha256(content).hexdigest(),
            "metadata": {},
            "registered_at": at,
            "status": status,
        }

    def _world(self) -> World:
        registry = self.registry_class(
            self.models,
            self.settings.registry.links,
            now=lambda: self.machine.wall,
            lock_timeout_s=0.2,
            public_key=self.settings.registry.signing_key,
        )
        registry.switch = self.switch
        journal = FakeDiskJournal(self.settings.state_dir / "watchdog.db", self.switch, self.faults, redacted)
        clock = self.machine.clock(steps_known_to(journal))
        return World(
            settings=self.settings,
            clock=clock,
            sleep=self.machine.sleep,
            interrupts=Interrupts(clock, self.machine.sleep),
            journal=journal,
            registry=registry,
            bot=self.bot,
            teller=Teller(self.told.put, self.settings.bot.name),
            redact=redacted,
            evidence=lambda: {"verdicts": [], "note": "hunter2"},
        )

    # -- processes of the watchdog

    def wake(self) -> None:
        """A new process, after the one before ended or was killed; the bot, the disk and the outbox stay."""
        self.switch.reset()
        self.close()
        self.machine.go(3.0)
        self._assemble()

    def open(self, *, automatic: bool = True, wanted: str | None = None, plan: Any = "rollback") -> Incident:
        """Opens an incident without working on it."""
        by = "rule drawdown" if automatic else "alice"
        first = "assess" if plan == "rollback" else "hold_down"
        return self.world.journal.open_incident(
            plan,
            first,
            "drawdown 26.1 % is above 25 %",
            by,
            automatic=automatic,
            at=self.world.now(),
            from_version=self.current,
            wanted=wanted,
        )

    async def work(self, incident: Incident) -> Incident:
        """Carries it on to its end, or to a hand-over."""
        with suppress(HandOver):
            await Runner(self.world).carry_on(incident)
        return incident

    async def finish(self) -> None:
        """Lets the incidents be worked on, as beside ticks, until none is left or the process ends."""
        for _ in range(20):
            await self.incidents.settle()
            if self.incidents.current is None or self.switch.dead or self.world.interrupts.handing_over:
                return
            self.incidents.crashed()
        raise AssertionError(f"never done: {self.incidents.current}")

    def condemn(self) -> None:
        """The rule drawdown fires on the current version, as a tick would see it."""
        reason = "drawdown 26.1 % is above 25 %"
        self.incidents.open("rollback", reason, "rule drawdown", automatic=True, version=self.current)

    # -- what is

    @property
    def data(self) -> dict[str, Any]:
        """registry.json."""
        found: dict[str, Any] = json.loads((self.models / "registry.json").read_text(encoding="utf-8"))
        return found

    @property
    def current(self) -> str | None:
        """The current version."""
        version: str | None = self.data["current_version"]
        return version

    @property
    def rollbacks(self) -> list[tuple[str, str]]:
        """(from, to) of every rollback in the registry's history."""
        return [(e["from"], e["version"]) for e in self.data["history"] if e["action"] == "rollback"]

    @property
    def halted(self) -> Any:
        """The halt in force, as the disk has it."""
        return self.world.journal.get("halted")

    def flag(self, name: str, text: str = "") -> None:
        """A person lays a flag file into the control folder."""
        (self.settings.control_dir / name).write_text(text, encoding="utf-8")

    def look(self) -> None:
        """The daemon looks at the control folder, often enough for a flag to count."""
        self.orders.look()
        self.orders.look()

    @property
    def answers(self) -> list[tuple[str, str | None]]:
        """(order, answer) of all orders, oldest first."""
        return [(row.what, row.answer) for row in self.world.journal.orders()[::-1]]

    def steps(self, incident: Incident) -> list[tuple[str, str | None]]:
        """(step, result) as journalled."""
        return [(row.step, row.result) for row in self.world.journal.steps(incident)]

    def break_file(self, version: str) -> None:
        """Damages a version's file."""
        (self.models / f"ensemble_{version}.pkl").write_bytes(b"damaged")

    def write(self, data: dict[str, Any]) -> None:
        """Another program writes registry.json, in place."""
        (self.models / "registry.json").write_text(json.dumps(data), encoding="utf-8")

    def promote(self, version: str) -> None:
        """Another program promotes a version (and registers a new one first), without asking us."""
        data, at = self.data, self.machine.wall.isoformat()
        data["models"].setdefault(version, self._entry(version, "production", at))
        previous = data["current_version"]
        data["history"].append(
            {"version": version, "action": "promoted", "previous_version": previous, "timestamp": at}
        )
        data["current_version"] = version
        self.write(data)

    def close(self) -> None:
        """Lets go of the files."""
        self.collector.close()
        self.world.journal.close()
