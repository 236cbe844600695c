"""Where a bot is put on for the contract suite: one stage for each way of running it.

A stage installs a small Python program as the bot, gives the control under test for it, and does what the rest of the
world does to a bot: a person starts it, something brings it back, its owner falls silent. Pids may differ between the
bot's own view (in a container) and the host's, so a test asks `processes()`, which looks for itself.

The stage `systemd` needs a systemd as PID 1: test_contract_in_systemd.py boots one, and runs the suite once more in it.
"""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from tests.watchdog.bots.compose_stage import ComposeStage
from tests.watchdog.bots.conftest import OURS, PREAMBLE, Zoo, alive, until
from watchdog.bots.base import BotControl
from watchdog.bots.process import Remembered
from watchdog.bots.systemctl import Systemctl
from watchdog.bots.systemd import SystemdBot

IN_MACHINE = "MODEL_WATCHDOG_TEST_MACHINE"
"""Set in the machine that was booted for the stage `systemd`."""

KINDS = ["systemd"] if os.environ.get(IN_MACHINE) else ["process", "compose"]
SUPERVISED = [kind for kind in KINDS if kind != "process"]

Sleep = Callable[[float], Awaitable[None]]


class Stage(Protocol):
    """One bot, run in one way."""

    kind: str
    folder: Path
    """The bot's working directory, as the test sees it."""

    def install(self, body: str, *, restarts: bool = False, slow_s: float = 0.0) -> None:
        """Makes a program the bot; PREAMBLE is in front of it. `restarts`: its owner starts it again whenever it ends
        by itself. `slow_s`: its owner needs so long before it starts it."""

    def install_missing(self) -> None:
        """Makes a program the bot that does not exist."""

    def control(self, remembered: Remembered | None, sleep: Sleep) -> BotControl:
        """A new control of the bot, as after a restart of the watchdog."""

    def silent(self) -> BotControl | None:
        """A control whose owner does not answer; None where there is no owner."""

    def start_by_hand(self) -> None:
        """A person starts the bot."""

    def bring_back(self) -> str:
        """From now on something starts the bot whenever it is down; what a message has to name."""

    def processes(self) -> list[int]:
        """All living processes of the bot, its workers too, by an own look."""

    def close(self) -> None:
        """Leaves nothing running and nothing installed."""


async def said(stage: Stage, name: str) -> None:
    """Waits until the bot has said `here(name)`; forgets it, so that the next one can be waited for."""
    path = stage.folder / f"{name}.pid"
    await until(path.exists, 20)
    path.unlink()


LONG = "CI" in os.environ or "MODEL_WATCHDOG_THOROUGH" in os.environ
"""A minute of both cores: each call of compose alone takes half a second."""
PARAMS = [
    pytest.param(
        kind,
        marks=[
            pytest.mark.privileged,
            pytest.mark.skipif(not LONG, reason="takes long: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1"),
        ]
        if kind == "compose"
        else [],
    )
    for kind in KINDS
]


@contextmanager
def opened(request: pytest.FixtureRequest, folder: Path) -> Iterator[Stage]:
    """The stage of the fixture's parameter, and nothing of it afterwards."""
    stages: dict[str, Callable[[Path, str], Stage]] = {
        "process": ProcessStage,
        "compose": lambda folder, run_id: ComposeStage(folder, run_id, request.getfixturevalue("engine")),
        "systemd": SystemdStage,
    }
    stage = stages[request.param](folder, uuid.uuid4().hex)
    try:
        yield stage
    finally:
        stage.close()


class ProcessStage:
    """`python bot.py` in the folder."""

    kind = "process"

    def __init__(self, folder: Path, run_id: str) -> None:
        os.environ[OURS] = run_id
        self.folder, self._zoo, self._command = folder, Zoo(folder, run_id), (sys.executable, "bot.py")

    def install(self, body: str, *, restarts: bool = False, slow_s: float = 0.0) -> None:
        assert not restarts, "a plain process has no owner"
        self._zoo.script("bot.py", f"time.sleep({slow_s})\n" + body)

    def install_missing(self) -> None:
        self._command = ("/nonexistent/python", "bot.py")

    def control(self, remembered: Remembered | None, sleep: Sleep) -> BotControl:
        return self._zoo.bot(*self._command, remembered=remembered, sleep=sleep)

    def silent(self) -> BotControl | None:
        return None

    def start_by_hand(self) -> None:
        self._zoo.run()

    def bring_back(self) -> str:
        return f"pid {self._zoo.run('sh', '-c', f'while :; do {sys.executable} bot.py; done')}"

    def processes(self) -> list[int]:
        return [pid for pid in self._zoo.pids() if alive(pid)]

    def close(self) -> None:
        self._zoo.clean()
        del os.environ[OURS]


class SystemdStage:
    """A unit of the machine's systemd."""

    kind = "systemd"

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder, self._name, self._mark = folder, f"bot-{run_id}", f"{OURS}={run_id}".encode()
        self._units: list[Path] = []

    def install(self, body: str, *, restarts: bool = False, slow_s: float = 0.0) -> None:
        (self.folder / "bot.py").write_text(PREAMBLE + body)
        self._install(f"{sys.executable} bot.py", restarts, slow_s)

    def install_missing(self) -> None:
        self._install("/nonexistent/python bot.py", False, 0)

    def control(self, remembered: Remembered | None, sleep: Sleep) -> BotControl:
        return SystemdBot(f"{self._name}.service", Systemctl(), 20.0, remembered, sleep=sleep)

    def silent(self) -> BotControl | None:
        hangs = self.folder / "systemctl"
        hangs.write_text("#!/bin/sh\nexec sleep 1000\n")
        hangs.chmod(0o755)
        return SystemdBot(f"{self._name}.service", Systemctl(program=(str(hangs),), answer_s=0.2), 20.0)

    def start_by_hand(self) -> None:
        self._systemctl("start", f"{self._name}.service")

    def bring_back(self) -> str:
        """A timer, as a forgotten one does."""
        self._write(
            f"{self._name}.timer", "[Timer]\nOnActiveSec=0\nOnUnitInactiveSec=100ms\nAccuracySec=1ms\n"
        )
        self._systemctl("start", f"{self._name}.timer")
        return f"{self._name}.timer"

    def processes(self) -> list[int]:
        pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208
        return [pid for pid in pids if alive(pid) and self._mark in _environment(pid)]

    def close(self) -> None:
        for unit in reversed(self._units):
            self._systemctl("stop", "--no-block", unit.name, check=False)
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        for unit in self._units:
            self._systemctl("stop", unit.name, check=False)
            self._systemctl("reset-failed", unit.name, check=False)
            unit.unlink()
        self._systemctl("daemon-reload")
        end = time.monotonic() + 10
        while left := self.processes():
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            assert time.monotonic() < end, left
            time.sleep(0.01)

    def _install(self, command: str, restarts: bool, slow_s: float) -> None:
        self._write(
            f"{self._name}.service",
            "[Unit]\nStartLimitIntervalSec=60\nStartLimitBurst=4\n[Service]\nType=exec\n"
            f"WorkingDirectory={self.folder}\nEnvironment={self._mark.decode()}\nExecStart={command}\n"
            f"ExecStartPre=/bin/sleep {slow_s}\n"
            + ("Restart=always\nRestartSec=300ms\n" if restarts else ""),
        )

    def _write(self, name: str, text: str) -> None:
        path = Path("/etc/systemd/system") / name
        path.write_text(text)
        if path not in self._units:
            self._units.append(path)
        self._systemctl("daemon-reload")

    def _systemctl(self, *arguments: str, check: bool = True) -> None:
        subprocess.run(["systemctl", *arguments], check=check, capture_output=True, timeout=60)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
