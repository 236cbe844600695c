"""Target: a journal that another build wrote, or nobody: the JSON in it has any shape.

What the commands and a start make of it is an answer, a JournalError, or SQLite's own error; never a halt passed over.
"""

import json
import shutil
import sqlite3
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from config import Settings
from notifier import Alert, NotifyError
from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless
from tests.watchdog.fakes import START, ManualClock
from tests.watchdog.house import empty_journal, settings_in
from watchdog import incidents_cli, screen
from watchdog.assemble import journal_path
from watchdog.check_state import running
from watchdog.conditions import Conditions
from watchdog.controls import make_bot
from watchdog.early import Early
from watchdog.hashes import Keeper, remembered
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.mending import mend_before_opening
from watchdog.status import look
from watchdog.tell import Teller

DECLARED = (JournalError, NotifyError, sqlite3.Error)


class _Refused(Exception):
    """A command said why it cannot, and ended."""


@cache
def settings() -> Settings:
    top = fresh("journal")
    (top / "models_saved").mkdir()
    (top / "models_saved" / "registry.json").write_text(
        '{"models": {}, "current_version": null, "history": []}'
    )
    return settings_in(top)


def journal(data: bytes) -> None:
    """`{"named": {...}, "incidents": [...], "steps": [[...]], "orders": [[...]]}`"""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(body, dict):
        return
    state = settings().state_dir
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(mode=0o700)
    path = journal_path(settings())
    path.write_bytes(empty_journal())
    written = _write(path, body)
    _ask()
    was_halted = "halted" in written
    told = mend_before_opening(path, START)
    found = Journal(path)
    try:
        _start(found)
        assert found.get("halted") is not None or told or not was_halted, (
            "a halt was passed over without a word"
        )
        assert mend_before_opening(path, START) == "", "it is never mended"
    finally:
        found.close()


def _write(path: Path, body: dict[str, Any]) -> set[str]:
    """The names of the values that were written; what SQLite does not take is left out."""
    names: set[str] = set()
    db = sqlite3.connect(path, isolation_level=None)
    named, incidents = body.get("named"), body.get("incidents")
    for name, value in named.items() if isinstance(named, dict) else ():
        with suppress(sqlite3.Error, UnicodeEncodeError):
            db.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", (name, json.dumps(value)))
            names.add(name)
    for found in incidents if isinstance(incidents, list) else ():
        with suppress(sqlite3.Error):
            row = (START.isoformat(), None, 1, json.dumps(found))
            db.execute(
                "INSERT INTO incidents (opened_at, closed_at, automatic, body) VALUES (?, ?, ?, ?)", row
            )
    for table, columns in (
        ("steps", "incident, attempt, step, began_at, result, detail"),
        ("orders", "ident, at, what, who, why, answer"),
    ):
        rows = body.get(table)
        for cells in rows if isinstance(rows, list) else ():
            with suppress(sqlite3.Error, UnicodeEncodeError, OverflowError, TypeError):
                db.execute(
                    f"INSERT INTO {table} ({columns}) VALUES (?, ?, ?, ?, ?, ?)",
                    [_cell(cell) for cell in cells],
                )
    db.close()
    return names


def _cell(value: Any) -> Any:
    return value if isinstance(value, str | int | float | None) else json.dumps(value)


def _ask() -> None:
    """What people type."""
    out = Console(file=StringIO(), width=100)

    def refuse(message: str, code: int) -> NoReturn:
        raise _Refused(message)

    with suppress(*DECLARED):
        json.dumps(look(settings()).body)
    with suppress(*DECLARED):
        screen.table(out, [([(finding.what, "")], finding.found) for finding in running(settings())])
    for number in (None, 1):
        for as_json in (False, True):
            with suppress(*DECLARED, _Refused), redirect_stdout(StringIO()):
                incidents_cli.show(settings(), number, as_json, out, refuse)
    assert isinstance(out.file, StringIO)
    assert is_harmless(out.file.getvalue(), "\n\t")


def _start(found: Journal) -> None:
    """What a start does with a journal that was mended."""
    machine = ManualClock()
    kept = found.get("checkpoint") or {}
    machine.clock().steady(START)
    assert abs(float(kept.get("offset_s", 0.0))) < 1e11
    make_bot(settings(), found)
    Conditions(found, Teller(_take, "bot")).update(START, {})
    Early(found.get("early")).look("key", [], {}, {})
    Keeper(found, remembered(found), "key").bore_signature("v1")
    incident = found.open_one()
    assert incident is None or isinstance(incident, Incident)
    found.automatic_rollbacks(START)
    with suppress(sqlite3.Error):
        found.orders()
        found.unanswered()


def _take(alert: Alert) -> None:
    assert alert.text


_AT = START.isoformat()
_GOOD = {
    "named": {
        "halted": {"since": _AT, "why": "relapse", "by": "alice", "incident": 1},
        "bot": [4711, 12345, "boot"],
        "deployment": {"key": "v2.1.0 x None", "since": _AT},
        "resumed_at": _AT,
        "restarts": {"key": "v2.1.0", "at": [_AT]},
        "tick": {
            "at": _AT, "sentence": "watching", "offset_s": 0.0, "rollback_target": "v2.0.0",
            "triggers": [{"name": "sharpe", "state": "ok", "value": 1.0, "limit": 1.0, "reason": "r"}],
        },
        "conditions": {"no-target": {"since": _AT, "told": _AT, "text": "t"}},
        "early": {"key": "k", "near": {"drawdown": True}, "count": 1},
        "paused": "1:2:3",
        "checkpoint": {"offset_s": 0.0, "deployment": "x"},
        "hashes": {"boot": "x", "files": []},
        "signed": {"key": "key", "versions": ["v1"]},
        "rehearsal": {"version": "v1", "what": "w", "at": _AT, "ok": True, "told": False, "seconds": 3.0, "said": "s"},
        "doubt": {"since": _AT, "why": "w", "settled": True},
    },
    "incidents": [
        {
            "plan": "rollback", "step": "monitor", "reason": "r", "by": "rule drawdown", "from_version": "v2.1.0",
            "wanted": None, "target": "v2.0.0", "attempt": 1, "tried": [], "outcome": None,
            "facts": {"switched_to": "v2.0.0", "monitor_from": _AT, "halt_asked": {"why": "w", "who": "x"}},
        }
    ],
    "steps": [[1, 1, "assess", _AT, "done", "detail"]],
    "orders": [["1:2:3", _AT, "halt", "alice", "why", "obeyed"]],
}  # fmt: skip
SEEDS = (json.dumps(_GOOD).encode(), json.dumps({"named": {"halted": 5}}).encode(), b'{"incidents": [{}]}')
WORDS = (
    b"null",
    b"5",
    b'"x"',
    b"[]",
    b"{}",
    b"NaN",
    b"1e999",
    b'"halted": ',
    b'"at": ',
    b'"since": ',
    b'"\\ud800"',
)
JOURNALS = (Target("journal", journal, SEEDS, WORDS),)
