"""Deposits and withdrawals, told apart from gains and losses.

Only at a reading that is seen while no position is open. Then trading explains the last flat reading plus the P&L of
the exits since, give or take fees. It also explains a reading that does not show the newest exits yet, since exchanges
lag; and after a reading with an open position one that stays where that was, since bots log an exit late. An exit whose
P&L may be in the readings before it (its entry was never seen), or that one reading did not show, may count or not.

What lies further out is a cash flow, and takes the equity from `before` to the reading. Whoever keeps a peak scales it
by reading / before, so that a drawdown stays what it was: the time-weighted convention of performance measurement.
Where nothing is in doubt, `before` is what the exits have left, so that a deposit hides no loss.

A history of transfers, where there is one, decides about a suspected withdrawal: what of it was not transferred is a
loss after all.

Some logs tell no entries, so that an open position's loss looks like a withdrawal until its exit is logged. The flow
is therefore kept in doubt: if exits without an entry explain it after all, the scaling is undone.
"""

from datetime import datetime, timedelta
from itertools import accumulate
from typing import Literal, NamedTuple

import msgspec

from triggers.following import LAG, Moment

TOLERANCE = 0.01
"""Of the equity: fees and funding are no cash flow. What is smaller counts as a gain or a loss."""
AN_EXIT = 0.02
"""As much again for each exit since the last flat reading: slippage, and commission on a leveraged position."""
LARGEST = 0.05

EXPLAINED = 0.01
"""Of the equity: so near must exits without an entry come to explain a suspected flow."""

DOUBT_FOR = timedelta(days=1)
"""A position whose entry was not logged is rarely held for longer."""

MOST_PENDING = 64
MOST_SUSPECTS = 8
TWO_READINGS = 2


class Flow(NamedTuple):
    """What a reading or an exit changes: `factor` scales peaks. `explained`: the last flow was none; `denied`: the
    transfer history does not know it, or not all of it."""

    factor: float
    kind: Literal["withdrawal", "deposit", "explained", "denied"]
    before: float


class Pending(msgspec.Struct, array_like=True):
    """An exit that the readings need not show. `certain`: those before it cannot, and none since has failed to."""

    at: Moment
    pnl: float
    certain: bool
    readings: int = 0


class Doubt(msgspec.Struct, forbid_unknown_fields=True):
    """A suspected flow: what the account would read had it been a position's gain or loss, and the scaling."""

    at: Moment
    value: float
    factor: float
    pnl: float = 0.0
    """Of exits since whose entry was never seen."""


class Suspect(msgspec.Struct, forbid_unknown_fields=True):
    """A suspected withdrawal, about which a transfer history may decide. It was made after `since`."""

    at: Moment
    since: Moment
    before: float
    after: float
    peak: float = 0.0
    start_peak: float = 0.0
    """What the flow left of the two peaks; 0: not told yet."""


class CashFlows(msgspec.Struct, forbid_unknown_fields=True):
    """Streaming; bounded in size. Quote currency throughout."""

    last: float | None = None
    """The newest reading."""
    base: float | None = None
    """The newest flat one; `pending` are the exits that it does not show."""
    pending: list[Pending] = []
    older: float = 0.0
    """P&L of exits before those, when they are too many to be kept one by one."""
    blurred: bool = False
    """A position was open at `last`, so that it may hold P&L of exits to come."""
    unknown: bool = False
    """An exit since `base` did not tell its P&L: it explains everything."""
    unread: int = 0
    """Exits since `last`; `unread_pnl` is theirs."""
    unread_pnl: float = 0.0
    doubt: Doubt | None = None
    base_at: Moment | None = None
    suspects: list[Suspect] = []

    def exit(self, at: datetime, pnl: float | None, *, entered: bool, live: bool) -> Flow | None:
        """A realised P&L, None if it is unknown. `entered`: its position was known to be open, so not at a flow.
        `live`: the account is known to follow its exits."""
        self.unread += 1
        if pnl is None:
            self.unknown = True
            return None
        self.unread_pnl += pnl
        self.pending.append(Pending(at, pnl, certain=entered and live and self.base is not None))
        if len(self.pending) > MOST_PENDING:
            self.older += self.pending.pop(0).pnl
        if self.doubt is None or self.last is None:
            return None
        self.doubt.value += pnl
        self.doubt.pnl += 0.0 if entered else pnl
        explained = None if entered else self._explained(at, self.last)
        if explained is not None:
            self.base, self.pending, self.older = self.last, [], 0.0
        return explained

    def reading(self, at: datetime, equity: float, *, flat: bool) -> Flow | None:
        """A valid reading."""
        flow = None
        if flat:
            tolerance = 1 + min(LARGEST, TOLERANCE + AN_EXIT * len(self.pending))
            self._expire(at)
            flow = self._explained(at, equity)
            if flow is not None:
                self.pending = []
            elif self.base is not None and self.last is not None:
                flow = self._judge(self.base + self.older, self.last, equity, tolerance)
            if flow is not None and flow.kind != "explained":
                self._doubt(at, flow)
            if flow is not None and flow.kind == "withdrawal" and self.base_at is not None:
                self.suspects.append(Suspect(at, self.base_at, flow.before, equity))
                del self.suspects[:-MOST_SUSPECTS]
            for pending in self.pending:
                # The first reading of all is of the moment when bots begin to look: it is late by LAG at most.
                pending.readings += TWO_READINGS if self.base is None else 1
                pending.certain = False
            self.base, self.base_at, self.older, self.unknown = equity, at, 0.0, False
        self.last, self.blurred = equity, not flat
        self.unread, self.unread_pnl = 0, 0.0
        return flow

    def _judge(self, base: float, last: float, equity: float, tolerance: float) -> Flow | None:
        """Whether it is a flow; keeps pending what the reading does not show."""
        pnls = [pending.pnl for pending in self.pending]
        if equity == base + sum(pnls):  # nearly always
            self.pending = []
            return None
        clear = all(pending.certain for pending in self.pending)
        sums = list(accumulate(pnls, initial=base))
        shown = min(range(len(sums) - 1, -1, -1), key=lambda index: abs(equity - sums[index]))
        near = sums[shown] > 0 and sums[shown] / tolerance <= equity <= sums[shown] * tolerance
        self.pending = self.pending[shown:] if near and not self.unknown else []
        if near or self.unknown:
            return None
        ends = (
            sums[-1:]
            if clear
            else [base + sum(min(0.0, p) for p in pnls), base + sum(max(0.0, p) for p in pnls)]
        )
        if self.blurred:
            ends.append(last)
        low, high = min(ends), max(ends)
        if 0 < equity < low / tolerance:
            return Flow(equity / low, "withdrawal", low)
        if equity > high * tolerance > 0:
            return Flow(equity / high, "deposit", high)
        return None  # explained; or the exits claim to have lost more than there is, and explain nothing

    @property
    def since_base(self) -> float:
        """P&L that `base` does not show."""
        return self.older + sum(pending.pnl for pending in self.pending)

    def by_exits(self, *, stuck: bool) -> float | None:
        """What the account must have come to since the last reading; `stuck`: since the readings stand still."""
        if self.last is None:
            return None
        ledger = None if self.base is None else self.base + self.since_base
        if ledger is not None and stuck:
            return ledger
        # What was read of an open position may be in its exit's P&L as well: it must not count twice.
        read = self.last + self.unread_pnl
        return read if ledger is None else max(read, ledger)

    def _expire(self, at: datetime) -> None:
        """An exit that two readings and LAG have not shown was in the readings before, or its P&L is wrong. The first
        reading of all shows those before it."""
        most = TWO_READINGS if self.base is not None else 0
        self.pending = [p for p in self.pending if at - p.at <= LAG or p.readings < most]

    def _doubt(self, at: datetime, flow: Flow) -> None:
        if self.doubt is None:
            self.doubt = Doubt(at, flow.before, flow.factor)
        else:
            self.doubt.factor *= flow.factor

    def _explained(self, at: datetime, equity: float) -> Flow | None:
        """Whether the exits since a suspected flow say that there was none."""
        doubt = self.doubt
        if doubt is None:
            return None
        if at - doubt.at > DOUBT_FOR:
            self.doubt = None
            return None
        told = abs(doubt.pnl) > EXPLAINED * equity
        if not told or abs(doubt.value - equity) > EXPLAINED * equity:
            return None
        self.doubt, self.suspects = None, []
        return Flow(1 / doubt.factor, "explained", equity)

    def transferred(self, at: datetime, net: float) -> tuple[Suspect, Flow] | None:
        """The history's word on the suspicion of that moment: None when it confirms it, or there is none any more.

        The peak was scaled by after / before; it should have been by (before + net) / before.
        """
        found = next((suspect for suspect in self.suspects if suspect.at == at), None)
        if found is None:
            return None
        self.suspects.remove(found)
        left = min(found.before, max(found.after, found.before + net))
        factor = left / found.after
        if factor <= 1 + TOLERANCE:
            return None
        if self.doubt is not None:
            self.doubt.factor *= factor
        return found, Flow(factor, "denied", left)
