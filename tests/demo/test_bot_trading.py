"""The demo's bot as a real process: its trade log and its equity."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.bot.make import make_bot
from tests.demo.running import Start, of_type, records, trades, until


def test_the_trade_log_has_the_lines_of_such_bots_and_its_equity_adds_up(
    tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=50.0)
    start(bot)
    until(trades(bot, 10), "ten trades")
    entries, exits, equities = (of_type(bot, kind) for kind in ("entry", "exit", "equity"))
    assert list(entries[0]) == (
        ["type", "timestamp", "direction", "entry_price", "size", "stop_loss", "take_profit", "ml_confidence"]
    )
    assert list(exits[0]) == (
        ["type", "timestamp", "direction", "entry_price", "exit_price", "size", "pnl", "pnl_pct", "duration"]
    )
    assert list(equities[0]) == ["type", "timestamp", "equity", "pnl"]
    assert [record["type"] for record in records(bot)[:6]] == ["entry", "exit", "equity"] * 2
    equity = 2000.0
    for closed, told in zip(exits, equities, strict=False):
        equity += closed["pnl"]
        assert (told["equity"], told["pnl"]) == (pytest.approx(equity, abs=1e-3), closed["pnl"])
    at = datetime.fromisoformat(entries[0]["timestamp"])
    assert at.tzinfo is None
    assert abs(datetime.now(UTC) - at.replace(tzinfo=UTC)) < timedelta(minutes=1)


def test_it_trades_as_often_as_it_is_told(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=20.0)
    start(bot)
    until(trades(bot, 21), "21 trades")
    first, last = (datetime.fromisoformat(of_type(bot, "entry")[number]["timestamp"]) for number in (0, 20))
    assert 0.95 < (last - first).total_seconds() < 4.0  # a busy machine is late, never early


def test_the_equity_goes_on_where_the_log_ends(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", flavour="drifting", trades="low_sharpe", trades_per_second=50.0)
    before = records(bot)
    first = start(bot)
    until(trades(bot, len(before) // 3 + 3), "three more trades")
    first.kill()
    first.wait()
    mid = len(records(bot))
    # The newest reading may be a failed one.
    with bot.trade_log.open("a", encoding="utf-8") as file:
        file.write('{"type": "equity", "timestamp": "2026-03-01T10:35:01", "equity": 0, "pnl": NaN}\n')
    start(bot)
    until(lambda: len(records(bot)) > mid + 6, "trades after the restart")
    equity = before[-1]["equity"]
    assert equity != 2000.0
    told = [r for r in records(bot)[len(before) :] if r["type"] == "equity" and r["equity"] != 0]
    for record in told:
        equity += record["pnl"]
        # A kill between an exit and its equity line loses one P&L at most.
        assert record["equity"] == pytest.approx(equity, abs=3.0)


def test_the_equity_survives_a_rotation_of_the_log(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", trades="high_sharpe", trades_per_second=50.0, flavour="sound")
    last = records(bot)[-1]["equity"]
    bot.trade_log.rename(bot.trade_log.with_name("trades.jsonl.1"))
    start(bot)
    until(trades(bot, 1), "a trade")
    first = of_type(bot, "equity")[0]
    assert first["equity"] == pytest.approx(last + first["pnl"], abs=1e-3)


def test_a_paper_account_never_moves(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", paper=True, trades_per_second=50.0)
    start(bot)
    until(trades(bot, 5), "five trades")
    assert {record["equity"] for record in of_type(bot, "equity")} == {2000.0}
    assert all(record["pnl"] != 0 for record in of_type(bot, "exit"))


def test_a_container_in_another_zone_writes_its_own_time(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", utc_offset_h=5.5, trades_per_second=50.0)
    start(bot)
    until(trades(bot, 1), "a trade")
    there = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=5.5)
    assert abs(there - datetime.fromisoformat(records(bot)[0]["timestamp"])) < timedelta(minutes=1)
    logged = datetime.fromisoformat(bot.log.read_text(encoding="utf-8")[:19])
    assert abs(there - logged) < timedelta(minutes=1)
