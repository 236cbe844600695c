"""Deposits and withdrawals, told apart from gains and losses.

Only at a reading e that is seen while no position is open. Then trading explains what lies between the lowest and the
highest of: the reading before; that reading plus the P&L since; the last flat reading plus the P&L since then. What
lies further out than a tolerance is a cash flow, and takes the equity from `before` to e. Whoever keeps a peak scales
it by e / before, so that a drawdown stays what it was: the time-weighted convention of performance measurement.

What trading explains is wide on purpose, since exchanges show an exit late and bots log an exit late. Where the account
is known to follow its exits and was flat before, `before` is exact: a deposit cannot hide a loss of the same minutes.

Some logs tell no entries, so that an open position's loss looks like a withdrawal until its exit is logged. The flow
is therefore kept in doubt: if an exit without an entry explains it after all, the scaling is undone.
"""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec

from triggers.following import LAG, Moment

TOLERANCE = 0.01
"""Of the equity, and as much again for each exit since the last flat reading, at most LARGEST: fees and funding are
no cash flow. What is smaller counts as a gain or a loss."""
LARGEST = 0.05

SHOWN = 0.5
"""A reading that has moved by this share of the P&L, or more, contains it."""

DOUBT_FOR = timedelta(days=1)
"""A position whose entry was not logged is rarely held for longer."""


class Flow(NamedTuple):
    """What a reading or an exit changes: `factor` scales peaks. `explained`: the last flow was none."""

    factor: float
    kind: Literal["withdrawal", "deposit", "explained"]
    before: float


class Doubt(msgspec.Struct, forbid_unknown_fields=True):
    """A suspected flow: what the account would read had it been a position's gain or loss, and the scaling."""

    at: Moment
    value: float
    factor: float
    pnl: float = 0.0
    """Of exits since whose entry was never seen."""


class CashFlows(msgspec.Struct, forbid_unknown_fields=True):
    """Streaming; constant size."""

    last: float | None = None
    last_was_flat: bool = False
    since_last: float = 0.0
    """P&L since the last reading, with what that reading did not show yet; so too `since_flat`."""
    flat: float | None = None
    since_flat: float = 0.0
    guess: float = 0.0
    """P&L just before the first flat reading, which it may contain or not."""
    exits: int = 0
    """Since the last flat reading."""
    unread: int = 0
    """Exits since the last reading."""
    exit_at: Moment | None = None
    unknown: bool = False
    """An exit since the last flat reading did not tell its P&L: it explains everything."""
    doubt: Doubt | None = None

    def exit(self, at: datetime, pnl: float | None, *, entered: bool) -> Flow | None:
        """A realised P&L, None if it is unknown. `entered`: its position was known to be open, so not at a flow."""
        self.exits += 1
        self.unread += 1
        self.exit_at = at if self.exit_at is None else max(at, self.exit_at)
        if pnl is None:
            self.unknown = True
            return None
        self.since_last += pnl
        self.since_flat += pnl
        if self.doubt is None or self.last is None:
            return None
        self.doubt.value += pnl
        if entered:
            return None
        self.doubt.pnl += pnl
        explained = self._explained(at, self.last)
        if explained is not None:
            self.since_last = self.since_flat = 0.0
        return explained

    def reading(self, at: datetime, equity: float, *, flat: bool, live: bool) -> Flow | None:
        """A valid reading. `live`: the account is known to follow its exits."""
        self.unread = 0
        if not flat:
            self.last, self.last_was_flat, self.since_last = equity, False, 0.0
            return None
        flow = self._explained(at, equity) or self._judge(equity, live=live)
        if flow is not None and flow.kind != "explained":
            self._doubt(at, flow)
        late = flow is None and self.exit_at is not None and at - self.exit_at <= LAG
        self.guess = self.since_last if late and self.flat is None else 0.0
        self.since_last = self.since_flat = self._not_shown(equity) if late else 0.0
        self.last = self.flat = equity
        self.last_was_flat, self.exits, self.unknown = True, 0, False
        return flow

    @property
    def share(self) -> float:
        """The tolerance now, a share of the equity."""
        return min(LARGEST, TOLERANCE * (1 + self.exits))

    def not_read(self, most: int) -> float | None:
        """What the account must have come to when `most` exits or more were not followed by a reading."""
        if self.unread < most or self.last is None:
            return None
        # What was read of an open position may be in its exit's P&L as well: it must not count twice.
        guesses = [self.last + self.since_last]
        if self.flat is not None:
            guesses.append(self.flat + self.since_flat)
        return max(guesses)

    def _judge(self, equity: float, *, live: bool) -> Flow | None:
        if self.flat is None or self.last is None or self.unknown:
            return None
        expected = self.flat + self.since_flat
        explained = (self.last, self.last + self.since_last, expected)
        low, high = min(explained), max(explained)
        exact = live and self.last_was_flat and expected > 0
        if equity < (low + min(0.0, self.guess)) * (1 - self.share):
            before = expected if exact else low
            return Flow(equity / before, "withdrawal", before)
        if equity > (high + max(0.0, self.guess)) * (1 + self.share):
            before = expected if exact else high
            return Flow(equity / before, "deposit", before)
        return None

    def _not_shown(self, equity: float) -> float:
        """P&L that this reading does not contain yet. If it shows half of it, the rest is fees."""
        if self.flat is None or self.since_flat == 0 or (equity - self.flat) / self.since_flat >= SHOWN:
            return 0.0
        missing = self.flat + self.since_flat - equity
        return max(min(0.0, self.since_flat), min(missing, max(0.0, self.since_flat)))

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
        told = abs(doubt.pnl) > TOLERANCE * equity
        if not told or abs(doubt.value - equity) > TOLERANCE * equity:
            return None
        self.doubt = None
        return Flow(1 / doubt.factor, "explained", equity)
