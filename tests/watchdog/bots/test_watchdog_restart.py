"""A restart of the watchdog leaves the bot alone: with real watchdog processes that are killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.bots.conftest import Zoo, alive

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
