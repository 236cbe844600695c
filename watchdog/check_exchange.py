"""`check`: the key and what it may do, the clock, the symbols, and what would be done with orders and positions now."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from config import Settings
from config.settings import Exchange
from watchdog.clock import utc_now
from watchdog.exchange import words
from watchdog.exchange.access import Access, Session
from watchdog.exchange.answers import Row
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.look import BUDGET_S, look_through
from watchdog.exchange.settle import Policy, fates_of
from watchdog.exchange.sheet import Sheet, dump, load
from watchdog.finding import Finding
from watchdog.reading import open_exchange

KEY = "exchange key"
APART_MS = 1000
"""A bot whose clock is so far behind or ahead may have its orders refused."""

MAY_TRADE = {"binance_usdm": "enableFutures", "binance_spot": "enableSpotAndMarginTrading"}


def exchange(settings: Settings) -> Iterator[Finding]:
    """Everything that the exchange can be asked without changing anything."""
    if settings.exchange is None:
        found = "not configured: open orders and positions are not looked at"
        yield Finding("exchange", "note", found, "after a rollback or a halt, look at them yourself")
        return
    with open_exchange(settings) as access:
        yield from asyncio.run(_all(access))


async def _all(access: Access) -> list[Finding]:
    options, found = access.settings, []
    try:
        async with access.open(asyncio.sleep, BUDGET_S) as session:
            found += [finding async for finding in _clock(session, options)]
            if session.ahead_ms is not None:
                for part in (_symbols, _key, _account):
                    found += [finding async for finding in part(session, options)]
    except ExchangeError as error:
        found.append(Finding("exchange", "bad", str(error), "see that this machine reaches the exchange"))
    return found


async def _clock(session: Session, options: Exchange) -> AsyncIterator[Finding]:
    if session.ahead_ms is None:
        where = options.base_url or "binance.com"
        mend = (
            f"see that this machine reaches {where}; after a rollback orders and positions would be unknown"
        )
        yield Finding("exchange", "bad", "it does not tell the time", mend)
        return
    apart = f"its clock is {abs(session.ahead_ms)} ms {'ahead of' if session.ahead_ms > 0 else 'behind'} this machine's"
    far = abs(session.ahead_ms) >= APART_MS
    mend = "the watchdog allows for it; the bot's orders may be refused (-1021): let NTP set this machine's clock"
    yield Finding("exchange", "note" if far else "good", apart, mend if far else "")


async def _symbols(session: Session, options: Exchange) -> AsyncIterator[Finding]:
    client, usdm = session.client, options.kind == "binance_usdm"
    states = {}
    try:
        if usdm:
            answer = await session.line.ask("exchangeInfo", lambda: client.futures_exchange_info())
            rows = list(Row("exchangeInfo", answer).rows("symbols"))
        else:
            rows = []
            for symbol in options.symbols:
                rows += await _one_symbol(session, symbol)
        states = {row.text("symbol"): row.maybe_text("status", "TRADING") for row in rows}
    except ExchangeError as error:
        yield Finding("exchange symbols", "bad", f"could not be read: {error}")
        return
    missing = [symbol for symbol in options.symbols if symbol not in states]
    if missing:
        found = f"{', '.join(missing)}: no such symbol in {options.kind}"
        yield Finding("exchange symbols", "bad", found, "set exchange.symbols as the exchange writes them")
    for symbol in options.symbols:
        if states.get(symbol, "TRADING") != "TRADING":
            yield Finding("exchange symbols", "note", f"{symbol} is not traded now: {states[symbol]}")
    if not missing:
        yield Finding("exchange symbols", "good", f"{', '.join(options.symbols)}: known in {options.kind}")


async def _one_symbol(session: Session, symbol: str) -> list[Row]:
    try:
        answer = await session.line.ask("exchangeInfo", lambda: session.client.spot_rules(symbol))
    except ExchangeError as error:
        if error.kind == "refused":
            return []
        raise
    return list(Row("exchangeInfo", answer).rows("symbols"))


async def _key(session: Session, options: Exchange) -> AsyncIterator[Finding]:
    """Whether it works (a signed call), and what it may do besides."""
    client = session.client
    try:
        if options.kind == "binance_usdm":
            call = "positionSide/dual"
            answer = await session.line.ask(call, lambda: client.futures_get_position_mode())
            hedged = Row(call, answer).flag("dualSidePosition")
            mode = "in hedge mode: a long and a short position a symbol" if hedged else "in one-way mode"
        else:
            Row("account", await session.line.ask("account", lambda: client.get_account())).rows("balances")
            mode = "of the spot account"
    except ExchangeError as error:
        mend = "set exchange.api_key and exchange.api_secret, and look at the key's IP list and permissions"
        yield Finding(KEY, "bad", f"a signed call does not work: {error}", mend)
        return
    yield Finding(KEY, "good", f"a signed call works; {mode}")
    call = "account/apiRestrictions"
    try:
        row = Row(call, await session.line.ask(call, lambda: client.get_account_api_permissions()))
        for finding in _rights(row, options):
            yield finding
    except ExchangeError as error:
        found = f"whether it may withdraw money is unknown: {error}"
        yield Finding(KEY, "note", found, "look at the key's permissions: it should not be able to withdraw")


def _rights(row: Row, options: Exchange) -> Iterator[Finding]:
    may: dict[str, bool] = {name: row.flag(name) for name in row.body if name.startswith("enable")}
    if may.get("enableWithdrawals"):
        found = "WARNING: it may withdraw money, which the watchdog never needs"
        yield Finding(
            KEY, "note", found, "make a key without withdrawals: whoever steals this one empties the account"
        )
    elif "enableWithdrawals" in may:
        yield Finding(KEY, "good", "it may not withdraw money")
    else:
        yield Finding(
            KEY, "note", "whether it may withdraw money is unknown", "look at the key's permissions"
        )
    right = MAY_TRADE[options.kind]
    if may.get(right) is False:
        found = f"it may not trade in {options.kind} ({right} is off): orders could not be cancelled"
        yield Finding(KEY, "bad", found, "switch it on for this key")
    if "ipRestrict" in row.body and not row.flag("ipRestrict"):
        yield Finding(KEY, "note", "it works from any address", "restrict it to this machine's address")


async def _account(session: Session, options: Exchange) -> AsyncIterator[Finding]:
    sheets = load(dict.fromkeys(options.symbols), None)
    why = await look_through(session, sheets)
    facts: dict[str, Any] = dump(sheets, utc_now(), why)
    for line in words.unknown(facts):
        yield Finding(
            "orders, positions", "bad", line, "while this is so, a rollback would leave them unknown"
        )
    for sheet in sheets:
        if sheet.waiting is not None and sheet.holdings is not None:
            would = "; ".join(
                _would(sheet, facts["symbols"][sheet.symbol], options, session.market.stops_lock)
            )
            yield Finding("orders, positions", "good", f"{sheet.symbol}: a rollback now would {would}")


def _would(sheet: Sheet, body: dict[str, Any], options: Exchange, stops_lock: bool) -> Iterator[str]:
    policy = Policy(options.open_orders, options.positions)
    fates = fates_of(policy, sheet, sheet.waiting or [], stops_lock=stops_lock)
    doing = {"cancelling": "cancel", "kept": "leave", "protects": "leave, for it protects what is held,"}
    for fate, verb in doing.items():
        those = [
            words.order(body["orders"][order.key])
            for order in sheet.waiting or []
            if fates[order.key] == fate
        ]
        if those:
            yield f"{verb} {', '.join(those)}"
    if not sheet.waiting:
        yield "find no open orders"
    for row in body["holdings"]:
        yield f"{'leave' if row['dust'] else options.positions} {words.position(row)}"
    if not body["holdings"]:
        yield "find no position"
