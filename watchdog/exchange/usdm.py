"""USD-M futures. Conditional orders live with a service of their own since 2025-12-09, and are asked for apart."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from watchdog.exchange.answers import Row, Rules, Sent, rows, rules, sent
from watchdog.exchange.errors import NO_SUCH_CALL, NO_SUCH_ORDER, ExchangeError, garbled
from watchdog.exchange.known import BOTH, Holding, OpenOrder, plain
from watchdog.exchange.line import Line
from watchdog.exchange.market import agreed
from watchdog.exchange.transfers import net_income

HEDGE_SIDES = frozenset({"LONG", "SHORT"})


class UsdmMarket:
    """Implements `Market`."""

    stops_lock = False

    def __init__(self, client: Any, line: Line) -> None:
        self._client, self._line = client, line
        self._rules: dict[str, Rules | None] = {}

    async def open_orders(self, symbol: str) -> list[OpenOrder]:
        """Of both services. Where one of them fails, the error has what the other one brought."""
        found: list[OpenOrder] = []
        failed: ExchangeError | None = None
        for listed in (self._basic_orders, self._algo_orders):
            try:
                found += await listed(symbol)
            except ExchangeError as error:
                failed = failed or error
        if failed is None:
            return found
        failed.found = found
        raise failed

    async def _basic_orders(self, symbol: str) -> list[OpenOrder]:
        call = "openOrders"
        found = await self._ask(call, lambda c: c.futures_get_open_orders(symbol=symbol))
        return [_basic(row) for row in rows(call, found) if row.text("symbol") == symbol]

    async def _algo_orders(self, symbol: str) -> list[OpenOrder]:
        call = "openAlgoOrders"
        found = await self._ask(call, lambda c: c.futures_get_open_orders(symbol=symbol, conditional=True))
        return [_algo(row) for row in rows(call, found) if row.text("symbol") == symbol]

    async def holdings(self, symbol: str) -> list[Holding]:
        """First as version 3 has it, which is silent about a flat symbol; then as version 2, which has a row for it.

        Should that be silent, too, or gone, the account is asked: it is an object with sums, which no empty list can be
        mistaken for. Silence of the second source does not take away what the first one tells twice. Where version 3
        does not exist, version 2 is asked in its place, too.
        """
        newest, first = 3, await self._where_it_exists(self._positions(symbol, 3))
        if first is None:
            newest, first = 2, await self._positions(symbol, 2)
        second = await self._where_it_exists(self._positions(symbol, 2))
        if not second:
            second = await self._where_it_exists(self._in_account(symbol))
        if not second and first:
            second = await self._positions(symbol, newest)
        return [self._told_dust(holding) for holding in agreed(symbol, first, second or [])]

    def _told_dust(self, holding: Holding) -> Holding:
        """The steps of a symbol are known once something of it was to be closed; till then nothing counts as dust."""
        limits = self._rules.get(holding.symbol)
        return replace(holding, dust=limits is not None and abs(holding.amount or Decimal(0)) < limits.step)

    async def _where_it_exists(self, asked: Awaitable[list[Holding]]) -> list[Holding] | None:
        try:
            return await asked
        except ExchangeError as error:
            if error.status == NO_SUCH_CALL:
                return None
            raise

    async def _positions(self, symbol: str, version: int) -> list[Holding]:
        call = f"v{version}/positionRisk"
        found = await self._ask(
            call, lambda c: c.futures_position_information(symbol=symbol, version=version)
        )
        return [
            _position(row, "unRealizedProfit") for row in rows(call, found) if row.text("symbol") == symbol
        ]

    async def _in_account(self, symbol: str) -> list[Holding]:
        call = "v2/account"
        row = Row(call, await self._ask(call, lambda c: c.futures_account()))
        row.amount("totalInitialMargin")
        return [
            _position(each, "unrealizedProfit")
            for each in row.rows("positions")
            if each.text("symbol") == symbol
        ]

    async def cancel(self, order: OpenOrder) -> None:
        """By its own number: what a person placed meanwhile is not touched."""
        if order.book == "algo":
            await self._ask("cancel algoOrder", lambda c: c.futures_cancel_order(algoId=order.ident))
        else:
            await self._ask(
                "cancel order", lambda c: c.futures_cancel_order(symbol=order.symbol, orderId=order.ident)
            )

    async def close(self, holding: Holding, client_id: str) -> None:
        """Reduce-only; in hedge mode the position's side says the same, and reduceOnly is not taken. `refused`, and
        nothing is sent, for less than one step; the next reading calls it dust."""
        assert holding.amount is not None
        amount = abs(holding.amount)
        limits = await self._limits(holding.symbol)
        if limits is not None and limits.step > 0:
            amount = min(amount, limits.most)
            amount -= amount % limits.step
        if amount == 0:
            raise ExchangeError("new order", "there is no whole step of it in one order", "refused")
        params = {
            "symbol": holding.symbol,
            "side": "SELL" if holding.amount > 0 else "BUY",
            "type": "MARKET",
            "quantity": plain(amount),
            "newClientOrderId": client_id,
        }
        hedged = holding.side in HEDGE_SIDES
        params |= {"positionSide": holding.side} if hedged else {"reduceOnly": "true"}
        await self._ask("new order", lambda c: c.futures_create_order(**params))

    async def _limits(self, symbol: str) -> Rules | None:
        """The largest order of the symbol; a position itself is in whole steps, so it may be closed without."""
        if symbol not in self._rules:
            call = "exchangeInfo"
            try:
                self._rules[symbol] = rules(
                    call, await self._ask(call, lambda c: c.futures_exchange_info()), symbol
                )
            except ExchangeError as error:
                if error.kind == "limited":
                    raise
                self._rules[symbol] = None
        return self._rules[symbol]

    async def sent(self, symbol: str, client_id: str) -> Sent | None:
        """By the id that we gave it."""
        try:
            found = await self._ask(
                "order", lambda c: c.futures_get_order(symbol=symbol, origClientOrderId=client_id)
            )
        except ExchangeError as error:
            if error.code in NO_SUCH_ORDER:
                return None
            raise
        return sent("order", found)

    async def flows(self, since: datetime, until: datetime) -> Decimal | None:
        """All income of the time that is neither gain nor cost of trading."""
        found = await self._ask(
            "income",
            lambda c: c.futures_income_history(
                startTime=int(since.timestamp() * 1000), endTime=int(until.timestamp() * 1000), limit=1000
            ),
        )
        return net_income(list(rows("income", found)))

    async def _ask(self, call: str, make: Callable[[Any], Awaitable[Any]]) -> Any:
        return await self._line.ask(call, lambda: make(self._client))


def _position(row: Row, profit: str) -> Holding:
    side = row.maybe_text("positionSide", BOTH)
    if side not in {BOTH, *HEDGE_SIDES}:
        raise garbled(row.call, "positionSide is no side")
    amount = row.amount("positionAmt")
    if side in HEDGE_SIDES:  # there the side says the direction, whatever the sign
        amount = abs(amount) if side == "LONG" else -abs(amount)
    return Holding(
        row.text("symbol"),
        side,
        amount,
        entry=row.price("entryPrice"),
        mark=row.price("markPrice"),
        unrealised=row.maybe(profit),
    )


def _basic(row: Row) -> OpenOrder:
    closes_all = row.flag("closePosition")
    left = row.amount("origQty") - (row.maybe("executedQty") or Decimal(0))
    return _order(row, row.text("type"), left, "stopPrice", "orderId", "clientOrderId", closes_all)


def _algo(row: Row) -> OpenOrder:
    closes_all = row.flag("closePosition")
    left = Decimal(0) if closes_all else row.amount("quantity")
    return _order(row, row.text("orderType"), left, "triggerPrice", "algoId", "clientAlgoId", closes_all)


def _order(
    row: Row, kind: str, left: Decimal, trigger: str, ident: str, client_id: str, closes_all: bool
) -> OpenOrder:
    side, position_side = row.side(), row.maybe_text("positionSide", BOTH)
    closing_side = (position_side, side) in {("LONG", "SELL"), ("SHORT", "BUY")}
    return OpenOrder(
        row.text("symbol"),
        side,
        kind,
        left,
        row.price("price"),
        row.price(trigger),
        row.text(ident),
        row.maybe_text(client_id, ""),
        "algo" if ident == "algoId" else "basic",
        position_side,
        closes_all or row.flag("reduceOnly") or closing_side,
        closes_all,
    )
