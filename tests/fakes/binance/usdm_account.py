"""What a USD-M account holds: positions, mode, balance, income and trades."""

from decimal import Decimal
from typing import Any

from .exchange import Exchange
from .params import Params, fixed, places
from .shapes import sample, shape
from .state import D0, Position
from .usdm_book import position, rules, sides
from .usdm_checks import symbol_of

WEEK_MS = 7 * 24 * 3_600_000


def mode(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v1/positionSide/dual."""
    return shape("GET /fapi/v1/positionSide/dual", {"dualSidePosition": exchange.state.usdm.hedge_mode})


def _rows(exchange: Exchange, params: Params) -> list[Position]:
    names = [symbol_of(exchange, params).name] if "symbol" in params else list(exchange.state.usdm.symbols)
    return [position(exchange, name, side) for name in names for side in sides(exchange)]


def _values(exchange: Exchange, held: Position) -> dict[str, Any]:
    symbol, usdm = rules(exchange, held.symbol), exchange.state.usdm
    notional = held.amount * symbol.price
    margin = fixed(abs(notional) / usdm.leverage, 8) if notional else "0"
    maintenance = fixed(abs(notional) / 200, 8) if notional else "0"
    profit = unrealised(exchange, held)
    return {
        "symbol": held.symbol,
        "positionSide": held.side,
        "positionAmt": fixed(held.amount, places(symbol.step)),
        "entryPrice": fixed(held.entry_price, max(places(symbol.tick), 5)),
        "breakEvenPrice": fixed(held.entry_price, max(places(symbol.tick), 5)),
        "markPrice": fixed(symbol.price, 8),
        "unRealizedProfit": fixed(profit, 8),
        "unrealizedProfit": fixed(profit, 8),
        "liquidationPrice": "0",
        "isolatedMargin": "0.00000000",
        "isolatedWallet": "0",
        "isolated": False,
        "notional": fixed(notional, 8) if notional else "0",
        "marginAsset": "USDT",
        "marginType": "cross",
        "isAutoAddMargin": "false",
        "leverage": str(usdm.leverage),
        "maxNotional": "20000000",
        "maxNotionalValue": "20000000",
        "initialMargin": margin,
        "maintMargin": maintenance,
        "positionInitialMargin": margin,
        "openOrderInitialMargin": "0",
        "adl": 2,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": held.updated,
    }


def unrealised(exchange: Exchange, held: Position) -> Decimal:
    return (rules(exchange, held.symbol).price - held.entry_price) * held.amount


def position_risk_v2(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v2/positionRisk: every symbol, flat or not."""
    return [shape("GET /fapi/v2/positionRisk", _values(exchange, p)) for p in _rows(exchange, params)]


def position_risk_v3(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v3/positionRisk: only what has a position or an open order, and no leverage."""
    usdm = exchange.state.usdm
    ordered = {(o.symbol, o.position_side) for o in usdm.orders if o.open}
    ordered |= {(o.symbol, o.position_side) for o in usdm.algo_orders if o.open}
    return [
        shape("GET /fapi/v3/positionRisk", _values(exchange, held))
        for held in _rows(exchange, params)
        if held.amount != 0 or (held.symbol, held.side) in ordered
    ]


def _money(exchange: Exchange) -> dict[str, Any]:
    """Sums of an account in USDT alone, under every name they have."""
    usdm = exchange.state.usdm
    held = [p for p in usdm.positions if p.amount]
    profit = sum((unrealised(exchange, p) for p in held), D0)
    margin = sum((abs(p.amount) * rules(exchange, p.symbol).price for p in held), D0) / usdm.leverage
    wallet, free = fixed(usdm.wallet, 8), fixed(max(D0, usdm.wallet + profit - margin), 8)
    values = {
        "InitialMargin": fixed(margin, 8),
        "MaintMargin": fixed(margin * usdm.leverage / 200, 8),
        "WalletBalance": wallet,
        "UnrealizedProfit": fixed(profit, 8),
        "MarginBalance": fixed(usdm.wallet + profit, 8),
        "PositionInitialMargin": fixed(margin, 8),
        "OpenOrderInitialMargin": fixed(D0, 8),
        "CrossWalletBalance": wallet,
        "CrossUnPnl": fixed(profit, 8),
    }
    found: dict[str, Any] = {f"total{name}": value for name, value in values.items()}
    found |= {name[0].lower() + name[1:]: value for name, value in values.items()}
    return found | {
        "asset": "USDT",
        "balance": wallet,
        "availableBalance": free,
        "maxWithdrawAmount": free,
        "marginAvailable": True,
        "accountAlias": "SgsR",
        "updateTime": 0,
    }


def _account(exchange: Exchange, params: Params, endpoint: str) -> dict[str, Any]:
    money = _money(exchange)
    layout = sample(endpoint)
    rows = _rows(exchange, params)
    if "v3" in endpoint:
        rows = [held for held in rows if held.amount]
    assets, held_fields = layout["assets"][0], layout["positions"][0]
    values = money | {
        "feeTier": 0,
        "feeBurn": True,
        "canTrade": True,
        "canDeposit": True,
        "canWithdraw": True,
        "multiAssetsMargin": False,
        "tradeGroupId": -1,
        "assets": [{name: money[name] for name in assets}],
        "positions": [{name: _values(exchange, p)[name] for name in held_fields} for p in rows],
    }
    return shape(endpoint, values)


def account_v2(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v2/account: every symbol."""
    return _account(exchange, params, "GET /fapi/v2/account")


def account_v3(exchange: Exchange, params: Params) -> dict[str, Any]:
    """GET /fapi/v3/account: only what has a position."""
    return _account(exchange, params, "GET /fapi/v3/account")


def balance(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v2/balance and v3, which look the same."""
    return [shape("GET /fapi/v3/balance", _money(exchange))]


def _in_time(exchange: Exchange, params: Params, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of the last seven days when no time is asked for, oldest first."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is None and end is None:
        start = exchange.now_ms() - WEEK_MS
    limit = min(params.integer("limit") or 100, 1000)
    found = [
        row for row in rows if (start is None or row["time"] >= start) and (end is None or row["time"] <= end)
    ]
    return sorted(found, key=lambda row: int(row["time"]))[:limit]


def income(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v1/income; incomeType=TRANSFER gives deposits (above 0) and withdrawals (below)."""
    kind, symbol = params.sent.get("incomeType"), params.sent.get("symbol")
    rows = [
        shape("GET /fapi/v1/income", row)
        for row in exchange.state.usdm.income
        if kind in (None, row["incomeType"]) and symbol in (None, row["symbol"])
    ]
    return _in_time(exchange, params, rows)


def user_trades(exchange: Exchange, params: Params) -> list[dict[str, Any]]:
    """GET /fapi/v1/userTrades of a symbol, of one order if asked."""
    symbol, order_id = symbol_of(exchange, params).name, params.integer("orderId")
    rows = [
        shape("GET /fapi/v1/userTrades", row, omit=("baseQty", "marginAsset", "pair"))
        for row in exchange.state.usdm.trades
        if row["symbol"] == symbol and order_id in (None, row["orderId"])
    ]
    return _in_time(exchange, params, rows)
