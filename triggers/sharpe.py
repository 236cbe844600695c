"""Sharpe ratio.

Hourly returns r_i = (P&L of the hour) / (equity at its start) over the last `window`, hours without exits counting
as 0; Sharpe = mean(r) / stdev(r, ddof=1) * sqrt(24 * 365), without a risk-free rate (W. F. Sharpe, The Sharpe Ratio,
1994, annualised for hourly returns). Hours slide with `now`: hour k is (now - (k+1) h, now - k h]. Fires below `below`.

Over 24 h its standard error is about 19, so that a healthy strategy with a true Sharpe of 3 reads below 1.0 in about
45 % of hours. The defaults (1.0, 24 h) are the owner's.
"""

import math
import statistics
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from triggers.equity import EquityCurve
from triggers.following import Moment
from triggers.records import Entry, Equity, Exit, Record
from triggers.series import Series
from triggers.verdict import Verdict

HOUR = timedelta(hours=1)
HOURS_A_YEAR = 24 * 365
AHEAD = timedelta(minutes=5)
"""Clocks differ; a record further ahead of `now` is not believed."""

FLAT = 1e-9
"""Returns that differ by less than this share of the largest are the same: the rest is rounding."""


@dataclass(frozen=True)
class SharpeSettings:
    """`window`: whole hours, at least two. `initial_equity`: quote currency."""

    below: float = 1.0
    window: timedelta = timedelta(hours=24)
    min_trades: int = 10
    initial_equity: float = 2000.0

    def __post_init__(self) -> None:
        if self.window < 2 * HOUR or self.window % HOUR:
            raise ValueError(f"sharpe.window is {self.window}; it must be whole hours, at least 2")
        if self.min_trades < 1:
            raise ValueError(f"sharpe.min_trades is {self.min_trades}; it must be 1 or more")
        if not math.isfinite(self.below):
            raise ValueError(f"sharpe.below is {self.below}; it must be a finite number")
        if not 0 < self.initial_equity < math.inf:
            raise ValueError(f"initial_equity is {self.initial_equity}; it must be above 0")

    @property
    def hours(self) -> int:
        """Number of returns."""
        return self.window // HOUR


class _State(msgspec.Struct, forbid_unknown_fields=True):
    curve: EquityCurve
    since: Moment | None = None
    pnl: Series = msgspec.field(default_factory=lambda: Series(sums=True))
    readings: Series = msgspec.field(default_factory=lambda: Series(sums=False))
    first_reading: float | None = None


class SharpeRule:
    """Keeps the exits and the equity of the window."""

    name = "sharpe"

    def __init__(self, settings: SharpeSettings) -> None:
        self._settings = settings
        self._state = _State(EquityCurve(settings.initial_equity))

    def observe(self, record: Record) -> None:
        """Looks at entries, exits and equity readings. O(1) but for records out of order."""
        if not isinstance(record, Entry | Exit | Equity):
            return
        state, window = self._state, self._settings.window
        exits = state.curve.exits
        state.curve.observe(record)
        if isinstance(record, Exit) and state.curve.exits > exits:
            state.pnl.put(record.at, record.pnl, window)
        elif isinstance(record, Equity) and not state.curve.reading_failed:
            state.readings.put(record.at, record.equity, window)
            if state.first_reading is None:
                state.first_reading = record.equity

    def evaluate(self, now: datetime) -> Verdict:
        """Fires below the limit; no_data until the deployment is a window old and has enough trades."""
        settings, since = self._settings, self._state.since
        self._forget(now)
        if since is None:
            return self._no_data("no deployment has begun")
        if now - since < settings.window:
            age = max(0.0, (now - since) / HOUR)
            return self._no_data(f"the deployment is {age:.1f} h old, needs {settings.hours} h")
        pnl, trades = self._hourly_pnl(now)
        if trades < settings.min_trades:
            return self._no_data(
                f"{trades} trades in the last {settings.hours} h, needs {settings.min_trades}"
            )
        equity = self._equity_at_starts(now, pnl)
        if min(equity) <= 0:
            return self._no_data("the equity at the start of an hour was not above 0")
        return self._judge([gain / start for gain, start in zip(pnl, equity, strict=True)], trades)

    def _hourly_pnl(self, now: datetime) -> tuple[list[float], int]:
        """(P&L of each hour, newest first, in quote currency; number of exits)."""
        hours = self._settings.hours
        pnl, trades = [0.0] * hours, 0
        for point in self._state.pnl.points:
            age = now - point.at
            if -AHEAD <= age < self._settings.window:
                pnl[max(0, age // HOUR)] += point.value
                trades += point.count
        return pnl, trades

    def _equity_at_starts(self, now: datetime, pnl: list[float]) -> list[float]:
        """Equity at the start of each hour, newest first. `pnl` is of the same hours."""
        state, curve = self._state, self._state.curve
        starts = [now - (hour + 1) * HOUR for hour in range(len(pnl))]
        standing = curve.standing
        if standing is not None and standing.track == "reported" and state.first_reading is not None:
            first = state.first_reading if curve.start is None else curve.start
            found = (state.readings.value_at(start) for start in starts)
            return [first if value is None else value for value in found]
        later = sum(point.value for point in state.pnl.points if now - point.at < -AHEAD)
        equity, result = curve.initial_equity + curve.pnl - later, []
        for gain in pnl:
            equity -= gain
            result.append(equity)
        return result

    def _judge(self, returns: list[float], trades: int) -> Verdict:
        limit, hours, remarks = self._settings.below, self._settings.hours, self._state.curve.remarks
        mean = statistics.fmean(returns)
        if max(returns) - min(returns) <= FLAT * max(map(abs, returns)):
            if mean < 0:
                lost = f"each of the last {hours} hours lost the same {-100 * mean:.3g} %"
                reason = f"{lost}: sharpe is far below {limit:g}{remarks}"
                return Verdict(self.name, "firing", None, limit, reason)
            return self._no_data(f"the returns of the last {hours} hours are all the same, there is no ratio")
        sharpe = mean / statistics.stdev(returns) * math.sqrt(HOURS_A_YEAR)
        digits = 2 if f"{sharpe:.2f}" != f"{limit:.2f}" else 6
        over = f"sharpe {sharpe:.{digits}f} over {hours} h ({trades} trade{'' if trades == 1 else 's'})"
        if sharpe < limit:
            return Verdict(self.name, "firing", sharpe, limit, f"{over} is below {limit:g}{remarks}")
        return Verdict(self.name, "ok", sharpe, limit, f"{over} is not below {limit:g}{remarks}")

    def _no_data(self, reason: str) -> Verdict:
        return Verdict(
            self.name, "no_data", None, self._settings.below, f"{reason} (limit {self._settings.below:g})"
        )

    def _forget(self, now: datetime) -> None:
        # Twice the window: a clock that is put forward by mistake must not cost the data.
        until = now - 2 * self._settings.window
        self._state.pnl.forget(until)
        self._state.readings.forget(until)

    def reset(self, since: datetime) -> None:
        """The window begins anew."""
        self._state = _State(EquityCurve(self._settings.initial_equity), since)

    def dump(self) -> dict[str, Any]:
        """The curve, and the exits and readings of two windows."""
        state: dict[str, Any] = msgspec.to_builtins(self._state)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Takes it over."""
        found = msgspec.convert(state, _State)
        if found.curve.initial_equity != self._settings.initial_equity:
            raise ValueError(f"this state was kept with an initial_equity of {found.curve.initial_equity}")
        self._state = found

    def notices(self) -> list[tuple[str, str]]:
        """None: the drawdown rule, whose curve is the same, tells of cash flows."""
        self._state.curve.notices()
        return []
