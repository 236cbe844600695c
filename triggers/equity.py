"""The equity of a deployment, from what the bot logs: honest about readings that are no losses.

Two tracks run side by side. *Realised* is initial_equity plus the P&L of the exits. *Reported* is what the bot read
from the account, with cash flows taken out (`triggers.cash_flow`). The reported one counts where there are readings;
the realised one where there are none, and where the readings have never followed the exits (`triggers.following`).
Readings that cease, fail, or stand still later leave the last good one plus the P&L of the exits since.

The first peak is the equity at the start of the deployment. For the reported track that is the first flat reading less
the P&L realised until then, since an exit is logged just before its own reading. That reading may be late, or a test
account's; so what this adds to the drawdown counts only as far as the exits themselves confirm it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from triggers.cash_flow import CashFlows, Flow
from triggers.following import Following
from triggers.positions import Positions
from triggers.records import Entry, Equity, Exit, TradeRecord, Transferred, is_amount

DUST = 1e-8
"""A reading below the smallest unit of any quote currency is a 0."""

UNREAD_EXITS = 3
"""So many exits without a reading after them: the readings have ceased or fail, and the exits' losses count alone."""

IMPOSSIBLE = 100.0
"""A P&L of so many times the account, or a reading of so many times the one before while trading, is garbage."""

MOST_NOTICES = 20


class Standing(NamedTuple):
    """Where the equity stands: `drawdown` is a share of `peak`, both since the start of the deployment."""

    equity: float
    peak: float
    drawdown: float
    track: Literal["reported", "realised"]


class EquityCurve(msgspec.Struct, forbid_unknown_fields=True):
    """Streaming; constant size. All of its state is in the fields, so that msgspec can keep and restore it."""

    initial_equity: float
    exits: int = 0
    pnl: float = 0.0
    best_pnl: float = 0.0
    """The highest that `pnl` was; 0 at the start."""
    reading: float | None = None
    """The newest valid one."""
    reading_failed: bool = False
    """The newest one was not valid."""
    peak: float = 0.0
    """Of the readings, as it would be without cash flows."""
    start: float | None = None
    """At the start of the deployment, reckoned back from the first reading, and anew from the first flat one."""
    start_is_flat: bool = False
    start_peak: float = 0.0
    """The highest that exits before that reading took it to, as it would be without cash flows since."""
    adjusted: bool = False
    """Cash flows were taken out."""
    positions: Positions = msgspec.field(default_factory=Positions)
    following: Following = msgspec.field(default_factory=Following)
    flows: CashFlows = msgspec.field(default_factory=CashFlows)
    untold: list[tuple[str, str]] = []

    def __post_init__(self) -> None:
        """A state that was kept may have been written by anybody."""
        if self.flows.last is not None and self.peak <= 0:
            raise ValueError(f"a reading of {self.flows.last} and a peak of {self.peak} cannot be")

    def observe(self, record: TradeRecord) -> None:
        """One record of the trade log. Readings that failed, and P&L that is no amount, move nothing."""
        if isinstance(record, Entry):
            self.positions.enter(record)
        elif isinstance(record, Exit):
            self._exit(record.at, record.pnl, entered=self.positions.leave(record))
        else:
            self.reading_failed = not (is_amount(record.equity) and record.equity >= DUST)
            if not self.reading_failed:
                self._read(record)

    def transferred(self, record: Transferred) -> None:
        """What a transfer history says of a suspected withdrawal."""
        denied = self.flows.transferred(record.at, record.net) if is_amount(record.net) else None
        if denied is None:
            return
        suspect, flow = denied
        self.peak = max(self.peak, suspect.peak * flow.factor)
        self.start_peak = max(self.start_peak, suspect.start_peak * flow.factor)
        self._tell(flow, suspect.after)

    def _exit(self, at: datetime, pnl: float, *, entered: bool) -> None:
        live = self.following.live
        if not abs(pnl) <= IMPOSSIBLE * max(self.initial_equity, self.reading or 0.0):
            self.flows.exit(at, None, entered=entered, live=live)
            return
        self.exits += 1
        self.pnl += pnl
        self.best_pnl = max(self.best_pnl, self.pnl)
        self.following.exit(at, pnl)
        self._take_out(self.flows.exit(at, pnl, entered=entered, live=live))
        self.peak = max(self.peak, self.reading or 0.0)

    def _read(self, record: Equity) -> None:
        at, equity, flat = record.at, record.equity, self.positions.flat
        if self.reading is not None and not flat and equity > IMPOSSIBLE * self.reading:
            self.reading_failed = True
            return
        self._follow(at, equity, flat=flat)
        self.reading = equity
        if self.following.frozen:
            return  # it says nothing
        self._take_out(self.flows.reading(at, equity, flat=flat), equity)
        self.peak = max(self.peak, equity)
        if self.start is None or (flat and not self.start_is_flat):
            start = equity - self.pnl
            self.start, self.start_is_flat = start if start > 0 else equity, flat
            self.start_peak = self.start + (self.best_pnl if start > 0 else 0.0)

    def _follow(self, at: datetime, equity: float, *, flat: bool) -> None:
        base = self.flows.base
        if self.reading is None:
            self.following.begin()
        elif equity == self.reading and base in (None, equity):
            self.following.same(at, equity)
        else:
            # Also a reading that stays where an open position had taken it: the exits' P&L is in it.
            since_flat = None if base is None else (equity - base, self.flows.since_base)
            self.following.moved(equity - self.reading, since_flat if flat else None)

    def _take_out(self, flow: Flow | None, equity: float = 0.0) -> None:
        """Keeps the drawdown over a cash flow, and tells people."""
        if flow is None:
            return
        self.adjusted = True
        self.peak *= flow.factor
        self.start_peak *= flow.factor
        for suspect in self.flows.suspects:
            suspect.peak, suspect.start_peak = suspect.peak * flow.factor, suspect.start_peak * flow.factor
        if flow.kind == "withdrawal" and self.flows.suspects and self.flows.suspects[-1].peak == 0.0:
            self.flows.suspects[-1].peak, self.flows.suspects[-1].start_peak = self.peak, self.start_peak
        self._tell(flow, equity)

    def _tell(self, flow: Flow, equity: float) -> None:
        if flow.kind == "explained" and self.untold and self.untold[-1][0] != "denied":
            self.untold.pop()  # nobody has heard of it yet
        else:
            self.untold.append((flow.kind, _told(flow, equity)))
            del self.untold[:-MOST_NOTICES]

    @property
    def standing(self) -> Standing | None:
        """None as long as there is neither an exit nor a valid reading."""
        read = self.flows.last
        if read is None or self.following.paper:
            return self._realised if self.exits else None
        standing = self._reported(read)
        unread = self._unread
        if unread is None:
            return standing
        # Of an account that was never seen to follow, readings and exits must agree.
        counted = self._reported(unread)
        ways = [counted] if self.following.live else [counted, self._realised]
        return max(standing, min(ways, key=_drawdown), key=_drawdown)

    @property
    def _unread(self) -> float | None:
        """The equity by the exits, when it is lower and the readings have ceased."""
        stuck, read = self.following.frozen, self.flows.last
        found = self.flows.by_exits(stuck=stuck) if stuck or self.flows.unread >= UNREAD_EXITS else None
        return found if found is not None and read is not None and 0 < found < read else None

    @property
    def _realised(self) -> Standing:
        peak, lost = self.initial_equity + self.best_pnl, self.best_pnl - self.pnl
        return Standing(self.initial_equity + self.pnl, peak, lost / peak, "realised")

    def _reported(self, reading: float) -> Standing:
        seen = (self.peak - reading) / self.peak
        if self.start is None or self.start_peak <= self.peak:
            return Standing(reading, self.peak, seen, "reported")
        confirmed = (self.best_pnl - self.pnl) / (self.start + self.best_pnl)
        if not self.following.live:
            confirmed = min(confirmed, self._realised.drawdown)
        whole = (self.start_peak - reading) / self.start_peak
        if whole <= confirmed:
            return Standing(reading, self.start_peak, whole, "reported")
        if confirmed <= seen:
            return Standing(reading, self.peak, seen, "reported")
        return Standing(reading, reading / (1 - confirmed), confirmed, "reported")

    def notices(self) -> list[tuple[str, str]]:
        """(kind, text) of suspected cash flows; each once."""
        found, self.untold = self.untold, []
        return found

    @property
    def remarks(self) -> str:
        """What a verdict's reason must not hide."""
        return "".join(self._remarks())

    def _remarks(self) -> Iterator[str]:
        if self.following.frozen:
            since = "" if self.following.paper else " since they last did"
            yield f"; equity records do not move (paper account?): judged on realised P&L{since}"
        elif self.adjusted:
            yield "; deposits and withdrawals are taken out of the peak"
        elif self._unread is not None:
            yield f"; no equity reading since {self.flows.unread} exits, whose P&L is counted instead"
        if self.reading_failed:
            yield "; the newest equity reading failed and is left out"


def _drawdown(standing: Standing) -> float:
    return standing.drawdown


def _told(flow: Flow, equity: float) -> str:
    if flow.kind == "explained":
        return (
            f"the suspected cash flow was none: exits explain the equity of {flow.before:,.2f}, "
            f"so it counts as gain or loss"
        )
    if flow.kind == "denied":
        return (
            f"the exchange's transfer history does not explain the suspected withdrawal: the fall from "
            f"{flow.before:,.2f} to {equity:,.2f} counts as a loss"
        )
    amount, moved = abs(equity - flow.before), f"from {flow.before:,.2f} to {equity:,.2f}"
    unexplained = "while no position was open, and no exit explains it"
    if flow.kind == "deposit":
        return f"equity rose {moved} {unexplained}: taken for a deposit of {amount:,.2f}, not for a gain"
    return (
        f"equity fell {moved} {unexplained}: suspected withdrawal of {amount:,.2f}, not counted as a loss. "
        f"If this was a loss, halt the bot"
    )
