"""What never causes a rollback: failed readings, broken lines, rotations, withdrawals, clocks, half a registry.

Each test ends with a true cause, so that a watchdog that has gone blind does not pass for a patient one.
"""

import json
import os
import pickle
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import THOROUGH, House


def started(house: House, bot: HostileBot) -> None:
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    house.ticks(1)


def nothing_happened(house: House, bot: HostileBot) -> None:
    house.ticks(3)
    assert house.incidents() == [], house.story()
    assert len(bot.ran("began")) == 1
    assert house.current() == "v2.1.0"


def test_failed_readings_and_broken_lines(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.trade(5.0)
    house.wait_value("loss_streak", 0)
    now = trades.now
    for reading in (0, 0.0, -5, float("nan"), float("inf"), float("-inf")):
        trades.line(type="equity", timestamp=now(), equity=reading, pnl=reading)
        trades.reading(trades.equity)
    impossible: tuple[Any, ...] = (float("nan"), float("-inf"), None, "a lot", True, [], {})
    for pnl in impossible:
        trades.line(type="exit", timestamp=now(), pnl=pnl, pnl_pct=0, size=1.3)
    for stamp in (None, 7, "", "yesterday", "2026-13-45T99:00:00", "0001-01-01T00:00:00+14:00"):
        trades.line(type="exit", timestamp=stamp, pnl=-100.0)
    for raw in (
        b"\n\n \n", b"garbage\n", b"{\n", b"[]\n", b"null\n", b'"exit"\n', b"\xff\xfe\x00garbage\xff\n",
        b'{"type": "exit", "timestamp": "\xff\xff", "pnl": -500}\n', b"\0" * 5000 + b"\n",
        b'{"type": "exit", "type": "entry"}\n', b"[" * 100_000 + b"\n", b'{"type": 1e999}\n',
        b'{"type": "exit", "pnl": -500, "timestamp": "' + b"9" * 1000 + b'"}\n',
    ):  # fmt: skip
        trades.raw(raw)
    trades.raw(b'{"type": "exit", "pnl": -1, "comment": "')
    for _ in range(12):
        trades.raw(b"x" * (1 << 20))
    house.ticks(2)
    trades.raw(b'"}\n')
    nothing_happened(house, bot)
    house.wait_value("loss_streak", 0)
    assert house.value("drawdown") == 0
    assert sum("lines that could not be used" in text for text in house.alerts()) == 1

    line = json.dumps({"type": "exit", "timestamp": now(), "pnl": -1.0, "size": 1.3}).encode() + b"\n"
    for piece in (line[:7], line[7:40], line[40:-1]):
        trades.raw(piece)
        house.ticks(1)
    assert house.value("loss_streak") == 0
    trades.raw(line[-1:])
    house.wait_value("loss_streak", 1)
    nothing_happened(house, bot)
    trades.lose(9)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_rotations_lose_and_repeat_no_line(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(3)
    bot.trade_log.rename(bot.trade_log.with_suffix(".jsonl.1"))
    trades.lose(1)
    house.wait_value("loss_streak", 4)
    # copytruncate, while nothing has been read of the newest lines
    trades.lose(2)
    first, second = bot.trade_log.with_suffix(".jsonl.1"), bot.trade_log.with_suffix(".jsonl.2")
    first.rename(second)
    first.write_bytes(bot.trade_log.read_bytes())
    os.truncate(bot.trade_log, 0)
    trades.lose(1)
    house.wait_value("loss_streak", 7)
    bot.trade_log.unlink()
    house.ticks(2)
    trades.lose(1)
    house.wait_value("loss_streak", 8)
    bot.log.rename(bot.log.with_suffix(".log.1"))
    trades.lose(1)
    house.wait_value("loss_streak", 9)
    nothing_happened(house, bot)
    trades.lose(1)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_a_withdrawal_while_flat(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.trade(10)
    trades.trade(-110)
    house.wait(lambda: (house.value("drawdown") or 0) > 0.05, "a drawdown")
    before = house.value("drawdown")
    trades.reading(900.0)
    house.wait(lambda: house.alerted("withdrawal of 1,000.00"), "it is told")
    nothing_happened(house, bot)
    after = house.value("drawdown")
    assert before is not None
    assert after is not None
    assert abs(after - before) < 0.005, "a drawdown from before stays what it was"
    trades.equity = 900.0
    trades.trade(10)
    nothing_happened(house, bot)
    # A loss of a quarter of what is left, with a position open, is a loss.
    trades.entry()
    trades.reading(600.0)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_a_paper_account(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    for pnl in (10, -200, 5, -180, 10, 5):
        trades.entry()
        trades.exit(pnl, reading=10_000.0)
    house.wait(lambda: (house.value("drawdown") or 0) > 0.1, "realised P&L takes over")
    nothing_happened(house, bot)
    for pnl in (-100, 5, -120):
        trades.entry()
        trades.exit(pnl, reading=10_000.0)
    incident = house.wait_closed()
    assert "do not move" in incident.reason
    house.assert_rolled_back("v2.1.0", "v2.0.0")


@pytest.mark.parametrize(
    ("offset_h", "aware", "zone"),
    [(5.5, False, "Asia/Kolkata"), (2.0, True, "America/New_York"), *([(-9.0, True, "UTC")] * THOROUGH)],
)
def test_timestamps_of_another_zone(
    tmp_path: Path, make_house: MakeHouse, offset_h: float, aware: bool, zone: str
) -> None:
    bot = make_hostile(
        tmp_path / "bot", aware=aware, offset_h=offset_h, log_offset_h=5.5 if zone == "Asia/Kolkata" else -4
    )
    trades = Trades(bot.trade_log, aware=aware, offset_h=offset_h)
    old_trades(trades)
    house = make_house(bot, bot={"timezone": zone})
    started(house, bot)
    house.wait_value("loss_streak", 2)
    deployed_at = datetime.fromisoformat(house.status()["model"]["deployed_at"])
    assert abs(datetime.now(UTC) - timedelta(hours=1) - deployed_at) < timedelta(minutes=2)
    nothing_happened(house, bot)
    trades.lose(8)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def old_trades(trades: Trades) -> None:
    """30 losses in a row and half the money gone under v2.0.0, and two losses under v2.1.0, an hour old."""
    now = datetime.now(UTC)
    for minute in range(30):
        trades.trade(-30.0, now - timedelta(hours=12) + timedelta(minutes=20 * minute))
    trades.equity = 2000.0
    trades.reading(2000.0, now - timedelta(minutes=70))
    trades.trade(-1.0, now - timedelta(minutes=30))
    trades.trade(-1.0, now - timedelta(minutes=20))


@pytest.mark.parametrize("offset_h", [7.0, -5.0])
def test_a_wrong_time_zone_in_the_configuration_is_told_and_rolls_nothing_back(
    tmp_path: Path, make_house: MakeHouse, offset_h: float
) -> None:
    """The bot's clock is `offset_h` ahead of UTC, and bot.timezone says UTC."""
    bot = make_hostile(tmp_path / "bot", aware=True, log_offset_h=offset_h)
    trades = Trades(bot.trade_log, offset_h=offset_h)
    old_trades(trades)
    house = make_house(bot)
    started(house, bot)
    trades.lose(4)
    house.wait(lambda: house.alerted("bot.timezone"), "it is told")
    nothing_happened(house, bot)


def test_a_registry_that_is_half_written_for_a_while(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(9)
    house.wait_value("loss_streak", 9)
    path = bot.models / "registry.json"
    whole = path.read_bytes()
    with rewritten_in_place(path, whole):
        house.ticks(4)
    more = (b"[]", b"\xff\xfe", b'{"models": {}}') if THOROUGH else ()
    for broken in (b"", whole[: len(whole) // 2], b"{}", *more):
        path.write_bytes(broken)
        house.ticks(2)
    path.unlink()
    house.ticks(1)
    assert len(bot.ran("began")) == 1
    assert house.incidents() == []
    path.write_bytes(whole)
    nothing_happened(house, bot)
    assert house.value("loss_streak") == 9, "the streak was forgotten"
    trades.lose(1)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


@contextmanager
def rewritten_in_place(path: Path, whole: bytes) -> Iterator[None]:
    """Somebody writes the file again and again, slowly, in place."""
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            with path.open("wb", buffering=0) as file:
                for start in range(0, len(whole), 400):
                    file.write(whole[start : start + 400])
                    time.sleep(0.01)
            time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path, make_house: MakeHouse) -> None:
    """Nine losses, a drawdown of nearly a quarter, a restart, and another with the logs gone."""
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.trade(500.0)
    trades.lose(9, pnl=-66.0)
    house.wait_value("loss_streak", 9)
    drawdown = house.value("drawdown")
    assert drawdown is not None
    assert 0.23 < drawdown < 0.25
    assert house.stop() == 0
    house.start()
    house.ticks(2)
    assert (house.value("loss_streak"), house.value("drawdown")) == (9, drawdown)
    house.kill()
    bot.trade_log.rename(tmp_path / "put away elsewhere.jsonl")
    bot.log.rename(tmp_path / "put away elsewhere.log")
    trades.trade(0.5)
    house.start()
    house.wait_value("loss_streak", 0)
    nothing_happened(house, bot)
    trades.trade(-40.0)
    incident = house.wait_closed()
    assert incident.by == "rule drawdown"
    assert "2,500.00" in incident.reason, "the peak was forgotten"


def test_without_a_checkpoint_the_rules_are_rebuilt_from_the_rotated_logs(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", promoted_ago=timedelta(hours=3))
    trades = Trades(bot.trade_log)
    now = datetime.now(UTC)
    for number in range(40):
        trades.trade(-9.0, now - timedelta(hours=5, minutes=number))
    trades.trade(5.0, now - timedelta(hours=2))
    for number in range(5):
        trades.trade(-1.0, now - timedelta(minutes=60 - number))
    bot.trade_log.rename(bot.trade_log.with_suffix(".jsonl.1"))
    for number in range(4):
        trades.trade(-1.0, now - timedelta(minutes=30 - number))
    house = make_house(bot)
    started(house, bot)
    house.wait_value("loss_streak", 9)
    nothing_happened(house, bot)
    trades.lose(1)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_a_long_history(tmp_path: Path, make_house: MakeHouse) -> None:
    """A hundred megabytes of each log when thorough: memory stays flat, ticks go on; of old lines none counts."""
    bot = make_hostile(tmp_path / "bot")
    trades = Trades(bot.trade_log)
    now = datetime.now(UTC)
    for number in range(400):
        trades.trade(-1.0, now - timedelta(days=40, minutes=-number))
    block = bot.trade_log.read_bytes()
    with bot.trade_log.open("wb") as file:
        for _ in range((100 if THOROUGH else 20) * (1 << 20) // len(block)):
            file.write(block)
    line = b"2026-03-01 10:00:00,101 - bot.trading_bot - INFO - Opened LONG 1.3000 at 150.2000, confidence 0.71\n"
    with bot.log.open("wb") as file:
        for _ in range(100 if THOROUGH else 10):
            file.write(line * ((1 << 20) // len(line)))
    trades.equity = 2000.0
    trades.lose(9)
    house = make_house(bot)
    began = time.monotonic()
    house.start()
    process = psutil.Process(house.daemon.pid)
    most = 0
    while house.value("loss_streak") is None:
        most = max(most, process.memory_info().rss)
        assert time.monotonic() - began < 60, house.story()
        time.sleep(0.05)
    print(f"read in {time.monotonic() - began:.1f} s, at most {most / 2**20:.0f} MiB")
    assert most < 200 * 2**20
    assert house.value("loss_streak") == 9
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    nothing_happened(house, bot)
    assert process.memory_info().rss < 200 * 2**20
    began = time.monotonic()
    trades.lose(1)
    house.wait(lambda: bot.loaded("v2.0.0"), "the good version runs")
    print(f"from the cause to v2.0.0: {time.monotonic() - began:.1f} s")
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_trades_count_only_against_the_version_that_made_them(tmp_path: Path, make_house: MakeHouse) -> None:
    """A person promotes a new version in the middle of a losing streak, and the old one's last trades come late."""
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(9, pnl=-50.0)
    house.wait_value("loss_streak", 9)
    new = bot.model_file("v2.2.0")
    new.write_bytes(pickle.dumps({"version": "v2.2.0"}))
    house.registry.register_model(new, "v2.2.0", {})
    house.registry.promote_model("v2.2.0", {"sharpe": 2.0})
    for _ in range(12):
        trades.line(type="exit", timestamp=trades.now(), pnl=-50.0, size=1.3, model_version="v2.1.0")
    os.kill(house.bot_pid(), signal.SIGTERM)
    house.wait(lambda: bot.loaded("v2.2.0"), "the bot is started on the new version")
    trades.equity = 1000.0
    trades.lose(9)
    house.wait_value("loss_streak", 9)
    house.ticks(2)
    assert house.incidents() == [], house.story()
    trades.lose(1)
    house.wait_closed()
    house.assert_rolled_back("v2.2.0", "v2.1.0")


def test_old_errors_and_harmless_ones_in_the_bots_log(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(
        tmp_path / "bot",
        says={"v2.1.0": ["Error loading order book: timeout", "no dummy is used", "dummy_variable=1"]},
    )
    old = "Error loading model: invalid load key, '\\x00'.. Using dummy model."
    by_a_person = subprocess.Popen(bot.command, cwd=bot.folder, stdin=subprocess.DEVNULL)
    bot.log.write_text(
        f"{datetime.now(UTC) - timedelta(hours=3):%Y-%m-%d %H:%M:%S},101 - models.ensemble - ERROR - {old}\n"
        f"{datetime.now(UTC) - timedelta(minutes=20):%Y-%m-%d %H:%M:%S},101 - models.ensemble - ERROR - {old}\n"
    )
    house = make_house(bot)
    house.others.append(by_a_person)
    started(house, bot)
    nothing_happened(house, bot)
    with bot.log.open("a") as file:
        file.write(
            f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S},101 - bot - ERROR - Error loading config: nothing\n"
        )
        file.write("Traceback (most recent call last):\n  ...\nKeyError: 'model'\n")
    nothing_happened(house, bot)
    with bot.log.open("a") as file:
        file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S},101 - models.ensemble - ERROR - {old}\n")
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
