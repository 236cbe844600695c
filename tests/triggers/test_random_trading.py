"""Random trading in parts, in several symbols, with and without entries: the drawdown is what NumPy makes of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.triggers.story import START
from triggers import (
    DrawdownRule,
    DrawdownSettings,
    Entry,
    Equity,
    Exit,
    LossStreakRule,
    LossStreakSettings,
    Record,
)


@dataclass
class Account:
    """What a bot writes, and the account behind it. Readings follow the exits, or there are none."""

    cash: float
    logs_entries: bool
    logs_equity: bool
    at: datetime = START
    records: list[Record] = field(default_factory=list)
    initial: float = 0.0

    def __post_init__(self) -> None:
        self.initial = self.cash

    def enters(self, symbol: str | None, size: float) -> None:
        if self.logs_entries:
            self.records.append(Entry(self.at, symbol, size))

    def exits(self, pnl: float, symbol: str | None, size: float) -> None:
        self.cash = round(self.cash + pnl, 2)
        self.records.append(Exit(self.at, pnl, symbol, size if self.logs_entries else None))

    def reads(self, unrealised: float = 0.0) -> None:
        self.at += timedelta(seconds=0.5)
        if self.logs_equity:
            self.records.append(Equity(self.at, round(self.cash * (1 + unrealised), 2)))


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """P&L of up to 20 % of the account and of exactly nothing. Readings before the first flat one carry no unrealised
    P&L, and neither do those of logs without entries: what such a log means cannot be known."""
    account = Account(draw(st.integers(100_00, 10**7)) / 100, draw(st.booleans()), draw(st.booleans()))
    sets: list[list[str | None]] = [[None], ["SOLUSDT"], ["SOLUSDT", "ETHUSDT"]]
    symbols = draw(st.sampled_from(sets))
    from_start = draw(st.booleans())
    if from_start:
        account.reads()
    for number in range(draw(st.integers(0, 20))):
        symbol, parts = symbols[number % len(symbols)], draw(st.sampled_from([1, 1, 2, 3]))
        account.at += timedelta(seconds=draw(st.floats(0.5, 20_000)))
        account.enters(symbol, 2.0 * parts)
        for part in range(parts):
            account.at += timedelta(seconds=draw(st.floats(0.5, 20_000)))
            if from_start and account.logs_entries and draw(st.booleans()):
                account.reads(draw(st.floats(-0.1, 0.1)))
            share = draw(st.sampled_from([0.0, 1e-4, 1e-3, 0.01, 0.05, 0.2])) * draw(st.floats(-1, 1))
            account.exits(round(account.cash * share, 2), symbol, 2.0)
            if (from_start or part == parts - 1) and (number == 0 or draw(st.integers(0, 9))):
                account.reads()
    account.reads()
    return account


def path(records: list[Record], initial: float) -> list[float]:
    """Where the equity went: what was read, or else the realised P&L. Exits before the first reading lie before it."""
    readings = [r.equity for r in records if isinstance(r, Equity)]
    first = next((i for i, r in enumerate(records) if isinstance(r, Equity)), len(records))
    pnl = np.cumsum([0.0, *(r.pnl for r in records[:first] if isinstance(r, Exit))])
    return [*(pnl + (readings[0] - pnl[-1] if readings else initial)), *readings]


@settings(deadline=None, max_examples=150)
@given(accounts(), st.data())
def test_the_drawdown_is_that_of_the_path(account: Account, data: st.DataObject) -> None:
    records, initial = account.records, account.initial
    ends = [
        i + 1
        for i, r in enumerate(records)
        if isinstance(r, Equity | Exit if not account.logs_equity else Equity)
    ]
    records = records[: data.draw(st.sampled_from(ends))] if ends else []
    rule = DrawdownRule(DrawdownSettings(0.25, initial))
    for record in records:
        rule.observe(record)
    verdict = rule.evaluate(account.at)
    assert rule.notices() == []
    if not records:
        assert (verdict.state, verdict.value) == ("no_data", None)
        return
    equity = np.array(path(records, initial))
    expected = float(1 - equity[-1] / np.max(equity))
    assert verdict.value == pytest.approx(expected, abs=1e-9)
    if abs(expected - 0.25) > 1e-9:
        assert verdict.state == ("firing" if expected > 0.25 else "ok")


@settings(deadline=None, max_examples=60)
@given(accounts())
def test_the_streak_is_that_of_the_exits_alone(account: Account) -> None:
    rule = LossStreakRule(LossStreakSettings(3))
    for record in account.records:
        rule.observe(record)
    signs = np.sign([r.pnl for r in account.records if isinstance(r, Exit)])
    told = signs[signs != 0]
    wins = np.flatnonzero(told > 0)
    assert rule.evaluate(account.at).value == (
        None if not len(signs) else len(told) - (wins[-1] + 1 if len(wins) else 0)
    )
