"""Conditional USD-M orders: since 2025-12-09 with the algo service, apart from the basic ones."""

from decimal import Decimal
from typing import Any

from .errors import ApiError, missing, not_valid, unknown_to_cancel, unknown_to_query
from .exchange import Exchange
from .params import Params, fixed, places
from .shapes import shape
from .state import D0, AlgoOrder, Order
from .usdm_book import closable, position, rules
from .usdm_checks import CONDITIONAL, price, reducing, symbol_of, wanted
from .usdm_orders import execute


def shown(exchange: Exchange, order: AlgoOrder, endpoint: str) -> dict[str, Any]:
    """A conditional order as an endpoint answers it."""
    symbol = rules(exchange, order.symbol)
    tick, step = places(symbol.tick), places(symbol.step)
    zero = fixed(D0, 3)
    values = {
        "algoId": order.algo_id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": order.type,
        "symbol": order.symbol,
        "side": order.side,
        "positionSide": order.position_side,
        "timeInForce": order.time_in_force,
        "quantity": fixed(order.quantity, step),
        "algoStatus": order.status,
        "actualOrderId": order.actual_order_id,
        "actualPrice": "0.00000",
        "actualType": "LIMIT" if order.price else "MARKET",
        "actualQty": fixed(order.quantity, step),
        "triggerPrice": fixed(order.trigger_price, tick),
        "price": fixed(order.price, tick),
        "icebergQuantity": None,
        "tpTriggerPrice": zero,
        "tpPrice": zero,
        "slTriggerPrice": zero,
        "slPrice": zero,
        "tpOrderType": "",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": order.working_type,
        "priceMatch": "NONE",
        "closePosition": order.close_position,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "activatePrice": order.activate_price,
        "callbackRate": order.callback_rate,
        "createTime": order.created,
        "updateTime": order.updated,
        "triggerTime": order.triggered,
        "goodTillDate": 0,
    }
    return shape(endpoint, values)


def new_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """POST /fapi/v1/algoOrder."""
    params.choice("algoType", ("CONDITIONAL",), not_valid("algoType"))
    kind = params.choice("type", CONDITIONAL, ApiError(-1116, "Invalid orderType."))
    order = wanted(exchange, params, kind)
    trailing = kind == "TRAILING_STOP_MARKET"
    if trailing and "callbackRate" not in params:
        raise missing("callbackRate")
    trigger = D0 if trailing else price(params, "triggerPrice", order.symbol)
    if trigger and met(kind, order.side, trigger, order.symbol.price):
        raise ApiError(-2021, "Order would immediately trigger.")
    if order.reduce_only:
        reducing(exchange, order)
    client_id = params.client_id("clientAlgoId") or f"auto{exchange.next_id()}"
    orders = exchange.state.usdm.algo_orders
    if any(o.open and o.client_id == client_id for o in orders):
        raise ApiError(-4116, "ClientOrderId is duplicated.")
    now = exchange.now_ms()
    placed = AlgoOrder(
        algo_id=exchange.next_id(),
        client_id=client_id,
        symbol=order.symbol.name,
        side=order.side,
        type=kind,
        created=now,
        updated=now,
        trigger_price=trigger,
        price=order.price,
        quantity=order.quantity,
        time_in_force=order.time_in_force,
        position_side=order.position_side,
        reduce_only=order.reduce_only,
        close_position=order.close,
        working_type=params.sent.get("workingType", "CONTRACT_PRICE"),
        callback_rate=params.sent.get("callbackRate", ""),
        activate_price=params.sent.get("activatePrice", ""),
    )
    orders.append(placed)
    return shown(exchange, placed, "POST /fapi/v1/algoOrder")


def met(kind: str, side: str, trigger: Decimal, mark: Decimal) -> bool:
    """A stop to buy and a profit to take by selling wait for the price to rise, the others for it to fall."""
    rises = (side == "BUY") == kind.startswith("STOP")
    return mark >= trigger if rises else mark <= trigger


def price_moved(exchange: Exchange, symbol: str) -> None:
    """Trigger what the new price reaches; a trailing stop is never triggered here."""
    mark = rules(exchange, symbol).price
    for order in exchange.state.usdm.algo_orders:
        waiting = order.open and order.symbol == symbol and order.trigger_price
        if waiting and met(order.type, order.side, order.trigger_price, mark):
            _trigger(exchange, order, mark)


def _trigger(exchange: Exchange, algo: AlgoOrder, mark: Decimal) -> None:
    now = exchange.now_ms()
    algo.triggered = algo.updated = now
    can_close = closable(exchange, algo.symbol, algo.position_side, algo.side)
    if (algo.close_position or algo.reduce_only) and not can_close:
        algo.status = "EXPIRED"
        return
    held = position(exchange, algo.symbol, algo.position_side)
    order = Order(
        order_id=exchange.next_id(),
        client_id=algo.client_id,
        symbol=algo.symbol,
        side=algo.side,
        type="LIMIT" if algo.price else "MARKET",
        quantity=abs(held.amount) if algo.close_position else algo.quantity,
        price=algo.price,
        created=now,
        updated=now,
        position_side=algo.position_side,
        reduce_only=algo.reduce_only,
    )
    exchange.state.usdm.orders.append(order)
    algo.actual_order_id = str(order.order_id)
    algo.status = "FINISHED"
    execute(exchange, order, mark)


def _find(exchange: Exchange, params: Params) -> AlgoOrder | None:
    algo_id, client_id = params.integer("algoId"), params.client_id("clientAlgoId")
    if algo_id is None and client_id is None:
        raise missing("algoId")
    for order in reversed(exchange.state.usdm.algo_orders):
        if order.client_id == client_id if algo_id is None else order.algo_id == algo_id:
            return order
    return None


def query_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v1/algoOrder."""
    if (order := _find(exchange, params)) is None:
        raise unknown_to_query()
    return shown(exchange, order, "GET /fapi/v1/algoOrder")


def open_orders(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v1/openAlgoOrders; of all symbols when none is named."""
    symbol = symbol_of(exchange, params).name if "symbol" in params else None
    return [
        shown(exchange, order, "GET /fapi/v1/openAlgoOrders")
        for order in exchange.state.usdm.algo_orders
        if order.open and symbol in (None, order.symbol)
    ]


def cancel_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """DELETE /fapi/v1/algoOrder; its code is a string, unlike that of cancel-all."""
    order = _find(exchange, params)
    if order is None or not order.open:
        raise unknown_to_cancel()
    _cancel(exchange, order)
    done = {"algoId": order.algo_id, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}
    return shape("DELETE /fapi/v1/algoOrder", done)


def cancel_all(exchange: Exchange, params: Params) -> dict[str, Any]:
    """DELETE /fapi/v1/algoOpenOrders: a success whether there were any or not."""
    symbol = symbol_of(exchange, params).name
    found = [order for order in exchange.state.usdm.algo_orders if order.open and order.symbol == symbol]
    for order in found[: len(found) - exchange.spare]:
        _cancel(exchange, order)
    done = {"code": 200, "msg": "The operation of cancel all open order is done."}
    return shape("DELETE /fapi/v1/algoOpenOrders", done)


def _cancel(exchange: Exchange, order: AlgoOrder) -> None:
    order.status = "CANCELED"
    order.updated = exchange.now_ms()
