"""Rounds of looking and acting, until the account is as configured and was read back, or the time is over.

Each round, for each symbol: list the open orders, basic and conditional; read what is held, twice; cancel what is to be
cancelled; close what is to be closed. A symbol is settled when two looks in a row found the same orders and nothing to
cancel among them, what is held was read twice with the same result after the last of them, and nothing is left that
should be closed. A round acts on nothing but what it has just read, so that a stale or lying answer, a cancel that did
half of it, an order that was filled meanwhile, or a crash costs a round and nothing else.

In this order, since orders that open positions have to be gone before what is held can be known, and since stops have
to stay until what they protect is gone. So a stop order that can only reduce is left in place while what it protects is
held, or may be: `open_orders: cancel` must not take the protection away from a position that is kept.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, TypeVar

from watchdog.exchange.closing import Closer, given_up
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.known import Holding, OpenOrder, protectors, unknown
from watchdog.exchange.line import Line
from watchdog.exchange.market import Market
from watchdog.exchange.sheet import QUIET, Closing, Fate, Sheet

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES_S = (0.5, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0)
"""Between two rounds; the last one repeats."""

MOST_REFUSALS = 2
MOST_UNCANCELLABLE = 3
GONE = -2011


@dataclass(frozen=True)
class Policy:
    """What the configuration says about a stopped bot's orders and positions; keep and keep only looks."""

    open_orders: Literal["cancel", "keep"] = "keep"
    positions: Literal["close", "keep"] = "keep"
    too_late: bool = False
    """Nothing is touched any more; what should be gone is seen as missed."""


def fates_of(policy: Policy, sheet: Sheet, orders: list[OpenOrder], *, stops_lock: bool) -> dict[str, Fate]:
    """What is to become of each open order, by what is held. `stops_lock`: see `Market`."""
    if policy.open_orders == "keep":
        return {order.key: "kept" for order in orders}
    held = [unknown(sheet.symbol)] if sheet.holdings is None else sheet.holdings
    in_the_way = policy.positions == "close" and stops_lock and not policy.too_late
    safe = set() if in_the_way else protectors(orders, held)
    gone: Fate = "missed" if policy.too_late else "cancelling"
    return {order.key: "protects" if order.key in safe else gone for order in orders}


class Settling:
    """One account being settled. `note` puts the sheets on disk."""

    def __init__(
        self,
        market: Market,
        line: Line,
        policy: Policy,
        sheets: list[Sheet],
        closer: Closer | None = None,
        note: Callable[[], None] = lambda: None,
    ) -> None:
        self._market, self._line, self._policy, self._sheets = market, line, policy, sheets
        self._closer, self._note = closer, note
        self._logged: set[tuple[str, str]] = set()

    async def run(self) -> str | None:
        """Rounds until all is settled; why it ended early, or None."""
        for number in count():
            for sheet in self._sheets:
                if not self._done(sheet):
                    await self._round(sheet)
            self._note()
            if all(self._done(sheet) for sheet in self._sheets):
                return None
            pause_s = max(PAUSES_S[min(number, len(PAUSES_S) - 1)], self._line.limits.left_s)
            if pause_s >= self._line.left_s:
                banned = self._line.limits.left_s > 0
                return (
                    f"the exchange does not want to be asked, {self._line.limits.told}"
                    if banned
                    else "time is up"
                )
            await self._line.pause(pause_s)
        raise AssertionError("the rounds end by returning")

    def _done(self, sheet: Sheet) -> bool:
        if sheet.refusals >= MOST_REFUSALS:
            return True
        settled = sheet.quiet >= QUIET or sheet.uncancellable >= MOST_UNCANCELLABLE
        if not settled or sheet.holdings is None:
            return False
        return all(not self._to_close(sheet, holding) for holding in sheet.holdings)

    def _to_close(self, sheet: Sheet, holding: Holding) -> bool:
        closing = sheet.closing.get(holding.side, Closing())
        wanted = self._policy.positions == "close" and not self._policy.too_late
        return wanted and not holding.dust and not given_up(closing)

    async def _round(self, sheet: Sheet) -> None:
        sheet.trouble = None
        part: Sequence[OpenOrder] = ()
        orders: list[OpenOrder] | None = None
        refused = False
        try:
            orders = await self._market.open_orders(sheet.symbol)
        except ExchangeError as error:
            self._failed(sheet, error)
            refused, part = error.kind == "refused", error.found
        holdings, refused_too = await self._look(sheet, self._market.holdings(sheet.symbol))
        sheet.held(holdings)
        sheet.refusals = sheet.refusals + 1 if refused or refused_too else 0
        if orders is None:
            sheet.saw_nothing()
            await self._cancel_some(sheet, part)
        else:
            await self._cancel(sheet, orders)
        for holding in sheet.holdings or []:
            if self._closer is not None and self._to_close(sheet, holding):
                await self._look(sheet, self._closer.go_on(sheet, holding))

    async def _look(self, sheet: Sheet, doing: Awaitable[T]) -> tuple[T | None, bool]:
        """What it brought, None when it failed; and whether that was a definite no. The next round tries again."""
        try:
            return await doing, False
        except ExchangeError as error:
            self._failed(sheet, error)
            return None, error.kind == "refused"

    def _failed(self, sheet: Sheet, error: ExchangeError) -> None:
        sheet.trouble = str(error)
        if (sheet.symbol, sheet.trouble) not in self._logged:
            self._logged.add((sheet.symbol, sheet.trouble))
            log.info("exchange: %s: %s", sheet.symbol, sheet.trouble)

    async def _cancel(self, sheet: Sheet, orders: list[OpenOrder]) -> None:
        fates = fates_of(self._policy, sheet, orders, stops_lock=self._market.stops_lock)
        sheet.saw(orders, fates)
        if await self._cancel_each(sheet, [o for o in orders if fates[o.key] == "cancelling"]):
            sheet.saw_nothing()  # what was read before is of before

    async def _cancel_some(self, sheet: Sheet, orders: Sequence[OpenOrder]) -> None:
        """One list was read, and the other was not: what is known to wait need not wait for that."""
        fates = fates_of(self._policy, sheet, list(orders), stops_lock=self._market.stops_lock)
        doomed = [order for order in orders if fates[order.key] == "cancelling"]
        sheet.saw_some(doomed)
        await self._cancel_each(sheet, doomed)

    async def _cancel_each(self, sheet: Sheet, doomed: Sequence[OpenOrder]) -> bool:
        """Whether anything may have changed."""
        if doomed:
            self._note()  # after a crash, too, it is told which orders were cancelled
        lists: set[str] = set()
        refused = changed = False
        for order in doomed:
            if order.list_id in lists:
                continue  # it went with another leg of its list
            try:
                await self._market.cancel(order)
            except ExchangeError as error:
                if error.code != GONE:
                    self._failed(sheet, error)
                    refused = refused or error.kind == "refused"
                changed = changed or error.lost or error.code == GONE
            else:
                changed = True
                sheet.cancelled(order)
                lists |= set() if order.list_id is None else {order.list_id}
        sheet.uncancellable = sheet.uncancellable + 1 if refused else 0
        return changed
