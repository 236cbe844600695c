"""Does the reported equity follow the exits at all? In paper mode it is a test account's, and never moves."""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

Moment = Annotated[datetime, msgspec.Meta(tz=True)]

LAG = timedelta(minutes=5)
"""An exchange may take so long until its account shows an exit."""

FROZEN_EXITS = 3
"""So many exits without a move, with an unmoved reading between them: the readings say nothing."""

VISIBLE = 1e-5
"""P&L below this share of the equity may vanish in the rounding of a reading."""


class Following(msgspec.Struct, forbid_unknown_fields=True):
    """Streaming; constant size. What is counted is counted since the equity last moved."""

    live: bool = False
    """It has been seen to move as an exit said: it is the account that is traded."""
    frozen: bool = False
    """It does not move while exits do. Holds until it moves as an exit says."""
    pnl: float = 0.0
    exits: int = 0
    first_exit_at: Moment | None = None
    still: bool = False
    """A reading after the second exit was the same as before."""

    @property
    def paper(self) -> bool:
        """It has never followed: it is not the account that is traded."""
        return self.frozen and not self.live

    def exit(self, at: datetime, pnl: float) -> None:
        """A realised P&L, which the equity ought to show."""
        if pnl == 0:
            return
        self.exits += 1
        self.pnl += pnl
        self.first_exit_at = self.first_exit_at or at
        if self.still and self.exits >= FROZEN_EXITS:
            self.frozen = True

    def same(self, at: datetime, equity: float) -> None:
        """A reading that equals the one before."""
        if self.exits < FROZEN_EXITS - 1 or abs(self.pnl) <= VISIBLE * equity:
            return
        # Three quick exits may all wait for a slow exchange; an account that followed before has that credit.
        lagging = self.live and self.first_exit_at is not None and at - self.first_exit_at <= LAG
        self.still = not lagging

    def moved(self, by: float, since_flat: tuple[float, float] | None) -> None:
        """A reading that differs from the one before. `since_flat`: (move, P&L) since the last flat reading."""
        if _in_line(by, self.pnl) or (since_flat is not None and _in_line(*since_flat)):
            self.live, self.frozen = True, False
        self.begin()

    def begin(self) -> None:
        """Counts anew from here."""
        self.pnl, self.exits, self.first_exit_at, self.still = 0.0, 0, None, False


def _in_line(move: float, pnl: float) -> bool:
    """Fees, slippage and other positions blur it."""
    return pnl != 0 and 0.5 <= move / pnl <= 1.5
