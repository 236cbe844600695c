"""The desk of whoever runs the exchange: puts things on it, breaks it, and reads what is there.

Every method takes and gives plain JSON values, so that it can be called from another process as well
(`POST /_control/<method>` with the arguments as a JSON object; see remote.py). Amounts and prices are strings
or numbers, read as decimals.
"""

import inspect
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from . import usdm_algo, usdm_orders
from .faults import Fault, Kind
from .gate import Gate
from .params import Params
from .state import AlgoOrder, Order
from .usdm_book import book_income, position, rules

Amount = str | int | float


def _decimal(amount: Amount | None) -> Decimal:
    return Decimal(str(amount or 0))


class UsdmDesk:
    """What concerns the USD-M market."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._exchange = gate.exchange

    def set_position(
        self, symbol: str, amount: Amount, entry_price: Amount | None = None, side: str = "BOTH"
    ) -> None:
        """Replace a position: the amount of a short is negative; the entry price defaults to the mark price."""
        with self._gate.lock:
            self._exchange.remember()
            held = position(self._exchange, symbol, side)
            held.amount = _decimal(amount)
            held.entry_price = (
                _decimal(entry_price) if entry_price else rules(self._exchange, symbol).price
            ) * bool(held.amount)
            held.updated = self._exchange.now_ms()
            self._gate.save()

    def positions(self) -> dict[str, str]:
        """The amounts that are not 0, such as "-2.6", by symbol; in hedge mode by "SYMBOL LONG" and "SYMBOL SHORT"."""
        with self._gate.lock:
            return {
                held.symbol
                if held.side == "BOTH"
                else f"{held.symbol} {held.side}": f"{held.amount.normalize():f}"
                for held in self._exchange.state.usdm.positions
                if held.amount
            }

    def add_order(
        self,
        symbol: str,
        side: str,
        quantity: Amount,
        price: Amount,
        *,
        client_id: str | None = None,
        position_side: str = "BOTH",
        reduce_only: bool = False,
    ) -> int:
        """Put a resting limit order on the book, as the bot left it; its id."""
        with self._gate.lock:
            self._exchange.remember()
            number, now = self._exchange.next_id(), self._exchange.now_ms()
            order = Order(
                order_id=number,
                client_id=client_id or f"bot{number}",
                symbol=rules(self._exchange, symbol).name,
                side=side,
                type="LIMIT",
                quantity=_decimal(quantity),
                price=_decimal(price),
                created=now,
                updated=now,
                position_side=position_side,
                reduce_only=reduce_only,
            )
            self._exchange.state.usdm.orders.append(order)
            self._gate.save()
            return number

    def add_algo_order(
        self,
        symbol: str,
        side: str,
        trigger_price: Amount,
        quantity: Amount = 0,
        *,
        type: str = "STOP_MARKET",
        client_id: str | None = None,
        position_side: str = "BOTH",
        reduce_only: bool = False,
        close_position: bool = False,
    ) -> int:
        """Put a conditional order beside the book, as the bot left it; its id."""
        with self._gate.lock:
            self._exchange.remember()
            number, now = self._exchange.next_id(), self._exchange.now_ms()
            order = AlgoOrder(
                algo_id=number,
                client_id=client_id or f"bot{number}",
                symbol=rules(self._exchange, symbol).name,
                side=side,
                type=type,
                created=now,
                updated=now,
                trigger_price=_decimal(trigger_price),
                quantity=_decimal(quantity),
                position_side=position_side,
                reduce_only=reduce_only,
                close_position=close_position,
            )
            self._exchange.state.usdm.algo_orders.append(order)
            self._gate.save()
            return number

    def open_orders(self) -> list[dict[str, Any]]:
        """The open basic orders of all symbols, as the API shows them."""
        with self._gate.lock:
            return usdm_orders.open_orders(self._exchange, Params({}))

    def open_algo_orders(self) -> list[dict[str, Any]]:
        """The open conditional orders of all symbols, as the API shows them."""
        with self._gate.lock:
            return usdm_algo.open_orders(self._exchange, Params({}))

    def set_mark(self, symbol: str, price: Amount) -> None:
        """Move the price: what it reaches is filled or triggered."""
        with self._gate.lock:
            self._exchange.remember()
            rules(self._exchange, symbol).price = _decimal(price)
            usdm_orders.price_moved(self._exchange, symbol)
            usdm_algo.price_moved(self._exchange, symbol)
            self._gate.save()

    def set_hedge_mode(self, on: bool) -> None:
        """Two positions a symbol, LONG and SHORT; the exchange allows it only while nothing is open."""
        with self._gate.lock:
            self._exchange.state.usdm.hedge_mode = on
            self._gate.save()

    def add_income(
        self, amount: Amount, at_ms: int | None = None, *, kind: str = "TRANSFER", symbol: str = ""
    ) -> None:
        """Book income at a time of the server's clock; a withdrawal is a TRANSFER below 0."""
        with self._gate.lock:
            at = self._exchange.now_ms() if at_ms is None else at_ms
            book_income(self._exchange, kind, _decimal(amount), symbol, at)
            if kind == "TRANSFER":
                self._exchange.state.usdm.wallet += _decimal(amount)
            self._gate.save()


class Desk(UsdmDesk):
    """Faults, clock, journal and state."""

    def fault(
        self,
        endpoint: str,
        kind: Kind,
        *,
        nth: int = 1,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int = 0,
        done: bool | None = None,
        **options: Any,
    ) -> None:
        """Order a fault (faults.py lists the kinds and their options). ValueError for an unknown kind."""
        with self._gate.lock:
            self._gate.faults.append(Fault(endpoint, kind, nth, times, probability, seed, done, options))

    def heal(self) -> None:
        """Forget the faults to come, and end rate limits."""
        with self._gate.lock:
            self._gate.faults.clear()
            self._gate.limits.end()

    def shift_clock(self, seconds: float) -> None:
        """Let the server's clock be so far from its machine's: ahead, or behind if negative."""
        with self._gate.lock:
            self._exchange.state.shift_ms = int(seconds * 1000)
            self._gate.save()

    def journal(self, endpoint: str = "*") -> list[dict[str, Any]]:
        """The requests so far, of the endpoints that match a pattern such as "POST *" (see gate.py)."""
        with self._gate.lock:
            entries = [dict(entry) for entry in self._gate.journal]
        return [e for e in entries if fnmatchcase(f"{e['method']} {e['path']}", endpoint)]

    def too_early(self) -> int:
        """How many calls came while a 429 or a ban was in force."""
        return self._gate.limits.too_early

    def state(self) -> dict[str, Any]:
        """Everything, as it is kept on disk (state.py)."""
        with self._gate.lock:
            found: dict[str, Any] = msgspec.to_builtins(self._exchange.state)
            return found


def command(desk: Desk, name: str, arguments: dict[str, Any]) -> Any:
    """Carry out a command of the control API. TypeError or ValueError if there is none such."""
    method = getattr(desk, name, None)
    if name.startswith("_") or not inspect.ismethod(method):
        raise ValueError(f"no command {name!r}")
    return method(**arguments)
