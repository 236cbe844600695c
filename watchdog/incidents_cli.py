"""`incidents`: what happened, as a table, as one incident's story, or as JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config import Settings
from watchdog import report
from watchdog.assemble import journal_path
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.messages import span

NONE_YET = "no incident so far"


def show(
    settings: Settings, number: int | None, as_json: bool, out: Console, fail: Callable[[str, int], NoReturn]
) -> int:
    """Prints the incidents, or one; 1 when there is no such incident."""
    try:
        journal = Journal(journal_path(settings), read_only=True)
    except JournalError as error:
        if number is None and not journal_path(settings).exists():
            print("[]" if as_json else NONE_YET)  # noqa: T201
            return 0
        fail(str(error), 1)
    try:
        if number is None:
            found = journal.incidents()
            if as_json:
                print(json.dumps([_body(journal, incident) for incident in found], indent=1))  # noqa: T201
            else:
                _table(found, out)
            return 0
        incident = journal.incident(number)
        if incident is None:
            fail(f"there is no incident {number}; `model-watchdog incidents` lists them", 1)
        if as_json:
            print(json.dumps(_body(journal, incident), indent=1))  # noqa: T201
        else:
            _story(settings, journal, incident, out)
        return 0
    finally:
        journal.close()


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
        out.print(NONE_YET)
        return
    table = Table(box=None, header_style="dim")
    for column in ("id", "began (UTC)", "lasted", "from", "to", "outcome", "by", "reason"):
        table.add_column(column, no_wrap=column in {"id", "began (UTC)", "from", "to"})
    for incident in found:
        lasted = (
            span(incident.closed_at - incident.opened_at) if incident.closed_at else f"open ({incident.step})"
        )
        cells = (
            str(incident.id),
            f"{incident.opened_at:%Y-%m-%d %H:%M:%S}",
            lasted,
            incident.from_version or "",
            _to(incident),
            (incident.outcome or "open").replace("_", " "), incident.by, incident.reason,
        )  # fmt: skip
        table.add_row(*map(escape, cells))
    out.print(table)


def _to(incident: Incident) -> str:
    return str(incident.facts.get("switched_to") or "")


def _story(settings: Settings, journal: Journal, incident: Incident, out: Console) -> None:
    text = report.render(incident, journal.steps(incident), incident.closed_at or incident.opened_at)
    out.print(escape(text), highlight=False, soft_wrap=True)
    folder = report.folder(settings.state_dir, incident.id)
    if folder.exists():
        out.print(
            escape(f"files: {', '.join(str(path) for path in sorted(folder.iterdir()))}"), soft_wrap=True
        )
