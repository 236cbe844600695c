"""Bots that a test starts do not outlive it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from demo.bot.make import DemoBot
from tests.demo.running import Start


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def run(bot: DemoBot) -> subprocess.Popen[bytes]:
        started.append(bot.start())
        return started[-1]

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
