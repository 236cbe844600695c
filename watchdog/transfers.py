"""Asks the exchange about suspected withdrawals, beside the ticks: its transfer history decides what was none.

A withdrawal that is in the history is confirmed at once. That there was none is believed after a second answer, for
a history may lag; until then, and whenever the exchange does not answer, nothing counts as a loss.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from triggers import DrawdownRule, Engine, Suspect, Transferred
from watchdog.clock import Clock
from watchdog.exchange.access import Access
from watchdog.exchange.errors import ExchangeError

log = logging.getLogger(__name__)

AGAIN_AFTER = timedelta(seconds=30)
"""Between two questions; each costs a good part of what an address may ask in a minute."""

AROUND = timedelta(minutes=2)
"""The bot's readings and the exchange's history may be so far apart."""

MOST_FACTOR = 60
"""Without an answer it is asked less and less often."""

ANSWERS = 2

CONFIRMED = 0.9
"""Of what is missing: so much of it transferred needs no second question."""

BUDGET_S = 10.0


class TransferWatch:
    """One question at a time. `look` is called at every tick, and never waits."""

    def __init__(self, access: Access, clock: Clock, engine: Engine) -> None:
        self._access, self._clock, self._engine = access, clock, engine
        self._asking: tuple[Suspect, asyncio.Task[Decimal | None]] | None = None
        self._asked: Counter[datetime] = Counter()
        """How often, by the suspicion's time; and how many answers came."""
        self._answers: Counter[datetime] = Counter()
        self._failures = 0
        self._next_at: datetime | None = None

    def look(self, observe: Callable[[Transferred], None]) -> None:
        """Takes an answer in, as a record, and asks the next question when it is due."""
        if self._asking is not None:
            suspect, task = self._asking
            if not task.done():
                return
            self._asking = None
            self._take_in(suspect, task, observe)
        rule, now = self._engine.rule("drawdown"), self._clock.now()
        suspects = rule.suspects if isinstance(rule, DrawdownRule) else []
        if suspects and (self._next_at is None or now >= self._next_at):
            about = min(suspects, key=lambda suspect: self._asked[suspect.at])
            self._asked[about.at] += 1
            self._next_at = now + AGAIN_AFTER * min(MOST_FACTOR, 1 + self._failures)
            self._asking = (about, asyncio.get_running_loop().create_task(self._history(about)))

    async def _history(self, about: Suspect) -> Decimal | None:
        """What was moved in that time; None when that cannot be said."""
        moved = self._clock.offset  # the exchange goes by the wall clock
        since, until = about.since + moved - AROUND, about.at + moved + AROUND
        try:
            async with self._access.open(asyncio.sleep, BUDGET_S) as session:
                return await session.market.flows(since, until)
        except ExchangeError as error:
            log.info("exchange: the transfer history could not be read: %s", error)
            return None

    def _take_in(
        self, suspect: Suspect, task: asyncio.Task[Decimal | None], observe: Callable[[Transferred], None]
    ) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("the look at the transfer history failed", exc_info=error)
        net = None if task.cancelled() or error is not None else task.result()
        if net is None:
            self._failures += 1
            return
        self._failures = 0
        self._answers[suspect.at] += 1
        confirmed = -float(net) >= CONFIRMED * (suspect.before - suspect.after)
        if confirmed or self._answers[suspect.at] >= ANSWERS:
            observe(Transferred(suspect.at, float(net)))
