"""How things stand: the last tick's verdicts from the journal, everything else looked up at the moment of asking.

So the answer is true also while no daemon runs, and between two ticks.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as distribution_version
from typing import Any

from config import Settings
from notifier import NotifyError, Outbox
from registry import HashMemory, RegistryError
from watchdog import checklist, messages, rehearsal
from watchdog.assemble import journal_path, watchdog_pid
from watchdog.bots.base import BotError, Running, look_at
from watchdog.clock import utc_now
from watchdog.controls import make_bot
from watchdog.decide import DAY
from watchdog.doubt import automatic_rollbacks
from watchdog.hashes import remembered
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.open_registry import open_registry
from watchdog.order_words import which_to_end
from watchdog.orders import ControlFolder
from watchdog.reading import open_journal
from watchdog.way_back import asked, still_current


@dataclass(frozen=True)
class Status:
    """`body` is what `status --json` prints; `daemon` the watchdog's pid, `bad` why a person is needed, if so; `ready`
    what the last rehearsal of a rollback showed."""

    body: dict[str, Any]
    daemon: int | None
    bad: str | None
    ready: str | None


@dataclass(frozen=True)
class _Model:
    """The registry's current version; `problem` is what is wrong with the registry, if anything."""

    version: str | None = None
    deployed_at: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class _Seen:
    """What one look found. `tick` is what the last tick left behind."""

    tick: dict[str, Any]
    halted: dict[str, Any] | None
    incident: Incident | None
    paused: bool
    daemon: int | None
    running: Sequence[Running]
    unknown: str | None
    """Why nobody can tell whether it runs, or None."""
    model: _Model
    rehearsal: dict[str, Any] | None
    hashes: HashMemory | None
    used_up: str | None
    """That the next cause halts, for the automatic rollbacks of a day are used up, or None."""
    another: str | None
    """That the bot runs another version than the current one, as the last tick saw it, or None."""


def look(settings: Settings) -> Status:
    """Looks at everything once. Changes nothing. JournalError when there is a journal that cannot be read."""
    journal = open_journal(settings)
    try:
        seen = _look(settings, journal)
        outbox = _outbox(settings, journal, _steady_now(seen.tick))
    except (sqlite3.Error, NotifyError) as error:
        raise JournalError(f"{journal_path(settings)}: the journal cannot be read: {error}") from error
    finally:
        if journal is not None:
            journal.close()
    state, incident, running = _state(seen), seen.incident, seen.running
    body = {
        "state": state,
        "sentence": _sentence(seen, state),
        "bot": {
            "name": settings.bot.name,
            "running": None if seen.unknown else bool(running),
            "pid": running[0].pid if running else None,
        },
        "model": {"version": seen.model.version, "deployed_at": seen.model.deployed_at},
        "rollback_target": _target(settings, seen),
        "triggers": seen.tick.get("triggers", []),
        "incident": None if incident is None else {"id": incident.id, "step": incident.step},
        "outbox": outbox,
        "last_tick": seen.tick.get("at"),
        "version": distribution_version("model-watchdog"),
    }
    ready = rehearsal.in_short(seen.rehearsal, body["rollback_target"], _steady_now(seen.tick))
    return Status(body, seen.daemon, _bad(settings, seen, state), ready)


def _look(settings: Settings, journal: Journal | None) -> _Seen:
    running: Sequence[Running] = ()
    unknown = None
    try:
        running = look_at(make_bot(settings, journal))
    except BotError as error:
        unknown = f"whether the bot runs cannot be known: {error}"
    return _Seen(
        tick=(journal and journal.get("tick")) or {},
        halted=journal.get("halted") if journal else None,
        incident=journal.open_one() if journal else None,
        paused=ControlFolder(settings.control_dir).paused() is not None,
        daemon=watchdog_pid(settings),
        running=running,
        unknown=unknown,
        model=_model(settings, journal),
        rehearsal=journal.get(rehearsal.KEPT) if journal else None,
        hashes=remembered(journal) if journal else None,
        used_up=_used_up(settings, journal) if journal else None,
        another=((journal and journal.get("conditions")) or {}).get("runs-another", {}).get("text"),
    )


def _used_up(settings: Settings, journal: Journal) -> str | None:
    """By the same count as the daemon's (`decide`)."""
    most, tick = settings.rollback.max_per_day, journal.get("tick") or {}
    if most == 0 or settings.mode == "observe":
        return None
    now = _steady_now(tick)
    used = automatic_rollbacks(journal, most, now - DAY)
    if len(used) < most:
        return None
    until = sorted(used)[-most] + DAY + (utc_now() - now)
    count = f"{len(used)} of {most} automatic rollbacks a day {'is' if most == 1 else 'are'} used up"
    return f"{count}: until {until:%Y-%m-%d %H:%M} UTC the next cause halts the bot"


def _state(seen: _Seen) -> str:
    if seen.halted:
        return "halted"
    if seen.incident is not None:
        return "monitoring" if seen.incident.bot_is_back else "rolling_back"
    return "paused" if seen.paused else "watching"


def _sentence(seen: _Seen, state: str) -> str:
    incident, doing = seen.incident, ""
    if seen.halted:
        doing = f"halted since {messages.since(seen.halted)} by {seen.halted['by']}: {seen.halted['why']}"
    elif incident is not None:
        step = "monitoring" if incident.bot_is_back else f"rolling back ({incident.step})"
        step = f"paused, {step}" if seen.paused else step
        doing = f"{step} {incident.target or seen.model.version}, {messages.cause(incident)}"
        looks = checklist.in_short(incident.facts.get("looks", ())) if incident.bot_is_back else ""
        doing += f"; {looks}" if looks else ""
    if seen.daemon is None:
        rest = (
            doing or seen.model.problem or ("paused" if state == "paused" else "nobody looks after this bot")
        )
        return f"no watchdog is running; {rest}. To start it: model-watchdog run"
    said = doing or seen.model.problem or str(seen.tick.get("sentence", "starting"))
    return said if seen.halted or seen.used_up is None else f"{said}; {seen.used_up}"


def _model(settings: Settings, journal: Journal | None) -> _Model:
    try:
        found = open_registry(settings).deployment()
    except RegistryError as error:
        return _Model(problem=f"the registry cannot be read: {error}")
    if found is None:
        return _Model(problem=f"{settings.registry.path}: the registry names no current version")
    if found.since is None:
        kept = journal and journal.get("deployment")
        return _Model(found.version, kept["since"] if kept else None)
    try:
        at = datetime.fromisoformat(found.since)
        at = (at if at.tzinfo else at.replace(tzinfo=settings.bot.tz)).astimezone(UTC)
    except (ValueError, OverflowError):
        problem = f"the registry's history holds {found.since!r} in place of a time"
        return _Model(found.version, problem=problem)
    return _Model(found.version, at.isoformat())


def _target(settings: Settings, seen: _Seen) -> str | None:
    """The version a rollback would go to: as the last tick verified it, if the registry still says so.

    Where no watchdog verifies it, or none has since the current version changed, it is verified here.
    """
    incident = seen.incident
    if incident is not None and incident.target is not None and not incident.bot_is_back:
        return incident.target
    registry = open_registry(settings, seen.hashes)
    try:
        if seen.daemon is None:
            return registry.target()
        candidates = registry.targets()
        known: str | None = seen.tick.get("rollback_target")
        return known if known is None or known in candidates else registry.target()
    except RegistryError:
        return None


def _steady_now(tick: dict[str, Any]) -> datetime:
    """The time by the watchdog's own clock, which goes on evenly where the wall clock was stepped."""
    return utc_now() - timedelta(seconds=tick.get("offset_s", 0.0))


def _outbox(settings: Settings, journal: Journal | None, now: datetime) -> dict[str, Any]:
    if journal is None:
        return {"waiting": 0, "oldest_s": None}
    outbox = Outbox(journal_path(settings))
    try:
        return {"waiting": outbox.waiting(), "oldest_s": outbox.oldest_s(now)}
    finally:
        outbox.close()


def _bad(settings: Settings, seen: _Seen, state: str) -> str | None:
    """Why a person is needed, or None."""
    if seen.halted:
        if (version := still_current(seen.halted, seen.model.version)) is not None:
            return f"halted: the bot stays stopped. {asked(version, _target(settings, seen))}"
        return "halted: the bot stays stopped until somebody resumes it (model-watchdog resume)"
    if seen.daemon is None:
        return "no watchdog is running"
    if len(seen.running) > 1:
        pids = ", ".join(str(bot.pid) for bot in seen.running)
        return f"{len(seen.running)} bots run at once (pids {pids}): end {which_to_end(seen.running)}"
    if seen.unknown:
        return seen.unknown
    if not seen.running and state in {"watching", "monitoring"}:
        return "the bot is not running"
    if seen.model.problem is not None:
        return seen.model.problem
    if seen.running and seen.another is not None:
        return seen.another
    tick = seen.tick
    late_s = (_steady_now(tick) - datetime.fromisoformat(tick["at"])).total_seconds() if tick else 0.0
    if state == "watching" and late_s > 6 * settings.poll_interval.total_seconds() + 60:
        return f"the last tick is {late_s:.0f} s old"
    return None
