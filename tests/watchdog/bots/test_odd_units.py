"""Units that refuse to be stopped, that are gone once they are down, that count as active without a process."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import brisk
from tests.watchdog.bots.fake_systemctl import DOWN, UP, FakeSystemctl
from watchdog.bots.base import BotError, EndedAtOnceError
from watchdog.bots.systemd import SystemdBot

GONE = DOWN | {"LoadState": "not-found"}
EXITED = UP | {"SubState": "exited", "ExecMainPID": "4711", "ExecMainCode": "1", "ExecMainStatus": "0"}


@pytest.fixture
def fake(tmp_path: Path) -> FakeSystemctl:
    fake = FakeSystemctl(tmp_path)
    fake.says("show")
    return fake


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            yield process
        finally:
            process.kill()


def bot(fake: FakeSystemctl, start_timeout_s: float = 20.0) -> SystemdBot:
    return SystemdBot("bot.service", fake.client(), start_timeout_s, sleep=brisk, kill_wait_s=0.3)


def orders(fake: FakeSystemctl) -> list[str]:
    """What it was asked to do."""
    said = [call.removeprefix("--no-pager --no-ask-password ") for call in fake.calls]
    return [call for call in said if not call.startswith("show")]


async def test_a_unit_that_refuses_a_stop_is_stopped_past_it(
    fake: FakeSystemctl, process: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    up = UP | {"MainPID": str(process.pid), "RefuseManualStop": "yes"}
    fake.shows(up)
    fake.says("stop", err="Failed to stop bot.service: Operation refused", code=1)
    fake.does("kill", f"kill {process.pid}", shows=DOWN | {"RefuseManualStop": "yes"})
    stopped = await bot(fake).stop(10)
    assert (stopped.pids, stopped.how) == ((process.pid,), "SIGTERM")
    assert orders(fake) == ["kill --signal=SIGTERM bot.service"]
    assert "bot.service refuses to be stopped (RefuseManualStop=yes)" in caplog.text


async def test_one_that_its_owner_starts_again_each_time_says_what_to_mend(
    fake: FakeSystemctl, process: subprocess.Popen[bytes]
) -> None:
    up = UP | {"MainPID": str(process.pid), "RefuseManualStop": "yes", "Restart": "always", "NRestarts": "3"}
    fake.shows(up)
    with pytest.raises(BotError, match=r"refuses to be stopped .* after 3 restarts .*daemon-reload`"):
        await bot(fake).stop(0.2)
    assert orders(fake)[:2] == ["kill --signal=SIGTERM bot.service", "kill --signal=SIGKILL bot.service"]


async def test_a_unit_that_is_gone_once_it_is_down_was_stopped_and_cannot_be_started(
    fake: FakeSystemctl, process: subprocess.Popen[bytes]
) -> None:
    fake.shows(UP | {"MainPID": str(process.pid), "Transient": "yes"})
    fake.does("stop", f"kill {process.pid}", shows=GONE)
    transient = bot(fake)
    stopped = await transient.stop(10)
    assert (stopped.pids, stopped.how) == ((process.pid,), "SIGTERM")
    for ask in (transient.find, transient.start, lambda: transient.stop(1)):
        with pytest.raises(BotError, match=r"there is no unit bot.service .*made by systemd-run"):
            await ask()
    assert "start bot.service" not in orders(fake)


async def test_a_unit_that_counts_as_active_after_its_end_is_not_waited_for(fake: FakeSystemctl) -> None:
    fake.shows(DOWN)
    fake.does("start", shows=EXITED)
    began = time.monotonic()
    with pytest.raises(EndedAtOnceError, match=r"bot\.service ended at once: exit code 0"):
        await bot(fake, 60.0).start()
    assert time.monotonic() - began < 30
    idle = bot(fake)
    assert await idle.find() == []
    assert "active, but no process of it is there" in str(idle.trouble)
    fake.does("stop", shows=DOWN)
    assert (await idle.stop(10)).how == "was not running"
