"""Answers of the exchange, read strictly: what cannot be what was asked for is `garbled`, never empty and never 0."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from watchdog.exchange.errors import garbled

MOST = Decimal(10) ** 15
"""No account holds, and no market asks, so much of anything."""

LEAST = Decimal(10) ** -18
"""Nor so little; smaller numbers than this have no place in any of its units."""

FINEST = Decimal(10) ** -12
"""Step of a quantity: with a finer one the steps of what somebody holds could not be counted."""

CUT = 48
"""Characters of a text of the exchange that are shown; ids have 36."""

FINAL = frozenset({"FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED"})


@dataclass(frozen=True)
class Sent:
    """An order of ours, as the exchange has it."""

    status: str
    quantity: Decimal
    executed: Decimal

    @property
    def final(self) -> bool:
        """Whether nothing more of it can be filled."""
        return self.status in FINAL


@dataclass(frozen=True)
class Rules:
    """What an order of a symbol must comply with; base currency, `least_value` in quote currency."""

    base: str
    quote: str
    step: Decimal
    least: Decimal
    most: Decimal
    least_value: Decimal


class Row:
    """One JSON object of an answer to `call`."""

    def __init__(self, call: str, body: Any) -> None:
        if not isinstance(body, dict):
            raise garbled(call, "something else stands where an object belongs")
        self.call, self.body = call, body

    def amount(self, name: str) -> Decimal:
        """A number, which must be there."""
        value = self.body.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise garbled(self.call, f"{name} is no number")
        try:
            found = Decimal(str(value))
        except (InvalidOperation, ValueError):  # ValueError: more digits than Python writes down
            raise garbled(self.call, f"{name} is no number") from None
        size = found.copy_abs()  # as it is; abs() would round what is next to nothing to 0
        if not found.is_finite() or size >= MOST or 0 < size < LEAST or len(str(value)) > CUT:
            raise garbled(self.call, f"{name} is no amount")
        return found or Decimal(0)  # a 0 with an exponent of millions is as long when it is written out

    def maybe(self, name: str) -> Decimal | None:
        """A number that may be missing or empty."""
        return None if self.body.get(name) in (None, "", "None") else self.amount(name)

    def price(self, name: str) -> Decimal | None:
        """A price; 0 stands for none."""
        return self.maybe(name) or None

    def text(self, name: str) -> str:
        """A text or a number as text, which must be there; cut, and without what cannot be printed."""
        value = self.body.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise garbled(self.call, f"{name} is missing")
        return "".join(c if c.isprintable() else "?" for c in str(value))[:CUT]

    def maybe_text(self, name: str, default: str) -> str:
        """A text that may be missing."""
        return default if self.body.get(name) in (None, "") else self.text(name)

    def flag(self, name: str) -> bool:
        """true, "true", or else false; a missing one is false."""
        value = self.body.get(name)
        if value in (None, False, True, "true", "false"):
            return value in (True, "true")
        raise garbled(self.call, f"{name} is neither true nor false")

    def side(self, name: str = "side") -> Literal["BUY", "SELL"]:
        """BUY or SELL."""
        value = self.body.get(name)
        if value == "BUY":
            return "BUY"
        if value == "SELL":
            return "SELL"
        raise garbled(self.call, f"{name} is neither BUY nor SELL")

    def rows(self, name: str) -> Iterator["Row"]:
        """The objects of a list in it."""
        return rows(self.call, self.body.get(name))


def rows(call: str, body: Any) -> Iterator[Row]:
    """The objects of a list; anything but a list is no answer."""
    if not isinstance(body, list):
        raise garbled(call, "something else stands where a list belongs")
    return iter([Row(call, row) for row in body])


def sent(call: str, body: Any) -> Sent:
    """An order's answer."""
    row = Row(call, body)
    return Sent(row.text("status"), row.amount("origQty"), row.amount("executedQty"))


def rules(call: str, body: Any, symbol: str) -> Rules:
    """exchangeInfo, of either market."""
    row = next((row for row in Row(call, body).rows("symbols") if row.body.get("symbol") == symbol), None)
    if row is None:
        raise garbled(call, f"{symbol} is not in it")
    filters = {str(found.body.get("filterType")): found for found in row.rows("filters")}
    lot = filters.get("LOT_SIZE")
    if lot is None:
        raise garbled(call, f"{symbol} has no LOT_SIZE")
    market = filters.get("MARKET_LOT_SIZE", lot)
    value = filters.get("MIN_NOTIONAL") or filters.get("NOTIONAL")
    least = None if value is None else value.maybe("notional") or value.maybe("minNotional")
    step = lot.amount("stepSize")
    if step < 0 or 0 < step < FINEST:
        raise garbled(call, f"the stepSize of {symbol} is none")
    most = [found for found in (lot.price("maxQty"), market.price("maxQty")) if found is not None]
    return Rules(
        row.text("baseAsset"),
        row.text("quoteAsset"),
        step,
        lot.amount("minQty"),
        min(most, default=MOST),
        least or Decimal(0),
    )
