"""Everything the server remembers; JSON on disk, decimals as strings, times in milliseconds."""

from decimal import Decimal
from typing import Any

import msgspec

D0 = Decimal(0)
OPEN = ("NEW", "PARTIALLY_FILLED")


class Rules(msgspec.Struct):
    """A symbol and the filters that its orders must pass."""

    name: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    price: Decimal
    max_quantity: Decimal = Decimal(1000000)
    max_market_quantity: Decimal = Decimal(50000)


class Order(msgspec.Struct, kw_only=True):
    """A basic order, of either market. Of spot alone: the OCO that it belongs to, what it keeps locked, and
    whether it is on the book (a stop comes there when it is triggered).
    """

    order_id: int
    client_id: str
    symbol: str
    side: str
    type: str
    quantity: Decimal
    created: int
    updated: int
    price: Decimal = D0
    stop_price: Decimal = D0
    executed: Decimal = D0
    cost: Decimal = D0
    status: str = "NEW"
    time_in_force: str = "GTC"
    position_side: str = "BOTH"
    reduce_only: bool = False
    list_id: int = -1
    locked: Decimal = D0
    working: bool = True

    @property
    def open(self) -> bool:
        return self.status in OPEN


class AlgoOrder(msgspec.Struct, kw_only=True):
    """A conditional order of the USD-M algo service."""

    algo_id: int
    client_id: str
    symbol: str
    side: str
    type: str
    created: int
    updated: int
    trigger_price: Decimal = D0
    price: Decimal = D0
    quantity: Decimal = D0
    status: str = "NEW"
    time_in_force: str = "GTC"
    position_side: str = "BOTH"
    reduce_only: bool = False
    close_position: bool = False
    working_type: str = "CONTRACT_PRICE"
    callback_rate: str = ""
    activate_price: str = ""
    triggered: int = 0
    actual_order_id: str = ""

    @property
    def open(self) -> bool:
        return self.status == "NEW"


class Position(msgspec.Struct):
    """One side of a symbol's position; the amount of a short is negative."""

    symbol: str
    side: str
    amount: Decimal = D0
    entry_price: Decimal = D0
    updated: int = 0


class Usdm(msgspec.Struct):
    symbols: dict[str, Rules]
    hedge_mode: bool = False
    wallet: Decimal = Decimal(2000)
    leverage: int = 5
    positions: list[Position] = []
    orders: list[Order] = []
    algo_orders: list[AlgoOrder] = []
    income: list[dict[str, Any]] = []
    trades: list[dict[str, Any]] = []


class OrderList(msgspec.Struct):
    """An OCO of the spot market."""

    list_id: int
    client_id: str
    symbol: str
    created: int
    status: str = "EXECUTING"


class Balance(msgspec.Struct):
    free: Decimal = D0
    locked: Decimal = D0


class Spot(msgspec.Struct):
    symbols: dict[str, Rules]
    balances: dict[str, Balance]
    orders: list[Order] = []
    lists: list[OrderList] = []
    restrictions: dict[str, Any] = {}
    deposits: list[dict[str, Any]] = []
    withdrawals: list[dict[str, Any]] = []


class State(msgspec.Struct):
    usdm: Usdm
    spot: Spot
    last_id: int = 1000
    shift_ms: int = 0


def _rules(rows: str) -> dict[str, Rules]:
    found = {}
    for row in rows.split(";"):
        name, base, quote, tick, step, notional, price = row.split()
        found[name] = Rules(
            name, base, quote, Decimal(tick), Decimal(step), Decimal(notional), Decimal(price)
        )
    return found


def fresh() -> State:
    """A new account: 2,000 USDT on either market, nothing open."""
    usdm = _rules(
        "SOLUSDT SOL USDT 0.01 0.01 5 150;BTCUSDT BTC USDT 0.1 0.001 100 60000;"
        "ETHUSDT ETH USDT 0.01 0.001 20 3000;1000PEPEUSDT 1000PEPE USDT 0.0000001 1 5 0.0095"
    )
    spot = _rules(
        "SOLUSDT SOL USDT 0.01 0.001 5 150;BTCUSDT BTC USDT 0.01 0.00001 5 60000;"
        "ETHUSDT ETH USDT 0.01 0.0001 5 3000;PEPEUSDT PEPE USDT 0.00000001 1 1 0.0000095"
    )
    return State(Usdm(usdm), Spot(spot, {"USDT": Balance(Decimal(2000))}))
