"""Closes a holding with market orders that can only make it smaller, each sent once.

An order carries an id of our own, made of the incident, the side and the number of the attempt. It is asked after
before it is sent, so that one whose answer was lost, or that a killed watchdog sent, is found. The exchange drops a
request that is older than its window: an order it does not know after that will never come, and may be sent again.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from watchdog.exchange.answers import Sent
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.known import Holding, plain
from watchdog.exchange.market import Market
from watchdog.exchange.sheet import Closing, Sheet

LIMBO_S = 8.0
"""After so long an order that the exchange does not know was never taken (`client.RECV_WINDOW_MS`, and a margin)."""

STALE_S = 5.0
"""So long a holding may look as it did before an order was filled."""

MOST_ATTEMPTS = 20
MOST_REFUSED = 3


def client_id(incident: int, opened_at: datetime, symbol: str, side: str, attempt: int) -> str:
    """Unique for ever: numbers of incidents begin anew with a new journal, their beginnings do not."""
    text = f"mw{incident}-{int(opened_at.timestamp()):x}-{side[0]}{attempt}-{symbol}"
    return re.sub(r"[^A-Za-z0-9_-]", "", text)[:36]


@dataclass
class Closer:
    """Closes what an incident finds open. `name` gives the id for (symbol, side, attempt); `note` puts the sheets on
    disk before anything is sent."""

    market: Market
    name: Callable[[str, str, int], str]
    note: Callable[[], None]
    now: Callable[[], datetime]
    monotonic: Callable[[], float]

    async def go_on(self, sheet: Sheet, holding: Holding) -> None:
        """The next move on an open holding: ask after the order that was sent, or send one. One move a round, since
        the next one depends on a fresh reading."""
        closing = sheet.closing.setdefault(holding.side, Closing())
        while not given_up(closing):
            sent = await self.market.sent(
                sheet.symbol, self.name(sheet.symbol, holding.side, closing.attempt)
            )
            if sent is None:
                if not self._in_limbo(closing):
                    await self._send(sheet, holding, closing)
                return
            closing.acked = True
            if not sent.final or self._stale(sheet, holding, closing, sent):
                return
            executed = plain(Decimal(closing.executed) + sent.executed) or "0"
            why = None if sent.executed else f"the order came to nothing ({sent.status})"
            sheet.closing[holding.side] = closing = Closing(closing.attempt + 1, executed=executed, why=why)

    def _in_limbo(self, closing: Closing) -> bool:
        """Whether an order that the exchange does not know may still be on its way, or is known all the same."""
        if closing.acked:
            return True
        if closing.sent_at is None:
            return False
        return (self.now() - datetime.fromisoformat(closing.sent_at)).total_seconds() < LIMBO_S

    def _stale(self, sheet: Sheet, holding: Holding, closing: Closing, sent: Sent) -> bool:
        """Whether the reading seems to be of before the order was filled. It is believed when it stays."""
        amount = abs(holding.amount or Decimal(0))
        before = sent.quantity if closing.amount is None else Decimal(closing.amount)
        if sent.executed == 0 or amount != before:
            sheet.stale_since_s.pop(holding.side, None)
            return False
        since_s = sheet.stale_since_s.setdefault(holding.side, self.monotonic())
        if self.monotonic() - since_s < STALE_S:
            return True
        del sheet.stale_since_s[holding.side]
        return False

    async def _send(self, sheet: Sheet, holding: Holding, closing: Closing) -> None:
        closing.amount = plain(abs(holding.amount or Decimal(0)))
        closing.sent_at = self.now().isoformat()
        self.note()
        try:
            await self.market.close(holding, self.name(sheet.symbol, holding.side, closing.attempt))
        except ExchangeError as error:
            if error.lost:
                sheet.held(None)
            else:
                closing.sent_at = None  # it was not taken, that is certain
            if error.kind == "refused":
                closing.refused, closing.why = closing.refused + 1, str(error)
            raise
        sheet.held(None)  # what was read before is of before
        closing.acked, closing.refused = True, 0


def given_up(closing: Closing) -> bool:
    """It was refused again and again, or is filled bit by bit without an end: people have to look."""
    return closing.refused >= MOST_REFUSED or closing.attempt > MOST_ATTEMPTS
