"""What every control promises, over all ways of running a bot."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import until
from tests.watchdog.bots.stages import PARAMS, SUPERVISED, Stage, opened, said
from watchdog.bots.base import BotControl, BotError, EndedAtOnceError, Running
from watchdog.bots.process import Remembered

OBEYS = "here('bot'); forever()"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); here('bot'); forever()"
FLATTENS = """
def flatten(*_):
    time.sleep(0.5)
    Path('flat').write_text('yes')
    sys.exit(0)
signal.signal(signal.SIGTERM, flatten)
here('bot')
forever()
"""
SPREADS = """
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    here('worker')
    forever()
os.wait()
"""


@pytest.fixture(params=PARAMS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with opened(request, tmp_path) as stage:
        yield stage


@pytest.fixture(params=[param for param in PARAMS if param.values[0] in SUPERVISED])
def owned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """A bot with an owner, which may restart it."""
    with opened(request, tmp_path) as stage:
        yield stage


async def quicker(seconds: float) -> None:
    """In most tests nothing depends on how long is waited; but each look at an owner costs a process."""
    await asyncio.sleep(seconds / 3)


def new(stage: Stage, remembered: Remembered | None = None) -> BotControl:
    return stage.control(remembered, quicker)


async def started(stage: Stage) -> tuple[BotControl, Running]:
    bot = new(stage)
    running = await bot.start()
    await said(stage, "bot")
    return bot, running


async def ended(bot: BotControl) -> None:
    """Waits until the bot is seen to be down."""
    end = time.monotonic() + 20
    while await bot.find():
        assert time.monotonic() < end, "it does not end"
        await asyncio.sleep(0.05)


# -- looking


async def test_a_bot_that_was_never_started_is_down(stage: Stage) -> None:
    stage.install(OBEYS)
    bot = new(stage)
    assert (bot.kind, bot.supervised) == (stage.kind, stage.kind in SUPERVISED)
    assert await bot.find() == []
    assert (bot.trouble, bot.remember()) == (None, None)


async def test_a_bot_that_was_started_is_found(stage: Stage) -> None:
    stage.install(OBEYS)
    bot, running = await started(stage)
    (found,) = await bot.find()
    assert (found.pid, found.started_ticks) == (running.pid, running.started_ticks)
    assert (found.adopted, bot.trouble, bot.exit_code(running)) == (False, None, None)
    assert "bot.py" in found.command
    assert stage.processes() == [running.pid]


async def test_a_bot_that_a_person_started_is_found_and_stopped(stage: Stage) -> None:
    stage.install(OBEYS)
    stage.start_by_hand()
    await said(stage, "bot")
    bot = new(stage)
    (found,) = await bot.find()
    assert (found.adopted, [found.pid]) == (True, stage.processes())
    assert (await bot.stop(10)).pids == (found.pid,)
    assert stage.processes() == []


async def test_the_next_watchdog_finds_the_very_same_bot(stage: Stage) -> None:
    stage.install(OBEYS)
    bot, running = await started(stage)
    remembered = bot.remember()
    assert remembered is not None
    assert remembered[:2] == (running.pid, running.started_ticks)
    second = new(stage, remembered)
    (found,) = await second.find()
    assert (found.pid, found.started_ticks, found.adopted) == (running.pid, running.started_ticks, False)
    assert second.remember() == remembered
    assert (await second.stop(10)).pids == (running.pid,)
    assert (stage.processes(), second.remember()) == ([], None)


async def test_an_owner_that_does_not_answer_is_an_error_and_never_a_bot_that_is_down(owned: Stage) -> None:
    owned.install(OBEYS)
    _, running = await started(owned)
    bot = owned.silent()
    assert bot is not None
    for ask in (bot.find, lambda: bot.stop(1), bot.start):
        beats = 0
        task = asyncio.ensure_future(ask())
        while not task.done():
            await asyncio.sleep(0.01)
            beats += 1
        with pytest.raises(BotError, match="did not answer within"):
            await task
        assert beats > 5, "the event loop was held up"
    assert owned.processes() == [running.pid]


# -- stopping


async def test_a_bot_has_the_time_to_flatten(stage: Stage) -> None:
    stage.install(FLATTENS)
    bot, running = await started(stage)
    stopped = await bot.stop(20)
    assert (stage.folder / "flat").read_text() == "yes"
    assert (stopped.pids, stopped.how, stopped.brought_back_by) == ((running.pid,), "SIGTERM", None)
    assert 0.5 <= stopped.seconds < 15
    assert (await bot.find(), stage.processes(), bot.remember()) == ([], [], None)


async def test_a_deaf_bot_is_killed_after_the_timeout(stage: Stage) -> None:
    stage.install(DEAF)
    bot, _ = await started(stage)
    stopped = await bot.stop(0.5)
    assert stopped.how == "SIGKILL"
    assert 0.5 <= stopped.seconds < 10
    assert (await bot.find(), stage.processes(), bot.trouble) == ([], [], None)


async def test_workers_wherever_they_went_end_with_the_bot(stage: Stage) -> None:
    stage.install(SPREADS + OBEYS)
    bot, running = await started(stage)
    await said(stage, "worker")
    both = stage.processes()
    assert len(both) == 2
    stopped = await bot.stop(1)
    assert (stopped.pids[0], set(stopped.pids)) == (running.pid, set(both))
    # All of a container ends in the moment in which its main process does, without a signal of the engine's.
    assert stopped.how == ("SIGTERM" if stage.kind == "compose" else "SIGKILL")
    assert stage.processes() == []


async def test_stopping_twice_and_stopping_nothing_is_fine(stage: Stage) -> None:
    stage.install(OBEYS)
    assert (await new(stage).stop(5)).how == "was not running"
    bot, _ = await started(stage)
    assert (await bot.stop(10)).how == "SIGTERM"
    again = await bot.stop(5)
    assert (again.pids, again.how, again.brought_back_by) == ((), "was not running", None)
    assert (await started(stage))[1].pid in stage.processes()


async def test_a_stop_that_was_interrupted_is_taken_up_again(stage: Stage) -> None:
    stage.install(DEAF)
    bot, running = await started(stage)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bot.stop(30), 0.5)
    assert stage.processes() == [running.pid]
    assert (await new(stage).stop(0.3)).how == "SIGKILL"
    assert stage.processes() == []


async def test_what_brings_a_stopped_bot_back_again_and_again_is_named(stage: Stage) -> None:
    stage.install(OBEYS)
    name = stage.bring_back()
    await said(stage, "bot")
    with pytest.raises(BotError) as error:
        await stage.control(None, asyncio.sleep).stop(10)
    assert "was stopped 3 times and is back each time" in str(error.value)
    assert name in str(error.value)


# -- starting


async def test_a_second_bot_is_never_started(stage: Stage) -> None:
    stage.install(OBEYS)
    bot, running = await started(stage)
    for control in (bot, new(stage)):
        with pytest.raises(BotError, match=f"already runs as pid {running.pid} .*[Ss]top it first") as error:
            await control.start()
        assert not isinstance(error.value, EndedAtOnceError)
    assert stage.processes() == [running.pid]


async def test_a_bot_that_ends_at_once_was_started_and_has_ended(stage: Stage) -> None:
    stage.install("print('no exchange today', flush=True); sys.exit(3)")
    bot, said_so = new(stage), ""
    try:
        running = await bot.start()
    except EndedAtOnceError as error:
        said_so = str(error)
    else:
        await ended(bot)
        assert bot.exit_code(running) == 3
    assert "exit code 3" in said_so or not said_so
    assert stage.processes() == []


async def test_how_a_bot_ended_by_itself_is_known(stage: Stage) -> None:
    stage.install("here('bot')\nwhile not Path('end').exists(): time.sleep(0.01)\nsys.exit(7)")
    bot, running = await started(stage)
    assert await bot.find()
    (stage.folder / "end").touch()
    await ended(bot)
    assert bot.exit_code(running) == 7
    assert bot.remember() is None


async def test_a_bot_that_was_killed_is_down_and_starts_again(stage: Stage) -> None:
    stage.install(OBEYS)
    bot, running = await started(stage)
    assert await bot.find()
    os.kill(running.pid, signal.SIGKILL)
    await ended(bot)
    assert bot.exit_code(running) == -signal.SIGKILL
    (stage.folder / "bot.pid").unlink(missing_ok=True)
    again = await bot.start()
    await said(stage, "bot")
    assert ([again.pid], again.pid != running.pid) == (stage.processes(), True)


async def test_workers_of_a_dead_bot_do_not_outlive_the_next_stop(stage: Stage) -> None:
    stage.install(SPREADS + OBEYS)
    bot, running = await started(stage)
    await said(stage, "worker")
    os.kill(running.pid, signal.SIGKILL)
    await bot.stop(2)
    assert stage.processes() == []


async def test_a_program_that_does_not_exist_is_no_fault_of_the_version(stage: Stage) -> None:
    stage.install_missing()
    with pytest.raises(BotError) as error:
        await new(stage).start()
    assert not isinstance(error.value, EndedAtOnceError), error.value


# -- an owner that restarts it


async def test_a_stopped_bot_stays_down_though_its_owner_restarts_it_whenever_it_ends(owned: Stage) -> None:
    owned.install(OBEYS, restarts=True)
    bot, running = await started(owned)
    os.kill(running.pid, signal.SIGKILL)
    await said(owned, "bot")  # it does restart it
    stopped = await bot.stop(10)
    assert (stopped.how, stopped.brought_back_by) == ("SIGTERM", None)
    await asyncio.sleep(1)
    assert (await bot.find(), owned.processes(), bot.trouble) == ([], [], None)


async def test_a_crash_loop_is_told_and_a_stop_ends_it(owned: Stage) -> None:
    owned.install("time.sleep(0.1); sys.exit(5)", restarts=True)
    owned.start_by_hand()
    bot = new(owned)
    end = time.monotonic() + 20
    while await bot.find() or "again and again" not in (trouble := bot.trouble or ""):
        assert time.monotonic() < end, bot.trouble
        await asyncio.sleep(0.02)
    assert "exit code 5" in trouble
    assert (await bot.stop(5)).brought_back_by is None
    await asyncio.sleep(1)
    assert (await bot.find(), owned.processes(), bot.trouble) == ([], [], None)


async def test_a_slow_start_is_no_crash_loop(owned: Stage) -> None:
    owned.install(OBEYS, restarts=True, slow_s=1.5)
    bot, troubles = new(owned), set()

    async def wait(seconds: float) -> None:
        await bot.find()
        troubles.add(bot.trouble)
        await asyncio.sleep(seconds)

    running = await bot.start(wait)
    await said(owned, "bot")
    assert ([running.pid], troubles) == (owned.processes(), {None})


async def test_a_slow_start_that_is_given_up_is_taken_up_by_the_next_watchdog(owned: Stage) -> None:
    owned.install(OBEYS, restarts=True, slow_s=1.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(new(owned).start(), 0.7)
    running = await new(owned).start()
    await said(owned, "bot")
    assert owned.processes() == [running.pid]


async def test_a_slow_start_is_cut_short_by_a_stop(owned: Stage) -> None:
    owned.install(OBEYS, restarts=True, slow_s=1.5)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(new(owned).start(), 0.7)
    await new(owned).stop(10)
    await asyncio.sleep(1.5)
    await until(lambda: owned.processes() == [])
    assert not (owned.folder / "bot.pid").exists()
