import asyncio
import re
import sys

import pytest

from tests.watchdog.bots.conftest import Zoo, alive, brisk
from watchdog.bots.base import BotError

SIMPLE = "here('bot'); forever()"


async def test_a_bot_that_a_shell_loop_brings_back_each_time_is_an_error_that_names_the_loop(
    zoo: Zoo,
) -> None:
    zoo.script("bot.py", SIMPLE)
    loop = zoo.run("sh", "-c", f"while :; do {sys.executable} bot.py; done")
    await zoo.pid("bot")
    bot = zoo.bot(sleep=asyncio.sleep)
    with pytest.raises(BotError) as error:
        await bot.stop(5)
    text = str(error.value)
    assert re.match(
        r"the bot was stopped 3 times and is back each time, now as pid \d+ \(`.*bot\.py`\), ", text
    )
    assert f"brought back by sh (pid {loop}: sh -c 'while :; " in text
    assert text.endswith(f"`kill {loop}`.")
    assert alive(loop)


async def test_a_bot_that_is_brought_back_once_is_stopped_again_and_told(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    loop = zoo.run("sh", "-c", f"{sys.executable} bot.py; {sys.executable} bot.py; sleep 60")
    first = await zoo.pid("bot")
    bot = zoo.bot(sleep=asyncio.sleep)
    stopped = await bot.stop(5)
    second = await zoo.pid("bot")
    assert stopped.brought_back_by is not None
    assert stopped.brought_back_by.startswith(f"sh (pid {loop}: ")
    assert (stopped.pids, stopped.how) == ((first, second), "SIGTERM")
    assert 0.5 < stopped.seconds < 3
    assert (await bot.find()) == []
    assert alive(loop)


async def test_a_bot_that_was_down_and_is_brought_back_at_that_moment_is_stopped(zoo: Zoo) -> None:
    """As by a unit or a cron job that was about to start it anyway."""
    zoo.script("bot.py", SIMPLE)
    pids: list[int] = []

    async def sleep(seconds: float) -> None:
        if not pids:
            zoo.run("sh", "-c", f"{sys.executable} bot.py; true")
            pids.append(await zoo.pid("bot"))
        await brisk(seconds)

    bot = zoo.bot(sleep=sleep)
    stopped = await bot.stop(5)
    assert stopped.brought_back_by is not None
    assert "bot.py; true" in stopped.brought_back_by
    assert (list(stopped.pids), stopped.how) == (pids, "SIGTERM")
    assert (await bot.find()) == []
