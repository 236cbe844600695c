"""The equity of a deployment, from what the bot logs: honest about readings that are no losses.

Two tracks run side by side. `realised` is initial_equity plus the P&L of the exits. `reported` is what the bot read
from the account. The reported one counts where there are readings; the realised one where there are none, and where the
readings never move while exits do (a paper account).

**Cash flows.** Deposits and withdrawals are no trading. At a reading e seen while no position is open, what trading can
explain lies between lower and upper: the reading before, that one plus the P&L since, and the last flat reading plus
the P&L since then. Further out than TOLERANCE it is a cash flow, and the peak is scaled by e/lower (or e/upper), so
that a drawdown from before stays what it was: the time-weighted convention of performance measurement. While a position
is open, every move is a gain or a loss. Exchanges lag: P&L that a reading does not show yet explains a later move for
LAG.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from triggers.records import Entry, Equity, Exit, TradeRecord

TOLERANCE = 0.01
"""Fees and funding move equity too; less than this share of it is no cash flow, and counts as a loss or gain."""

LAG = timedelta(minutes=5)
FROZEN_EXITS = 3
CLOSED_SHARE = 0.01
"""What may be left of a position that was closed, as a share of it: rounding."""


@dataclass
class Track:
    """An equity and its peak since the start of the deployment."""

    equity: float
    peak: float

    def move(self, equity: float) -> None:
        """A new value."""
        self.equity = equity
        self.peak = max(self.peak, equity)

    @property
    def drawdown(self) -> float:
        """(peak - equity) / peak, a share."""
        return (self.peak - self.equity) / self.peak if self.peak > 0 else 0.0


@dataclass
class Positions:
    """Which symbols have an open position, and its size where the log tells it."""

    open: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    """symbol -> (opened, left), or None where a size is missing."""

    @property
    def flat(self) -> bool:
        """No position is open."""
        return not self.open

    def enter(self, record: Entry) -> None:
        """Opens a position, or adds to it."""
        key, size = record.symbol or "", _size(record.size)
        before = self.open.get(key, (0.0, 0.0))
        self.open[key] = None if size is None or before is None else (before[0] + size, before[1] + size)

    def leave(self, record: Exit) -> None:
        """Closes a position, or a part of it."""
        key, size = record.symbol or "", _size(record.size)
        before = self.open.pop(key, None)
        if before is None or size is None:
            return
        opened, left = before[0], before[1] - size
        if left > CLOSED_SHARE * opened:
            self.open[key] = (opened, left)


class EquityCurve:
    """Streaming; state of constant size."""

    def __init__(self, initial_equity: float) -> None:
        self._initial = initial_equity
        self._notices: list[tuple[str, str]] = []
        self.reset()

    def reset(self) -> None:
        """A new deployment starts."""
        self.realised = Track(self._initial, self._initial)
        self.reported: Track | None = None
        self.positions = Positions()
        self.exits = 0
        self.failed_readings = 0
        self.reading_failed = False
        self.frozen = False
        self._pnl = 0.0
        """P&L of all exits so far; the differences below are taken from it."""
        self._pnl_at_reading = 0.0
        self._flat_equity: float | None = None
        self._pnl_at_flat = 0.0
        self._carried = 0.0
        self._last_exit_at: datetime | None = None
        self._still_exits = 0
        self._still_readings = 0
        self._pnl_at_move = 0.0

    # -- feeding

    def observe(self, record: TradeRecord) -> None:
        """One record of the trade log."""
        if isinstance(record, Entry):
            self.positions.enter(record)
        elif isinstance(record, Exit):
            self._observe_exit(record)
        elif math.isfinite(record.equity) and record.equity > 0:
            self.reading_failed = False
            self._observe_reading(record)
        else:
            self.failed_readings += 1
            self.reading_failed = True

    def _observe_exit(self, record: Exit) -> None:
        if not math.isfinite(record.pnl):
            return
        self.exits += 1
        self._pnl += record.pnl
        self._last_exit_at = record.at
        self.realised.move(self._initial + self._pnl)
        self.positions.leave(record)
        if record.pnl != 0 and self.reported is not None:
            self._still_exits += 1

    def _observe_reading(self, record: Equity) -> None:
        equity = record.equity
        if self.reported is None:
            # An exit is logged just before its own reading: what it lost belongs into the drawdown.
            start = equity - self._pnl
            self.reported = Track(equity, max(start, equity) if start > 0 else equity)
        else:
            self._watch_frozen(equity)
            if self.positions.flat:
                self._take_out_cash_flow(equity, record.at)
            self.reported.move(equity)
        if self.positions.flat:
            expected = self._flat_expected()
            late = self._last_exit_at is not None and record.at - self._last_exit_at <= LAG
            self._carried = expected - equity if late and expected is not None else 0.0
            self._flat_equity, self._pnl_at_flat = equity, self._pnl
        self._pnl_at_reading = self._pnl

    def _flat_expected(self) -> float | None:
        return (
            None
            if self._flat_equity is None
            else self._flat_equity + self._carried + self._pnl - self._pnl_at_flat
        )

    def _take_out_cash_flow(self, equity: float, at: datetime) -> None:
        """Scales the peak by what trading cannot explain."""
        track = self.reported
        assert track is not None
        if self._last_exit_at is None or at - self._last_exit_at > LAG:
            self._carried = 0.0
        before, expected = track.equity, self._flat_expected()
        explained = [before, before + self._pnl - self._pnl_at_reading]
        if expected is not None:
            explained.append(expected)
        lower, upper = min(explained), max(explained)
        if lower > 0 and equity < lower * (1 - TOLERANCE):
            track.peak *= equity / lower
            self._carried = 0.0
            self._flat_equity = None
            self._notices.append(
                (
                    "withdrawal",
                    f"equity fell from {before:,.2f} to {equity:,.2f} while no position was open and no exit explains it: "
                    f"taken for a withdrawal of {lower - equity:,.2f}, not for a loss. If it was a loss, halt the bot",
                )
            )
        elif upper > 0 and equity > upper * (1 + TOLERANCE):
            track.peak *= equity / upper
            self._carried = 0.0
            self._flat_equity = None
            self._notices.append(
                (
                    "deposit",
                    f"equity rose from {before:,.2f} to {equity:,.2f} without a trade: taken for a deposit of {equity - upper:,.2f}",
                )
            )

    def _watch_frozen(self, equity: float) -> None:
        """A test account's equity never moves, while the exits' P&L does."""
        track = self.reported
        assert track is not None
        if equity == track.equity:
            self._still_readings += 1
            if self._still_exits >= FROZEN_EXITS and self._still_readings >= 2:
                self.frozen = True
            return
        moved, pending = equity - track.equity, self._pnl - self._pnl_at_move
        in_line = pending != 0 and 0.5 <= moved / pending <= 1.5
        if not self.frozen or in_line:
            self.frozen = False
            self._still_exits = self._still_readings = 0
            self._pnl_at_move = self._pnl

    # -- asking

    @property
    def track(self) -> Track | None:
        """The track that counts, or None when there is no data at all."""
        if self.reported is not None and not self.frozen:
            return self.reported
        return self.realised if self.exits or self.frozen else None

    def notices(self) -> list[tuple[str, str]]:
        """Suspected cash flows, each once."""
        found, self._notices = self._notices, []
        return found

    @property
    def remarks(self) -> str:
        """What a verdict's reason must not hide."""
        return "".join(self._remarks())

    def _remarks(self) -> Iterator[str]:
        if self.frozen:
            yield "; the equity records do not move (a paper account?), so it is judged on realised P&L"
        if self.reading_failed:
            yield "; the newest equity reading failed (0 or not a number) and is left out"

    # -- keeping

    _KEPT = (
        "exits", "failed_readings", "reading_failed", "frozen", "_pnl", "_pnl_at_reading", "_flat_equity", "_pnl_at_flat",
        "_carried", "_still_exits", "_still_readings", "_pnl_at_move",
    )  # fmt: skip

    def dump(self) -> dict[str, Any]:
        """All of it, as JSON."""
        state: dict[str, Any] = {name: getattr(self, name) for name in self._KEPT}
        state["realised"] = [self.realised.equity, self.realised.peak]
        state["reported"] = self.reported and [self.reported.equity, self.reported.peak]
        state["positions"] = self.positions.open
        state["last_exit_at"] = self._last_exit_at and self._last_exit_at.isoformat()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `dump` gave."""
        for name in self._KEPT:
            setattr(self, name, state[name])
        self.realised = Track(*state["realised"])
        self.reported = state["reported"] and Track(*state["reported"])
        self.positions = Positions(
            {key: left and (left[0], left[1]) for key, left in state["positions"].items()}
        )
        self._last_exit_at = state["last_exit_at"] and datetime.fromisoformat(state["last_exit_at"])


def _size(size: float | None) -> float | None:
    return abs(size) if size is not None and math.isfinite(size) and size != 0 else None
