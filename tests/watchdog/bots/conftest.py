"""Real bots for the tests of bot control, and a fixture that leaves none of them behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.machines.engine import engine, engines
from watchdog.bots.base import BotControl
from watchdog.bots.process import ProcessBot, Remembered

__all__ = ["engine", "engines"]

OURS = "MODEL_WATCHDOG_TEST_RUN"

# Opens every script: `here(name)` says "pid NAME" to the test, `forever()` is the trading.
PREAMBLE = """
import os, signal, subprocess, sys, time
from pathlib import Path

def here(name):
    part = Path(f"{name}.{os.getpid()}.part")
    part.write_text(str(os.getpid()))
    part.rename(f"{name}.pid")

def forever():
    while True:
        time.sleep(60)
"""


async def brisk(seconds: float) -> None:
    """Waits a tenth: for tests in which nothing depends on how long."""
    await asyncio.sleep(seconds / 10)


async def until(true: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        await asyncio.sleep(0.01)


async def down(bot: BotControl, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while await bot.find():
        assert time.monotonic() < end, "it did not end in time"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """By its state in /proc, in words of its own: not by the code under test."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Zoo:
    """Writes bots into `folder` and runs them, as the watchdog does (`bot`) or as a person would (`run`)."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder = folder
        self.identity = f"test-{run_id}"
        self._entry = f"{OURS}={run_id}".encode()
        self._started: list[subprocess.Popen[bytes]] = []

    def script(self, name: str, body: str) -> Path:
        path = self.folder / name
        path.write_text(PREAMBLE + textwrap.dedent(body))
        return path

    def bot(
        self,
        *command: str,
        remembered: Remembered | None = None,
        sleep: Callable[[float], Awaitable[None]] = brisk,
        kill_wait_s: float = 5.0,
        stopping: Sequence[Remembered] = (),
        keep_stopping: Callable[[list[Remembered]], None] = lambda _: None,
    ) -> ProcessBot:
        """Under control of the test, `python bot.py` unless told otherwise."""
        return ProcessBot(
            command or (sys.executable, "bot.py"),
            self.folder,
            self.folder / "state" / "bot-output.log",
            self.identity,
            remembered,
            sleep=sleep,
            kill_wait_s=kill_wait_s,
            stopping=stopping,
            keep_stopping=keep_stopping,
        )

    def run(self, *command: str, session: bool = True, cwd: Path | None = None) -> int:
        """Start a process that no watchdog started."""
        process = subprocess.Popen(
            command or (sys.executable, "bot.py"),
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            start_new_session=session,
        )
        self._started.append(process)
        # Popen comes back while the kernel still lays out the new program: for an instant it has no command line.
        while alive(process.pid) and not Path(f"/proc/{process.pid}/cmdline").read_bytes():
            time.sleep(0.001)
        return process.pid

    async def pid(self, name: str) -> int:
        """Wait until a script has said `here(name)`; forgets it, so that the next one can be waited for."""
        path = self.folder / f"{name}.pid"
        await until(path.exists)
        pid = int(path.read_text())
        path.unlink()
        return pid

    def clean(self) -> list[int]:
        """Kill all that the test has started, wherever it went; the pids that were left."""
        left: list[int] = []
        while found := [p for p in self.pids() if alive(p)]:
            left += found
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.005)
        for process in self._started:
            process.kill()  # also one whose environment is not to be read: its main thread has ended
            process.wait()
        return left

    def pids(self) -> Iterator[int]:
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    environment = (entry / "environ").read_bytes()
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                # A child of ours without any environment is one that the kernel is still laying out.
                if self._entry in environment.split(b"\0") or (not environment and parent == os.getpid()):
                    yield int(entry.name)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoo]:
    run_id = uuid.uuid4().hex
    monkeypatch.setenv(OURS, run_id)  # inherited by everything that the test starts
    zoo = Zoo(tmp_path, run_id)
    try:
        yield zoo
    finally:
        zoo.clean()
