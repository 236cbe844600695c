"""What is known of an account: open orders and holdings, and what the one means for the other. Pure.

A holding whose amount is None is *unknown*, which is never flat. Amounts are in the base currency; a short's is
below 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

STOPS = frozenset({"STOP", "STOP_MARKET", "TRAILING_STOP_MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"})
"""Order types that end a losing position; a profit to be taken protects nothing."""

BOTH = "BOTH"
"""The side of a position where a symbol has only one (no hedge mode, or spot)."""

ANY = "ANY"
"""The side of a holding of which not even the mode is known."""


@dataclass(frozen=True)
class OpenOrder:
    """An order that waits. `book`: whether it is a basic order or one of the algo (conditional) service."""

    symbol: str
    side: Literal["BUY", "SELL"]
    type: str
    quantity: Decimal
    """What is still to be filled; 0 for one that closes the whole position, whatever that is."""
    price: Decimal | None
    trigger: Decimal | None
    ident: str
    client_id: str
    book: Literal["basic", "algo"] = "basic"
    position_side: str = BOTH
    reduces: bool = False
    """It can make a position smaller and never open one."""
    closes_all: bool = False
    list_id: str | None = None
    """Orders of one list (OCO) are cancelled together."""

    @property
    def key(self) -> str:
        """Tells it from every other order."""
        return f"{self.book} {self.ident}"

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "symbol": self.symbol,
            "side": self.side,
            "type": self.type,
            "quantity": plain(self.quantity),
            "price": plain(self.price),
            "trigger": plain(self.trigger),
            "client_id": self.client_id,
            "book": self.book,
            "position_side": self.position_side,
            "closes_all": self.closes_all,
        }


@dataclass(frozen=True)
class Holding:
    """One side of a symbol's position, or what a spot account has of its base asset. Money in quote currency."""

    symbol: str
    side: str
    amount: Decimal | None
    entry: Decimal | None = None
    mark: Decimal | None = None
    unrealised: Decimal | None = None
    locked: Decimal = Decimal(0)
    """How much of it open orders hold (spot)."""
    dust: bool = False
    """Too little for any order."""

    @property
    def state(self) -> Literal["unknown", "flat", "open"]:
        """Unknown is not flat."""
        if self.amount is None:
            return "unknown"
        return "open" if self.amount != 0 else "flat"

    @property
    def notional(self) -> Decimal | None:
        """What it is worth, above 0; None while price or amount are unknown."""
        return None if self.amount is None or self.mark is None else abs(self.amount * self.mark)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "symbol": self.symbol,
            "side": self.side,
            "state": self.state,
            "amount": plain(self.amount),
            "entry": plain(self.entry),
            "mark": plain(self.mark),
            "notional": plain(self.notional),
            "unrealised": plain(self.unrealised),
            "locked": plain(self.locked),
            "dust": self.dust,
        }


def unknown(symbol: str) -> Holding:
    """Nothing is known of this symbol."""
    return Holding(symbol, ANY, None)


def stops(order: OpenOrder, holding: Holding) -> bool:
    """Whether this order would end the holding, or a part of it, at a loss limit."""
    if order.type not in STOPS or order.symbol != holding.symbol:
        return False
    if ANY not in (order.position_side, holding.side) and order.position_side != holding.side:
        return False
    if holding.amount is None:
        return True
    return holding.amount != 0 and (order.side == "SELL") == (holding.amount > 0)


def protectors(orders: Iterable[OpenOrder], holdings: Iterable[Holding]) -> set[str]:
    """Keys of the orders that protect something that is open, or that may be, and can do nothing else. An order of the
    same list as such a one is counted, too: they live and die together."""
    orders, holdings = list(orders), list(holdings)
    found = {
        order.key
        for order in orders
        if order.reduces and any(h.state != "flat" and stops(order, h) for h in holdings)
    }
    lists = {order.list_id for order in orders if order.key in found} - {None}
    return found | {order.key for order in orders if order.list_id in lists}


def naked(holding: Holding, orders: Iterable[OpenOrder]) -> Decimal | None:
    """How much of the holding no stop order on the exchange covers; None for an unknown one."""
    if holding.amount is None:
        return None
    if holding.dust:
        return Decimal(0)
    left = abs(holding.amount)
    for order in orders:
        if stops(order, holding):
            left = Decimal(0) if order.closes_all else max(Decimal(0), left - order.quantity)
    return left


def plain(value: Decimal | None) -> str | None:
    """A number as a fixed decimal without trailing zeros: `1.3`, `0.00001`, `30`; None stays None."""
    if value is None:
        return None
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("", "-0", "-") else text
