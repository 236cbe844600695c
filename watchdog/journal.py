"""The journal: what the watchdog has done and is doing, in SQLite, so that a kill -9 at any point loses nothing.

WAL with synchronous=FULL: a write that returned is on disk. Incidents and their steps, the orders of people, and
a few named values (`halted`, `checkpoint`, `bot`, ...) live here. Times are steady UTC, stored as ISO 8601.
All of it is in one file, for all of it shares the connection and its transactions.
"""

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog.incident import Incident, Order, Plan

SCHEMA = 1
TABLES = """
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, opened_at TEXT NOT NULL, closed_at TEXT, automatic INTEGER NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    id INTEGER PRIMARY KEY, incident INTEGER NOT NULL REFERENCES incidents(id), attempt INTEGER NOT NULL,
    step TEXT NOT NULL, began_at TEXT NOT NULL, ended_at TEXT, result TEXT, detail TEXT);
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, ident TEXT UNIQUE, at TEXT NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL,
    why TEXT NOT NULL, wanted TEXT, answer TEXT);
CREATE TABLE IF NOT EXISTS named (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class JournalError(Exception):
    """The journal cannot be opened; the message names the file and the remedy."""


class NoJournalError(JournalError):
    """There is none yet: the watchdog has never run with this state folder, or is making it at this moment."""


@dataclass(frozen=True)
class StepRow:
    """One run of one step. `result` is None while it runs, or when the watchdog died in it."""

    attempt: int
    step: str
    began_at: datetime
    ended_at: datetime | None
    result: str | None
    detail: str | None


@dataclass(frozen=True)
class OrderRow:
    """An order of a person, and what became of it."""

    at: datetime
    what: str
    who: str
    why: str
    answer: str | None


_KEPT = {field.name for field in fields(Incident)} - {"id", "opened_at", "closed_at", "automatic"}
"""What an incident's body may hold; another build may have written more."""


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _cleaned(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value with every text in it redacted, the names of its keys left as they are."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _cleaned(inner, redact) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner, redact) for inner in value]
    return value


class Journal:
    """Opens, or makes, the journal at `path`. One process writes; `status` may read at the same time.

    `redact` takes secrets out of every text before it is written: a bot's log and people's reasons may hold them.
    """

    def __init__(self, path: Path, *, read_only: bool = False, redact: Callable[[str], str] = str) -> None:
        self.path = path
        self._redact = redact
        self._lock = threading.RLock()
        self._known: dict[str, str | None] = {}
        try:
            if read_only and not path.exists():
                raise NoJournalError(
                    f"{path}: no journal yet: the watchdog has never run with this state_dir"
                )
            self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            if read_only:
                self._db.execute("PRAGMA query_only=1")
                self._db.execute("SELECT 1 FROM named LIMIT 1")
            else:
                self._prepare()
        except sqlite3.Error as error:
            if read_only and "no such table" in str(error):
                self._db.close()
                raise NoJournalError(f"{path}: no journal yet: it is being made at this moment") from None
            raise JournalError(
                f"{path}: the journal cannot be opened ({error}). Check the folder's owner and free space; if the "
                f"file is damaged, move it and its -wal and -shm aside: halts and counters in it are then lost"
            ) from error

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(TABLES)
        found = self.get("schema")
        if found is not None and found > SCHEMA:
            raise JournalError(
                f"{self.path}: written by a newer model-watchdog (schema {found}, this one knows {SCHEMA}); "
                f"install that version again"
            )
        if found is None:
            self.put("schema", SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it, or nothing, is on disk afterwards. The inner one of two is part of the outer.

        Steps write from threads while the ticks write from theirs: one waits for the other.
        """
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # on some errors SQLite has rolled back by itself
                    self._db.execute("ROLLBACK")
                raise

    # -- named values

    def get(self, name: str, default: Any = None) -> Any:
        """The value kept under this name. While the disk cannot be read: the one that was read last."""
        try:
            row = self._db.execute("SELECT value FROM named WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error:
            if name not in self._known:
                raise
        else:
            self._known[name] = None if row is None else row["value"]
        text = self._known[name]
        return default if text is None else json.loads(text)

    def put(self, name: str, value: Any) -> None:
        """Keeps a JSON value under this name; None forgets it."""
        with self.writing():
            self._known.pop(name, None)
            if value is None:
                self._db.execute("DELETE FROM named WHERE name = ?", (name,))
            else:
                self._db.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", (name, self._json(value)))

    def _json(self, value: Any) -> str:
        return json.dumps(_cleaned(value, self._redact))

    # -- incidents

    def open_incident(
        self,
        plan: Plan,
        step: str,
        reason: str,
        by: str,
        *,
        automatic: bool,
        at: datetime,
        from_version: str | None,
        wanted: str | None = None,
    ) -> Incident:
        """A new incident, on disk when this returns."""
        incident = Incident(0, plan, step, reason, by, automatic, at, from_version, wanted)
        with self.writing():
            row = self._db.execute(
                "INSERT INTO incidents (opened_at, automatic, body) VALUES (?, ?, '{}')",
                (at.isoformat(), automatic),
            )
            incident.id = int(row.lastrowid or 0)
            self.save(incident)
        return incident

    def save(self, incident: Incident) -> None:
        """Writes the incident as it is now."""
        body = asdict(incident)
        for name in ("id", "opened_at", "closed_at", "automatic"):
            del body[name]
        closed_at = None if incident.closed_at is None else incident.closed_at.isoformat()
        with self.writing():
            self._db.execute(
                "UPDATE incidents SET closed_at = ?, body = ? WHERE id = ?",
                (closed_at, self._json(body), incident.id),
            )

    def open_one(self) -> Incident | None:
        """The incident that is open, if there is one."""
        row = self._db.execute(
            "SELECT * FROM incidents WHERE closed_at IS NULL ORDER BY id LIMIT 1"
        ).fetchone()
        return None if row is None else self._incident(row)

    def incident(self, number: int) -> Incident | None:
        """The incident with this id."""
        row = self._db.execute("SELECT * FROM incidents WHERE id = ?", (number,)).fetchone()
        return None if row is None else self._incident(row)

    def incidents(self, limit: int = 50) -> list[Incident]:
        """The newest incidents, newest first."""
        rows = self._db.execute("SELECT * FROM incidents ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [self._incident(row) for row in rows]

    def automatic_rollbacks(self, since: datetime) -> list[datetime]:
        """When the automatic rollbacks that really switched a version began, those after `since`."""
        rows = self._db.execute(
            "SELECT * FROM incidents WHERE automatic = 1 AND json_extract(body, '$.facts.switched_to') IS NOT NULL"
        ).fetchall()
        return [found.opened_at for found in map(self._incident, rows) if found.opened_at > since]

    @staticmethod
    def _incident(row: sqlite3.Row) -> Incident:
        opened_at = datetime.fromisoformat(row["opened_at"])
        closed_at = _when(row["closed_at"])
        return Incident(
            id=row["id"],
            opened_at=opened_at,
            closed_at=closed_at,
            automatic=bool(row["automatic"]),
            **{name: value for name, value in json.loads(row["body"]).items() if name in _KEPT},
        )

    # -- steps

    def begin(self, incident: Incident, at: datetime) -> int:
        """Journals that the incident's step begins; returns the row to end."""
        with self.writing():
            self.save(incident)
            row = self._db.execute(
                "INSERT INTO steps (incident, attempt, step, began_at) VALUES (?, ?, ?, ?)",
                (incident.id, incident.attempt, incident.step, at.isoformat()),
            )
        return int(row.lastrowid or 0)

    def end(self, row: int | None, incident: Incident, result: str, detail: str, at: datetime) -> None:
        """Journals how the step ended, together with where the incident goes on."""
        with self.writing():
            self._db.execute(
                "UPDATE steps SET ended_at = ?, result = ?, detail = ? WHERE id = ?",
                (at.isoformat(), result, self._redact(detail), row),
            )
            self.save(incident)

    def steps(self, incident: Incident) -> list[StepRow]:
        """The steps of an incident, as they were run."""
        rows = self._db.execute(
            "SELECT * FROM steps WHERE incident = ? ORDER BY id", (incident.id,)
        ).fetchall()
        return [
            StepRow(
                r["attempt"],
                r["step"],
                datetime.fromisoformat(r["began_at"]),
                _when(r["ended_at"]),
                r["result"],
                r["detail"],
            )
            for r in rows
        ]

    # -- orders

    def accept(self, order: Order, at: datetime) -> int | None:
        """Writes an order down before it is consumed; None when this very flag file was accepted before."""
        who, why = self._redact(order.who), self._redact(order.why)
        with self.writing():
            row = self._db.execute(
                "INSERT OR IGNORE INTO orders (ident, at, what, who, why, wanted) VALUES (?, ?, ?, ?, ?, ?)",
                (order.ident, at.isoformat(), order.what, who, why, order.wanted),
            )
        return int(row.lastrowid or 0) if row.rowcount else None

    def answer(self, number: int, answer: str) -> None:
        """What became of the order: it is never obeyed again."""
        with self.writing():
            self._db.execute("UPDATE orders SET answer = ? WHERE id = ?", (self._redact(answer), number))

    def unanswered(self) -> list[tuple[int, Order]]:
        """Orders that were accepted and not yet obeyed, oldest first: a kill -9 came between."""
        rows = self._db.execute("SELECT * FROM orders WHERE answer IS NULL ORDER BY id").fetchall()
        return [(r["id"], Order(r["what"], r["who"], r["why"], r["wanted"], r["ident"])) for r in rows]

    def orders(self, limit: int = 20) -> list[OrderRow]:
        """The newest orders, newest first."""
        rows = self._db.execute("SELECT * FROM orders ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
        return [
            OrderRow(datetime.fromisoformat(r["at"]), r["what"], r["who"], r["why"], r["answer"])
            for r in rows
        ]
