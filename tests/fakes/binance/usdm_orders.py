"""Basic USD-M orders: new, asked after, listed, cancelled; and what a move of the price does to them."""

from decimal import Decimal
from typing import Any

from .errors import ApiError, missing, unknown_to_cancel, unknown_to_query
from .exchange import Exchange
from .params import Params, fixed, places
from .shapes import shape
from .state import D0, Order
from .usdm_book import closable, fill, rules
from .usdm_checks import CONDITIONAL, notional, reducing, symbol_of, wanted

TRAILING_ONLY = ("activatePrice", "priceRate")


def shown(exchange: Exchange, order: Order, endpoint: str) -> dict[str, Any]:
    """An order as an endpoint answers it."""
    symbol = rules(exchange, order.symbol)
    price, step = places(symbol.tick), places(symbol.step)
    average = order.cost / order.executed if order.executed else D0
    values = {
        "avgPrice": fixed(average, max(price, 5)),
        "clientOrderId": order.client_id,
        "cumQty": fixed(order.executed, step),
        "cumQuote": fixed(order.cost, 8) if order.cost else "0",
        "executedQty": fixed(order.executed, step),
        "orderId": order.order_id,
        "origQty": fixed(order.quantity, step),
        "origType": order.type,
        "price": fixed(order.price, price) if order.price else "0",
        "reduceOnly": order.reduce_only,
        "side": order.side,
        "positionSide": order.position_side,
        "status": order.status,
        "stopPrice": "0",
        "closePosition": False,
        "symbol": order.symbol,
        "time": order.created,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "updateTime": order.updated,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
    }
    return shape(endpoint, values, omit=TRAILING_ONLY)


def new_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """POST /fapi/v1/order. The answer to a market order is an ACK (nothing filled yet) unless RESULT is asked."""
    kind = params.text("type")
    if kind in CONDITIONAL:
        raise ApiError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        )
    if kind not in ("MARKET", "LIMIT"):
        raise ApiError(-1116, "Invalid orderType.")
    order = wanted(exchange, params, kind)
    mark = order.symbol.price
    reducing(exchange, order)
    notional(order, order.price or mark)
    client_id = params.client_id("newClientOrderId") or f"auto{exchange.next_id()}"
    if any(o.open and o.client_id == client_id for o in exchange.state.usdm.orders):
        raise ApiError(-4116, "ClientOrderId is duplicated.")
    now = exchange.now_ms()
    placed = Order(
        order_id=exchange.next_id(),
        client_id=client_id,
        symbol=order.symbol.name,
        side=order.side,
        type=kind,
        quantity=order.quantity,
        price=order.price,
        created=now,
        updated=now,
        time_in_force=order.time_in_force,
        position_side=order.position_side,
        reduce_only=order.reduce_only,
    )
    if placed.time_in_force == "GTX" and crosses(placed, mark):
        raise ApiError(-5022, "Post Only order will be rejected: it could not be executed as maker.")
    exchange.state.usdm.orders.append(placed)
    acknowledged = shown(exchange, placed, "POST /fapi/v1/order")
    execute(exchange, placed, mark)
    if params.sent.get("newOrderRespType", "ACK") == "RESULT":
        return shown(exchange, placed, "POST /fapi/v1/order")
    return acknowledged


def crosses(order: Order, mark: Decimal) -> bool:
    return order.price >= mark if order.side == "BUY" else order.price <= mark


def execute(exchange: Exchange, order: Order, mark: Decimal) -> None:
    """Fill an order as far as it goes at this price; a new limit order that meets the market trades at once."""
    if order.type == "LIMIT" and not crosses(order, mark):
        if order.time_in_force in ("IOC", "FOK"):
            order.status = "EXPIRED"
        return
    quantity = order.quantity - order.executed
    if order.reduce_only:
        quantity = min(quantity, closable(exchange, order.symbol, order.position_side, order.side))
    if order.type == "MARKET":
        step = rules(exchange, order.symbol).step
        quantity = quantity * Decimal(exchange.fill_share) // step * step
    if quantity:
        fill(exchange, order, quantity, mark)
    if order.status != "FILLED" and (order.type == "MARKET" or order.reduce_only):
        order.status = "EXPIRED"


def price_moved(exchange: Exchange, symbol: str) -> None:
    """Fill the resting orders that the new price reaches, at their own price."""
    mark = rules(exchange, symbol).price
    for order in list(exchange.state.usdm.orders):
        if order.open and order.symbol == symbol and crosses(order, mark):
            execute(exchange, order, order.price)


def _find(exchange: Exchange, params: Params) -> Order | None:
    """By orderId or origClientOrderId; of several with one client id, the newest."""
    symbol = symbol_of(exchange, params).name
    order_id, client_id = params.integer("orderId"), params.client_id("origClientOrderId")
    if order_id is None and client_id is None:
        raise missing("orderId")
    for order in reversed(exchange.state.usdm.orders):
        wanted_id = order.client_id == client_id if order_id is None else order.order_id == order_id
        if order.symbol == symbol and wanted_id:
            return order
    return None


def query_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v1/order."""
    if (order := _find(exchange, params)) is None:
        raise unknown_to_query()
    return shown(exchange, order, "GET /fapi/v1/order")


def query_open_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v1/openOrder."""
    order = _find(exchange, params)
    if order is None or not order.open:
        raise unknown_to_query()
    return shown(exchange, order, "GET /fapi/v1/openOrder")


def open_orders(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v1/openOrders; of all symbols when none is named."""
    symbol = symbol_of(exchange, params).name if "symbol" in params else None
    return [
        shown(exchange, order, "GET /fapi/v1/openOrders")
        for order in exchange.state.usdm.orders
        if order.open and symbol in (None, order.symbol)
    ]


def cancel_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """DELETE /fapi/v1/order."""
    order = _find(exchange, params)
    if order is None or not order.open:
        raise unknown_to_cancel()
    _cancel(exchange, order)
    return shown(exchange, order, "DELETE /fapi/v1/order")


def cancel_all(exchange: Exchange, params: Params) -> dict[str, Any]:
    """DELETE /fapi/v1/allOpenOrders: a success whether there were any or not."""
    symbol = symbol_of(exchange, params).name
    found = [order for order in exchange.state.usdm.orders if order.open and order.symbol == symbol]
    for order in found[: len(found) - exchange.spare]:
        _cancel(exchange, order)
    done = {"code": 200, "msg": "The operation of cancel all open order is done."}
    return shape("DELETE /fapi/v1/allOpenOrders", done)


def _cancel(exchange: Exchange, order: Order) -> None:
    order.status = "CANCELED"
    order.updated = exchange.now_ms()
