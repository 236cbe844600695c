"""The USD-M endpoints: market data, and the table of them all."""

from decimal import Decimal
from typing import Any

from . import usdm_account, usdm_algo, usdm_orders
from .exchange import Exchange, Handler
from .params import Params, fixed, places
from .shapes import sample, shape
from .state import Rules
from .usdm_book import rules
from .usdm_checks import CONDITIONAL, symbol_of


def ping(exchange: Exchange, params: Params) -> dict[str, Any]:
    return {}


def time(exchange: Exchange, params: Params) -> dict[str, Any]:
    return shape("GET /fapi/v1/time", {"serverTime": exchange.now_ms()})


def _filters(symbol: Rules) -> list[dict[str, Any]]:
    price, step = places(symbol.tick), places(symbol.step)
    tick, smallest = fixed(symbol.tick, price), fixed(symbol.step, step)
    lot = {"minQty": smallest, "stepSize": smallest}
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "maxQty": fixed(symbol.max_quantity, step), **lot},
        {"filterType": "MARKET_LOT_SIZE", "maxQty": fixed(symbol.max_market_quantity, step), **lot},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": 10},
        {"filterType": "MIN_NOTIONAL", "notional": str(symbol.min_notional)},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.1500",
            "multiplierDown": "0.8500",
            "multiplierDecimal": "4",
        },
    ]


def exchange_info(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v1/exchangeInfo of the configured symbols."""
    info = sample("GET /fapi/v1/exchangeInfo")
    layout = info["symbols"][0]
    symbols = [
        layout
        | {
            "symbol": symbol.name,
            "pair": symbol.name,
            "baseAsset": symbol.base,
            "quoteAsset": symbol.quote,
            "marginAsset": symbol.quote,
            "pricePrecision": places(symbol.tick),
            "quantityPrecision": places(symbol.step),
            "filters": _filters(symbol),
            "orderTypes": ["LIMIT", "MARKET", *CONDITIONAL],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }
        for symbol in exchange.state.usdm.symbols.values()
    ]
    return info | {"serverTime": exchange.now_ms(), "exchangeFilters": [], "symbols": symbols}


def premium_index(exchange: Exchange, params: Params) -> dict[str, Any] | list[dict[str, Any]]:
    """GET /fapi/v1/premiumIndex: the mark price; a list when no symbol is named."""
    named = "symbol" in params
    symbols = [symbol_of(exchange, params)] if named else list(exchange.state.usdm.symbols.values())
    found = [
        shape(
            "GET /fapi/v1/premiumIndex",
            sample("GET /fapi/v1/premiumIndex")
            | {name: fixed(s.price, 8) for name in ("markPrice", "indexPrice", "estimatedSettlePrice")}
            | {"symbol": s.name, "time": exchange.now_ms()},
        )
        for s in symbols
    ]
    return found[0] if named else found


def move_price(exchange: Exchange, symbol: str, price: Decimal) -> None:
    """Fill and trigger what the new mark price reaches."""
    rules(exchange, symbol).price = price
    usdm_orders.price_moved(exchange, symbol)
    usdm_algo.price_moved(exchange, symbol)


PUBLIC: dict[str, Handler] = {
    "GET /fapi/v1/ping": ping,
    "GET /fapi/v1/time": time,
    "GET /fapi/v1/exchangeInfo": exchange_info,
    "GET /fapi/v1/premiumIndex": premium_index,
}
SIGNED: dict[str, Handler] = {
    "POST /fapi/v1/order": usdm_orders.new_order,
    "GET /fapi/v1/order": usdm_orders.query_order,
    "GET /fapi/v1/openOrder": usdm_orders.query_open_order,
    "GET /fapi/v1/openOrders": usdm_orders.open_orders,
    "DELETE /fapi/v1/order": usdm_orders.cancel_order,
    "DELETE /fapi/v1/allOpenOrders": usdm_orders.cancel_all,
    "POST /fapi/v1/algoOrder": usdm_algo.new_order,
    "GET /fapi/v1/algoOrder": usdm_algo.query_order,
    "GET /fapi/v1/openAlgoOrders": usdm_algo.open_orders,
    "DELETE /fapi/v1/algoOrder": usdm_algo.cancel_order,
    "DELETE /fapi/v1/algoOpenOrders": usdm_algo.cancel_all,
    "GET /fapi/v1/positionSide/dual": usdm_account.mode,
    "GET /fapi/v2/positionRisk": usdm_account.position_risk_v2,
    "GET /fapi/v3/positionRisk": usdm_account.position_risk_v3,
    "GET /fapi/v2/account": usdm_account.account_v2,
    "GET /fapi/v3/account": usdm_account.account_v3,
    "GET /fapi/v2/balance": usdm_account.balance,
    "GET /fapi/v3/balance": usdm_account.balance,
    "GET /fapi/v1/income": usdm_account.income,
    "GET /fapi/v1/userTrades": usdm_account.user_trades,
}
