"""Dry runs as real processes: their output, their end, and that nothing of them is left, whatever happens."""

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.bots import proc
from watchdog.dry_run import KEPT_BYTES, KEPT_LINES, MARK, WITHHELD, Ran, end_leftovers, execute, filled
from watchdog.interrupts import HaltAsked

HERE = Path(__file__).parent


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """Of this test's dry runs; whatever a test leaves of them is ended."""
    yield str(tmp_path)
    asyncio.run(end_leftovers(str(tmp_path)))
    assert left(str(tmp_path)) == []


def left(mark: str) -> list[int]:
    entry = f"{MARK}={mark}".encode()
    return [
        s.pid for s in proc.Table.read().alive() if s.pid != os.getpid() and proc.has_variable(s.pid, entry)
    ]


async def ran(
    code: str, mark: str, *, timeout_s: float = 20.0, gently: bool = False, grace_s: float = 5.0
) -> Ran:
    command = [sys.executable, "-S", "-E", "-c", code]
    return await execute(command, HERE, mark, timeout_s, asyncio.sleep, gently=gently, grace_s=grace_s)


def test_the_registry_and_the_version_are_put_in() -> None:
    command = ["run", "--models={registry}", "{version}", '{"json": 1}']
    assert filled(command, Path("/srv/models"), "v2.0.0") == [
        "run",
        "--models=/srv/models",
        "v2.0.0",
        '{"json": 1}',
    ]


async def test_it_runs_in_its_folder_and_what_it_says_is_kept_without_colours(mark: str) -> None:
    code = "import os, sys; print(os.getcwd()); print('\\x1b[31mred\\x1b[0m', file=sys.stderr); sys.exit(3)"
    found = await ran(code, mark)
    assert (found.code, found.cannot) == (3, None)
    assert sorted(found.lines) == sorted([str(HERE), "red"])
    assert found.seconds > 0


async def test_it_is_not_taken_for_the_bot(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_WATCHDOG_BOT", "a bot that runs this test")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("ITS_OWN", "kept")
    found = await ran("import os; print(*sorted(os.environ))", mark)
    names = found.lines[0].split()
    assert MARK in names
    assert "ITS_OWN" in names
    assert not {"MODEL_WATCHDOG_BOT", "NOTIFY_SOCKET"} & set(names)


async def test_it_goes_without_the_keys_of_the_exchange(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_SECRET", "one")
    monkeypatch.setenv("TRADING_KEY", "two")
    monkeypatch.setenv("OPENAI_API_KEY", "three")
    names = ("BINANCE_API_SECRET", "TRADING_KEY", "OPENAI_API_KEY")
    code = f"import os; print(*[os.environ[name] for name in {names!r}])"
    command = [sys.executable, "-S", "-E", "-c", code]
    found = await execute(command, HERE, mark, 20.0, asyncio.sleep, gently=True, keys=["two"])
    assert found.lines == (f"{WITHHELD} {WITHHELD} three",)
    assert found.withheld == ("BINANCE_API_SECRET", "TRADING_KEY")


async def test_beside_a_bot_that_trades_it_stands_back(mark: str) -> None:
    code = "import os, time; time.sleep(0.3); print(os.nice(0), open('/proc/self/oom_score_adj').read())"
    assert (await ran(code, mark, gently=True)).lines == ("19 1000",)


async def test_a_program_that_is_not_there_is_told_and_is_no_failure_of_the_model(
    tmp_path: Path, mark: str
) -> None:
    for command, directory in ((["no-such-program"], HERE), ([sys.executable], tmp_path / "gone")):
        found = await execute(command, directory, mark, 1.0, asyncio.sleep, gently=False)
        assert found.code is None
        assert "cannot be run in" in str(found.cannot)
        assert "No such file" in str(found.cannot)


async def test_of_a_flood_the_end_is_kept_and_it_still_comes_to_its_end(mark: str) -> None:
    code = "for n in range(60_000): print('line', n)"
    found = await ran(code, mark)
    assert found.code == 0
    assert found.lines[-1] == "line 59999"
    assert len(found.lines) == KEPT_LINES
    assert sum(map(len, found.lines)) < KEPT_BYTES


async def test_killed_by_a_signal_says_which(mark: str) -> None:
    assert (await ran("import os; os.kill(os.getpid(), 11)", mark)).code == -11


STUBBORN = """\
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
subprocess.Popen([sys.executable, "-S", "-E", "-c", child], start_new_session=True)
print("up", flush=True)
time.sleep(60)
"""


async def test_when_its_time_is_over_all_of_it_is_ended(mark: str) -> None:
    found = await ran(STUBBORN, mark, timeout_s=1.0, grace_s=0.2)
    assert found.code is None
    assert left(mark) == []


async def test_what_it_leaves_running_after_a_good_end_is_ended(mark: str) -> None:
    code = "import subprocess, sys; subprocess.Popen(['sleep', '60'], start_new_session=True)"
    assert (await ran(code, mark)).code == 0
    assert left(mark) == []


async def test_a_halt_ends_it_at_once(mark: str) -> None:
    began = time.monotonic()

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        if left(mark):
            raise HaltAsked("looks wrong", "alice")

    command = [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"]
    with pytest.raises(HaltAsked):
        await execute(command, HERE, mark, 60.0, wait, gently=False)
    assert left(mark) == []
    assert time.monotonic() - began < 30


async def test_cancelled_it_leaves_nothing(mark: str) -> None:
    task = asyncio.create_task(ran("import time; time.sleep(60)", mark))
    async with asyncio.timeout(20):
        while not left(mark):  # noqa: ASYNC110 (a process is waited for)
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(mark) == []


async def test_what_a_watchdog_left_that_was_killed_is_ended_before_the_next_run(mark: str) -> None:
    before = await asyncio.create_subprocess_exec("sleep", "60", env={MARK: mark, "PATH": os.environ["PATH"]})
    stranger = await asyncio.create_subprocess_exec(
        "sleep", "60", env={MARK: mark + "2", "PATH": os.environ["PATH"]}
    )
    assert (await ran("print('next')", mark)).lines == ("next",)
    assert await before.wait() == -15
    assert stranger.returncode is None  # another bot's
    stranger.terminate()
    await stranger.wait()
