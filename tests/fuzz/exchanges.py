"""Targets: what an exchange answers, in either market; what a bot's health endpoint and its predictions say."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from tests.fuzz.target import Target
from tests.harmless import is_harmless
from watchdog.exchange.answers import MOST
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.known import Holding, OpenOrder, naked, protectors
from watchdog.exchange.line import Line
from watchdog.exchange.spot import SpotMarket
from watchdog.exchange.usdm import UsdmMarket
from watchdog.health import version_in
from watchdog.predictions import PredictionDecoder, traded_on

SYMBOLS = ("SOLUSDT", "BTCUSDT")
SINCE, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)
LONGEST = 300


class Client:
    """Answers every call with what stands under its name, or under `else`."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self._answers = answers

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*_: object, **__: object) -> Any:
            return json.loads(json.dumps(self._answers.get(name, self._answers.get("else"))))

        return call


class Direct(Line):
    """Asks without limits."""

    def __init__(self) -> None:
        pass

    async def ask(self, call: str, make: Callable[[], Awaitable[Any]]) -> Any:
        return await make()


def exchange(data: bytes) -> None:
    """An ExchangeError, or orders and holdings whose numbers are amounts and whose texts are fit to be shown."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(body, dict):
        client = Client(body)
        asyncio.run(_ask(UsdmMarket(client, Direct())))
        asyncio.run(_ask(SpotMarket(client, Direct(), SYMBOLS)))


async def _ask(market: UsdmMarket | SpotMarket) -> None:
    orders: list[OpenOrder] = []
    holdings: list[Holding] = []
    for symbol in SYMBOLS:
        orders += await _or_told(market.open_orders(symbol)) or []
        holdings += await _or_told(market.holdings(symbol)) or []
        await _or_told(market.sent(symbol, "id"))
    flows = await _or_told(market.flows(SINCE, UNTIL))
    assert flows is None or abs(flows) < MOST * 2000
    dumped: list[dict[str, Any]] = [order.dump() for order in orders] + [
        holding.dump() for holding in holdings
    ]
    for value in (value for one in dumped for value in one.values() if isinstance(value, str)):
        assert is_harmless(value)
        assert len(value) < LONGEST
    for holding in holdings:
        assert holding.state == "open"
        assert naked(holding, orders) is not None
        await _or_told(market.close(holding, "id"))
    assert protectors(orders, holdings) <= {order.key for order in orders}
    for order in orders:
        assert order.quantity.is_finite()
        await _or_told(market.cancel(order))


async def _or_told(asked: Awaitable[Any]) -> Any:
    try:
        return await asked
    except ExchangeError as error:
        said = str(error)
    assert is_harmless(said)
    assert len(said) < LONGEST
    return None


def health(data: bytes) -> None:
    """A version that a person can read, or none."""
    found = version_in(data)
    assert found is None or (is_harmless(found) and 0 < len(found) <= LONGEST)


def predictions(data: bytes) -> None:
    """Lines that are predictions, and those that are counted; what a trade was made on."""
    lines = data.split(b"\n")
    decoder = PredictionDecoder(UTC)
    found = [decoder.decode(line) for line in lines]
    assert sum(one is None for one in found) >= decoder.garbled
    for one in found:
        if one is not None:
            assert one.at.utcoffset() is not None
            assert one.confidence is None or 0 <= one.confidence <= 1
            (one.version or "").encode()
    for line in lines:
        told = traded_on(line)
        assert told is None or told[1] is None or 0 <= told[1] <= 1


_ORDER = {
    "symbol": "SOLUSDT", "side": "SELL", "type": "STOP_MARKET", "origQty": "1.3", "executedQty": "0.3", "price": "0",
    "stopPrice": "148", "orderId": 17, "clientOrderId": "x", "closePosition": False, "reduceOnly": True,
    "positionSide": "BOTH", "orderListId": -1,
}  # fmt: skip
_ALGO = {
    "symbol": "SOLUSDT", "side": "SELL", "orderType": "STOP_MARKET", "quantity": "1.3", "price": "0",
    "triggerPrice": "148", "algoId": 18, "clientAlgoId": "y", "closePosition": "true", "reduceOnly": "false",
    "positionSide": "LONG",
}  # fmt: skip
_POSITION = {
    "symbol": "SOLUSDT", "positionSide": "BOTH", "positionAmt": "1.3", "entryPrice": "150.2", "markPrice": "149",
    "unRealizedProfit": "-1.5", "unrealizedProfit": "-1.5",
}  # fmt: skip
_FILTERS = [
    {"filterType": "LOT_SIZE", "stepSize": "0.1", "minQty": "0.1", "maxQty": "1000"},
    {"filterType": "MIN_NOTIONAL", "notional": "5"},
]
_INFO = {
    "symbols": [
        {"symbol": symbol, "baseAsset": symbol[:3], "quoteAsset": "USDT", "filters": _FILTERS}
        for symbol in SYMBOLS
    ]
}
_GOOD = {
    "futures_get_open_orders": [_ORDER | _ALGO],
    "futures_position_information": [_POSITION],
    "futures_account": {"totalInitialMargin": "1", "positions": [_POSITION]},
    "futures_exchange_info": _INFO,
    "futures_get_order": {"status": "FILLED", "origQty": "1.3", "executedQty": "1.3"},
    "futures_income_history": [{"incomeType": "TRANSFER", "asset": "USDT", "income": "-5"}],
    "get_open_orders": [_ORDER],
    "get_account": {"balances": [{"asset": "SOL", "free": "1.2", "locked": "0.1"}]},
    "get_symbol_ticker": {"symbol": "SOLUSDT", "price": "150"},
    "spot_rules": _INFO,
    "get_order": {"status": "NEW", "origQty": "1.3", "executedQty": "0"},
    "get_deposit_history": [{"amount": "5"}],
    "get_withdraw_history": [{"amount": "5", "transactionFee": "0.1"}],
    "else": {},
}
WORDS = (
    b'"1e-999999999"',
    b'"1e999"',
    b'"-0"',
    b'"0E-999999999"',
    b'"NaN"',
    b'"sNaN"',
    b"1e999",
    b"null",
    b"[]",
    b"{}",
    b'"x"',
    b"true",
    b'"\\u001b"',
)
EXCHANGES = (
    Target(
        "exchange",
        exchange,
        (json.dumps(_GOOD).encode(), b'{"else": []}', b'{"else": {"code": -1, "msg": "x"}}'),
        WORDS,
    ),
    Target(
        "health",
        health,
        (b'{"model_version": "v2.0.0"}', b'{"model": {"version": "v2.0.0"}}', b'{"model": "v2"}'),
        (*WORDS, b'"model": ', b"[" * 500, b'"\\ud800"', b'"a\\nb"', b'"' + b"v" * 5000 + b'"'),
    ),
    Target(
        "predictions",
        predictions,
        (
            b'{"timestamp": "2026-03-01T10:00:00", "direction": 1, "confidence": 0.7, "model_version": "v2"}\n'
            b'{"ts": 1772359200000, "signal": "sell", "score": "0.2"}\n',
            b'{"type": "entry", "timestamp": "2026-03-01T10:00:00", "direction": -1, "ml_confidence": 0.71}',
        ),
        (
            *WORDS,
            b'"ts": ',
            b'"at": ',
            b'"side": ',
            b'"score": ',
            b"9" * 400,
            b"-1",
            b"\n",
            b'"\\ud800"',
            b"NaN",
            b"-Infinity",
        ),
    ),
)
