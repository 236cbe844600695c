"""Drawdown.

Fires when (peak - equity) / peak, since the start of the deployment, is above `above`; both are in quote currency, the
result is a share. Which equity counts, and what is no loss, see `triggers.equity`. The default of 25 % is the owner's.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from triggers.cash_flow import Suspect
from triggers.equity import EquityCurve
from triggers.records import Entry, Equity, Exit, Record, Transferred
from triggers.verdict import Verdict, percent


@dataclass(frozen=True)
class DrawdownSettings:
    """`above`: a share, 0.25 is 25 %. `initial_equity`: quote currency."""

    above: float = 0.25
    initial_equity: float = 2000.0

    def __post_init__(self) -> None:
        if not 0 < self.above < 1:
            raise ValueError(f"drawdown.above is {self.above}; it must lie between 0 and 1 (25 % is 0.25)")
        if not 0 < self.initial_equity < math.inf:
            raise ValueError(f"initial_equity is {self.initial_equity}; it must be above 0")


class DrawdownRule:
    """Follows the equity and its peak."""

    name = "drawdown"

    def __init__(self, settings: DrawdownSettings) -> None:
        self._settings = settings
        self._curve = EquityCurve(settings.initial_equity)

    def observe(self, record: Record) -> None:
        """Looks at entries, exits and equity readings."""
        if isinstance(record, Entry | Exit | Equity):
            self._curve.observe(record)
        elif isinstance(record, Transferred):
            self._curve.transferred(record)

    @property
    def suspects(self) -> list[Suspect]:
        """Withdrawals about which a transfer history has not yet decided."""
        return list(self._curve.flows.suspects)

    def evaluate(self, now: datetime) -> Verdict:  # noqa: ARG002  (the time plays no part)
        """Fires above the limit, not at it."""
        limit, standing, remarks = self._settings.above, self._curve.standing, self._curve.remarks
        if standing is None:
            reason = f"no exit and no equity reading in this deployment yet (limit {percent(limit)}){remarks}"
            return Verdict(self.name, "no_data", None, limit, reason)
        drawdown = standing.drawdown
        share = percent(drawdown, apart_from=limit)
        if drawdown > limit:
            fell = f"equity fell from {standing.peak:,.2f} to {standing.equity:,.2f}"
            reason = f"drawdown {share} is above {percent(limit)}: {fell}{remarks}"
            return Verdict(self.name, "firing", drawdown, limit, reason)
        stands = f"equity {standing.equity:,.2f}, peak {standing.peak:,.2f}"
        reason = f"drawdown {share} is not above {percent(limit)}: {stands}{remarks}"
        return Verdict(self.name, "ok", drawdown, limit, reason)

    def reset(self, since: datetime) -> None:  # noqa: ARG002
        """The equity at the start is the first peak."""
        self._curve = EquityCurve(self._settings.initial_equity)

    def dump(self) -> dict[str, Any]:
        """The curve."""
        return {"curve": msgspec.to_builtins(self._curve)}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes the curve over."""
        curve = msgspec.convert(state["curve"], EquityCurve)
        if curve.initial_equity != self._settings.initial_equity:
            raise ValueError(f"this state was kept with an initial_equity of {curve.initial_equity}")
        self._curve = curve

    def notices(self) -> list[tuple[str, str]]:
        """Suspected withdrawals and deposits."""
        return self._curve.notices()
