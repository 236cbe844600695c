"""What the procedure acts on: handed in, so that each part can be the real one or one in memory."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from config import Settings
from registry import ModelRegistry
from watchdog import messages
from watchdog.bots.base import BotControl, Running
from watchdog.clock import Clock
from watchdog.dry_run import Runs, execute
from watchdog.exchange.access import Access
from watchdog.health import Health
from watchdog.incident import Incident
from watchdog.interrupts import Interrupts
from watchdog.journal import Journal
from watchdog.tell import Teller

log = logging.getLogger(__name__)


@dataclass
class World:
    """One bot and everything around it."""

    settings: Settings
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    interrupts: Interrupts
    journal: Journal
    registry: ModelRegistry
    bot: BotControl
    teller: Teller
    redact: Callable[[str], str]
    """Takes the secrets out of what is written to disk."""
    evidence: Callable[[], dict[str, Any]]
    """What was seen until now: verdicts, the last trades, the tail of the log, the equity curve."""
    before_start: Callable[[], None] = lambda: None
    """What the bot's log holds until now is not of the process that is started next."""
    after_start: Callable[[Running], None] = lambda _: None
    """The watchdog itself just started it."""
    paused: Callable[[], bool] = lambda: False
    """A person asked the watchdog to look and tell, and not to act."""
    judged: Callable[[str, datetime], bool] = lambda _version, _since: True
    """Whether the rules have judged all that a version wrote until a time, or later, and what follows was asked for."""
    health: Callable[[], Awaitable[Health]] | None = None
    """Asks the bot's health endpoint, where it has one."""
    runs: Runs = execute
    """Runs a dry run."""
    exchange: Access | None = None
    """The account; None: orders and positions are not looked at."""
    mend: Callable[[], bool] = lambda: False
    """Makes a journal anew whose file is damaged, deleted or replaced; True when it did."""
    hands: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever stops the bot, switches its version, or starts it."""
    _unsaved: dict[str, Any] = field(default_factory=dict)

    def now(self) -> datetime:
        """Steady UTC."""
        return self.clock.now()

    def keep(self, name: str, value: Any) -> None:
        """Keeps a named value. While the journal cannot be written: in memory, and on disk at a later tick."""
        self._unsaved[name] = value
        self.save_kept()

    def save_kept(self) -> None:
        """Writes what could not be written before."""
        try:
            for name, value in list(self._unsaved.items()):
                self.journal.put(name, value)
                del self._unsaved[name]
        except sqlite3.Error as error:
            log.critical(
                "the journal cannot be written (%s): kept in memory alone: %s",
                error,
                ", ".join(self._unsaved),
            )

    @property
    def halted(self) -> dict[str, Any] | None:
        """Why and since when the bot has to stay stopped, or None."""
        found: dict[str, Any] | None
        found = self._unsaved["halted"] if "halted" in self._unsaved else self.journal.get("halted")
        return found

    def brought_back(self, incident: Incident, found: Running) -> None:
        """The bot runs though this incident keeps it down: it is told, and counted. Stopping it is the caller's."""
        times = incident.facts.get("brought_back", 0) + 1
        incident.facts["brought_back"] = times
        self.teller.step(
            incident, f"brought back {times}", messages.brought_back(incident, found), "critical"
        )

    def remember_bot(self) -> None:
        """Keeps which process is the bot, so that the next start of the watchdog finds it again."""
        self.keep("bot", self.bot.remember())
