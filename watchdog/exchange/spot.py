"""The spot market. What an account has of a symbol's base asset is its position; what was paid for it, nobody knows."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from watchdog.exchange.answers import Row, Rules, Sent, rows, rules, sent
from watchdog.exchange.errors import NO_SUCH_ORDER, ExchangeError
from watchdog.exchange.known import BOTH, Holding, OpenOrder, plain
from watchdog.exchange.line import Line
from watchdog.exchange.market import agreed
from watchdog.exchange.transfers import net_of_wallet

NO_LIST = "-1"


class SpotMarket:
    """Implements `Market`. `symbols`: all that are configured; an asset counts for the first that trades it."""

    stops_lock = True

    def __init__(self, client: Any, line: Line, symbols: Sequence[str]) -> None:
        self._client, self._line, self._symbols = client, line, symbols
        self._rules: dict[str, Rules] = {}

    async def open_orders(self, symbol: str) -> list[OpenOrder]:
        """The legs of lists (OCO) among them."""
        call = "openOrders"
        found = rows(call, await self._ask(call, lambda c: c.get_open_orders(symbol=symbol)))
        return [_order(row) for row in found if row.text("symbol") == symbol]

    async def holdings(self, symbol: str) -> list[Holding]:
        """Free and locked, at the last price. There is one source, which is asked twice."""
        limits = await self._limits(symbol)
        for earlier in self._symbols[: self._symbols.index(symbol)]:
            if await self._base(earlier) == limits.base:
                return []
        first, second = [await self._balance(symbol, limits.base) for _ in range(2)]
        price = await self._price(symbol) if first else None
        held = [replace(holding, mark=price) for holding in agreed(symbol, first, second)]
        return [replace(holding, dust=_too_little(holding, limits)) for holding in held]

    async def _balance(self, symbol: str, asset: str) -> list[Holding]:
        row = Row("account", await self._ask("account", lambda c: c.get_account()))
        mine = next((each for each in row.rows("balances") if each.body.get("asset") == asset), None)
        if mine is None:
            return []
        free, locked = mine.amount("free"), mine.amount("locked")
        return [Holding(symbol, BOTH, free + locked, locked=locked)]

    async def _base(self, symbol: str) -> str | None:
        """None for a symbol that does not exist, which is told with it."""
        try:
            return (await self._limits(symbol)).base
        except ExchangeError as error:
            if error.kind == "refused":
                return None
            raise

    async def _price(self, symbol: str) -> Decimal | None:
        """What a holding is worth is good to know, and not needed."""
        call = "ticker/price"
        try:
            return Row(call, await self._ask(call, lambda c: c.get_symbol_ticker(symbol=symbol))).price(
                "price"
            )
        except ExchangeError as error:
            if error.kind == "limited":
                raise
            return None

    async def cancel(self, order: OpenOrder) -> None:
        """By its own number; a leg takes its whole list with it."""
        await self._ask("cancel order", lambda c: c.cancel_order(symbol=order.symbol, orderId=order.ident))

    async def close(self, holding: Holding, client_id: str) -> None:
        """Sells what is free, rounded down to whole steps."""
        assert holding.amount is not None
        limits = await self._limits(holding.symbol)
        amount = min(holding.amount - holding.locked, limits.most)
        amount -= amount % limits.step if limits.step > 0 else 0
        if amount < max(limits.least, limits.step):
            raise ExchangeError("new order", "all of it is locked by open orders", "refused")
        params = {"side": "SELL", "type": "MARKET", "quantity": plain(amount), "newClientOrderId": client_id}
        await self._ask("new order", lambda c: c.create_order(symbol=holding.symbol, **params))

    async def sent(self, symbol: str, client_id: str) -> Sent | None:
        """By the id that we gave it."""
        try:
            found = await self._ask(
                "order", lambda c: c.get_order(symbol=symbol, origClientOrderId=client_id)
            )
        except ExchangeError as error:
            if error.code in NO_SUCH_ORDER:
                return None
            raise
        return sent("order", found)

    async def flows(self, since: datetime, until: datetime) -> Decimal | None:
        """Deposits and withdrawals of the quote asset. Transfers to other wallets of the account are not in there."""
        quote = (await self._limits(self._symbols[0])).quote
        span = {"startTime": int(since.timestamp() * 1000), "endTime": int(until.timestamp() * 1000)}
        into, out = "deposit/hisrec", "withdraw/history"
        came = await self._ask(into, lambda c: c.get_deposit_history(coin=quote, **span))
        went = await self._ask(out, lambda c: c.get_withdraw_history(coin=quote, **span))
        return net_of_wallet(list(rows(into, came)), list(rows(out, went)))

    async def _limits(self, symbol: str) -> Rules:
        if symbol not in self._rules:
            call = "exchangeInfo"
            self._rules[symbol] = rules(call, await self._ask(call, lambda c: c.spot_rules(symbol)), symbol)
        return self._rules[symbol]

    async def _ask(self, call: str, make: Callable[[Any], Awaitable[Any]]) -> Any:
        return await self._line.ask(call, lambda: make(self._client))


def _too_little(holding: Holding, limits: Rules) -> bool:
    """Whether no order could sell it. Without a price, only when it is below the smallest quantity."""
    assert holding.amount is not None
    whole = holding.amount - holding.amount % limits.step if limits.step > 0 else holding.amount
    worth = None if holding.mark is None else whole * holding.mark
    return whole < max(limits.least, limits.step) or (worth is not None and worth < limits.least_value)


def _order(row: Row) -> OpenOrder:
    list_id = row.maybe_text("orderListId", NO_LIST)
    return OpenOrder(
        row.text("symbol"),
        row.side(),
        row.text("type"),
        row.amount("origQty") - (row.maybe("executedQty") or Decimal(0)),
        row.price("price"),
        row.price("stopPrice"),
        row.text("orderId"),
        row.maybe_text("clientOrderId", ""),
        reduces=row.side() == "SELL",
        list_id=None if list_id == NO_LIST else list_id,
    )
