"""A restart of the watchdog leaves the bot alone: with real watchdog processes that are killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.bots.conftest import Zoo, alive, until
from watchdog.bots import proc
from watchdog.bots.process import Remembered

HOST = """
import asyncio, json, sys
from pathlib import Path
from watchdog.bots.process import ProcessBot

order, remembered, identity, *command = json.loads(sys.argv[1])
bot = ProcessBot(command, Path.cwd(), Path("output.log"), identity, tuple(remembered) if remembered else None)

async def main():
    if order == "start":
        await bot.start()
    found = [(r.pid, r.started_ticks, r.adopted) for r in await bot.find()]
    stopped = await bot.stop(5) if order == "stop" else None
    print(json.dumps([found, bot.remember(), stopped and [stopped.pids, stopped.how]]), flush=True)
    if order == "start":
        await asyncio.sleep(60)

asyncio.run(main())
"""


def watchdog(zoo: Zoo, order: str, remembered: object, command: Sequence[str]) -> subprocess.Popen[str]:
    arguments = json.dumps([order, remembered, zoo.identity, *command])
    return subprocess.Popen(
        [sys.executable, "-c", HOST, arguments],
        cwd=zoo.folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("by", ["what it remembered", "its mark", "its command"])
async def test_a_second_watchdog_finds_the_very_same_bot_after_a_kill(zoo: Zoo, by: str) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    command = (sys.executable, "bot.py")
    with watchdog(zoo, "start", None, command) as first:
        [[pid, ticks, adopted]], remembered, _ = answer(first)
        first.send_signal(signal.SIGKILL)
    assert await zoo.pid("bot") == pid
    assert alive(pid)
    assert adopted is False

    if by != "what it remembered":
        remembered = None
    if by == "its mark":
        command = ("another", "command")
    if by == "its command":
        zoo.identity += "-new"  # the folder with the watchdog's state was lost
    with watchdog(zoo, "stop", remembered, command) as second:
        found, gone, stopped = answer(second)
    assert found == [[pid, ticks, by == "its command"]]
    assert stopped == [[pid], "SIGTERM"]
    assert gone is None
    assert not alive(pid)


STUBBORN_WORKER = """
    if sys.argv[1:]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        here("worker")
    else:
        subprocess.Popen([sys.executable, "bot.py", "worker"], start_new_session=True)
        here("bot")
    forever()
"""


async def half_stopped(zoo: Zoo) -> tuple[int, list[Remembered]]:
    """A person's bot, of which a stop that was cut short has ended the main process: its worker, and what is kept."""
    zoo.script("bot.py", STUBBORN_WORKER)
    main = zoo.run()
    worker = await zoo.pid("worker")
    kept: list[list[Remembered]] = []
    stop = asyncio.create_task(zoo.bot(keep_stopping=kept.append).stop(30))
    await until(lambda: not alive(main))
    stop.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    assert {main, worker} <= {pid for pid, *_ in kept[-1]}
    assert alive(worker), "nothing is left to be forgotten"
    return worker, kept[-1]


@pytest.mark.parametrize("order", ["stop", "start"])
async def test_what_a_stop_that_was_cut_short_left_is_ended_by_the_next_watchdog(
    zoo: Zoo, order: str
) -> None:
    """The worker bears no mark, leads a session of its own, and its parent is dead."""
    worker, stopping = await half_stopped(zoo)
    kept: list[list[Remembered]] = []
    bot = zoo.bot(stopping=stopping, keep_stopping=kept.append)
    assert await bot.find() == [], "a worker alone is not the bot"
    if order == "stop":
        stopped = await bot.stop(0.2)
        assert (stopped.pids, stopped.how) == ((worker,), "SIGKILL")
    else:
        await bot.start()
    assert not alive(worker)
    assert kept[-1] == []
    await bot.stop(0.2)


async def test_pids_of_an_earlier_boot_say_nothing(zoo: Zoo) -> None:
    worker, stopping = await half_stopped(zoo)
    bot = zoo.bot(stopping=[(pid, ticks, "an earlier boot") for pid, ticks, _ in stopping])
    assert (await bot.stop(0.2)).how == "was not running"
    assert alive(worker)


async def test_a_bot_whose_stop_came_to_nothing_is_still_the_bot(zoo: Zoo) -> None:
    zoo.script("bot.py", STUBBORN_WORKER)
    pids = zoo.run(), await zoo.pid("worker")
    found = [stat for stat in map(proc.stat, pids) if stat is not None]
    bot = zoo.bot(stopping=[(stat.pid, stat.started_ticks, proc.boot_id()) for stat in found])
    assert [running.pid for running in await bot.find()] == [pids[0]]
    assert set((await bot.stop(0.2)).pids) == set(pids)
