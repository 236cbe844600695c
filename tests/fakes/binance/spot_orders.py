"""Spot orders: new ones and their execution."""

import re
from decimal import Decimal
from typing import Any

from .errors import ApiError, illegal, missing, not_required
from .exchange import Exchange
from .params import Params, fixed
from .spot_book import end, fill, lock, rules
from .state import D0, Order, Rules
from .usdm_algo import met

CLIENT_ID = r"^[a-zA-Z0-9-_]{1,36}$"
STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
KINDS = ("LIMIT", "MARKET", "LIMIT_MAKER", *STOPS)


def shown(order: Order) -> dict[str, Any]:
    """An order as GET /api/v3/order answers it."""
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "price": fixed(order.price, 8),
        "origQty": fixed(order.quantity, 8),
        "executedQty": fixed(order.executed, 8),
        "cummulativeQuoteQty": fixed(order.cost, 8),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "stopPrice": fixed(order.stop_price, 8),
        "icebergQty": "0.00000000",
        "time": order.created,
        "updateTime": order.updated,
        "isWorking": order.working,
        "workingTime": order.created if order.working else -1,
        "origQuoteOrderQty": "0.00000000",
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def new_order(exchange: Exchange, params: Params) -> dict[str, Any]:
    """POST /api/v3/order; answered in full for MARKET and LIMIT, else or on demand with an ACK."""
    symbol = rules(exchange, params.text("symbol"))
    side = params.choice("side", ("BUY", "SELL"), ApiError(-1117, "Invalid side."))
    kind = params.choice("type", KINDS, ApiError(-1116, "Invalid orderType."))
    price, stop = _prices(params, kind, symbol)
    client_id = _client_id(exchange, params)
    quantity = _quantity(params, kind, symbol)
    if quantity * (price or symbol.price) < symbol.min_notional:
        raise ApiError(-1013, "Filter failure: NOTIONAL")
    now = exchange.now_ms()
    order = Order(
        order_id=exchange.next_id(),
        client_id=client_id,
        symbol=symbol.name,
        side=side,
        type=kind,
        quantity=quantity,
        price=price,
        stop_price=stop,
        created=now,
        updated=now,
        time_in_force=params.sent.get("timeInForce", "GTC"),
        working=kind not in STOPS,
    )
    if kind == "LIMIT_MAKER" and crosses(order, symbol.price):
        raise ApiError(-2010, "Order would immediately match and take.")
    if stop and met(kind, side, stop, symbol.price):
        raise ApiError(-2010, "Stop price would trigger immediately.")
    lock(exchange, order, price or stop or symbol.price)
    exchange.state.spot.orders.append(order)
    execute(exchange, order)
    short = params.sent.get("newOrderRespType", "FULL" if kind in ("MARKET", "LIMIT") else "ACK") == "ACK"
    return _report(order, now, short=short)


def _report(order: Order, now: int, *, short: bool) -> dict[str, Any]:
    report = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "transactTime": now,
    }
    if short:
        return report
    full = shown(order)
    for name in ("stopPrice", "icebergQty", "time", "updateTime", "isWorking"):
        del full[name]
    average = order.cost / order.executed if order.executed else D0
    fills = [
        {
            "price": fixed(average, 8),
            "qty": fixed(order.executed, 8),
            "commission": "0.00000000",
            "commissionAsset": "BNB",
            "tradeId": order.order_id,
        }
    ]
    return report | full | {"fills": fills if order.executed else []}


def _client_id(exchange: Exchange, params: Params) -> str:
    found = params.sent.get("newClientOrderId", f"auto{exchange.next_id()}")
    if re.fullmatch(CLIENT_ID, found) is None:
        raise illegal("newClientOrderId", CLIENT_ID)
    if any(order.open and order.client_id == found for order in exchange.state.spot.orders):
        raise ApiError(-2010, "Duplicate order sent.")
    return found


def _prices(params: Params, kind: str, symbol: Rules) -> tuple[Decimal, Decimal]:
    limit = "LIMIT" in kind
    if limit and kind != "LIMIT_MAKER" and "timeInForce" not in params:
        raise missing("timeInForce")
    if not limit and "timeInForce" in params:
        raise not_required("timeInForce")
    price = _price(params, "price", symbol) if limit else D0
    return price, _price(params, "stopPrice", symbol) if kind in STOPS else D0


def _price(params: Params, name: str, symbol: Rules) -> Decimal:
    found = _number(params, name)
    if found <= 0 or found % symbol.tick:
        raise ApiError(-1013, "Filter failure: PRICE_FILTER")
    return found


def _number(params: Params, name: str) -> Decimal:
    found = params.number(name)
    if found is None:
        raise missing(name)
    if found != found.quantize(Decimal("1e-8")):
        raise ApiError(-1111, f"Parameter '{name}' has too much precision.")
    return found


def _quantity(params: Params, kind: str, symbol: Rules) -> Decimal:
    if kind == "MARKET" and "quoteOrderQty" in params:
        if "quantity" in params:
            raise not_required("quantity")
        return _number(params, "quoteOrderQty") / symbol.price // symbol.step * symbol.step
    found = _number(params, "quantity")
    if found % symbol.step or not symbol.step <= found <= symbol.max_quantity:
        raise ApiError(-1013, "Filter failure: LOT_SIZE")
    if kind == "MARKET" and found > symbol.max_market_quantity:
        raise ApiError(-1013, "Filter failure: MARKET_LOT_SIZE")
    return found


def crosses(order: Order, price: Decimal) -> bool:
    return order.price >= price if order.side == "BUY" else order.price <= price


def execute(exchange: Exchange, order: Order) -> None:
    """Fill a new order as far as it goes at the market price."""
    symbol = rules(exchange, order.symbol)
    if order.type == "MARKET":
        quantity = order.quantity * Decimal(exchange.fill_share) // symbol.step * symbol.step
        if quantity:
            fill(exchange, order, quantity, symbol.price)
        if order.open:
            end(exchange, order, "EXPIRED")
    elif order.working and crosses(order, symbol.price):
        fill(exchange, order, order.quantity, symbol.price)
    elif order.time_in_force in ("IOC", "FOK"):
        end(exchange, order, "EXPIRED")


def price_moved(exchange: Exchange, symbol: str) -> None:
    """Trigger the stops and fill the orders that the new price reaches, at their own price."""
    price = rules(exchange, symbol).price
    for order in list(exchange.state.spot.orders):
        if not order.open or order.symbol != symbol:
            continue
        if not order.working and met(order.type, order.side, order.stop_price, price):
            order.working = True
        if order.working and (not order.price or crosses(order, price)):
            fill(exchange, order, order.quantity - order.executed, order.price or price)
