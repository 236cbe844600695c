"""What must hold whatever happens: the invariants of the design, asked of evidence.

The evidence comes from a real house (`tests.faults.stage`) or from the one in memory (`tests.watchdog.house`): the
questions are the same.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from watchdog.incident import Incident

DAY = timedelta(days=1)
THE_WATCHDOG = "the watchdog"
"""Who opens incidents for which no rule fired."""


@dataclass(frozen=True)
class Start:
    """One start of the bot: on which version, whether its file was the registered one, and by whom."""

    at: datetime
    version: str | None
    verified: bool
    by_watchdog: bool
    while_halted: bool = False
    """A halt was in force at that moment, whatever became of it since."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one bot and its watchdog at some moment."""

    starts: Sequence[Start]
    running: Sequence[str | None]
    """The versions that the bots which live now were started on."""
    registry: Mapping[str, Any] | None
    """registry.json as it is now; None while a fault makes it unreadable."""
    incidents: Sequence[Incident]
    halted_since: datetime | None
    alerts: Sequence[str]
    """All texts, oldest first."""
    max_per_day: int = 1
    released: frozenset[str] = frozenset()
    """Versions whose quarantine a person lifted."""
    halt_ordered: bool = False
    """A person ordered HALT, and nobody RESUME since."""
    grounds: Mapping[str, Collection[str | None]] | None = None
    """Rule -> the versions for which it really had a ground (losses that were written, a file that was damaged, ...);
    `restarts`: which ended by themselves too often. None: nobody kept count."""
    overlooked: Sequence[str] = ()
    """What really happened, and the watchdog did not see."""
    disturbed: Sequence[str] = ()
    """What the end, or the start, of a watchdog did to the bot though nothing was to be done."""
    delivered: Sequence[int] | None = None
    """The ids of the alerts in the order in which they arrived first; None: nobody looked."""
    torn: Sequence[str] = ()
    """What a reader met in registry.json that was not a whole registry."""
    doubled: int = 0
    """How often a bot began beside another one."""
    secrets: Sequence[str] = ()
    """Where a secret was found."""
    orders: Sequence[str] = ()
    """What is wrong with the orders that the exchange was sent."""
    settled: bool = False
    """Nothing is going on any more: what must come in the end can be asked for."""
    told_to: Sequence[str] = field(default=())
    """What people must have been told by now."""


def violations(evidence: Evidence) -> list[str]:
    """Every invariant that does not hold, as a sentence; [] is what is wanted."""
    return [said for question in QUESTIONS for said in question(evidence)]


def only_verified_versions_are_started(evidence: Evidence) -> Iterator[str]:
    """Invariant 1."""
    for start in evidence.starts:
        if start.by_watchdog and not start.verified:
            yield f"1: the bot was started on {start.version}, whose files did not verify"


def nothing_is_started_while_halted(evidence: Evidence) -> Iterator[str]:
    """Invariant 2."""
    since = evidence.halted_since
    for start in evidence.starts:
        if start.by_watchdog and (start.while_halted or (since is not None and start.at > since)):
            yield f"2: started on {start.version} at {start.at:%H:%M:%S.%f}, while a halt was in force"
    if evidence.settled and since is not None and evidence.running:
        yield f"2: halted, and {len(evidence.running)} bots run"
    if evidence.settled and since is None and evidence.halt_ordered:
        yield "2: a person ordered HALT, and no halt is in force"


def no_version_is_rolled_back_to_that_was_rolled_back_from(evidence: Evidence) -> Iterator[str]:
    """Invariant 2, from the registry's own history."""
    left: set[str] = set()
    for event in (evidence.registry or {}).get("history", []):
        if event["action"] == "promoted":
            left.discard(event["version"])
        if event["action"] != "rollback":
            continue
        if event["version"] in left:
            yield f"2: rolled back to {event['version']}, which was rolled back from before"
        if "released_at" not in event or event["from"] not in evidence.released:
            left.add(event["from"])


def rollbacks_by_itself_are_bounded(evidence: Evidence) -> Iterator[str]:
    """Invariant 3: an automatic incident that switched counts; in one, at most two switches, and one more for each time
    that somebody promoted the bad version again meanwhile."""
    switched = [i for i in evidence.incidents if i.automatic and "switched_to" in i.facts]
    for incident in switched:
        same_day = [i for i in switched if timedelta(0) <= i.opened_at - incident.opened_at < DAY]
        if len(same_day) > evidence.max_per_day:
            yield f"3: {len(same_day)} automatic rollbacks within a day"
    events = [e for e in (evidence.registry or {}).get("history", []) if e["action"] == "rollback"]
    working = [i for i in evidence.incidents if i.plan == "rollback" or "switched_to" in i.facts]
    most = sum(2 + int(i.facts.get("switched_back", 0)) for i in working)
    if len(events) > most:
        yield f"3: {len(events)} switches by {len(evidence.incidents)} incidents"


def one_bot_at_a_time(evidence: Evidence) -> Iterator[str]:
    """Invariants 4 and 10, as far as the bot can see it."""
    if evidence.doubled:
        yield f"4: {evidence.doubled} times a bot began beside another"
    if evidence.settled and len(evidence.running) > 1:
        yield f"4: {len(evidence.running)} bots run at once"


def the_registry_is_whole(evidence: Evidence) -> Iterator[str]:
    """Invariant 5."""
    for what in evidence.torn:
        yield f"5: a reader of registry.json met {what}"


def every_alert_arrives_in_order(evidence: Evidence) -> Iterator[str]:
    """Invariant 6."""
    if evidence.delivered is not None:
        if list(evidence.delivered) != sorted(evidence.delivered):
            yield f"6: alerts arrived in the order {list(evidence.delivered)}"
        if evidence.settled and len(evidence.delivered) < len(evidence.alerts):
            yield f"6: of {len(evidence.alerts)} alerts {len(evidence.delivered)} arrived"


def nothing_is_done_without_a_ground(evidence: Evidence) -> Iterator[str]:
    """Invariants 8 and 11: missing, stale, garbled or impossible data and stepped clocks cause nothing."""
    if evidence.grounds is None:
        return
    for incident in evidence.incidents:
        rules = incident.by.removeprefix("rule ").split(", ")
        if rules == [THE_WATCHDOG]:
            rules = ["restarts"]
        elif not incident.by.startswith("rule "):
            continue  # a person's, or one that a person ended with a halt
        judged = {incident.from_version}
        if incident.plan == "halt":  # of the restored version, perhaps
            judged |= {incident.target, incident.facts.get("switched_to"), *incident.tried}
        if incident.automatic and not any(judged & set(evidence.grounds.get(rule, ())) for rule in rules):
            yield f"8: incident {incident.id} ({incident.by}: {incident.reason}) had no ground"


def nothing_is_overlooked(evidence: Evidence) -> Iterator[str]:
    """Invariants 7 and 11: neither an outage nor a stepped clock stops the watching."""
    for what in evidence.overlooked:
        yield f"7: {what}"


def the_bot_outlives_the_watchdog(evidence: Evidence) -> Iterator[str]:
    """Invariant 10."""
    for what in evidence.disturbed:
        yield f"10: {what}"


def no_secret_is_shown(evidence: Evidence) -> Iterator[str]:
    """Invariant 9."""
    for where in evidence.secrets:
        yield f"9: a secret is in {where}"


def the_exchange_is_left_as_it_should_be(evidence: Evidence) -> Iterator[str]:
    """Nothing is sent twice, no position is turned round."""
    for what in evidence.orders:
        yield f"exchange: {what}"


def it_ends_safely(evidence: Evidence) -> Iterator[str]:
    """The bot runs on the current, verified version and no incident is open; or it is halted, and down."""
    if not evidence.settled:
        return
    for incident in evidence.incidents:
        if incident.open:
            yield f"end: incident {incident.id} is still open at {incident.step}"
    if evidence.halted_since is None:
        if len(evidence.running) != 1:
            yield f"end: not halted, and {len(evidence.running)} bots run"
        elif evidence.registry is not None and evidence.running[0] != evidence.registry["current_version"]:
            running, current = evidence.running[0], evidence.registry["current_version"]
            if not any(f"{current} was promoted, but the bot" in text for text in evidence.alerts):
                yield f"end: the bot runs {running}, the registry says {current}, and nobody was told"


def people_are_told(evidence: Evidence) -> Iterator[str]:
    """What was done, and what is asked of them."""
    for part in evidence.told_to:
        if not any(part in text for text in evidence.alerts):
            yield f"told: nobody was told {part!r}"
    if not evidence.settled:
        return
    if evidence.halted_since is not None and not any("HALT" in text for text in evidence.alerts):
        yield "told: halted, and nobody was told"
    for incident in evidence.incidents:
        done = incident.outcome in {"rolled_back", "halted"}
        if done and not any(f"incident {incident.id}" in text for text in evidence.alerts):
            yield f"told: nobody was told of incident {incident.id}"


QUESTIONS = (
    only_verified_versions_are_started,
    nothing_is_started_while_halted,
    no_version_is_rolled_back_to_that_was_rolled_back_from,
    rollbacks_by_itself_are_bounded,
    one_bot_at_a_time,
    the_registry_is_whole,
    every_alert_arrives_in_order,
    nothing_is_overlooked,
    nothing_is_done_without_a_ground,
    the_bot_outlives_the_watchdog,
    no_secret_is_shown,
    the_exchange_is_left_as_it_should_be,
    it_ends_safely,
    people_are_told,
)
