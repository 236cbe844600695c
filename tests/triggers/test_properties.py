"""The rules against independent calculations with NumPy, and against histories that nobody thought of."""

import json
import math
from datetime import datetime, timedelta
from operator import attrgetter

import numpy as np
import numpy.typing as npt
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.triggers.story import START
from triggers import (
    BotExited,
    BotStarted,
    ChecksumSettings,
    DrawdownRule,
    DrawdownSettings,
    Engine,
    Entry,
    Equity,
    Exit,
    GaveUp,
    LoadErrorSettings,
    LogLine,
    LossStreakRule,
    LossStreakSettings,
    Record,
    SharpeRule,
    SharpeSettings,
    build,
)

MICROSECOND = timedelta(microseconds=1)
HOUR_US = 3_600_000_000
INITIAL = 2000.0

pnls = st.one_of(st.just(0.0), st.floats(-60, 60).map(lambda pnl: round(pnl, 2)))
"""At most 3 % of the account: no exit looks like a cash flow, and forty of them leave it above 0."""


@st.composite
def moments(draw: st.DrawFn, hours: int = 40, most: int = 40) -> list[int]:
    """Microseconds since START, ascending, at least a second apart so that a reading fits between."""
    seconds = draw(st.lists(st.integers(1, hours * 3600), min_size=1, max_size=most, unique=True))
    return [2_000_000 * second + draw(st.integers(0, 999_999)) for second in sorted(seconds)]


def at(microseconds: int) -> datetime:
    return START + microseconds * MICROSECOND


# -- loss streak


@settings(deadline=None)
@given(st.lists(st.one_of(pnls, st.sampled_from([math.nan, math.inf, -math.inf])), max_size=40))
def test_loss_streak_agrees_with_numpy(values: list[float]) -> None:
    rule = LossStreakRule(LossStreakSettings(3))
    for number, pnl in enumerate(values):
        rule.observe(Exit(at(number), pnl))
    known = np.array([pnl for pnl in values if math.isfinite(pnl)])
    told = np.sign(known[known != 0])
    wins = np.flatnonzero(told > 0)
    expected = len(told) if len(wins) == 0 else len(told) - 1 - wins[-1]
    verdict = rule.evaluate(START)
    assert verdict.value == (expected if len(known) else None)
    assert (verdict.state == "firing") == (len(known) > 0 and expected >= 3)


# -- drawdown


@settings(deadline=None)
@given(st.lists(pnls, min_size=1, max_size=40))
def test_drawdown_of_realised_pnl_agrees_with_numpy(values: list[float]) -> None:
    rule = DrawdownRule(DrawdownSettings(0.02, INITIAL))
    for number, pnl in enumerate(values):
        rule.observe(Exit(at(number), pnl))
    equity = INITIAL + np.concatenate([[0.0], np.cumsum(values)])
    expected = float(1 - equity[-1] / np.max(equity))
    verdict = rule.evaluate(START)
    assert verdict.value is not None
    assert math.isclose(verdict.value, expected, abs_tol=1e-9)
    if abs(expected - 0.02) > 1e-9:
        assert (verdict.state == "firing") == (expected > 0.02)


@st.composite
def trades(draw: st.DrawFn) -> tuple[list[Record], list[float]]:
    """A live account's log with its glitches, and the equity that was truly there at every valid reading."""
    equity, second = draw(st.floats(500, 50_000)), 1
    records: list[Record] = [Equity(at(0), equity)]
    truth = [equity]
    for pnl in draw(st.lists(st.floats(-0.03, 0.03), min_size=1, max_size=20)):
        second += draw(st.integers(60, 7200))
        records.append(Entry(at(second * 1_000_000), None, 1.3))
        for mark in draw(st.lists(st.floats(-0.3, 0.3), max_size=3)):
            second += 60
            truth.append(equity * (1 + mark))
            records.append(Equity(at(second * 1_000_000), truth[-1]))
        second += 60
        records.append(Exit(at(second * 1_000_000), pnl * equity, None, 1.3))
        equity *= 1 + pnl
        if draw(st.booleans()):
            records.append(Equity(at(second * 1_000_000 + 1), draw(st.sampled_from([0.0, math.nan, -1.0]))))
        truth.append(equity)
        records.append(Equity(at(second * 1_000_000 + 2), equity))
    return records, truth


@settings(deadline=None)
@given(trades())
def test_drawdown_of_readings_agrees_with_numpy(history: tuple[list[Record], list[float]]) -> None:
    records, truth = history
    rule = DrawdownRule(DrawdownSettings(0.25, INITIAL))
    for record in records:
        rule.observe(record)
    verdict = rule.evaluate(START)
    expected = float(1 - truth[-1] / np.max(np.array(truth)))
    assert verdict.value is not None
    assert math.isclose(verdict.value, expected, abs_tol=1e-9)
    assert rule.notices() == []


step = st.one_of(
    st.tuples(st.just("trade"), st.floats(-0.2, 0.2)),
    st.tuples(st.just("withdrawal"), st.floats(0.1, 0.9)),
    st.tuples(st.just("deposit"), st.floats(0.1, 5.0)),
    st.tuples(st.just("fault"), st.just(0.0)),
)


@settings(deadline=None)
@given(st.lists(step, max_size=25))
def test_with_cash_flows_it_is_the_drawdown_of_the_time_weighted_return(
    steps: list[tuple[str, float]],
) -> None:
    """Whatever is paid in and out between trades: the drawdown is that of one unit that stayed in all the time."""
    rule = DrawdownRule(DrawdownSettings(0.25, INITIAL))
    equity, unit, units, second = 5000.0, 1.0, [1.0], 0
    rule.observe(Equity(at(0), equity))
    for kind, share in [("trade", -0.01), *steps]:  # the first trade shows that the account is a live one
        second += 3600
        if kind == "trade":
            rule.observe(Entry(at(second * 1_000_000), "SOLUSDT", 2.0))
            rule.observe(Exit(at(second * 1_000_000 + 1), share * equity, "SOLUSDT", 2.0))
            equity *= 1 + share
            unit *= 1 + share
            units.append(unit)
        elif kind != "fault":
            equity *= 1 - share if kind == "withdrawal" else 1 + share
        rule.observe(Equity(at(second * 1_000_000 + 2), 0.0 if kind == "fault" else equity))
    value = rule.evaluate(START).value
    assert value is not None
    assert math.isclose(value, float(1 - unit / np.max(np.array(units))), abs_tol=1e-9)


# -- Sharpe

Rows = npt.NDArray[np.float64]


def numpy_sharpe(now: int, window: int, exits: Rows, readings: Rows) -> tuple[float, float]:
    """(mean, stdev) of hourly returns. exits: (microseconds, pnl) rows; readings: (microseconds, equity) rows."""
    returns = []
    for hour in range(window):
        end, begin = now - hour * HOUR_US, now - (hour + 1) * HOUR_US
        inside = (exits[:, 0] > begin) & (exits[:, 0] <= end)
        start = max(0, int(np.searchsorted(readings[:, 0], begin, side="right")) - 1)
        returns.append(exits[inside, 1].sum() / readings[start, 1])
    return float(np.mean(returns)), float(np.std(returns, ddof=1))


@given(moments(), st.data(), st.integers(2, 30), st.booleans())
@settings(deadline=None, max_examples=150)
def test_sharpe_agrees_with_numpy(
    times: list[int], data: st.DataObject, window: int, with_readings: bool
) -> None:
    rule = SharpeRule(SharpeSettings(1.0, timedelta(hours=window), 1, INITIAL))
    rule.reset(START)
    equity, exits, readings = INITIAL, [], [(0, INITIAL)]
    for time in times:
        pnl = data.draw(pnls)
        equity += pnl
        exits.append((time, pnl))
        rule.observe(Entry(at(time - 500_000), None, 1.0))
        rule.observe(Exit(at(time), pnl, None, 1.0))
        shown = time + 1 if with_readings else time
        readings.append((shown, equity))
        if with_readings:
            rule.observe(Equity(at(shown), equity))
    now = max(window * HOUR_US, times[-1] + data.draw(st.integers(1, HOUR_US)))
    inside = [time for time in times if now - window * HOUR_US < time <= now]
    verdict = rule.evaluate(at(now))
    if not inside:
        assert verdict.state == "no_data"
        return
    mean, deviation = numpy_sharpe(now, window, np.array(exits, float), np.array(readings, float))
    assume(deviation == 0 or deviation > 1e-7)
    if deviation == 0:
        assert verdict.state == ("firing" if mean < 0 else "no_data")
        return
    assert verdict.value is not None
    assert math.isclose(verdict.value, mean / deviation * math.sqrt(24 * 365), rel_tol=1e-6, abs_tol=1e-6)
    assert (verdict.state == "firing") == (verdict.value < 1.0)


# -- anything at all

amounts = st.one_of(
    st.floats(),
    st.sampled_from([0.0, -0.0, 2000.0, 1400.0, 600.0, -600.0, 1e-9, 1e15, -1e15, 5e-324, math.nan]),
)
symbols = st.sampled_from([None, "", "SOLUSDT", "ETHUSDT"])
sizes = st.one_of(st.none(), st.sampled_from([1.0, 1.3, -1.0, 0.0]), st.floats())
messages = st.one_of(
    st.text("aäm od\n\x00\U0001f600%{(", max_size=30),
    st.sampled_from(
        ["Loading model from a.pkl", "Ensemble model loaded", "Error loading model: x", "Using dummy"]
    ),
)
times = st.integers(0, 60 * 3600).map(lambda second: at(1_000_000 * second))
records = st.one_of(
    st.builds(Entry, times, symbols, sizes),
    st.builds(Exit, times, amounts, symbols, sizes),
    st.builds(Equity, times, amounts),
    st.builds(LogLine, times, st.sampled_from(["INFO", "ERROR"]), st.just("x"), messages),
    st.builds(BotStarted, times),
    st.builds(BotExited, times, st.sampled_from([None, 0, 1, -9, -15])),
    st.builds(GaveUp, times, st.just(3), st.just(10.0)),
)
in_order = st.lists(records, max_size=30).map(lambda found: sorted(found, key=attrgetter("at")))
histories = st.one_of(in_order, st.lists(records, max_size=30))


def engine() -> Engine:
    none = timedelta(0)
    return build(
        [
            (SharpeSettings(1.0, timedelta(hours=3), 2, INITIAL), none),
            (DrawdownSettings(0.25, INITIAL), timedelta(minutes=5)),
            (LossStreakSettings(3), none),
            (LoadErrorSettings(), none),
            (ChecksumSettings(), timedelta(seconds=30)),
        ],
        START,
    )


@given(histories)
@settings(deadline=None, max_examples=150)
def test_no_history_breaks_a_rule(history: list[Record]) -> None:
    one = engine()
    for record in history:
        one.observe(record)
        for verdict in one.evaluate(record.at):
            assert "broken" not in verdict.reason
            json.dumps(verdict.as_dict(), allow_nan=False)
        assert not [kind for kind, _ in one.notices() if kind.startswith("broken")]


@given(histories, st.integers(0, 30))
@settings(deadline=None, max_examples=150)
def test_a_restart_anywhere_changes_no_verdict_and_no_notice(history: list[Record], place: int) -> None:
    one, other = engine(), engine()
    told: list[tuple[str, str]] = []
    told_other: list[tuple[str, str]] = []
    for number, record in enumerate(history):
        if number == place:
            restored = engine()
            restored.restore(json.loads(json.dumps(other.dump(), allow_nan=False)))
            other = restored
        one.observe(record)
        other.observe(record)
        assert one.evaluate(record.at) == other.evaluate(record.at)
        told += one.notices()
        told_other += other.notices()
    assert told == told_other


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from([0.0, math.nan, math.inf, -3.0]), st.just(10_000.0)), max_size=30))
def test_failed_readings_and_an_account_that_never_moves_fire_nothing(readings: list[float]) -> None:
    one = engine()
    for number, equity in enumerate(readings):
        one.observe(Equity(at(number * 60_000_000), equity))
    assert "firing" not in {verdict.state for verdict in one.evaluate(at(4 * HOUR_US))}
