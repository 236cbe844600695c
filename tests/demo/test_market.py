"""What the models of the demo earn and lose: each flavour shows its own rule, and no other one."""

import math
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.bot.history import History, history
from demo.bot.make import EXPOSURE, PARAMETERS, Flavour
from demo.bot.market import Market
from demo.bot.models import FEATURES, Agent, Models, dummy_agent, dummy_ensemble, ensemble_from

SEEDS = range(60)
TRADES = 300  # a minute at five a second
NOW = datetime(2026, 3, 2, 10, 20, tzinfo=UTC)


def models(flavour: Flavour) -> Models:
    parameters = {key: value for key, value in PARAMETERS[flavour].items() if key != "needs"}
    payload = {"kind": "ensemble", "version": "v2.1.0", "weights": [0.1] * FEATURES, **parameters}
    return Models(ensemble_from(payload), Agent("v2.1.0", EXPOSURE.get(flavour, 1.0)))


def played(flavour: Flavour, seed: int) -> list[tuple[float, int, float]]:
    """(drawdown so far, losses in a row, equity) after each trade, reckoned anew here."""
    market, equity, peak, worst, losses = Market(models(flavour), seed), 2000.0, 2000.0, 0.0, 0
    steps = []
    for _ in range(TRADES):
        pnl = market.next_trade(equity).pnl
        equity += pnl
        peak = max(peak, equity)
        worst = max(worst, 1 - equity / peak)
        losses = losses + 1 if pnl < 0 else 0
        steps.append((worst, losses, equity))
    return steps


def test_the_drawdown_flavour_loses_a_quarter_within_seconds_and_never_ten_in_a_row() -> None:
    for seed in SEEDS:
        steps = played("drawdown", seed)
        first = next(number for number, (drawdown, _, _) in enumerate(steps, start=1) if drawdown > 0.25)
        assert 10 < first <= 65  # 13 s at five trades a second, 6 s in the middle
        assert max(losses for _, losses, _ in steps) < 10


def test_the_loss_streak_flavour_has_ten_in_a_row_long_before_any_drawdown() -> None:
    for seed in SEEDS:
        steps = played("loss_streak", seed)
        assert steps[9][1] == 10
        assert steps[9][0] < 0.01
        assert steps[-1][0] < 0.10


def test_the_sound_flavour_earns_and_fires_nothing() -> None:
    for seed in SEEDS:
        steps = played("sound", seed)
        assert steps[-1][2] > 2000
        assert steps[-1][0] < 0.02
        assert max(losses for _, losses, _ in steps) < 6


def test_the_drifting_flavour_loses_too_slowly_for_the_other_rules() -> None:
    for seed in SEEDS:
        steps = played("drifting", seed)
        assert steps[-1][0] < 0.10
        assert max(losses for _, losses, _ in steps) < 6


def test_same_seed_same_trades_and_another_seed_others() -> None:
    first, again, other = (Market(models("sound"), seed) for seed in (1, 1, 2))
    trades = [market.next_trade(2000.0) for market in (first, again, other)]
    assert trades[0] == trades[1] != trades[2]


def test_a_dummy_wins_and_loses_alike() -> None:
    market = Market(Models(dummy_ensemble(1), dummy_agent()), 1)
    wins = sum(market.next_trade(2000.0).pnl > 0 for _ in range(2000))
    assert 900 < wins < 1100


def test_a_trade_ends_at_its_stop_loss_or_at_its_take_profit_and_says_what_it_made() -> None:
    market = Market(models("drawdown"), 3)
    for trade in (market.next_trade(2000.0) for _ in range(200)):
        won = trade.pnl > 0
        assert trade.exit_price == (trade.take_profit if won else trade.stop_loss)
        assert trade.direction in (1, -1)
        assert 0.5 <= trade.ml_confidence <= 1.0
        move = trade.direction * (trade.exit_price - trade.entry_price)
        assert trade.pnl == pytest.approx(move * trade.size, abs=1e-3)
        assert trade.pnl_pct == pytest.approx(100 * move / trade.entry_price, abs=1e-3)


def exits(lines: list[dict[str, Any]]) -> list[tuple[datetime, float]]:
    return [
        (datetime.fromisoformat(line["timestamp"]).replace(tzinfo=UTC), line["pnl"])
        for line in lines
        if line["type"] == "exit"
    ]


def sharpe(lines: list[dict[str, Any]], now: datetime) -> float:
    """By the definition: 24 hourly returns up to now, annualised."""
    returns = []
    for hour in range(24):
        ends = now - timedelta(hours=hour)
        starts = ends - timedelta(hours=1)
        pnl = math.fsum(pnl for at, pnl in exits(lines) if starts < at <= ends)
        before = math.fsum(pnl for at, pnl in exits(lines) if at <= starts)
        returns.append(pnl / (2000.0 + before))
    return statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(24 * 365)


@pytest.mark.parametrize(("kind", "low", "high"), [("low_sharpe", -200, -5), ("high_sharpe", 20, 400)])
@pytest.mark.parametrize("seed", [1, 7, 42])
def test_a_history_has_the_sharpe_ratio_asked_for_whenever_it_is_read(
    kind: History, low: float, high: float, seed: int
) -> None:
    lines = list(history(kind, hours=26, ends_at=NOW, equity=2000.0, seed=seed))
    for minutes in range(0, 120, 10):
        assert low < sharpe(lines, NOW + timedelta(minutes=minutes)) < high


@pytest.mark.parametrize("kind", ["low_sharpe", "high_sharpe"])
def test_a_history_fires_neither_drawdown_nor_loss_streak(kind: History) -> None:
    for seed in SEEDS:
        lines = list(history(kind, hours=26, ends_at=NOW, equity=2000.0, seed=seed))
        equity, peak, losses = 2000.0, 2000.0, 0
        for _, pnl in exits(lines):
            equity, losses = equity + pnl, losses + 1 if pnl < 0 else 0
            peak = max(peak, equity)
            assert 1 - equity / peak < 0.10
            assert losses < 8
        assert lines[-1]["equity"] == pytest.approx(equity, abs=1e-3)


def test_a_history_is_in_order_and_inside_its_hours() -> None:
    lines = list(history("low_sharpe", hours=26, ends_at=NOW, equity=2000.0, seed=7))
    times = [datetime.fromisoformat(line["timestamp"]).replace(tzinfo=UTC) for line in lines]
    assert times == sorted(times)
    assert NOW - timedelta(hours=26) <= times[0]
    assert times[-1] <= NOW
    assert [line["type"] for line in lines] == ["entry", "exit", "equity"] * (26 * 3)
