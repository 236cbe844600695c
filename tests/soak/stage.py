"""What a soak plays on: a bot's folder, a registry with its pipeline, the daemon, Telegram, and the people."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import yaml

import config
from registry import ModelRegistry
from tests.fakes.telegram import TOKEN, TelegramServer
from tests.soak.clock import Scale
from watchdog.incident import Incident
from watchdog.journal import Journal, NoJournalError

PATIENCE_S = 60.0
TRADE_EVERY = timedelta(minutes=24)
RETENTION = timedelta(days=7)
KEPT_LOGS = 4


class SoakError(AssertionError):
    """What must not be was seen; the text says what, and when."""


class Stage:
    """Everything in `top`, at simulated time `scale`."""

    def __init__(self, top: Path, scale: Scale) -> None:
        self.top, self.scale = top, scale
        self.telegram = TelegramServer()
        self.daemons: list[subprocess.Popen[bytes]] = []
        self.bot_folder = top / "bot"
        self.models = self.bot_folder / "models_saved"
        self.versions = 0
        for folder in (self.models, self.bot_folder / "logs"):
            folder.mkdir(parents=True)
        shutil.copyfile(Path(__file__).with_name("bot.py"), self.bot_folder / "main.py")
        scale.write(top / "clock.json")
        scale.write(self.bot_folder / "clock.json")
        self._configure()
        for _ in range(3):
            self.register("good", promote=True)

    def _configure(self) -> None:
        """Durations are simulated; but for those that are of the machine: poll_interval and stop_timeout."""
        every_s = TRADE_EVERY.total_seconds()
        body = {
            "bot": {
                "name": "soak",
                "control": "process",
                "process": {"command": [sys.executable, "main.py", str(every_s)], "directory": "bot"},
                "log": "bot/logs/trading_bot.log",
                "stop_timeout": "10s",
                "start_timeout": "3d",
                "stays_up_for": "15m",
                "dry_run": [sys.executable, "main.py", "--dry-run"],
            },
            "registry": {"path": "bot/models_saved"},
            "trade_log": {"path": "bot/logs/trades.jsonl", "initial_equity": 2000},
            "poll_interval": "0.04s",
            "triggers": {"sharpe": {"below": -1e6}},
            "rollback": {"monitor_for": "2h", "validate_for": "4h", "cooldown": "1h"},
            "telegram": {"token": TOKEN, "chat_id": 4711, "base_url": self.telegram.base_url},
            "retention": f"{RETENTION.days}d",
        }
        self.path.write_text(yaml.safe_dump(body), encoding="utf-8")
        self.settings = config.load(self.path)

    @property
    def path(self) -> Path:
        return self.top / "watchdog.yaml"

    @property
    def database(self) -> Path:
        return self.settings.state_dir / "watchdog.db"

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.models)

    # -- waiting

    def wait(self, predicate: Callable[[], Any], what: str, timeout_s: float = PATIENCE_S) -> Any:
        """The first true value, in seconds of the machine; SoakError when there is none in time."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            if found := predicate():
                return found
            time.sleep(0.02)
        raise SoakError(f"{self.now():%d.%m. %H:%M}: never seen: {what}\n{self.story()}")

    def sleep_until(self, at: datetime) -> None:
        """At this simulated time; at once when it is past."""
        time.sleep(max(0.0, (at - self.now()).total_seconds() / self.scale.speed))

    def now(self) -> datetime:
        return self.scale.now()

    def story(self) -> str:
        """For people, when something went wrong."""
        logs = sorted(self.top.glob("watchdog-*.log"))
        return logs[-1].read_text(encoding="utf-8", errors="replace")[-5000:] if logs else ""

    # -- the daemon

    @property
    def daemon(self) -> psutil.Process | None:
        """The one that was started last, if it lives."""
        if not self.daemons or self.daemons[-1].poll() is not None:
            return None
        return psutil.Process(self.daemons[-1].pid)

    def start(self) -> None:
        """Starts a daemon, and returns after its first tick."""
        before = self.named("tick")
        with (self.top / f"watchdog-{len(self.daemons)}.log").open("wb") as log:
            arguments = [self.path, self.top / "clock.json", self.top / "ticks.json"]
            self.daemons.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.soak.daemon", *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    cwd=Path(__file__).parents[2],
                )
            )
        self.wait(lambda: self.named("tick") not in (None, before), "the daemon's first tick")

    def restart(self, number: signal.Signals) -> None:
        """Ends the daemon, gently or not, and starts the next one."""
        self.daemons[-1].send_signal(number)
        self.daemons[-1].wait(PATIENCE_S)
        self.start()

    def reload(self) -> None:
        self.daemons[-1].send_signal(signal.SIGHUP)

    # -- what is

    def journal(self) -> Journal:
        return Journal(self.database, read_only=True)

    def named(self, name: str) -> Any:
        try:
            journal = self.journal()
        except NoJournalError:
            return None
        try:
            return journal.get(name)
        finally:
            journal.close()

    def incidents(self) -> list[Incident]:
        """The newest first."""
        journal = self.journal()
        try:
            return journal.incidents(1000)
        finally:
            journal.close()

    @property
    def quiet(self) -> bool:
        """No incident is open, and none was left by a restart."""
        return not any(incident.open for incident in self.incidents()[:3])

    def halted(self) -> bool:
        return self.named("halted") is not None and self.quiet

    def current(self) -> str:
        return str(self.registry.read()["current_version"])

    def bots(self) -> list[psutil.Process]:
        """The bot's processes, by an own look."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()  # a dry run has another last argument, and a folder of its own
                ours = command[1:2] == ["main.py"] and Path(process.cwd()) == self.bot_folder
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    # -- the pipeline

    def register(self, kind: str, *, promote: bool) -> str:
        """A new version; returns its name."""
        self.versions += 1
        version = f"v{self.versions}.0.0"
        file = self.models / f"ensemble_{version}.json"
        file.write_text(json.dumps({"version": version, "kind": kind}), encoding="utf-8")
        registry = self.registry
        registry.register_model(file, version, {})
        if promote:
            registry.promote_model(version, {})
        return version

    def deploy(self, kind: str) -> str:
        """As docs/operations.md asks for it: pause, stop, promote, resume; the watchdog starts the bot."""
        self.order("PAUSE", "deploying")
        self.wait(lambda: self.named("paused"), "the pause")
        for process in self.bots():
            process.terminate()
        self.wait(lambda: not self.bots(), "the pipeline has stopped the bot")
        version = self.register(kind, promote=True)
        self.resume()
        self.wait(self.bots, f"the bot runs on {version}")
        return version

    # -- people and machines

    def order(self, flag: str, reason: str) -> None:
        """A flag file, whole at once."""
        part = self.settings.control_dir / f".{flag.lower()}.1"
        part.write_text(json.dumps({"by": "soak", "reason": reason}), encoding="utf-8")
        part.replace(self.settings.control_dir / flag)

    def resume(self) -> None:
        """Ends a halt or a pause; asks again while an incident is still worked on, as a person would."""
        deadline_s = time.monotonic() + PATIENCE_S
        flag = self.settings.control_dir / "RESUME"
        while self.named("halted") is not None or self.named("paused") is not None:
            if time.monotonic() > deadline_s:
                raise SoakError(f"{self.now():%d.%m. %H:%M}: it cannot be resumed\n{self.story()}")
            self.wait(lambda: self.quiet, "no incident is open")
            self.order("RESUME", "soak")
            self.wait(lambda: not flag.exists(), "the order is taken")
            time.sleep(0.1)

    def rotate(self, how: str) -> None:
        """Both logs, as logrotate does it."""
        for log in (self.settings.trade_log.path, self.settings.bot.log):
            if not log.exists():
                continue
            for number in range(KEPT_LOGS, 0, -1):
                older = log.with_name(f"{log.name}.{number}")
                if older.exists():
                    older.replace(log.with_name(f"{log.name}.{number + 1}"))
            log.with_name(f"{log.name}.{KEPT_LOGS + 1}").unlink(missing_ok=True)
            if how == "rename":
                log.replace(log.with_name(f"{log.name}.1"))
            else:
                shutil.copyfile(log, log.with_name(f"{log.name}.1"))
                os.truncate(log, 0)

    def glitch(self, line: str) -> None:
        """Something that a bot's log holds now and then."""
        at = self.now().replace(tzinfo=None).isoformat()
        with self.settings.trade_log.path.open("a", encoding="utf-8") as file:
            file.write(line.replace("NOW", at) + "\n")

    def crash_bot(self) -> None:
        for process in self.bots():
            with suppress(psutil.Error):
                process.kill()

    def leave(self) -> None:
        """Ends all that was started here."""
        for daemon in self.daemons:
            if daemon.poll() is None:
                daemon.kill()
            daemon.wait()
        quiet = 0
        while quiet < 2:  # a bot that was being started when its daemon was killed gets its folder only now
            found = self.bots()
            for process in found:
                with suppress(psutil.Error):
                    process.kill()
            quiet = 0 if found else quiet + 1
            time.sleep(0.05)
        self.telegram.stop()
