"""The shipped units as an operator installs them, in a machine with a real systemd: a bot, and the watchdog over it."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml

from registry import ModelRegistry
from tests.acceptance.house import CHAT, QUICK, merged
from tests.fakes.telegram import TOKEN, TelegramServer
from tests.machines.systemd import ENVIRONMENT, PROJECT, PYTHON, Machine

T = TypeVar("T")

UNITS = PROJECT / "systemd"
WATCHDOG, BOT = "model-watchdog.service", "trading-bot.service"
FOLDER, STATE = Path("/srv/trading-bot"), Path("/var/lib/model-watchdog")
CONFIG = "/etc/model-watchdog/watchdog.yaml"
BINARY = "/opt/model-watchdog/.venv/bin/model-watchdog"
RULE = "/etc/polkit-1/rules.d/50-model-watchdog.rules"
PATIENCE_S = 60.0

OF_MAIN = ("--signal=KILL", "--kill-who=main")


@dataclass
class Guarded:
    """One bot of the demo, in FOLDER, with everything installed; nothing runs yet."""

    machine: Machine
    telegram: TelegramServer
    control: str
    changes: dict[str, Any] = field(default_factory=dict)
    _reader: "subprocess.Popen[str] | None" = None

    def install(self, **bot: Any) -> None:
        """The units as they are shipped: the programs that they name are wrappers of the project's."""
        machine = self.machine
        machine.user("trading")
        environ = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
        machine.write(BINARY, f'#!/bin/sh\nexec env {environ} {PYTHON} -m watchdog "$@"\n', 0o755)
        machine.run("install", "-d", "-o", "trading", "-g", "trading", "-m", "0755", str(FOLDER))
        self.as_trading(
            PYTHON,
            "-c",
            "import json, sys; from pathlib import Path; from demo.bot.make import make_bot;"
            f"make_bot(Path({str(FOLDER)!r}), **json.loads(sys.argv[1]))",
            json.dumps(bot),
        )
        machine.write(f"{FOLDER}/.venv/bin/python", f'#!/bin/sh\nexec env {environ} {PYTHON} "$@"\n', 0o755)
        machine.write("/etc/model-watchdog/credentials/TELEGRAM_BOT_TOKEN", TOKEN, 0o600)
        self.configure()
        for name, shipped in ((WATCHDOG, WATCHDOG), (BOT, "example-bot.service")):
            machine.install(name, (UNITS / shipped).read_text(encoding="utf-8"))
        self.allow()

    def allow(self) -> None:
        """Copies the shipped polkit rule; polkitd is asked until it has read it."""
        self.machine.systemctl("start", "dbus.service", "polkit.service")
        self.machine.write(RULE, (UNITS / "50-model-watchdog.rules").read_text(encoding="utf-8"))
        self.wait(lambda: "Isolate is only" in self._probe(), "polkitd has read the rule")

    def deny(self) -> None:
        """Takes it away."""
        self.machine.path(RULE).unlink()
        self.wait(lambda: "authentication required" in self._probe(), "polkitd has forgotten the rule")

    def _probe(self) -> str:
        return self.as_trading(
            "systemctl", "--no-ask-password", "stop", "--job-mode=isolate", BOT, check=False
        )

    def configure(self, **changes: Any) -> None:
        """Writes watchdog.yaml."""
        self.changes = merged(self.changes, changes)
        how: dict[str, Any] = (
            {"systemd": {"unit": BOT}}
            if self.control == "systemd"
            else {"process": {"command": [f"{FOLDER}/.venv/bin/python", "main.py"], "directory": str(FOLDER)}}
        )
        base: dict[str, Any] = {
            "bot": {
                "name": "sol-perp",
                "control": self.control,
                **how,
                "log": f"{FOLDER}/logs/trading_bot.log",
            },
            "registry": {"path": f"{FOLDER}/models_saved"},
            "trade_log": {"path": f"{FOLDER}/logs/trades.jsonl", "initial_equity": 2000},
            "telegram": {
                "token": "${TELEGRAM_BOT_TOKEN}",
                "chat_id": CHAT,
                "base_url": self.telegram.base_url,
            },
            "state_dir": str(STATE),
            "control_dir": f"{STATE}/control",
        }
        body = merged(merged(base, QUICK), self.changes)
        self.machine.write(CONFIG, yaml.safe_dump(body, sort_keys=False))

    def drop_in(self, unit: str, text: str) -> None:
        """Changes a unit as `systemctl edit` does."""
        self.machine.install(f"{unit}.d/test.conf", text)

    def as_trading(self, *command: str, check: bool = True) -> str:
        """Runs a command as the service's user; all that it said."""
        user = ("setpriv", "--reuid=trading", "--regid=trading", "--init-groups")
        done = self.machine.run(*user, *command, check=check)
        return done.stdout + done.stderr

    def cli(self, *arguments: str) -> str:
        """A command that root types."""
        environ = {"COLUMNS": "200", "TELEGRAM_BOT_TOKEN": TOKEN}
        done = self.machine.run(BINARY, *arguments, "--config", CONFIG, check=False, environ=environ)
        return done.stdout + done.stderr

    # -- what is

    def pid(self, unit: str) -> int:
        """The main process of a unit, as the machine counts; 0 = none."""
        return int(self.machine.prop(unit, "MainPID"))

    def bots(self) -> list[psutil.Process]:
        """The bot's processes in this machine, by an own look."""
        found = []
        for process in psutil.Process(self.machine.pid).children(recursive=True):
            with suppress(psutil.Error):
                if process.cmdline()[1:] == ["main.py"] and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def inside(self) -> list[int]:
        """The pids of the bots as the machine counts them."""
        lines = [Path(f"/proc/{p.pid}/status").read_text(encoding="ascii") for p in self.bots()]
        return [int(text.split("NSpid:")[1].split("\n")[0].split()[-1]) for text in lines]

    def journal(self) -> dict[str, Any]:
        """What `reader` says."""
        if self._reader is None:
            user = ("setpriv", "--reuid=trading", "--regid=trading", "--init-groups")
            self._reader = subprocess.Popen(
                self.machine.argv(*user, PYTHON, "-m", "tests.systemd.reader", str(STATE / "watchdog.db")),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT,
            )
        assert self._reader.stdin is not None
        assert self._reader.stdout is not None
        self._reader.stdin.write("\n")
        self._reader.stdin.flush()
        said: dict[str, Any] = json.loads(self._reader.stdout.readline())
        return said

    def step(self) -> str | None:
        """Of the incident that is open."""
        return next((incident["step"] for incident in self.journal()["incidents"] if incident["open"]), None)

    def closed(self) -> str | None:
        """The outcome of the newest incident, once none is open."""
        incidents = self.journal()["incidents"]
        return None if not incidents or any(i["open"] for i in incidents) else incidents[-1]["outcome"]

    def tick(self) -> str | None:
        """When the last one was."""
        tick: str | None = self.journal()["tick"]
        return tick

    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.machine.path(FOLDER / "models_saved"))

    def current(self) -> str | None:
        version: str | None = self.registry().read()["current_version"]
        return version

    def told(self, part: str) -> bool:
        """Whether the people in the chat were told."""
        return any(part in text for text in self.telegram.texts)

    # -- waiting

    def wait(self, predicate: Callable[[], T], what: str, timeout_s: float = PATIENCE_S) -> T:
        """The first true value of `predicate`; AssertionError with what happened when none comes in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if found := predicate():
                return found
            time.sleep(0.02)
        raise AssertionError(f"never seen in {timeout_s:.0f} s: {what}\n{self.story()}")

    def wait_at(self, *steps: str) -> None:
        """Returns when the open incident is at one of these steps."""
        self.wait(lambda: self.step() in steps, f"the incident is at {steps}")

    def wait_for_another(self, unit: str, pid: int) -> None:
        """Returns when the unit has a new main process."""
        self.wait(lambda: self.pid(unit) not in (0, pid), f"{unit} runs anew")

    def story(self) -> str:
        steps = [f"{s['step']} {s['result']}: {s['detail']}" for s in self.journal()["steps"]]
        units = [
            self.machine.run("systemctl", "status", "--no-pager", unit, check=False).stdout
            for unit in (WATCHDOG, BOT)
        ]
        return "\n".join([*steps, *self.telegram.texts, *units, self.machine.journal(WATCHDOG, 60)])

    # -- the end

    def remove(self) -> None:
        """Leaves the machine as it was."""
        if self._reader is not None:
            self._reader.communicate()
        self.machine.path(RULE).unlink(missing_ok=True)
        for unit in (WATCHDOG, BOT):
            self.machine.remove(unit)
        for process in self.bots():
            process.kill()
        self.machine.run(
            "rm",
            "-rf",
            str(FOLDER),
            str(STATE),
            "/var/cache/model-watchdog",
            "/etc/model-watchdog",
            "/opt/model-watchdog",
        )


class Census:
    """Counts the bots that run at once, as often as it can."""

    def __init__(self, guarded: Guarded) -> None:
        self._guarded, self._stop = guarded, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.most = 0

    def __enter__(self) -> "Census":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.03):
            self.most = max(self.most, len(self._guarded.bots()))
