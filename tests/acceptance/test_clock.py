"""A wall clock that is stepped by a day, either way, neither fires nor stops anything. Needs libfaketime."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import Trades, make_hostile, stamp
from tests.acceptance.house import thorough

LIBRARIES = [
    path
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
    if (path := Path(folder, "faketime", "libfaketime.so.1")).exists()
]
NO_SLEEP = """
import select
time.sleep = lambda seconds: select.select([], [], [], seconds)  # libfaketime breaks clock_nanosleep
HERE = """


class SteppedTrades(Trades):
    """Written by a bot whose clock was stepped by `step`."""

    step = timedelta(0)

    def now(self, at: datetime | None = None) -> str:
        return stamp((at or datetime.now(UTC)) + self.step)


@thorough
@pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")
@pytest.mark.parametrize("days", [1, -1])
def test_a_step_of_a_day(tmp_path: Path, make_house: MakeHouse, days: int) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    bot = make_hostile(tmp_path / "bot")
    program = bot.folder / "main.py"
    program.write_text(program.read_text().replace("HERE = ", NO_SLEEP, 1))
    house = make_house(bot)
    house.environ |= {
        "LD_PRELOAD": os.fspath(LIBRARIES[0]),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_TIMESTAMP_FILE": str(clock),
    }
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    trades = SteppedTrades(bot.trade_log)
    trades.lose(5)
    house.wait_value("loss_streak", 5)
    clock.write_text(f"{days * 86400:+d}\n")
    trades.step = timedelta(days=days)
    house.wait(lambda: house.alerted("the wall clock was stepped"), "it is told")
    house.ticks(4)
    assert house.value("loss_streak") == 5
    trades.lose(4)
    house.wait_value("loss_streak", 9)
    assert house.cli("status").returncode == 0
    house.kill()
    house.start()
    house.ticks(2)
    assert house.value("loss_streak") == 9
    assert house.incidents() == []
    assert len(bot.ran("began")) == 1
    trades.lose(1)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
