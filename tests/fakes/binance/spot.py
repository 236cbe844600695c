"""The spot and wallet endpoints: market data, account, history, and the table of them all."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from . import spot_lists, spot_orders
from .exchange import Exchange, Handler
from .params import Params, fixed
from .spot_book import rules
from .state import Rules
from .usdm import ping

QUARTER_MS = 90 * 24 * 3_600_000
RESTRICTIONS = {
    "ipRestrict": True,
    "createTime": 1698645219000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "enableMargin": False,
    "enableFutures": True,
    "permitsUniversalTransfer": False,
    "enableVanillaOptions": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": False,
    "enableSpotAndMarginTrading": True,
    "enablePortfolioMarginTrading": False,
}
"""A key as it should be; the desk changes what a test wants otherwise."""


def time(exchange: Exchange, params: Params) -> dict[str, Any]:
    return {"serverTime": exchange.now_ms()}


def _filters(symbol: Rules) -> list[dict[str, Any]]:
    tick, step, zero = fixed(symbol.tick, 8), fixed(symbol.step, 8), "0.00000000"
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": fixed(symbol.max_quantity, 8), "stepSize": step},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        # a step of 0 is the real answer: market orders go by LOT_SIZE
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": zero,
            "maxQty": fixed(symbol.max_market_quantity, 8),
            "stepSize": zero,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": fixed(symbol.min_notional, 8),
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]


def exchange_info(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /api/v3/exchangeInfo, of one symbol if asked."""
    known = exchange.state.spot.symbols
    wanted = [rules(exchange, params.text("symbol"))] if "symbol" in params else list(known.values())
    symbols = [
        {
            "symbol": symbol.name,
            "status": "TRADING",
            "baseAsset": symbol.base,
            "baseAssetPrecision": 8,
            "quoteAsset": symbol.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": list(spot_orders.KINDS),
            "ocoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "isSpotTradingAllowed": True,
            "filters": _filters(symbol),
            "permissions": [],
            "permissionSets": [["SPOT"]],
        }
        for symbol in wanted
    ]
    return {
        "timezone": "UTC",
        "serverTime": exchange.now_ms(),
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": symbols,
    }


def ticker_price(exchange: Exchange, params: Params) -> dict[str, Any] | list[dict[str, Any]]:
    """GET /api/v3/ticker/price; a list when no symbol is named."""
    if "symbol" in params:
        return _price(rules(exchange, params.text("symbol")))
    return [_price(symbol) for symbol in exchange.state.spot.symbols.values()]


def _price(symbol: Rules) -> dict[str, Any]:
    return {"symbol": symbol.name, "price": fixed(symbol.price, 8)}


def account(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /api/v3/account."""
    some = params.flag("omitZeroBalances")
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "updateTime": 0,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": fixed(held.free, 8), "locked": fixed(held.locked, 8)}
            for asset, held in exchange.state.spot.balances.items()
            if not some or held.free or held.locked
        ],
        "permissions": ["SPOT"],
        "uid": 354937868,
    }


def api_restrictions(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /sapi/v1/account/apiRestrictions."""
    return RESTRICTIONS | exchange.state.spot.restrictions


def _in_time(exchange: Exchange, params: Params, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Newest first, of the last 90 days when no time is asked for; `at` is when it was, and is not answered."""
    start = params.integer("startTime") or exchange.now_ms() - QUARTER_MS
    end, coin = params.integer("endTime") or exchange.now_ms(), params.sent.get("coin")
    found = [row for row in rows if start <= row["at"] <= end and coin in (None, row["coin"])]
    found.sort(key=lambda row: -int(row["at"]))
    return [{name: value for name, value in row.items() if name != "at"} for row in found]


def deposits(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /sapi/v1/capital/deposit/hisrec; status 1 is success."""
    return _in_time(exchange, params, exchange.state.spot.deposits)


def withdrawals(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /sapi/v1/capital/withdraw/history; status 6 is completed, times are text in UTC."""
    return _in_time(exchange, params, exchange.state.spot.withdrawals)


def deposit(number: int, coin: str, amount: str, at_ms: int) -> dict[str, Any]:
    return {
        "at": at_ms,
        "id": str(number),
        "amount": amount,
        "coin": coin,
        "network": "BNB",
        "status": 1,
        "address": "0x0000",
        "addressTag": "",
        "txId": f"0x{number:x}",
        "insertTime": at_ms,
        "transferType": 0,
        "confirmTimes": "1/1",
        "unlockConfirm": 0,
        "walletType": 0,
    }


def withdrawal(number: int, coin: str, amount: str, at_ms: int) -> dict[str, Any]:
    applied = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return {
        "at": at_ms,
        "id": str(number),
        "amount": amount,
        "transactionFee": "0",
        "coin": coin,
        "status": 6,
        "address": "0x0000",
        "txId": f"0x{number:x}",
        "applyTime": applied,
        "completeTime": applied,
        "network": "BNB",
        "transferType": 0,
        "info": "",
        "confirmNo": 1,
        "walletType": 0,
        "txKey": "",
    }


def move_price(exchange: Exchange, symbol: str, price: Decimal) -> None:
    """Trigger and fill what the new price reaches."""
    rules(exchange, symbol).price = price
    spot_orders.price_moved(exchange, symbol)


PUBLIC: dict[str, Handler] = {
    "GET /api/v3/ping": ping,
    "GET /api/v3/time": time,
    "GET /api/v3/exchangeInfo": exchange_info,
    "GET /api/v3/ticker/price": ticker_price,
}
SIGNED: dict[str, Handler] = {
    "GET /api/v3/account": account,
    "POST /api/v3/order": spot_orders.new_order,
    "GET /api/v3/order": spot_lists.query_order,
    "DELETE /api/v3/order": spot_lists.cancel_order,
    "GET /api/v3/openOrders": spot_lists.open_orders,
    "DELETE /api/v3/openOrders": spot_lists.cancel_all,
    "GET /api/v3/openOrderList": spot_lists.open_lists,
    "DELETE /api/v3/orderList": spot_lists.cancel_list,
    "GET /sapi/v1/account/apiRestrictions": api_restrictions,
    "GET /sapi/v1/capital/deposit/hisrec": deposits,
    "GET /sapi/v1/capital/withdraw/history": withdrawals,
}
