"""A house with a bad version about to be found out; its daemon freezes at a point, and there a fault strikes."""

import json
import random
import re
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psutil

from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import PATIENCE_S, House
from tests.fakes.binance import BinanceServer
from tests.fakes.telegram import TOKEN, TelegramServer
from tests.faults.oracle import Evidence, Start
from watchdog.incident import Incident

LOOK_S = 0.03
ARRIVE_S = 10.0
END_S = 150.0
"""An exchange that does not answer is waited for, for a minute."""


class Stage:
    """One bot, one daemon, one fault. `point`: where the daemon freezes, see `tests.faults.daemon`; None: nowhere."""

    def __init__(
        self, top: Path, point: str | None, habits: Mapping[str, Any], changes: Mapping[str, Any], seed: int
    ) -> None:
        self.point = point
        self.rng = random.Random(seed)
        self.telegram = TelegramServer()
        top.mkdir(parents=True)
        self.bot: HostileBot = make_hostile(top / "bot", **habits)
        self.house = House(top, self.bot, dict(changes), self.telegram)
        self.trades = Trades(self.bot.trade_log)
        self.reached = top / "reached"
        self.checksums = {
            version: entry["checksum"] for version, entry in self.house.registry.read()["models"].items()
        }
        self.struck_registry = False
        """A fault makes registry.json unreadable on purpose."""
        self.told_to: list[str] = []
        self.kept: bytes | None = None
        """What a fault took away, to be put back."""
        self.lock: sqlite3.Connection | None = None
        self.exchange: BinanceServer | None = None
        self.positions = "keep"
        """What the configuration says about them."""
        self.secrets = {"the Telegram token": TOKEN.partition(":")[2]}
        self.afterwards = ExitStack()
        """What has to be undone when the stage is left: mounts, locks."""
        self.halt_ordered = False
        """By a person."""
        by_habit = ("load_error", "restarts") if habits else ()
        self.grounds: dict[str, set[str]] = {rule: set(self.checksums) for rule in by_habit}
        """Rule -> the versions that may make it fire."""
        self._torn: list[str] = []
        self._stop = threading.Event()
        self._reader = threading.Thread(target=self._read_registry, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._reader.join()
        with suppress(ProcessLookupError):
            if self.house.daemons and self.house.daemon.poll() is None:
                self.house.daemon.send_signal(signal.SIGCONT)
        self.house.leave()
        self.afterwards.close()
        self.telegram.stop()

    # -- the play

    def watch(self) -> None:
        """A daemon watches the bad version."""
        if self.point is not None:
            self.house.program = [sys.executable, "-m", "tests.faults.daemon", self.point, str(self.reached)]
        self.house.start()
        self.house.program = [sys.executable, "-m", "watchdog"]
        self.house.wait(lambda: self.bot.loaded("v2.1.0"), "the bad version runs")

    def find_out(self) -> bool:
        """Ten losses in a row. Returns when the daemon froze at the point; False when it never came there."""
        self.trades.lose(10)
        self.grounds["loss_streak"] = {"v2.1.0"}
        if self.point in {None, "count"}:
            return True
        self.house.wait(
            lambda: self.frozen() or any(not i.open for i in self.house.incidents()),
            f"it freezes at {self.point}",
        )
        return self.frozen()

    def frozen(self) -> bool:
        """Whether the daemon stands still."""
        with suppress(psutil.Error):
            return psutil.Process(self.house.daemon.pid).status() == psutil.STATUS_STOPPED
        return False

    def go_on(self) -> None:
        """The frozen daemon goes on, if it still lives."""
        if self.house.daemon.poll() is None:
            self.house.signal(signal.SIGCONT)

    def again(self) -> None:
        """What systemd does when the daemon has ended."""
        self.house.start(ready=False)

    def acts(self) -> dict[str, int]:
        """How often each step acted upon the outside."""
        counted: dict[str, int] = json.loads(Path(f"{self.reached}.acts").read_text(encoding="utf-8"))
        return counted

    def until(self, predicate: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Returns once it is so, for whatever the journal can tell meanwhile."""

        def look() -> bool:
            with suppress(Exception):  # a fault may have hidden what is asked for
                return bool(predicate())
            return False

        self.house.wait(look, what, timeout_s)

    def settle(self) -> None:
        """Waits for the end: no incident is open, a daemon looks after a bot that runs, or keeps one halted."""
        while True:
            self.until(self._settled, "an end", END_S)
            self.house.ticks(2)
            if self._settled():
                return

    def _settled(self) -> bool:
        if any((self.house.control / name).exists() for name in ("HALT", "ROLLBACK", "RESUME")):
            return False  # an order that nobody has seen yet
        incidents = self.house.incidents()
        if not incidents or any(i.open for i in incidents) or self.house.lock_holder() is None:
            return False
        up = len(self.running())
        return (up == 0 if self.house.named("halted") else up == 1) and self._all_sent()

    def running(self) -> list[str]:
        """The versions that the living bots were started on."""
        alive = {process.pid for process in self.house.bots()}
        return [started["version"] for started in self.bot.ran("registered") if started["pid"] in alive]

    def _all_sent(self) -> bool:
        waiting: int = self.house.status()["outbox"]["waiting"]
        return waiting == 0

    # -- evidence

    def evidence(self, *, settled: bool) -> Evidence:
        """All that can be known now."""
        halted = self.house.named("halted")
        registry: dict[str, Any] | None = None
        with suppress(Exception):
            registry = self.house.registry.read()
        alerts = self.house.alerts()
        if settled:  # those that are on their way; the oracle says what never came
            with suppress(AssertionError):
                self.house.wait(lambda: len(self._delivered()) >= len(alerts), "all arrive", ARRIVE_S)
        return Evidence(
            starts=self._starts(),
            running=self.running(),
            registry=registry,
            incidents=self.house.incidents(),
            halted_since=None if halted is None else datetime.fromisoformat(halted["since"]),
            alerts=alerts,
            delivered=self._delivered(),
            torn=list(self._torn),
            doubled=len(self.bot.ran("doubled")),
            secrets=self._secrets(),
            halt_ordered=self.halt_ordered,
            grounds=self.grounds,
            settled=settled,
            told_to=self.told_to,
        )

    def outcome(self) -> str:
        """How it ended, in a word: rolled back, halted, ..."""
        incidents: list[Incident] = self.house.incidents()
        return "halted" if self.house.named("halted") else (incidents[-1].outcome or "open").replace("_", " ")

    def _starts(self) -> list[Start]:
        read = {line["pid"]: line for line in self.bot.ran("registered")}
        origin = datetime.now(UTC) - timedelta(seconds=time.monotonic())
        found = []
        for began in self.bot.ran("began"):
            line = read.get(began["pid"])
            version = line["version"] if line else None
            good = line is None or line["sha256"] == self.checksums.get(line["version"])
            at = origin + timedelta(seconds=began["monotonic"] - began["age_s"])
            found.append(Start(at, version, good, began["by"] == "watchdog"))
        return found

    def _delivered(self) -> list[int]:
        ids = [int(found) for text in self.telegram.texts for found in re.findall(r"#(\d+)$", text.strip())]
        return list(dict.fromkeys(ids))

    def _secrets(self) -> list[str]:
        found = []
        for path in self.house.top.rglob("*"):
            if path.is_file() and path.name != "watchdog.yaml" and self.bot.folder not in path.parents:
                body = path.read_bytes()
                found += [
                    f"{path.name}: {what}" for what, secret in self.secrets.items() if secret.encode() in body
                ]
        for process in (*self.house.daemons, *self.house.others):
            with suppress(OSError):
                line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                found += [
                    f"the process list: {what}"
                    for what, secret in self.secrets.items()
                    if secret.encode() in line
                ]
        return found

    def _read_registry(self) -> None:
        path = self.bot.models / "registry.json"
        while not self._stop.wait(LOOK_S):
            try:
                json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                if not self.struck_registry:
                    self._torn.append(f"{type(error).__name__}: {error}")
