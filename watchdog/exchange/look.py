"""A look at the account from outside an incident: nothing is touched."""

import asyncio

from watchdog.exchange.access import Access, Session
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.settle import Policy, Settling
from watchdog.exchange.sheet import Sheet, load

BUDGET_S = 15.0


async def look(access: Access, budget_s: float = BUDGET_S) -> tuple[list[Sheet], str | None]:
    """A sheet for each symbol, and why the looking ended early, or None."""
    sheets = load(dict.fromkeys(access.settings.symbols), None)
    try:
        async with access.open(asyncio.sleep, budget_s) as session:
            return sheets, await look_through(session, sheets)
    except ExchangeError as error:
        return sheets, str(error)


async def look_through(session: Session, sheets: list[Sheet]) -> str | None:
    """Fills the sheets; why that ended early, or None."""
    return await Settling(session.market, session.line, Policy(), sheets).run()
