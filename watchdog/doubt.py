"""Starting with a journal that cannot be trusted to know all that happened.

It was damaged or lost, or it is older than what the reports and the registry tell: a backup was restored. What is
not known is then not taken for good:

* a halt may have been in force: a bot that is down is not started, but halted, until a person resumes it;
* rollbacks may have been made: those of a day are taken for used up, so that the next cause halts;
* an open incident may be long over: while the bot runs it is closed and nothing is touched; while the bot is down it
  ends in that halt.

A halt, an order or an alert that *is* in the journal counts as always.
"""

import logging
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Protocol

from registry import ModelRegistry, RegistryError
from watchdog.bots.base import BotError
from watchdog.incident import Incident
from watchdog.journal import Journal
from watchdog.mending import highest
from watchdog.messages import forgotten_quarantines, no_news_of_halts
from watchdog.world import World

log = logging.getLogger(__name__)

BACKUP = "backup"
"""The named value by which a copy that `watchdog.backup` made is known: when it was made."""
DOUBT = "doubt"
WHO = "the watchdog"

_OURS = re.compile(r"incident (\d{1,9}): ")
"""How a rollback of ours begins its reason in the registry's history."""


def look(journal: Journal, damage: str, state_dir: Path, registry: ModelRegistry, now: datetime) -> None:
    """Before anything is done with the journal: writes down why it is in doubt, if it is, and lets the numbers of
    incidents go on after those that were given already. `damage`: what `mend_before_opening` said."""
    reports, switches = highest(state_dir), _highest_in(registry)
    why = _why(journal, damage, reports, max(reports, switches))
    backup = journal.get(BACKUP)
    if not why and backup is None and journal.last_number() >= max(reports, switches):
        return
    with journal.writing():
        if why:
            log.critical("the journal is in doubt: %s", why)
            journal.put(DOUBT, {"since": now.isoformat(), "why": why, "settled": False})
        journal.put(BACKUP, None)
        journal.go_on_after(max(reports, switches))


def _why(journal: Journal, damage: str, reports: int, known_to_others: int) -> str:
    backup = journal.get(BACKUP)
    if damage:
        return f"the journal {damage}"
    if journal.is_new:
        return (
            f"the journal is not there, and yet incident {reports} left a report: it was lost"
            if reports
            else ""
        )
    if backup is not None:
        return f"the journal is the backup of {str(backup)[:19]} UTC"
    if journal.last_number() < known_to_others:
        return (
            f"the journal ends with incident {journal.last_number()}, and yet there was an incident "
            f"{known_to_others}: it is an older copy"
        )
    return ""


def _highest_in(registry: ModelRegistry) -> int:
    try:
        history = registry.read()["history"]
    except RegistryError:
        return 0
    reasons = [event.get("reason") for event in history if isinstance(event, dict)]
    found = [_OURS.match(reason) for reason in reasons if isinstance(reason, str)]
    return max((int(match[1]) for match in found if match), default=0)


def forgotten(journal: Journal, registry: ModelRegistry, tz: tzinfo) -> dict[str, int]:
    """Versions that incidents rolled back from and of which the registry's history knows nothing, with the incident's
    number: an older registry.json was restored, and with it their quarantine was lost. RegistryError, sqlite3.Error.

    A version that was promoted since the incident began is no such one: that is a person's word, and so is another
    version that a person promoted in its place.
    """
    switches = [
        event
        for event in registry.read()["history"]
        if isinstance(event, dict) and event.get("action") in ("promoted", "rollback")
    ]
    ours = {
        int(found[1])
        for event in switches
        if isinstance(reason := event.get("reason"), str) and (found := _OURS.match(reason))
    }
    left: dict[str, int] = {}
    for incident in journal.incidents():
        version, to = incident.from_version, incident.facts.get("switched_to")
        if version is None or to is None or incident.id in ours:
            continue
        if not any(
            event.get("version") in (version, to)
            and _is_after(event.get("timestamp"), incident.opened_at, tz)
            for event in switches
        ):
            left.setdefault(version, incident.id)
    return left


def _is_after(written: object, at: datetime, tz: tzinfo) -> bool:
    try:
        found = datetime.fromisoformat(written) if isinstance(written, str) else None
        return found is not None and (found if found.tzinfo else found.replace(tzinfo=tz)) >= at
    except (ValueError, OverflowError):
        return False


def _tell_of_forgotten(world: World) -> None:
    try:
        left = forgotten(world.journal, world.registry, world.settings.bot.tz)
    except (RegistryError, sqlite3.Error) as error:
        log.warning("whether the registry is older than the journal cannot be known: %s", error)
        return
    if left:
        world.teller.tell("registry-older", forgotten_quarantines(world.settings, left), "critical")


class OpensHalts(Protocol):
    """What of the incidents is needed here."""

    def open(
        self, plan: Any, reason: str, by: str, *, automatic: bool, along: Callable[[Incident], None]
    ) -> Incident:
        """Opens an incident; `along` is written with it."""
        ...


async def settle(world: World, incidents: OpensHalts) -> None:
    """Once, before the first tick and before an open incident is carried on: makes safe what is not known.

    What it does is on disk together with the word that it was done; a kill -9 before that does it again.
    """
    _tell_of_forgotten(world)
    journal = world.journal
    doubt: dict[str, Any] | None = journal.get(DOUBT)
    if doubt is None or doubt["settled"]:
        return
    running = await _runs(world)
    incident = journal.open_one()
    open_rollback = incident if incident is not None and incident.plan == "rollback" else None
    why = f"{doubt['why']}, so that nobody knows whether a halt was in force"

    def settled(_: Incident | None = None) -> None:
        journal.put(DOUBT, doubt | {"settled": True})

    halts = not running and world.halted is None and world.settings.mode == "act"
    if halts and incident is None:
        incidents.open("halt", why, WHO, automatic=False, along=settled)
    else:
        try:
            with journal.writing():
                if open_rollback is not None and halts:
                    open_rollback.facts["halt_asked"] = {"why": why, "who": WHO}
                    journal.save(open_rollback)
                elif open_rollback is not None and running:
                    open_rollback.outcome, open_rollback.closed_at = "superseded", world.now()
                    journal.save(open_rollback)
                settled()
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s)", error)
            if halts:
                world.keep("halted", {"since": world.now().isoformat(), "why": why, "by": WHO, "incident": 0})
    world.teller.tell(
        "journal-doubt",
        no_news_of_halts(doubt["why"], running=running, halted=world.halted, left=open_rollback),
        "critical",
    )


async def _runs(world: World) -> bool:
    """Whether the bot is up. Of one that nobody can tell of it is not said."""
    try:
        return bool(await world.bot.find())
    except BotError as error:
        log.error("whether the bot is up cannot be known: %s", error)
        return False


def automatic_rollbacks(journal: Journal, most: int, since: datetime) -> list[datetime]:
    """When those after `since` began. Where a journal is doubted, `most` of them count as made at that time."""
    doubt = journal.get(DOUBT)
    unknown = [] if doubt is None else [datetime.fromisoformat(doubt["since"])] * most
    return journal.automatic_rollbacks(since) + [at for at in unknown if at > since]
