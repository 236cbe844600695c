"""What the two markets have in common. All methods but the names raise ExchangeError."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from watchdog.exchange.answers import Sent
from watchdog.exchange.errors import garbled
from watchdog.exchange.known import Holding, OpenOrder


class Market(Protocol):
    """The account in one market, for as long as its client is open."""

    stops_lock: bool
    """A waiting stop keeps what it protects from being sold: it has to go first."""

    async def open_orders(self, symbol: str) -> list[OpenOrder]:
        """All that wait, basic and conditional."""

    async def holdings(self, symbol: str) -> list[Holding]:
        """What is held, flat sides left out: read twice, from two sources where there are two, for a single answer may
        be stale, or an empty list that should not be one. `garbled` when the two contradict each other."""

    async def cancel(self, order: OpenOrder) -> None:
        """Cancels one order. `refused` when it is not open any more."""

    async def close(self, holding: Holding, client_id: str) -> None:
        """Sends a market order that can only make the holding smaller, once, whatever comes."""

    async def sent(self, symbol: str, client_id: str) -> Sent | None:
        """What became of an order of ours; None when the exchange does not know it."""

    async def flows(self, since: datetime, until: datetime) -> Decimal | None:
        """Money that came in less money that went out, quote currency; None when that cannot be said for sure."""


def agreed(symbol: str, first: list[Holding], second: list[Holding]) -> list[Holding]:
    """What two readings have in common, flat sides left out; `garbled` when they differ, or when one of them has two
    rows for a side, for nobody can say which of them holds."""
    for reading in (first, second):
        if len({holding.side for holding in reading}) < len(reading):
            raise garbled("positions", f"two rows about the same side of {symbol}")
    held = [holding for holding in first if holding.state != "flat"]
    if {h.side: h.amount for h in held} != {h.side: h.amount for h in second if h.state != "flat"}:
        raise garbled("positions", f"two answers about {symbol} contradict each other")
    return held
