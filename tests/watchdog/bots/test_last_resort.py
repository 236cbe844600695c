"""The last resort kills the very process that was remembered, and no other."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from watchdog.bots import proc
from watchdog.bots.last_resort import kill_known


@pytest.fixture
def bot() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def remembered(pid: int) -> tuple[int, int, str]:
    found = proc.stat(pid)
    assert found is not None
    return (pid, found.started_ticks, proc.boot_id())


def test_the_remembered_process_is_killed(bot: subprocess.Popen[bytes]) -> None:
    assert kill_known(remembered(bot.pid)) == bot.pid
    assert bot.wait(10) == -9
    assert kill_known((bot.pid, 1, proc.boot_id())) is None


@pytest.mark.parametrize("wrong", [1, 2])
def test_another_process_with_that_pid_is_left_alone(bot: subprocess.Popen[bytes], wrong: int) -> None:
    pid, ticks, boot = remembered(bot.pid)
    assert kill_known((pid, ticks + 1, boot) if wrong == 1 else (pid, ticks, "another boot")) is None
    assert bot.poll() is None


def test_nothing_that_is_known_is_nothing_to_kill() -> None:
    assert kill_known(None) is None
