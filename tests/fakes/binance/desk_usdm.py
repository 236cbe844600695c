"""The desk of the USD-M market: positions, orders, prices and transfers."""

from typing import Any

from . import usdm, usdm_algo, usdm_orders
from .desk_base import Amount, DeskBase, decimal
from .params import Params
from .state import AlgoOrder, Order
from .usdm_book import book_income, position, rules


class UsdmDesk(DeskBase):
    """What concerns the USD-M market. ApiError for an unknown symbol."""

    def set_position(
        self, symbol: str, amount: Amount, entry_price: Amount | None = None, side: str = "BOTH"
    ) -> None:
        """Replace a position: the amount of a short is negative; the entry price defaults to the mark price."""
        with self._change():
            mark = rules(self._exchange, symbol).price
            held = position(self._exchange, symbol, side)
            held.amount = decimal(amount)
            entry = mark if entry_price is None else decimal(entry_price)
            held.entry_price = entry if held.amount else decimal(0)
            held.updated = self._exchange.now_ms()

    def positions(self) -> dict[str, str]:
        """The amounts that are not 0, such as "-2.6", by symbol, in hedge mode by "SOLUSDT LONG" and the like."""
        with self._gate.lock:
            return {
                f"{held.symbol} {held.side}".removesuffix(" BOTH"): f"{held.amount.normalize():f}"
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
        with self._change():
            number, now = self._exchange.next_id(), self._exchange.now_ms()
            order = Order(
                order_id=number,
                client_id=client_id or f"bot{number}",
                symbol=rules(self._exchange, symbol).name,
                side=side,
                type="LIMIT",
                quantity=decimal(quantity),
                price=decimal(price),
                created=now,
                updated=now,
                position_side=position_side,
                reduce_only=reduce_only,
            )
            self._exchange.state.usdm.orders.append(order)
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
        with self._change():
            number, now = self._exchange.next_id(), self._exchange.now_ms()
            order = AlgoOrder(
                algo_id=number,
                client_id=client_id or f"bot{number}",
                symbol=rules(self._exchange, symbol).name,
                side=side,
                type=type,
                created=now,
                updated=now,
                trigger_price=decimal(trigger_price),
                quantity=decimal(quantity),
                position_side=position_side,
                reduce_only=reduce_only,
                close_position=close_position,
            )
            self._exchange.state.usdm.algo_orders.append(order)
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
        with self._change():
            usdm.move_price(self._exchange, symbol, decimal(price))

    def set_hedge_mode(self, on: bool) -> None:
        """Two positions a symbol, LONG and SHORT; the exchange allows it only while nothing is open."""
        with self._change():
            self._exchange.state.usdm.hedge_mode = on

    def add_income(
        self, amount: Amount, at_ms: int | None = None, *, kind: str = "TRANSFER", symbol: str = ""
    ) -> None:
        """Book income at a time of the server's clock; a withdrawal is a TRANSFER below 0."""
        with self._change():
            at = self._exchange.now_ms() if at_ms is None else at_ms
            book_income(self._exchange, kind, decimal(amount), symbol, at)
            if kind == "TRANSFER":
                self._exchange.state.usdm.wallet += decimal(amount)
