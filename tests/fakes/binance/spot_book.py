"""Balances of the spot market: what orders lock, and what fills move."""

from decimal import Decimal

from .errors import ApiError, bad_symbol
from .exchange import Exchange
from .state import D0, Balance, Order, Rules

FEE = Decimal("0.001")
"""Taken from what is received, so that less can be sold than was bought."""


def rules(exchange: Exchange, symbol: str) -> Rules:
    if symbol not in exchange.state.spot.symbols:
        raise bad_symbol()
    return exchange.state.spot.symbols[symbol]


def balance(exchange: Exchange, asset: str) -> Balance:
    return exchange.state.spot.balances.setdefault(asset, Balance())


def spent(exchange: Exchange, order: Order) -> str:
    """The asset that an order gives away."""
    symbol = rules(exchange, order.symbol)
    return symbol.quote if order.side == "BUY" else symbol.base


def lock(exchange: Exchange, order: Order, price: Decimal) -> None:
    """Set aside what the order may spend at this price. Raises ApiError when there is not as much."""
    needed = order.quantity * price if order.side == "BUY" else order.quantity
    held = balance(exchange, spent(exchange, order))
    if held.free < needed:
        raise ApiError(-2010, "Account has insufficient balance for requested action.")
    held.free -= needed
    held.locked += needed
    order.locked = needed


def unlock(exchange: Exchange, order: Order) -> None:
    """Give back what the order did not spend."""
    held = balance(exchange, spent(exchange, order))
    held.locked -= order.locked
    held.free += order.locked
    order.locked = D0


def end(exchange: Exchange, order: Order, status: str) -> None:
    order.status = status
    order.updated = exchange.now_ms()
    unlock(exchange, order)


def fill(exchange: Exchange, order: Order, quantity: Decimal, price: Decimal) -> None:
    """Execute a part of an order; another leg of its list then expires.

    A stop that buys at a price beyond its own takes the rest from what is free, or expires.
    """
    symbol, buys = rules(exchange, order.symbol), order.side == "BUY"
    _take_over_lock(exchange, order)
    paid, got = (quantity * price, quantity) if buys else (quantity, quantity * price)
    held = balance(exchange, spent(exchange, order))
    if (short := paid - order.locked) > 0:
        if held.free < short:
            end(exchange, order, "EXPIRED")
            return
        held.free, held.locked, order.locked = held.free - short, held.locked + short, paid
    held.locked -= paid
    order.locked -= paid
    balance(exchange, symbol.base if buys else symbol.quote).free += got * (1 - FEE)
    order.executed += quantity
    order.cost += quantity * price
    if order.executed == order.quantity:
        end(exchange, order, "FILLED")
    else:
        order.status = "PARTIALLY_FILLED"
    if order.list_id != -1:
        for other in legs(exchange, order.list_id):
            if other.open and other is not order:
                end(exchange, other, "EXPIRED")
        close_list(exchange, order.list_id)


def _take_over_lock(exchange: Exchange, order: Order) -> None:
    """Of the legs of a list only one locks, for both."""
    if order.list_id != -1:
        for other in legs(exchange, order.list_id):
            if other is not order:
                order.locked, other.locked = order.locked + other.locked, D0


def legs(exchange: Exchange, list_id: int) -> list[Order]:
    return [order for order in exchange.state.spot.orders if order.list_id == list_id]


def close_list(exchange: Exchange, list_id: int) -> None:
    for found in exchange.state.spot.lists:
        if found.list_id == list_id:
            found.status = "ALL_DONE"
