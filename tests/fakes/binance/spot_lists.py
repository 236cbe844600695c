"""Spot orders and their lists (OCO): asked after, listed, cancelled."""

from typing import Any

from .errors import missing, unknown_to_cancel, unknown_to_query
from .exchange import Exchange
from .params import Params
from .spot_book import close_list, end, legs, rules
from .spot_orders import shown
from .state import Order, OrderList

CANCELLED = [
    "symbol",
    "orderId",
    "orderListId",
    "price",
    "origQty",
    "executedQty",
    "origQuoteOrderQty",
    "cummulativeQuoteQty",
    "status",
    "timeInForce",
    "type",
    "side",
    "selfTradePreventionMode",
]


def _find(exchange: Exchange, params: Params) -> Order | None:
    symbol = rules(exchange, params.text("symbol")).name
    order_id, client_id = params.integer("orderId"), params.sent.get("origClientOrderId")
    if order_id is None and client_id is None:
        raise missing("orderId")
    for order in reversed(exchange.state.spot.orders):
        same = order.client_id == client_id if order_id is None else order.order_id == order_id
        if order.symbol == symbol and same:
            return order
    return None


def query_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /api/v3/order."""
    if (order := _find(exchange, params)) is None:
        raise unknown_to_query()
    return shown(order)


def open_orders(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /api/v3/openOrders, the legs of lists among them; of all symbols when none is named."""
    symbol = rules(exchange, params.text("symbol")).name if "symbol" in params else None
    return [shown(o) for o in exchange.state.spot.orders if o.open and symbol in (None, o.symbol)]


def open_lists(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /api/v3/openOrderList."""
    return [
        _list_shown(exchange, found) for found in exchange.state.spot.lists if found.status == "EXECUTING"
    ]


def _list_shown(exchange: Exchange, found: OrderList) -> dict[str, Any]:
    done = found.status == "ALL_DONE"
    return {
        "orderListId": found.list_id,
        "contingencyType": "OCO",
        "listStatusType": "ALL_DONE" if done else "EXEC_STARTED",
        "listOrderStatus": found.status,
        "listClientOrderId": found.client_id,
        "transactionTime": found.created,
        "symbol": found.symbol,
        "orders": [
            {"symbol": leg.symbol, "orderId": leg.order_id, "clientOrderId": leg.client_id}
            for leg in legs(exchange, found.list_id)
        ],
    }


def cancel_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """DELETE /api/v3/order; a leg takes its whole list with it."""
    order = _find(exchange, params)
    if order is None or not order.open:
        raise unknown_to_cancel()
    return _cancel(exchange, order)


def cancel_list(exchange: Exchange, params: Params) -> dict[str, Any]:
    """DELETE /api/v3/orderList, by orderListId or listClientOrderId."""
    symbol = rules(exchange, params.text("symbol")).name
    list_id, client_id = params.integer("orderListId"), params.sent.get("listClientOrderId")
    if list_id is None and client_id is None:
        raise missing("orderListId")
    for found in exchange.state.spot.lists:
        same = found.client_id == client_id if list_id is None else found.list_id == list_id
        if found.symbol == symbol and same and found.status == "EXECUTING":
            return _cancel(exchange, legs(exchange, found.list_id)[0])
    raise unknown_to_cancel()


def cancel_all(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """DELETE /api/v3/openOrders: what was cancelled, lists as lists; an error when there was nothing."""
    symbol = rules(exchange, params.text("symbol")).name
    found = [order for order in exchange.state.spot.orders if order.open and order.symbol == symbol]
    if not found:
        raise unknown_to_cancel()
    return [_cancel(exchange, order) for order in found[: len(found) - exchange.spare] if order.open]


def _cancel(exchange: Exchange, order: Order) -> dict[str, Any]:
    if order.list_id == -1:
        end(exchange, order, "CANCELED")
        return _report(exchange, order)
    for leg in legs(exchange, order.list_id):
        end(exchange, leg, "CANCELED")
    close_list(exchange, order.list_id)
    [found] = [one for one in exchange.state.spot.lists if one.list_id == order.list_id]
    reports = [_report(exchange, leg) for leg in legs(exchange, order.list_id)]
    return _list_shown(exchange, found) | {"orderReports": reports}


def _report(exchange: Exchange, order: Order) -> dict[str, Any]:
    full = shown(order)
    return {name: full[name] for name in CANCELLED} | {
        "origClientOrderId": order.client_id,
        "clientOrderId": f"cancel{exchange.next_id()}",
        "transactTime": order.updated,
    }
