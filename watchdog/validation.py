"""The comparison of before and after a rollback (the playbook's post-rollback validation), at `rollback.validate_for`.

The incident is closed by then, as a rule. What is due stands in its facts, so that no restart loses it: `validate_at`
until it is done, `comparison` once it is reckoned, `validated` once report and alert are written. The span since the
restart ends at `validate_at` or with the deployment, whatever is first, so that it is the same whenever it is reckoned.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from config import Settings
from registry import RegistryError
from watchdog import after_words, messages, report
from watchdog.comparison import reading, table
from watchdog.incident import Incident
from watchdog.predictions import SOURCES
from watchdog.spans import Reader, Wanted, best_source
from watchdog.world import World

log = logging.getLogger(__name__)

LOOKED_AT = 10
"""The newest incidents: older ones are beyond any `validate_for`."""


def due(world: World) -> Incident | None:
    """The oldest incident whose comparison is due and not done."""
    now = world.now()
    waiting = [incident for incident in world.journal.incidents(LOOKED_AT) if _is_due(incident, now)]
    return waiting[-1] if waiting else None


def _is_due(incident: Incident, now: datetime) -> bool:
    facts = incident.facts
    if incident.open or incident.outcome != "rolled_back" or facts.get("validated"):
        return False
    at = facts.get("validate_at")
    return at is not None and now >= messages.parse_time(at)


async def validate(world: World, number: int) -> None:
    """Reckons, writes the report anew and tells it once. Cancelled or killed at any point it may be run again."""
    incident = world.journal.incident(number)
    if incident is None:
        return
    if "comparison" not in incident.facts:
        comparison = await _reckoned(world, incident)
        incident = _noted(world, number, comparison=comparison)
    text = incident.facts["comparison"]["reading"]
    try:
        path = await asyncio.to_thread(
            report.write_report,
            world.settings.state_dir,
            incident,
            world.journal.steps(incident),
            incident.closed_at or world.now(),
            world.redact,
        )
        where = f"report: {path}"
    except OSError as error:
        where = (
            f"the report could not be written ({error}); shown by `model-watchdog incidents {incident.id}`"
        )
    world.teller.step(incident, "validated", after_words.compared(incident, text, where))
    _noted(world, number, validated=True)


def _noted(world: World, number: int, **facts: Any) -> Incident:
    """Reads, changes and writes without a pause, lest somebody else's change is lost."""
    incident = world.journal.incident(number)
    assert incident is not None
    incident.facts.update(facts)
    world.journal.save(incident)
    return incident


async def _reckoned(world: World, incident: Incident) -> dict[str, Any]:
    before, after = _spans(world, incident)
    offset, stop = world.clock.offset, threading.Event()
    try:
        versions = set(world.registry.read()["models"])
    except RegistryError:
        versions = set()
    task = asyncio.ensure_future(
        asyncio.to_thread(_compared, world.settings, versions, lambda at: at - offset, stop, before, after)
    )
    try:
        return await asyncio.shield(task)
    finally:
        stop.set()
        with contextlib.suppress(Exception):
            await task


def _compared(
    settings: Settings,
    versions: Collection[str],
    steady: Callable[[datetime], datetime],
    stop: threading.Event,
    before: Wanted,
    after: Wanted,
) -> dict[str, Any]:
    reader = Reader(settings, versions, steady, stop)
    reader.read(before, after)
    source = best_source(before, after)
    left, right = reader.span(before, source), reader.span(after, source)
    notes = [
        f"Predictions: from {SOURCES[source]}." if source else "",
        *(f"{text}." for text in reader.unread),
    ]
    return {
        "table": table(left, right),
        "reading": reading(left, right),
        "notes": [note for note in notes if note],
    }


def _spans(world: World, incident: Incident) -> tuple[Wanted, Wanted]:
    """As long before the rollback as since the restart, neither beyond its deployment."""
    facts = incident.facts
    start = messages.parse_time(facts["started_at"])
    end = messages.parse_time(facts["validate_at"])
    deployment = world.journal.get("deployment")
    if deployment is not None and start < (since := messages.parse_time(deployment["since"])) < end:
        end = since  # another version was promoted, or a person resumed: what came then is not this one's
    stopped = messages.parse_time(facts.get("stopped_at") or incident.opened_at.isoformat())
    begin = stopped - (end - start)
    if facts.get("deployed_at") is not None:
        begin = max(begin, messages.parse_time(facts["deployed_at"]))
    return (
        Wanted(str(incident.from_version), min(begin, stopped), stopped),
        Wanted(str(facts.get("switched_to") or incident.target), start, end),
    )
