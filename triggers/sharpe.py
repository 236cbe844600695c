"""Sharpe ratio.

Hourly returns r_i = (P&L of the hour) / (equity at its start) over the last `window`, hours without exits counting as 0;
Sharpe = mean(r) / stdev(r, ddof=1) * sqrt(24 * 365), without a risk-free rate (W. F. Sharpe, 1994, annualised as hourly
returns are). Hours slide with `now`: hour k is (now - (k+1) h, now - k h]. Fires when it is below `below`.

Over 24 h its standard error is about 19, so that a healthy strategy with a true Sharpe of 3 reads below 1.0 in about
45 % of hours. The defaults (1.0, 24 h) are the owner's.
"""

import bisect
import math
import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from triggers.equity import EquityCurve
from triggers.records import Entry, Equity, Exit, Record
from triggers.verdict import Verdict

HOUR_S = 3600.0
ANNUAL = math.sqrt(24 * 365)
AHEAD_S = 300.0
"""Clocks differ; a record further ahead of `now` is not believed."""

MOST = 20_000
"""Exits and equity readings that are kept one by one; beyond, those of `COARSE_S` seconds are merged."""

COARSE_S = 10.0


@dataclass(frozen=True)
class SharpeSettings:
    """`window`: whole hours, at least two. `initial_equity`: quote currency."""

    below: float = 1.0
    window: timedelta = timedelta(hours=24)
    min_trades: int = 10
    initial_equity: float = 2000.0

    def __post_init__(self) -> None:
        if self.window < timedelta(hours=2) or self.window % timedelta(hours=1):
            raise ValueError(f"sharpe.window is {self.window}; it must be whole hours, at least 2")
        if self.min_trades < 1:
            raise ValueError(f"sharpe.min_trades is {self.min_trades}; it must be 1 or more")
        if not math.isfinite(self.below):
            raise ValueError(f"sharpe.below is {self.below}; it must be a number")
        if not 0 < self.initial_equity < float("inf"):
            raise ValueError(f"initial_equity is {self.initial_equity}; it must be above 0")

    @property
    def hours(self) -> int:
        """Number of returns."""
        return int(self.window / timedelta(hours=1))


class Series:
    """Values in order of time, pruned to a window and bounded in number. Seconds since the epoch."""

    def __init__(self, *, add: bool) -> None:
        self._add = add
        self.at: list[float] = []
        self.values: list[float] = []

    def put(self, at: float, value: float) -> None:
        """Nearly always at the end; late by seconds is tolerated."""
        index = bisect.bisect_right(self.at, at)
        self.at.insert(index, at)
        self.values.insert(index, value)
        if len(self.at) > MOST:
            self._merge()

    def prune(self, before: float) -> None:
        """Forgets what is older than `before`, but for the last one (the equity at the window's start)."""
        index = max(0, bisect.bisect_right(self.at, before) - 1)
        del self.at[:index], self.values[:index]

    def last(self, until: float) -> float | None:
        """The value at `until`: the last one not after it."""
        index = bisect.bisect_right(self.at, until)
        return self.values[index - 1] if index else None

    def _merge(self) -> None:
        """Halves what is kept, at least: neighbours within COARSE_S, or the width that does it, become one."""
        width = max(COARSE_S, (self.at[-1] - self.at[0]) / (MOST / 2))
        at, values = [self.at[0]], [self.values[0]]
        for when, value in zip(self.at[1:], self.values[1:], strict=True):
            if int(when / width) == int(at[-1] / width):
                at[-1] = when
                values[-1] = values[-1] + value if self._add else value
            else:
                at.append(when)
                values.append(value)
        self.at, self.values = at, values


class SharpeRule:
    """Keeps the exits and the equity of the window."""

    name = "sharpe"

    def __init__(self, settings: SharpeSettings) -> None:
        self._settings = settings
        self._curve = EquityCurve(settings.initial_equity)
        self._pnl = Series(add=True)
        self._equity = Series(add=False)
        self._since: datetime | None = None
        self._start_equity = settings.initial_equity

    def observe(self, record: Record) -> None:
        """Looks at entries, exits and equity readings."""
        if not isinstance(record, Entry | Exit | Equity):
            return
        first = self._curve.track is None
        self._curve.observe(record)
        track = self._curve.track
        if isinstance(record, Entry) or track is None:
            return
        if first and isinstance(record, Equity):
            self._start_equity = track.peak
        at = record.at.timestamp()
        self._equity.put(at, track.equity)
        if isinstance(record, Exit) and math.isfinite(record.pnl):
            self._pnl.put(at, record.pnl)

    def evaluate(self, now: datetime) -> Verdict:
        """Fires below the limit; no_data until the deployment is a window old and has enough trades."""
        settings = self._settings
        self._prune(now)
        age = timedelta(0) if self._since is None else now - self._since
        if age < settings.window:
            return self._no_data(
                f"the deployment is {age / timedelta(hours=1):.1f} h old, {settings.hours} h are needed"
            )
        returns, trades = self._returns(now.timestamp())
        if trades < settings.min_trades:
            return self._no_data(
                f"{trades} trades in the last {settings.hours} h, {settings.min_trades} are needed"
            )
        if returns is None:
            return self._no_data("the equity at the start of an hour was not above 0")
        return self._judge(returns, trades)

    def _judge(self, returns: list[float], trades: int) -> Verdict:
        limit, hours = self._settings.below, self._settings.hours
        mean, deviation = statistics.fmean(returns), statistics.stdev(returns)
        if deviation <= 1e-12 * max(abs(r) for r in returns) or deviation == 0:
            if mean < 0:
                reason = f"every hour of the last {hours} lost the same {-mean:.4%}, so sharpe is below {limit:g} without bound"
                return Verdict(self.name, "firing", None, limit, reason)
            return self._no_data(f"every hour of the last {hours} was the same, so there is no deviation")
        sharpe = mean / deviation * ANNUAL
        state, relation = ("firing", "is below") if sharpe < limit else ("ok", "is not below")
        reason = (
            f"sharpe {sharpe:.2f} over {hours} h ({trades} trades) {relation} {limit:g}{self._curve.remarks}"
        )
        return Verdict(self.name, state, sharpe, limit, reason)  # type: ignore[arg-type]

    def _no_data(self, reason: str) -> Verdict:
        return Verdict(
            self.name, "no_data", None, self._settings.below, f"{reason} (limit {self._settings.below:g})"
        )

    def _returns(self, now_s: float) -> tuple[list[float] | None, int]:
        """(hourly returns, newest first; number of exits). None when an hour began with nothing to lose."""
        hours = self._settings.hours
        pnl, trades = [0.0] * hours, 0
        for at, value in zip(self._pnl.at, self._pnl.values, strict=True):
            hour = max(0, math.floor((now_s - at) / HOUR_S))
            if hour < hours and at - now_s <= AHEAD_S:
                pnl[hour] += value
                trades += 1
        returns = []
        for hour in range(hours):
            equity = self._equity.last(now_s - (hour + 1) * HOUR_S)
            equity = self._start_equity if equity is None else equity
            if equity <= 0:
                return None, trades
            returns.append(pnl[hour] / equity)
        return returns, trades

    def _prune(self, now: datetime) -> None:
        begin = now.timestamp() - self._settings.hours * HOUR_S
        self._pnl.prune(begin)
        self._equity.prune(begin)

    def reset(self, since: datetime) -> None:
        """The window begins anew."""
        self._since = since
        self._curve.reset()
        self._pnl, self._equity = Series(add=True), Series(add=False)
        self._start_equity = self._settings.initial_equity

    def dump(self) -> dict[str, Any]:
        """The window's exits and equity, at most `MOST` of each."""
        return {
            "since": self._since and self._since.isoformat(),
            "start_equity": self._start_equity,
            "curve": self._curve.dump(),
            "pnl": [self._pnl.at, self._pnl.values],
            "equity": [self._equity.at, self._equity.values],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes it over."""
        self._since = state["since"] and datetime.fromisoformat(state["since"])
        self._start_equity = float(state["start_equity"])
        self._curve.restore(state["curve"])
        for series, (at, values) in ((self._pnl, state["pnl"]), (self._equity, state["equity"])):
            series.at, series.values = list(at), list(values)

    def notices(self) -> list[tuple[str, str]]:
        """None of its own: the drawdown rule tells of cash flows."""
        self._curve.notices()
        return []
