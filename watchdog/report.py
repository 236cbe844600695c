"""What an incident leaves in the state folder: the evidence when it began, and the report when it closed.

<state_dir>/incidents/0007/evidence.json    values, last trades, tail of the bot's log, equity curve
<state_dir>/incidents/0007/report.md        the playbook's incident template, filled in as far as can be known
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog import after_words
from watchdog.exchange import pages
from watchdog.incident import Incident
from watchdog.journal import StepRow
from watchdog.plain import plain

Redact = Callable[[str], str]

UNKNOWN = "_to be filled in by a person_"


def folder(state_dir: Path, number: int) -> Path:
    """Where the incident with this id keeps its files."""
    return state_dir / "incidents" / f"{number:04d}"


def numbers(state_dir: Path) -> list[int]:
    """The numbers of all incidents that have a folder here, in order; [] when it cannot be read."""
    try:
        names = [path.name for path in (state_dir / "incidents").iterdir()]
    except OSError:
        return []
    return sorted(int(name) for name in names if re.fullmatch(r"\d{4,9}", name))


def forget_evidence(state_dir: Path, number: int) -> None:
    """Deletes what was kept beside the report; the report stays, and so does whatever people laid there."""
    for path in (folder(state_dir, number) / "evidence.json", *folder(state_dir, number).glob("*.part")):
        path.unlink(missing_ok=True)


def kept_report(state_dir: Path, number: int) -> str | None:
    """The report as it was written, of an incident that the journal no longer has; None without one."""
    try:
        return (folder(state_dir, number) / "report.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def save_evidence(state_dir: Path, incident: Incident, evidence: dict[str, Any], redact: Redact) -> str:
    """Writes the evidence and says where. A disk that refuses it must not delay the rollback, so that is said, too."""
    path = folder(state_dir, incident.id) / "evidence.json"
    try:
        _write(path, redact(json.dumps(evidence, indent=1, default=str)))
    except OSError as error:
        return f"the evidence could not be saved ({error})"
    return f"evidence: {path}"


def write_report(
    state_dir: Path, incident: Incident, steps: Sequence[StepRow], now: datetime, redact: Redact
) -> Path:
    """Writes the report (OSError when the disk refuses) and returns its path."""
    path = folder(state_dir, incident.id) / "report.md"
    _write(path, redact(render(incident, steps, now)))
    return path


def render(incident: Incident, steps: Sequence[StepRow], now: datetime) -> str:
    """The playbook's template, and every step with its times."""
    minutes = (now - incident.opened_at).total_seconds() / 60
    status = {None: "Monitoring", "rolled_back": "Resolved"}.get(incident.outcome, "Under Investigation")
    down = _downtime(incident, steps)
    lines = [
        f"## Rollback Incident: {incident.opened_at:%Y-%m-%d %H:%M} UTC",
        "",
        f"**Incident:** {incident.id}",
        f"**From Version:** {incident.from_version}",
        f"**To Version:** {incident.facts.get('switched_to') or 'none'}",
        f"**Reason:** {incident.reason}",
        f"**Triggered By:** {'Auto' if incident.automatic else 'Manual'} ({incident.by})",
        f"**Duration:** {minutes:.1f} min",
        f"**Impact:** the bot did not trade for {down}; {pages.impact(incident.facts)}",
        f"**Root Cause:** {UNKNOWN}",
        f"**Prevention:** {UNKNOWN}",
        f"**Status:** {status}",
        "",
        "| began (UTC) | took | step | result | detail |",
        "|---|---|---|---|---|",
    ]
    for row in steps:
        if row.step == "close" and row.result is None:
            continue  # it is writing this
        took = "" if row.ended_at is None else f"{(row.ended_at - row.began_at).total_seconds():.2f} s"
        detail = (row.detail or "").replace("|", "\\|").replace("\n", " ")
        name = row.step if row.attempt == 1 else f"{row.step} (attempt {row.attempt})"
        lines.append(f"| {row.began_at:%H:%M:%S.%f} | {took} | {name} | {_result(row)} | {detail} |")
    lines += pages.section(incident.facts)
    lines += after_words.section(incident.facts)
    lines += [
        "",
        "To do: schedule the post-mortem, find the root cause, plan the fix of the version that was left.",
        "",
    ]
    return "\n".join(map(_harmless, lines))


_TAG = re.compile(r"<(?![\s\d=])([^<>]*)(>?)")
"""What Markdown may take for HTML or an address. Not escaped: an entity is unreadable where the report is read as it
is, on a terminal, and a backslash before `<` means nothing to half of the programs that render Markdown."""


def _harmless(line: str) -> str:
    """One line of Markdown, in which the words of others begin no line, no tag (`<module>` becomes `‹module›`), no link
    and no picture."""
    line = plain(line).replace("\n", " ")
    if line.startswith("    "):
        return line
    return _TAG.sub(lambda tag: f"‹{tag[1]}{'›' if tag[2] else ''}", line).replace("](", "]\\(")


def _result(row: StepRow) -> str:
    """`olderversion` is in journals that an earlier build wrote."""
    return (row.result or "interrupted").replace("olderversion", "older version")


def _downtime(incident: Incident, steps: Sequence[StepRow]) -> str:
    """From the moment the bot was asked to end to the start of the one that was proved."""
    stopped = next((s.began_at for s in steps if s.step == "stop_bot"), None)
    started = next((s.began_at for s in reversed(steps) if s.step == "start_bot"), None)
    if stopped is None:
        return "0 s"
    if started is None or incident.outcome == "halted":
        return "as long as the halt lasts"
    return f"{(started - stopped).total_seconds():.1f} s"


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
