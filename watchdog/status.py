"""How things stand: the last tick's verdicts from the journal, everything else looked up at the moment of asking.

So the answer is true also while no daemon runs, and between two ticks.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as distribution_version
from typing import Any

from config import Settings
from notifier import NotifyError, Outbox
from registry import ModelRegistry, RegistryError
from watchdog.assemble import journal_path, locks, make_bot
from watchdog.clock import utc_now
from watchdog.incident import Incident
from watchdog.journal import Journal
from watchdog.orders import ControlFolder


@dataclass(frozen=True)
class Status:
    """`body` is what `status --json` prints; `daemon` the watchdog's pid, `bad` why a person is needed, if so."""

    body: dict[str, Any]
    daemon: int | None
    bad: str | None


def look(settings: Settings) -> Status:
    """Looks at everything once. Changes nothing. JournalError when there is a journal that cannot be read."""
    path = journal_path(settings)
    journal = Journal(path, read_only=True) if path.exists() else None
    try:
        return _look(settings, journal)
    finally:
        if journal is not None:
            journal.close()


def _look(settings: Settings, journal: Journal | None) -> Status:
    tick: dict[str, Any] = (journal and journal.get("tick")) or {}
    halted = journal and journal.get("halted")
    incident = journal.open_one() if journal else None
    paused = ControlFolder(settings.control_dir).paused()
    daemon = locks(settings)[0].holder()
    running = make_bot(settings, journal).find()
    version, deployed_at, problem = _model(settings, journal)
    state = _state(halted, incident, paused is not None)
    body = {
        "state": state,
        "sentence": _sentence(state, tick, halted, incident, daemon, version, problem),
        "bot": {
            "name": settings.bot.name,
            "running": bool(running),
            "pid": running[0].pid if running else None,
        },
        "model": {"version": version, "deployed_at": deployed_at},
        "rollback_target": _target(settings, tick, incident),
        "triggers": tick.get("triggers", []),
        "incident": None if incident is None else {"id": incident.id, "step": incident.step},
        "outbox": _outbox(settings, journal),
        "last_tick": tick.get("at"),
        "version": distribution_version("model-watchdog"),
    }
    return Status(body, daemon, _bad(settings, daemon, halted, tick, body))


def _state(halted: Any, incident: Incident | None, paused: bool) -> str:
    if halted:
        return "halted"
    if incident is not None:
        return "monitoring" if incident.bot_is_back else "rolling_back"
    return "paused" if paused else "watching"


def _sentence(
    state: str,
    tick: dict[str, Any],
    halted: Any,
    incident: Incident | None,
    daemon: int | None,
    version: str | None,
    problem: str | None,
) -> str:
    if daemon is None:
        return f"no watchdog is running ({state}); start it: model-watchdog run" + (
            f". {problem}" if problem else ""
        )
    if state == "halted":
        return f"halted since {halted['since'][:19]} by {halted['by']}: {halted['why']}"
    if incident is not None:
        doing = "monitoring" if incident.bot_is_back else f"rolling back ({incident.step})"
        return f"{doing} {incident.target or version}, incident {incident.id}: {incident.reason}"
    return problem or tick.get("sentence", "starting")


def _model(settings: Settings, journal: Journal | None) -> tuple[str | None, str | None, str | None]:
    """(version, deployed_at with its offset, what is wrong with the registry)."""
    try:
        found = ModelRegistry(settings.registry.path, links=settings.registry.links).deployment()
    except RegistryError as error:
        return None, None, f"the registry cannot be read: {error}"
    if found is None:
        return None, None, f"{settings.registry.path}: no current version"
    if found.since is None:
        kept = journal and journal.get("deployment")
        return found.version, kept["since"] if kept else None, None
    try:
        at = datetime.fromisoformat(found.since)
    except ValueError:
        return found.version, None, f"the registry's history holds {found.since!r} in place of a time"
    return (
        found.version,
        (at if at.tzinfo else at.replace(tzinfo=settings.bot.tz)).astimezone(UTC).isoformat(),
        None,
    )


def _target(settings: Settings, tick: dict[str, Any], incident: Incident | None) -> str | None:
    """The version a rollback would go to: as the last tick verified it, if the registry still says so."""
    if incident is not None and incident.target is not None and not incident.monitoring:
        return incident.target
    try:
        candidates = ModelRegistry(settings.registry.path).targets()
    except RegistryError:
        return None
    known = tick.get("rollback_target")
    return known if known in candidates else next(iter(candidates), None)


def _outbox(settings: Settings, journal: Journal | None) -> dict[str, Any]:
    if journal is None:
        return {"waiting": 0, "oldest_s": None}
    try:
        outbox = Outbox(journal_path(settings))
    except NotifyError:
        return {"waiting": None, "oldest_s": None}
    try:
        return {"waiting": outbox.waiting(), "oldest_s": outbox.oldest_s(utc_now())}
    finally:
        outbox.close()


def _bad(
    settings: Settings, daemon: int | None, halted: Any, tick: dict[str, Any], body: dict[str, Any]
) -> str | None:
    """Why a person is needed, or None."""
    if halted:
        return "halted: the bot stays stopped until somebody resumes it"
    if daemon is None:
        return "no watchdog is running"
    if not body["bot"]["running"] and body["state"] in {"watching", "monitoring"}:
        return "the bot is not running"
    late_s = (utc_now() - datetime.fromisoformat(tick["at"])).total_seconds() if tick else 0.0
    if body["state"] == "watching" and late_s > 6 * settings.poll_interval.total_seconds() + 60:
        return f"the last tick is {late_s:.0f} s old"
    return None
