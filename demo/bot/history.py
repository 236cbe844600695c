"""Trade logs of days that never were: an hourly rhythm of wins and losses with a Sharpe ratio as asked for.

Hour k returns r_k = SIGMA_PCT * (MEAN[kind] + z_k) percent of the equity at its start, with z_k close to -1
and +1 in turn. So over any 24 of these hours mean / stdev is close to MEAN[kind], and the annualised Sharpe
ratio, that times sqrt(24 * 365) = 93.6, is close to -20 or +55. Wins and losses alternate within the hour
too: there is no losing streak near ten, and no drawdown near 25 %.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

from .ledger import entry_line, equity_line, exit_line, stamp
from .market import START_PRICE, Trade

History = Literal["low_sharpe", "high_sharpe"]
MEAN: dict[History, float] = {"low_sharpe": -0.22, "high_sharpe": 0.6}
SIGMA_PCT = 0.5
SHARES = (0.7, -0.3, 0.6)
"""How the P&L of an hour is spread over its exits."""
MINUTES = (10.0, 30.0, 50.0)
HOLDS = timedelta(minutes=5)


def history(
    kind: History, *, hours: int, ends_at: datetime, equity: float, seed: int, utc_offset_h: float = 0.0
) -> Iterator[dict[str, Any]]:
    """The lines of the `hours` before `ends_at`, oldest first, with `equity` at their start."""
    rng = random.Random(f"{seed} {kind}")
    for hour in range(hours):
        starts_at = ends_at - timedelta(hours=hours - hour)
        z = (1 if hour % 2 else -1) * rng.uniform(0.9, 1.1)
        pnl_of_hour = equity * SIGMA_PCT / 100 * (MEAN[kind] + z)
        for share, minute in zip(SHARES, MINUTES, strict=True):
            closes_at = starts_at + timedelta(minutes=minute + rng.uniform(-5, 5))
            trade = _trade(share * pnl_of_hour, equity, rng)
            equity += trade.pnl
            yield entry_line(trade, stamp(closes_at - HOLDS, utc_offset_h))
            yield exit_line(trade, stamp(closes_at, utc_offset_h))
            yield equity_line(equity, trade.pnl, stamp(closes_at + timedelta(seconds=1), utc_offset_h))


def _trade(pnl: float, notional: float, rng: random.Random) -> Trade:
    direction = rng.choice((1, -1))
    entry = round(START_PRICE * rng.uniform(0.97, 1.03), 4)
    return Trade(
        direction=direction,
        entry_price=entry,
        exit_price=round(entry * (1 + direction * pnl / notional), 4),
        size=round(notional / entry, 4),
        stop_loss=round(entry * (1 - direction * 0.01), 4),
        take_profit=round(entry * (1 + direction * 0.01), 4),
        ml_confidence=round(rng.uniform(0.55, 0.9), 2),
        duration=1,
    )
