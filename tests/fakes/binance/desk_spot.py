"""The desk of the spot market: balances, orders, lists, transfers and what the key may do."""

from decimal import Decimal

from . import spot, spot_lists
from .desk_base import Amount, DeskBase, decimal
from .params import Params, fixed
from .spot_book import balance, lock, rules
from .state import Order, OrderList


class SpotDesk(DeskBase):
    """What concerns the spot market. ApiError for an unknown symbol or a balance that does not suffice."""

    def set_balance(self, asset: str, free: Amount) -> None:
        """What is free of an asset; what orders lock comes on top."""
        with self._change():
            balance(self._exchange, asset).free = decimal(free)

    def balances(self) -> dict[str, tuple[str, str]]:
        """(free, locked) of every asset of which there is any."""
        with self._gate.lock:
            return {
                asset: (f"{held.free.normalize():f}", f"{held.locked.normalize():f}")
                for asset, held in self._exchange.state.spot.balances.items()
                if held.free or held.locked
            }

    def set_price(self, symbol: str, price: Amount) -> None:
        """Move the price: what it reaches is triggered and filled."""
        with self._change():
            spot.move_price(self._exchange, symbol, decimal(price))

    def add_spot_order(
        self,
        symbol: str,
        side: str,
        quantity: Amount,
        price: Amount,
        *,
        stop_price: Amount = 0,
        client_id: str | None = None,
    ) -> int:
        """Put a limit order on the book, or a stop-limit one beside it, as the bot left it; its id."""
        with self._change():
            kind = "STOP_LOSS_LIMIT" if stop_price else "LIMIT"
            order = self._order(symbol, side, kind, quantity, decimal(price), decimal(stop_price))
            order.client_id = client_id or order.client_id
            lock(self._exchange, order, order.price)
            self._exchange.state.spot.orders.append(order)
            return order.order_id

    def add_oco(
        self, symbol: str, side: str, quantity: Amount, price: Amount, stop_price: Amount, limit_price: Amount
    ) -> int:
        """Put a profit to take at `price` and a stop at `stop_price` there, of which one cancels the other; the
        list's id.
        """
        with self._change():
            number = self._exchange.next_id()
            profit = self._order(symbol, side, "LIMIT_MAKER", quantity, decimal(price), Decimal(0))
            stop = self._order(
                symbol, side, "STOP_LOSS_LIMIT", quantity, decimal(limit_price), decimal(stop_price)
            )
            lock(self._exchange, stop, max(stop.price, profit.price))
            profit.list_id = stop.list_id = number
            self._exchange.state.spot.orders += [profit, stop]
            made = OrderList(number, f"list{number}", symbol, profit.created)
            self._exchange.state.spot.lists.append(made)
            return number

    def _order(
        self, symbol: str, side: str, kind: str, quantity: Amount, price: Decimal, stop: Decimal
    ) -> Order:
        number, now = self._exchange.next_id(), self._exchange.now_ms()
        return Order(
            order_id=number,
            client_id=f"bot{number}",
            symbol=rules(self._exchange, symbol).name,
            side=side,
            type=kind,
            quantity=decimal(quantity),
            price=price,
            stop_price=stop,
            created=now,
            updated=now,
            working=not stop,
        )

    def open_spot_orders(self) -> list[dict[str, object]]:
        """The open orders of all symbols, as the API shows them."""
        with self._gate.lock:
            return spot_lists.open_orders(self._exchange, Params({}))

    def add_deposit(self, asset: str, amount: Amount, at_ms: int | None = None) -> None:
        """Money that came in, at a time of the server's clock."""
        with self._change():
            at = self._exchange.now_ms() if at_ms is None else at_ms
            row = spot.deposit(self._exchange.next_id(), asset, fixed(decimal(amount), 8), at)
            self._exchange.state.spot.deposits.append(row)
            balance(self._exchange, asset).free += decimal(amount)

    def add_withdrawal(self, asset: str, amount: Amount, at_ms: int | None = None) -> None:
        """Money that went out, at a time of the server's clock; the amount is above 0."""
        with self._change():
            at = self._exchange.now_ms() if at_ms is None else at_ms
            row = spot.withdrawal(self._exchange.next_id(), asset, fixed(decimal(amount), 8), at)
            self._exchange.state.spot.withdrawals.append(row)
            balance(self._exchange, asset).free -= decimal(amount)

    def set_key(self, **restrictions: bool) -> None:
        """What the key may do otherwise than usual, such as enableWithdrawals=True, ipRestrict=False."""
        unknown = restrictions.keys() - spot.RESTRICTIONS.keys()
        if unknown:
            raise ValueError(f"a key has no {', '.join(sorted(unknown))}")
        with self._change():
            self._exchange.state.spot.restrictions |= restrictions
