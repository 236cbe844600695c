"""A house for one bot: its configuration, real daemons, and the questions that tests ask of them.

Everything is as an operator has it: `python -m watchdog run` as a process, a bot as a process, files between them.
Tests wait for what they expect (`House.wait`), and what they started is ended by pid when the house is left.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil
import pytest
import yaml

import config
from config import Settings
from notifier import Outbox
from registry import ModelRegistry
from tests.fakes.telegram import TOKEN, TelegramServer
from watchdog import status
from watchdog.assemble import journal_path, locks
from watchdog.incident import Incident
from watchdog.journal import Journal, NoJournalError, OrderRow, StepRow

T = TypeVar("T")

PATIENCE_S = 45.0
"""A loaded machine may be slow: a test that waits for what it expects need not be in a hurry."""

QUICK: dict[str, Any] = {
    "poll_interval": "0.25s",
    "bot": {"stop_timeout": "3s", "start_timeout": "20s", "stays_up_for": "0.3s"},
    "triggers": {"checksum": {"for": "0.5s"}},
    "rollback": {"monitor_for": "0.3s", "validate_for": "1h"},
}
THOROUGH = os.environ.get("MODEL_WATCHDOG_THOROUGH") == "1"
"""Also what takes long, or differs little from what the ordinary run has."""
thorough = pytest.mark.skipif(not THOROUGH, reason="MODEL_WATCHDOG_THOROUGH=1 runs it")
CHAT = 4711
"""A private chat: the channel paces itself less than in a group."""


class Bot(Protocol):
    """What a house needs to know of a bot; the demo's has it, and so have the hostile ones."""

    @property
    def folder(self) -> Path: ...
    @property
    def command(self) -> list[str]: ...
    @property
    def models(self) -> Path: ...
    @property
    def trade_log(self) -> Path: ...
    @property
    def log(self) -> Path: ...
    @property
    def links(self) -> dict[str, str]: ...


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` put over it, section by section; None takes a key out."""
    result = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


@dataclass
class House:
    """One bot with its watchdog, in `top`. `changes` are put over the quick configuration."""

    top: Path
    bot: Bot
    changes: dict[str, Any] = field(default_factory=dict)
    telegram: TelegramServer | None = None
    environ: dict[str, str] = field(default_factory=dict)
    program: Sequence[str] = (sys.executable, "-m", "watchdog")
    """What is run in place of `model-watchdog` as the daemon."""
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    others: list[subprocess.Popen[Any]] = field(default_factory=list)
    _loaded: tuple[object, Settings] | None = None

    def __post_init__(self) -> None:
        self.top.mkdir(parents=True, exist_ok=True)
        self.configure()

    # -- configuration

    @property
    def path(self) -> Path:
        """watchdog.yaml."""
        return self.top / "watchdog.yaml"

    @property
    def state(self) -> Path:
        return self.top / "state"

    @property
    def control(self) -> Path:
        return self.top / "control"

    def configure(self, **changes: Any) -> None:
        """Writes watchdog.yaml, with these changes over those of before."""
        self.changes = merged(self.changes, changes)
        base: dict[str, Any] = {
            "bot": {
                "name": "house-bot",
                "control": "process",
                "process": {"command": self.bot.command, "directory": str(self.bot.folder)},
                "log": str(self.bot.log),
            },
            "registry": {"path": str(self.bot.models), "links": self.bot.links},
            "trade_log": {"path": str(self.bot.trade_log), "initial_equity": 2000},
        }
        if self.telegram is not None:
            base["telegram"] = {
                "token": "${HOUSE_TELEGRAM_TOKEN}",
                "chat_id": CHAT,
                "base_url": self.telegram.base_url,
            }
            self.environ.setdefault("HOUSE_TELEGRAM_TOKEN", TOKEN)
        body = merged(merged(base, QUICK), self.changes)
        self.path.write_text(yaml.safe_dump(body, sort_keys=False), encoding="utf-8")

    @property
    def settings(self) -> Settings:
        stat = self.path.stat()
        key = (stat.st_ino, stat.st_mtime_ns, tuple(self.environ.items()))
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = (key, config.load(self.path, {**os.environ, **self.environ}))
        return self._loaded[1]

    # -- daemons

    @property
    def daemon(self) -> subprocess.Popen[bytes]:
        """The one that was started last."""
        return self.daemons[-1]

    def start(self, *, ready: bool = True) -> subprocess.Popen[bytes]:
        """Starts a daemon; with `ready`, returns after its first tick."""
        log = (self.top / f"watchdog-{len(self.daemons)}.log").open("wb")
        before = self.last_tick() if ready else None
        with log:
            self.daemons.append(
                subprocess.Popen(
                    [*self.program, "run", "--config", str(self.path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self.environ},
                    start_new_session=True,
                )
            )
        if ready:
            self.wait(lambda: self.last_tick() != before, "the daemon's first tick")
        return self.daemon

    def stop(self) -> int:
        """SIGTERM; the exit code of the daemon."""
        self.daemon.terminate()
        return self.daemon.wait(PATIENCE_S)

    def kill(self) -> None:
        """kill -9 of the daemon, and of nothing else."""
        self.daemon.kill()
        self.daemon.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the daemon."""
        self.daemon.send_signal(number)

    def last_tick(self) -> str | None:
        """When the last tick was, as the journal has it."""
        tick = self.named("tick")
        return tick["at"] if tick else None

    def ticks(self, count: int) -> None:
        """Returns after so many further ticks."""
        for _ in range(count):
            self._one_tick()

    def ticks_later(self, count: int) -> None:
        """Returns when so many ticks must have passed, for a journal that cannot be read."""
        time.sleep(count * self.settings.poll_interval.total_seconds())

    def _one_tick(self) -> None:
        before = self.last_tick()
        self.wait(lambda: self.last_tick() != before, "a tick")

    def logs(self) -> str:
        """What all daemons wrote to stderr."""
        return "".join(
            path.read_text(encoding="utf-8", errors="replace")
            for path in sorted(self.top.glob("watchdog-*.log"))
        )

    # -- waiting

    def wait(self, predicate: Callable[[], T], what: str, timeout_s: float = PATIENCE_S) -> T:
        """The first true value of `predicate`; AssertionError with the daemons' logs when none comes in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if found := predicate():
                return found
            time.sleep(0.04)
        raise AssertionError(f"never seen in {timeout_s:.0f} s: {what}\n{self.story()}")

    def story(self) -> str:
        """What happened, for the message of a failed test."""
        incidents = [
            f"{i}\n" + "\n".join(f"    {s.step} {s.result}: {s.detail}" for s in self.steps(i.id))
            for i in self.incidents()
        ]
        parts = (*incidents, *(f"alert: {text}" for text in self.alerts()), self.logs()[-6000:])
        return "\n".join(parts)

    # -- what is

    def value(self, name: str) -> float | None:
        """A rule's value at the last tick."""
        tick = self.named("tick") or {"triggers": []}
        return next((t["value"] for t in tick["triggers"] if t["name"] == name), None)

    def wait_value(self, name: str, wanted: float) -> None:
        """Returns once a rule has this value."""
        self.wait(lambda: self.value(name) == wanted, f"{name} is {wanted}")

    def status(self) -> dict[str, Any]:
        """What `status --json` prints, asked in this process."""
        return status.look(self.settings).body

    def cli(self, *arguments: str, timeout_s: float = PATIENCE_S) -> subprocess.CompletedProcess[str]:
        """A command, as an operator types it."""
        return subprocess.run(
            [sys.executable, "-m", "watchdog", *arguments, "--config", str(self.path)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, "COLUMNS": "200", **self.environ},
        )

    def cli_all(self, *commands: Sequence[str]) -> list[tuple[int, str]]:
        """Several commands side by side: exit code and all that each said, in their order."""
        begun = [self.begin(*command) for command in commands]
        said = [process.communicate(timeout=PATIENCE_S)[0] for process in begun]
        return [(process.returncode, text) for process, text in zip(begun, said, strict=True)]

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on beside the test."""
        process = subprocess.Popen(
            [sys.executable, "-m", "watchdog", *arguments, "--config", str(self.path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200", **self.environ},
            start_new_session=True,
        )
        self.others.append(process)
        return process

    @contextmanager
    def journal(self) -> Iterator[Journal | None]:
        """The journal to read in, None while there is none."""
        try:
            journal = Journal(self.state / "watchdog.db", read_only=True)
        except NoJournalError:
            yield None
            return
        try:
            yield journal
        finally:
            journal.close()

    def named(self, name: str) -> Any:
        """A named value of the journal."""
        with self.journal() as journal:
            return journal and journal.get(name)

    def incidents(self) -> list[Incident]:
        """All incidents, oldest first."""
        with self.journal() as journal:
            return journal.incidents()[::-1] if journal else []

    def steps(self, number: int) -> list[StepRow]:
        """The steps of an incident."""
        with self.journal() as journal:
            incident = journal.incident(number) if journal else None
            return journal.steps(incident) if journal and incident else []

    def orders(self) -> list[OrderRow]:
        """All orders, oldest first."""
        with self.journal() as journal:
            return journal.orders()[::-1] if journal else []

    def alerts(self) -> list[str]:
        """The texts of all alerts, oldest first."""
        if not (self.state / "watchdog.db").exists():
            return []
        outbox = Outbox(journal_path(self.settings))
        try:
            return [told.text for told in sorted(outbox.recent(200), key=lambda told: told.id)]
        finally:
            outbox.close()

    def alerted(self, part: str) -> bool:
        """Whether an alert says `part`."""
        return any(part in text for text in self.alerts())

    def lock_holder(self) -> int | None:
        """The pid of the daemon that acts for this bot."""
        return locks(self.settings)[0].holder()

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.bot.models, links=self.bot.links)

    def current(self) -> str | None:
        """The registry's current version."""
        version: str | None = self.registry.read()["current_version"]
        return version

    def rollbacks(self) -> list[dict[str, Any]]:
        """The rollback events of the registry's history."""
        return [event for event in self.registry.read()["history"] if event["action"] == "rollback"]

    def bots(self) -> list[psutil.Process]:
        """The bot's main processes, by an own look at the process table."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()
                if "main.py" in command and Path(process.cwd()) == self.bot.folder:
                    found.append(process)
        return [p for p in found if p.status() != psutil.STATUS_ZOMBIE]

    def bot_pid(self) -> int:
        """The pid of the one bot that runs."""
        pids = [process.pid for process in self.bots()]
        assert len(pids) == 1, f"not one bot runs, but {pids}\n{self.story()}"
        return pids[0]

    # -- orders

    def flag(self, name: str, text: str = "") -> None:
        """A person lays a flag file into the control folder."""
        (self.control / name).write_text(text, encoding="utf-8")

    # -- what must hold at the end

    def step(self) -> str | None:
        """The step of the open incident."""
        return next((incident.step for incident in self.incidents() if incident.open), None)

    def wait_at(self, step: str) -> None:
        """Returns when the open incident is at this step."""
        self.wait(lambda: self.step() == step, f"the incident is at {step}")

    def wait_closed(self, count: int = 1) -> Incident:
        """Returns the newest incident once `count` are closed and none is open."""
        self.wait(
            lambda: (
                (found := self.incidents())
                and len([i for i in found if not i.open]) >= count
                and not any(i.open for i in found)
            ),
            f"{count} closed incidents",
        )
        return self.incidents()[-1]

    def assert_rolled_back(self, left: str, to: str, events: int = 1) -> None:
        """Registry, history, quarantine, bot: all as after `events` rollbacks, the last from `left` to `to`."""
        data = self.registry.read()
        story = self.story()
        assert data["current_version"] == to, story
        assert data["models"][to]["status"] == "production"
        assert data["models"][left]["status"] == "quarantined"
        found = self.rollbacks()
        assert [(e["version"], e["from"]) for e in found][-1:] == [(to, left)], found
        assert len(found) == events, found
        assert found[-1]["reason"]
        assert self.registry.verify_checksum(to)
        assert self.registry.links_right()
        self.bot_pid()

    def assert_report(self, incident: Incident) -> str:
        """The report of an incident that is closed."""
        path = self.state / "incidents" / f"{incident.id:04d}" / "report.md"
        text = path.read_text(encoding="utf-8")
        assert f"**From Version:** {incident.from_version}" in text
        assert f"**To Version:** {incident.facts.get('switched_to') or 'none'}" in text
        rows = [line.split(" | ")[2] for line in text.splitlines() if line.startswith("| ")][1:]
        assert rows[-1] == ("monitor" if incident.outcome == "rolled_back" else "settle_orders"), text
        return text

    def assert_superseded_report(self, incident: Incident) -> None:
        """An incident that a person's next order cut short is documented as well."""
        path = self.state / "incidents" / f"{incident.id:04d}" / "report.md"
        assert f"**To Version:** {incident.facts['switched_to']}" in path.read_text(encoding="utf-8")

    def leave(self) -> None:
        """Ends every process that was started here: the daemons, then what lives in the bot's folder."""
        for process in (*self.daemons, *self.others):
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        quiet = 0
        while quiet < 2:  # a bot that was being started when its daemon was killed gets its folder only now
            quiet = 0 if self._end_what_is_left() else quiet + 1
            time.sleep(0.05)

    def _end_what_is_left(self) -> bool:
        found = False
        for left in psutil.process_iter():
            with suppress(psutil.Error):
                if left.pid != os.getpid() and Path(left.cwd()).is_relative_to(self.top):
                    found = found or left.status() != psutil.STATUS_ZOMBIE
                    left.kill()
        return found


class Sampler:
    """Asks for the status over and over, as fast as it can, and keeps every answer that differs."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.seen: list[dict[str, Any]] = []
        self.error: BaseException | None = None

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            try:
                body = self._house.status()
            except BaseException as error:  # noqa: BLE001 - told to the test by `states`
                self.error = error
                return
            if not self.seen or body != self.seen[-1]:
                self.seen.append(body)

    @property
    def states(self) -> list[str]:
        """The states in order, without repetitions."""
        if self.error is not None:
            raise self.error
        states = [body["state"] for body in self.seen]
        return [state for index, state in enumerate(states) if index == 0 or state != states[index - 1]]


def in_order(parts: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether each of `parts` is in one of the texts, one after the other."""
    rest = iter(texts)
    return all(any(part in text for text in rest) for part in parts)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON objects; [] while there is none."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
