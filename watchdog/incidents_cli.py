"""`incidents`: what happened, as a table, as one incident's story, or as JSON."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NoReturn

from rich.console import Console

from config import Settings
from watchdog import report
from watchdog.assemble import journal_path
from watchdog.clock import utc_now
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.messages import span
from watchdog.reading import open_journal
from watchdog.screen import say, table

NONE_YET = "no incident so far"
OUTCOME_COLOURS = {"rolled_back": "green", "halted": "red", None: "yellow"}


def show(
    settings: Settings, number: int | None, as_json: bool, out: Console, fail: Callable[[str, int], NoReturn]
) -> int:
    """Prints the incidents, or one; 1 when there is no such incident, or the journal cannot be read."""
    try:
        journal = open_journal(settings)
        if journal is None:
            return _nothing(number, as_json, out, fail)
        try:
            return _show(settings, journal, number, as_json, out, fail)
        finally:
            journal.close()
    except JournalError as error:
        fail(str(error), 1)
    except sqlite3.Error as error:
        fail(f"{journal_path(settings)}: the journal cannot be read: {error}", 1)


def _nothing(number: int | None, as_json: bool, out: Console, fail: Callable[[str, int], NoReturn]) -> int:
    if number is not None:
        fail(f"there is no incident {number}: {NONE_YET}", 1)
    if as_json:
        print("[]")  # noqa: T201
        return 0
    return say(out, NONE_YET)


def _show(
    settings: Settings,
    journal: Journal,
    number: int | None,
    as_json: bool,
    out: Console,
    fail: Callable[[str, int], NoReturn],
) -> int:
    if number is None:
        found = journal.incidents()
        if as_json:
            print(json.dumps([_body(journal, incident) for incident in found], indent=1))  # noqa: T201
        else:
            _table(found, out)
            _tell_of_older(settings, found, out)
        return 0
    incident = journal.incident(number)
    if incident is None:
        kept = report.kept_report(settings.state_dir, number)
        if kept is not None:
            return _only_the_report(settings, number, kept, as_json, out)
        fail(f"there is no incident {number}; `model-watchdog incidents` lists them", 1)
    if as_json:
        print(json.dumps(_body(journal, incident), indent=1))  # noqa: T201
    else:
        _story(settings, journal, incident, out)
    return 0


def _tell_of_older(settings: Settings, found: list[Incident], out: Console) -> None:
    """Those that the journal no longer has: their reports are there."""
    oldest = min((incident.id for incident in found), default=0)
    older = [number for number in report.numbers(settings.state_dir) if number < oldest]
    if older:
        where = report.folder(settings.state_dir, older[-1]) / "report.md"
        say(
            out,
            f"older ones have their reports: `incidents {older[0]}` ... `incidents {older[-1]}` ({where})",
            "dim",
        )


def _only_the_report(settings: Settings, number: int, text: str, as_json: bool, out: Console) -> int:
    """An incident that was pruned from the journal: what is left of it is what people need of it."""
    path = report.folder(settings.state_dir, number) / "report.md"
    if as_json:
        print(json.dumps({"id": number, "report": str(path)}, indent=1))  # noqa: T201
        return 0
    say(out, text)
    say(out, f"file: {path}")
    return say(
        out, "older than `retention`: its steps are no longer in the journal, this is its report", "dim"
    )


def _body(journal: Journal, incident: Incident) -> dict[str, Any]:
    steps = [asdict(row) for row in journal.steps(incident)]
    for row in steps:
        row["began_at"] = row["began_at"].isoformat()
        row["ended_at"] = row["ended_at"].isoformat() if row["ended_at"] else None
    return {
        "id": incident.id,
        "opened_at": incident.opened_at.isoformat(),
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
        "plan": incident.plan,
        "step": incident.step if incident.open else None,
        "from_version": incident.from_version,
        "to_version": incident.facts.get("switched_to"),
        "reason": incident.reason,
        "by": incident.by,
        "automatic": incident.automatic,
        "outcome": incident.outcome,
        "steps": steps,
    }


def _table(found: list[Incident], out: Console) -> None:
    if not found:
        say(out, NONE_YET)
        return
    header = (("id", "began (UTC)", "lasted", "from", "to", "outcome"), "by: reason")
    table(out, [_row(incident) for incident in found], header=header)


def _row(incident: Incident) -> tuple[list[tuple[str, str]], str]:
    lasted = span(incident.closed_at - incident.opened_at) if incident.closed_at else f"at {incident.step}"
    cells = [
        (str(incident.id), "bold"),
        (f"{incident.opened_at:%Y-%m-%d %H:%M}", ""),
        (lasted, ""),
        (incident.from_version or "", ""),
        (str(incident.facts.get("switched_to") or ""), ""),
        ((incident.outcome or "open").replace("_", " "), OUTCOME_COLOURS.get(incident.outcome, "")),
    ]
    return cells, f"{incident.by}: {incident.reason}"


def _story(settings: Settings, journal: Journal, incident: Incident, out: Console) -> None:
    text = report.render(incident, journal.steps(incident), incident.closed_at or utc_now())
    say(out, text)
    folder = report.folder(settings.state_dir, incident.id)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            say(out, f"file: {path}")
