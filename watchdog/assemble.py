"""The wiring: settings in, one watchdog with all its parts out."""

import asyncio
import functools
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from config import Settings
from notifier import ConsoleChannel, Courier, Outbox, Redactor, TelegramChannel
from triggers import Engine
from watchdog import doubt, health
from watchdog.chores import Chores
from watchdog.clock import Clock, utc_now
from watchdog.collect import Collector
from watchdog.controls import make_bot
from watchdog.exchange.access import Access
from watchdog.exchange.line import Limits
from watchdog.hashes import remembered
from watchdog.incidents import Incidents
from watchdog.interrupts import Interrupts
from watchdog.journal import Journal
from watchdog.lock import Lock
from watchdog.logs import say_alert
from watchdog.mending import Mender, mend_before_opening
from watchdog.obey import Orders
from watchdog.open_registry import open_registry
from watchdog.orders import ControlFolder
from watchdog.rules import build_engine
from watchdog.tell import Teller
from watchdog.upkeep import Upkeep
from watchdog.watch import Watch
from watchdog.world import World

log = logging.getLogger(__name__)

BANNED = "exchange_banned_until"
"""In the journal: until when the exchange is not to be asked. It counts for every program on this machine."""

JOURNAL = "watchdog.db"
"""Journal and outbox, in the state folder."""


@dataclass
class Parts:
    """One watchdog."""

    settings: Settings
    world: World
    collector: Collector
    engine: Engine
    incidents: Incidents
    control: ControlFolder
    orders: Orders
    watch: Watch
    outbox: Outbox
    courier: Courier
    upkeep: Upkeep
    chores: Chores

    def close(self) -> None:
        """Closes the files. The bot is left alone."""
        self.collector.close()
        self.outbox.close()
        self.world.journal.close()


def locks(settings: Settings) -> list[Lock]:
    """One watchdog a bot, by its state folder, and one a registry: two that roll one registry back would go two
    versions back. A watchdog that only observes needs no right to write into the registry's folder."""
    held = [Lock(settings.state_dir / "watchdog.lock")]
    if settings.mode == "act":
        held.append(Lock(settings.registry.path / "registry.json.watchdog"))
    return held


def watchdog_pid(settings: Settings) -> int | None:
    """The pid of the watchdog that runs for this bot, or None. It is known by the registry's lock, too, where the state
    folder's was deleted a moment ago; another bot's watchdog that holds the registry's is not meant."""
    by_state, *by_registry = locks(settings)
    pid = by_state.holder()
    others = (lock.holder() for lock in by_registry if pid is None)
    return next((other for other in others if other and by_state.is_open_in(other)), pid)


def journal_path(settings: Settings) -> Path:
    """Where journal and outbox live."""
    return settings.state_dir / JOURNAL


def make_exchange(settings: Settings, clock: Clock, journal: Journal | None, *, keep: bool) -> Access | None:
    """The account that the settings name. A ban that the journal remembers is in force; `keep`: new ones go there."""
    if settings.exchange is None:
        return None
    kept = None if journal is None else journal.get(BANNED)

    def remember(until: datetime) -> None:
        try:
            if journal is not None and keep:
                journal.put(BANNED, until.isoformat())
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s): a ban is kept in memory alone", error)

    return Access(
        settings.exchange, clock, Limits(clock, datetime.fromisoformat(kept) if kept else None, remember)
    )


def assemble(settings: Settings, make_clock: Callable[..., Clock] = Clock) -> Parts:
    """Builds everything. The caller holds the locks. Raises UnsupportedError, JournalError, OrderError, NotifyError.

    `make_clock` is called with the `offset` that was journalled.
    """
    redact = Redactor(settings.secrets())
    damage = mend_before_opening(journal_path(settings), utc_now())
    journal = Journal(journal_path(settings), redact=redact)
    kept = journal.get("checkpoint") or {}
    clock = make_clock(offset=timedelta(seconds=kept.get("offset_s", 0.0)))
    bot = make_bot(settings, journal)
    control = ControlFolder(settings.control_dir)
    control.prepare()
    interrupts = Interrupts(clock, asyncio.sleep)
    registry = open_registry(settings, remembered(journal), interrupts.look)
    doubt.look(journal, damage, settings.state_dir, registry, clock.now())
    outbox = Outbox(journal_path(settings), redact=redact)
    courier = Courier(outbox, _channels(settings), clock.now, on_problem=lambda text: log.error("%s", text))
    engine = build_engine(settings, clock.now())
    collector = Collector(settings, clock, journal, registry, bot, engine)
    teller = Teller(courier.tell, settings.bot.name)
    world = World(
        settings=settings,
        clock=clock,
        sleep=asyncio.sleep,
        interrupts=interrupts,
        journal=journal,
        registry=registry,
        bot=bot,
        teller=teller,
        redact=redact,
        evidence=collector.evidence,
        before_start=collector.before_start,
        after_start=collector.after_start,
        exchange=make_exchange(settings, clock, journal, keep=True),
        paused=lambda: control.paused() is not None,
        health=None if settings.bot.health is None else functools.partial(health.ask, settings.bot.health),
        mend=Mender(journal, outbox, teller, clock).look,
    )
    incidents = Incidents(world)
    watch = Watch(world, collector, engine, incidents, control)
    world.judged = watch.judged
    return Parts(
        settings=settings,
        world=world,
        collector=collector,
        engine=engine,
        incidents=incidents,
        control=control,
        orders=Orders(world, control, incidents, collector),
        watch=watch,
        outbox=outbox,
        courier=courier,
        upkeep=Upkeep(world, outbox, control),
        chores=Chores(world, incidents, collector),
    )


def _channels(settings: Settings) -> list[ConsoleChannel | TelegramChannel]:
    channels: list[ConsoleChannel | TelegramChannel] = [ConsoleChannel(say_alert)]
    if settings.telegram is not None:
        telegram = settings.telegram
        channels.append(
            TelegramChannel(
                telegram.token.get_secret_value(),
                telegram.chat_id,
                telegram.base_url,
                on_problem=lambda text: log.error("%s", text),
            )
        )
    return channels
