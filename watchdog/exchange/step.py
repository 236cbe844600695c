"""The step `settle_orders`: settles the account after the bot was stopped, and tells people. It always comes to an end:
an exchange that cannot be reached is paged, and never keeps the bot from being rolled back."""

import logging
import sqlite3
from dataclasses import dataclass, field

from watchdog.exchange import pages, words
from watchdog.exchange.access import Access
from watchdog.exchange.closing import Closer, client_id
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.late import judged
from watchdog.exchange.line import Wait
from watchdog.exchange.settle import Policy, Settling
from watchdog.exchange.sheet import Sheet, dump, load
from watchdog.incident import Incident
from watchdog.interrupts import HaltAsked, HandOver
from watchdog.tell import Severity
from watchdog.world import World

log = logging.getLogger(__name__)

BUDGET_S = 60.0
"""For all of the step: a bot that is down costs money, too."""

LOOK_BUDGET_S = 15.0
"""For a look that nothing depends on."""


async def settle(incident: Incident, world: World, wait: Wait) -> str | None:
    """Settles the account, tells people, and says in short what came of it; None without an exchange. Raises only what
    `wait` raises (HaltAsked, HandOver)."""
    return None if world.exchange is None else await Account(incident, world, wait).settle(world.exchange)


async def last_look(incident: Incident, world: World, wait: Wait) -> None:
    """Once, when the incident is closed: looks again if anything was unknown while the bot was down."""
    facts = incident.facts.get(pages.FACTS)
    if (
        world.exchange is not None
        and facts is not None
        and pages.LATER not in incident.facts
        and words.unknown(facts)
    ):
        await Account(incident, world, wait).look_again(world.exchange)


@dataclass
class Account:
    """The account of one incident: where its facts are kept, and how people are told."""

    incident: Incident
    world: World
    wait: Wait
    sheets: list[Sheet] = field(default_factory=list)

    async def settle(self, access: Access) -> str:
        """See `settle`."""
        settings = access.settings
        self.sheets = load(dict.fromkeys(settings.symbols), self.incident.facts.get(pages.FACTS))
        policy = Policy(settings.open_orders, settings.positions)
        why = await self._rounds(access, policy, BUDGET_S, act=True)
        self._note(why)
        return self._tell()

    async def look_again(self, access: Access) -> None:
        """At what was unknown. Touches nothing: by now the orders may be those of the bot that was started."""
        settings, then = access.settings, self.incident.facts[pages.FACTS]
        policy = Policy(settings.open_orders, settings.positions, too_late=True)
        doubtful = words.causes(then)
        self.sheets = load((s for s in dict.fromkeys(settings.symbols) if s in doubtful), None)
        why = await self._rounds(access, policy, LOOK_BUDGET_S, act=False)
        later = judged(dump(self.sheets, self.world.now(), why), then, policy)
        later["runs"] = self.incident.bot_is_back
        self.incident.facts[pages.LATER] = later
        if missed := words.missed(later):
            page = pages.page_missed(self.incident.id, missed, runs=later["runs"])
            self._say("missed", page, "critical")
        self._tell_naked(later)

    async def _rounds(self, access: Access, policy: Policy, budget_s: float, *, act: bool) -> str | None:
        """Why it ended early, or None."""
        try:
            async with access.open(self.wait, budget_s) as session:
                market, line = session.market, session.line
                closer = Closer(market, self._name, self._note, self.world.now, line.monotonic)
                note = self._note if act else lambda: None
                return await Settling(market, line, policy, self.sheets, closer if act else None, note).run()
        except ExchangeError as error:
            return str(error)
        except (HandOver, HaltAsked):
            raise
        except Exception as error:  # a mistake of ours must not keep a bad model in place
            log.error("the look at the exchange failed", exc_info=error)
            return f"the look failed: {type(error).__name__}"

    def _name(self, symbol: str, side: str, attempt: int) -> str:
        return client_id(self.incident.id, self.incident.opened_at, symbol, side, attempt)

    def _note(self, why: str | None = None) -> None:
        """On disk, or, while that refuses, in memory: the step needs no journal."""
        self.incident.facts[pages.FACTS] = dump(self.sheets, self.world.now(), why)
        try:
            self.world.journal.save(self.incident)
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s): the account is settled all the same", error)

    def _tell(self) -> str:
        facts = self.incident.facts[pages.FACTS]
        unknown, left, bare = words.unknown(facts), words.still_open(facts), words.bare(facts)
        known = [*words.orders(facts, words.MOST_LISTED), *words.held(facts)]
        if unknown:
            self._say("unknown", pages.page_unknown(self.incident.id, unknown), "critical")
        if left:
            self._say("open", pages.page_open(self.incident.id, left), "critical")
        self._tell_naked(facts)
        if len(unknown) < len(facts["symbols"]) or not unknown or words.acted(facts):
            worst: Severity = "warning" if unknown or left or bare else "info"
            self._say("account", pages.account(self.incident.id, known), worst)
        return "; ".join([*unknown, *known])

    def _tell_naked(self, facts: words.Facts) -> None:
        for row in words.bare(facts):
            name = f"naked {row['symbol']} {row['side']}"
            self._say(name, pages.page_naked(self.incident.id, row), "critical")

    def _say(self, name: str, text: str, severity: Severity) -> None:
        """Once for each time that the bot was stopped, however often the step runs again."""
        stopped = self.incident.facts.get("settled", 0)
        self.world.teller.step(self.incident, f"settle_orders {stopped}, {name}", text, severity)
