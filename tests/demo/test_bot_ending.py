"""The demo's bot as a real process: how it ends, by itself or when asked to."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from demo.bot.make import make_bot
from tests.demo.running import Start, dry_run, messages, of_type, records, trades, until


def test_sigterm_kills_it_at_once_and_the_position_stays_open(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=0.2)  # a position is open for three seconds
    process = start(bot)
    until(lambda: of_type(bot, "entry"), "an open position")
    process.terminate()
    assert process.wait(timeout=5) == -signal.SIGTERM
    assert [record["type"] for record in records(bot)] == ["entry"]


def test_a_bot_that_traps_sigterm_closes_its_position_and_exits_within_a_second(
    tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=0.2, sigterm="flatten")
    process = start(bot)
    until(lambda: of_type(bot, "entry"), "an open position")
    asked_s = time.monotonic()
    process.terminate()
    assert process.wait(timeout=5) == 0
    assert time.monotonic() - asked_s < 1.0
    assert [record["type"] for record in records(bot)] == ["entry", "exit", "equity"]
    assert of_type(bot, "exit")[0]["pnl"] == 0


def test_a_bot_can_ignore_sigterm(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=50.0, sigterm="ignore")
    process = start(bot)
    until(trades(bot, 1), "a trade")
    process.terminate()
    until(trades(bot, len(of_type(bot, "equity")) + 5), "trades after SIGTERM")
    assert process.poll() is None


@pytest.mark.parametrize(
    ("dies", "last"),
    [
        ("before_loading", "Cannot connect to the exchange, giving up"),
        ("while_loading", "Loading ensemble model from ./models_saved/ensemble_v2.1.0.bin"),
        ("later", "Unexpected end"),
    ],
)
def test_a_bot_can_die_by_itself_wherever_it_is_told(
    dies: str, last: str, tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", dies=dies, dies_on="v2.1.0", dies_after_s=0.1, exit_code=7)
    assert start(bot).wait(timeout=10) == 7
    assert messages(bot)[-1].endswith(last)
    assert bot.registry.rollback() == "v2.0.0"
    healthy = start(bot)
    until(trades(bot, 2), "v2.0.0 trading")
    assert healthy.poll() is None


def test_its_children_live_in_sessions_of_their_own_and_end_with_the_folder(
    tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", children=2, sigterm="flatten", trades_per_second=50.0)
    process = start(bot)
    until(trades(bot, 1), "a trade")
    children = psutil.Process(process.pid).children()
    assert len(children) == 2
    assert all(os.getsid(child.pid) == child.pid != process.pid for child in children)
    process.terminate()
    process.wait(timeout=5)
    assert all(child.is_running() for child in children), "they outlive the bot"
    (bot.folder / "bot").rename(bot.folder / "gone")
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_a_mistake_in_bot_json_is_named(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    (bot.folder / "bot.json").write_text('{"sigterm": "explode"}', encoding="utf-8")
    result = dry_run(bot)
    assert (result.returncode, "'explode' is not one of die, flatten, ignore" in result.stderr) == (2, True)
    (bot.folder / "bot.json").write_text('{"sed": 1}', encoding="utf-8")
    assert "unknown sed" in dry_run(bot).stderr
