"""Drawdown.

Fires when (peak - equity) / peak is above `above`, since the start of the deployment; both are positive amounts of
quote currency, the result is a share. Which equity counts, and what is no loss, see `triggers.equity`. The default of
25 % is the owner's.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triggers.equity import EquityCurve
from triggers.records import Entry, Equity, Exit, Record
from triggers.verdict import Verdict


@dataclass(frozen=True)
class DrawdownSettings:
    """`above`: a share, 0.25 is 25 %. `initial_equity`: quote currency."""

    above: float = 0.25
    initial_equity: float = 2000.0

    def __post_init__(self) -> None:
        if not 0 < self.above < 1:
            raise ValueError(f"drawdown.above is {self.above}; it must lie between 0 and 1 (25 % is 0.25)")
        if not 0 < self.initial_equity < float("inf"):
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

    def evaluate(self, now: datetime) -> Verdict:  # noqa: ARG002
        """Fires above the limit, not at it."""
        limit = self._settings.above
        track = self._curve.track
        if track is None:
            reason = f"no exit and no equity reading in this deployment yet{self._curve.remarks}"
            return Verdict(self.name, "no_data", None, limit, reason)
        drawdown = track.drawdown
        fell = f"equity {track.equity:,.2f}, peak {track.peak:,.2f}{self._curve.remarks}"
        if drawdown > limit:
            return Verdict(
                self.name,
                "firing",
                drawdown,
                limit,
                f"drawdown {_percent(drawdown)} is above {_percent(limit)}: {fell}",
            )
        return Verdict(
            self.name,
            "ok",
            drawdown,
            limit,
            f"drawdown {_percent(drawdown)} (limit {_percent(limit)}): {fell}",
        )

    def reset(self, since: datetime) -> None:  # noqa: ARG002
        """The next equity is the first peak."""
        self._curve.reset()

    def dump(self) -> dict[str, Any]:
        """The curve."""
        return self._curve.dump()

    def restore(self, state: dict[str, Any]) -> None:
        """Takes the curve over."""
        self._curve.restore(state)

    def notices(self) -> list[tuple[str, str]]:
        """Suspected withdrawals and deposits."""
        return self._curve.notices()


def _percent(share: float) -> str:
    """25 %, 26.1 %."""
    return f"{share * 100:.3g} %"
