"""A bot's folder with a registry of three versions and a watchdog.yaml, and the commands as people type them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

import config
from config import Settings
from registry import ModelRegistry
from watchdog.assemble import journal_path, locks
from watchdog.cli import app
from watchdog.journal import Journal

AT = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
VERSIONS = ("v1.9.0", "v2.0.0", "v2.1.0")

BOT = """\
import json, logging, sys, time
logging.basicConfig(filename="logs/trading_bot.log", level=logging.INFO,
                    format="%(asctime)s - %(name)s - %(levelname)s - %(message)s")
registry = json.load(open("models_saved/registry.json"))
path = registry["models"][registry["current_version"]]["path"]
logging.info("Loading ensemble model from ./%s", path)
logging.info("Ensemble model loaded successfully")
time.sleep(120)
"""


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Yard:
    """`top` is the bot's folder."""

    def __init__(self, top: Path, **changes: Any) -> None:
        self.top = top
        (top / "logs").mkdir(parents=True)
        (top / "main.py").write_text(BOT, encoding="utf-8")
        self.registry = ModelRegistry(top / "models_saved", now=lambda: AT)
        for version in VERSIONS:
            self.model(version).parent.mkdir(exist_ok=True)
            self.model(version).write_bytes(f"the model {version}".encode())
            self.registry.register_model(self.model(version), version, {})
            self.registry.promote_model(version, {})
        self._make_paths_relative()
        self.write_log("Loading ensemble model from ./models_saved/ensemble_v2.1.0.bin")
        self.write_trades({"type": "equity", "timestamp": datetime.now(UTC).isoformat(), "equity": 2000.0})
        self.configure(**changes)

    def model(self, version: str) -> Path:
        return self.top / "models_saved" / f"ensemble_{version}.bin"

    def _make_paths_relative(self) -> None:
        path = self.registry.path
        data = json.loads(path.read_text(encoding="utf-8"))
        for version, entry in data["models"].items():
            entry["path"] = f"models_saved/ensemble_{version}.bin"
        path.write_text(json.dumps(data, indent=2), encoding="utf-8")

    # -- configuration

    @property
    def path(self) -> Path:
        return self.top / "watchdog.yaml"

    @property
    def settings(self) -> Settings:
        return config.load(self.path)

    @property
    def state(self) -> Path:
        return self.top / "state"

    @property
    def control(self) -> Path:
        return self.top / "control"

    @property
    def log(self) -> Path:
        return self.top / "logs" / "trading_bot.log"

    @property
    def trades(self) -> Path:
        return self.top / "logs" / "trades.jsonl"

    def configure(self, **changes: Any) -> None:
        """Writes watchdog.yaml; `changes` replace whole sections, but within `bot` single keys."""
        bot = {
            "name": "sol-perp",
            "control": "process",
            "process": {"command": [sys.executable, "main.py"]},
            "log": "logs/trading_bot.log",
            "stop_timeout": "3s",
            "start_timeout": "10s",
            "stays_up_for": "0.3s",
        } | changes.pop("bot", {})
        body = {
            "bot": bot,
            "registry": {"path": "models_saved"},
            "trade_log": {"path": "logs/trades.jsonl", "initial_equity": 2000},
            "poll_interval": "0.2s",
            "rollback": {"monitor_for": "0.3s"},
            **changes,
        }
        self.path.write_text(yaml.safe_dump(body, sort_keys=False), encoding="utf-8")

    def write_log(self, *messages: str, level: str = "INFO") -> None:
        with self.log.open("a", encoding="utf-8") as file:
            file.writelines(f"2026-03-01 10:00:00,000 - models.ensemble - {level} - {m}\n" for m in messages)

    def write_trades(self, *records: Mapping[str, Any]) -> None:
        with self.trades.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)

    # -- what is in force

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        """The journal, to write what a watchdog would have."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        journal = Journal(journal_path(self.settings))
        try:
            yield journal
        finally:
            journal.close()

    @contextmanager
    def daemon(self) -> Iterator[None]:
        """Somebody holds the locks, as a running watchdog does (with our pid in them)."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        held = locks(self.settings)
        for lock in held:
            lock.take()
        try:
            yield
        finally:
            for lock in held:
                lock.release()

    @contextmanager
    def bot(self) -> Iterator[subprocess.Popen[bytes]]:
        """The bot, as a person starts it; it has loaded its model."""
        loads = self.log.read_text(encoding="utf-8").count("loaded") if self.log.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "main.py"], cwd=self.top, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            self.wait(lambda: self.log.read_text(encoding="utf-8").count("loaded") > loads)
            yield process
        finally:
            process.kill()
            process.wait()

    def end_bots(self) -> None:
        """What a command has started lives on; its pid is in the journal."""
        if not journal_path(self.settings).exists():
            return
        with self.journal() as journal:
            known = journal.get("bot")
        if known:
            with suppress(ProcessLookupError):
                os.kill(known[0], signal.SIGKILL)

    @staticmethod
    def wait(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Returns once `condition` is true."""
        until_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until_s, "never seen"
            time.sleep(0.01)

    def tick(self, **changes: Any) -> None:
        """What a tick leaves in the journal."""
        rule = {"name": "drawdown", "state": "ok", "value": 0.031, "limit": 0.25, "reason": "drawdown 3.1 %"}
        at = datetime.now(UTC) - timedelta(seconds=1)
        body = {
            "at": at.isoformat(),
            "sentence": "watching v2.1.0: drawdown 3.1 %",
            "triggers": [rule],
            "rollback_target": "v2.0.0",
            **changes,
        }
        with self.journal() as journal:
            journal.put("tick", body)

    # -- commands

    def cli(self, *arguments: str, **environ: str) -> Said:
        """A command, run in this process."""
        result = CliRunner().invoke(app, [*arguments, "--config", str(self.path)], env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def process(
        self, *arguments: str, without_rights: bool = False, timeout_s: float = 30.0, **environ: str
    ) -> Said:
        """A command as a process of its own; `without_rights`: root, but bound by the modes of files."""
        done = subprocess.run(
            [*(NO_RIGHTS if without_rights else ()), *self.command(*arguments)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, **environ},
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "watchdog", *arguments, "--config", str(self.path)]


_OVERRIDES = "-dac_override,-dac_read_search"
NO_RIGHTS = (
    ("setpriv", f"--bounding-set={_OVERRIDES}", f"--inh-caps={_OVERRIDES}") if os.geteuid() == 0 else ()
)
