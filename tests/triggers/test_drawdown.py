"""The drawdown against NumPy on random histories, and its limit."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triggers.histories import SINCE, Traded, anything, feed, over_json, story, traded
from triggers import DrawdownRule, DrawdownSettings, Equity, Exit, TradeRecord


def by_numpy(history: Traded, records: list[TradeRecord], initial_equity: float) -> float | None:
    """(peak - equity) / peak of the equity path: what was read, or else initial_equity plus the realised P&L. Exits
    before the first reading lie before it."""
    readings = np.array([r.equity for r in records if isinstance(r, Equity)])
    first = next((i for i, r in enumerate(records) if isinstance(r, Equity)), len(records))
    pnl = np.array([r.pnl for r in records[:first] if isinstance(r, Exit)])
    if not len(pnl) and not len(readings):
        return None
    start = readings[0] - pnl.sum() if len(readings) else initial_equity
    path = np.concatenate([[start], start + np.cumsum(pnl), readings])
    peaks = np.maximum.accumulate(path)
    return float((peaks[-1] - path[-1]) / peaks[-1])


@settings(max_examples=250)
@given(traded(), st.floats(100, 10_000), st.data())
def test_it_agrees_with_numpy_wherever_the_readings_have_caught_up(
    history: Traded, initial_equity: float, data: st.DataObject
) -> None:
    records = history.records
    if history.logs_equity:  # up to a reading: an exit before its reading is judged in test_equity
        ends = [i + 1 for i, r in enumerate(records) if isinstance(r, Equity)]
        records = records[: data.draw(st.sampled_from(ends))]
    expected = by_numpy(history, records, initial_equity)
    rule = DrawdownRule(DrawdownSettings(0.25, initial_equity))
    feed(rule, records)
    verdict = rule.evaluate(SINCE)
    assert rule.notices() == []
    if expected is None:
        assert (verdict.state, verdict.value) == ("no_data", None)
        return
    assert verdict.value == pytest.approx(expected, abs=1e-9)
    if abs(expected - 0.25) > 1e-9:
        assert verdict.state == ("firing" if expected > 0.25 else "ok")


@settings(max_examples=150)
@given(traded(), st.floats(0.05, 0.95), st.data())
def test_a_withdrawal_while_flat_changes_no_later_drawdown(
    history: Traded, share: float, data: st.DataObject
) -> None:
    """The same trades, in percent of what is left, after a withdrawal: the drawdowns are the same."""
    trades = [r for r in history.records if isinstance(r, Exit)]
    at = data.draw(st.integers(0, len(trades)))
    plain, drained = story().reads(history.starts_with), story().reads(history.starts_with)
    cash = history.starts_with
    for number, trade in enumerate(trades):
        if number == at:
            drained.reads(cash * share)
        scale = share if number >= at else 1.0
        plain.trade(trade.pnl, cash + trade.pnl)
        drained.trade(trade.pnl * scale, (cash + trade.pnl) * scale)
        cash += trade.pnl
    values = []
    for told in (plain, drained):
        rule = DrawdownRule(DrawdownSettings())
        feed(rule, told.records)
        values.append(rule.evaluate(told.now).value)
    assert values[1] == pytest.approx(values[0], abs=1e-9)


@settings(max_examples=150)
@given(anything())
def test_whatever_the_log_holds_the_verdict_can_be_told(records: list[TradeRecord]) -> None:
    rule = DrawdownRule(DrawdownSettings())
    for record in records:
        rule.observe(record)
        verdict = rule.evaluate(SINCE)
        assert verdict.value is None or (math.isfinite(verdict.value) and verdict.value >= 0)
        over_json(verdict.as_dict())


@pytest.mark.parametrize(
    ("equity", "state"), [(1500.01, "ok"), (1500.0, "ok"), (1499.99, "firing"), (1480.0, "firing")]
)
def test_it_fires_above_the_limit_and_not_at_it(equity: float, state: str) -> None:
    rule = DrawdownRule(DrawdownSettings())
    feed(rule, story().reads(2000).trade(equity - 2000, equity).records)
    assert rule.evaluate(SINCE).state == state


def test_the_reason_tells_a_drawdown_from_its_limit() -> None:
    rule = DrawdownRule(DrawdownSettings())
    feed(rule, story().reads(2000).trade(-500.02, 1499.98).records)
    assert rule.evaluate(SINCE).reason.startswith("drawdown 25.001 % is above 25 %:")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"above": 0}, "drawdown.above is 0"),
        ({"above": 1.0}, "drawdown.above is 1.0"),
        ({"above": 25}, "drawdown.above is 25"),
        ({"above": math.nan}, "drawdown.above is nan"),
        ({"initial_equity": 0}, "initial_equity is 0"),
        ({"initial_equity": math.inf}, "initial_equity is inf"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DrawdownSettings(**wrong)
