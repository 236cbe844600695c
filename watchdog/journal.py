"""The journal: what the watchdog has done and is doing, in SQLite, so that a kill -9 at any point loses nothing.

WAL with synchronous=FULL: a write that returned is on disk. Incidents and their steps, the orders of people, and
a few named values (`halted`, `checkpoint`, `bot`, ...) live here. Times are steady UTC, stored as ISO 8601.
All of it is in one file, for all of it shares the connection and its transactions.
"""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from watchdog.incident import Incident, Order, Plan
from watchdog.journal_file import JournalFile
from watchdog.journal_schema import SCHEMA, JournalError, NoJournalError
from watchdog.shapes import is_incident

__all__ = ["SCHEMA", "Journal", "JournalError", "NoJournalError", "OrderRow", "StepRow"]

KEPT = 20
"""So many of the newest incidents and orders are never pruned, whatever their age: a clock that is years ahead must
not empty the journal, and a quiet bot's last incident is worth more than its age says."""


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


class Journal(JournalFile):
    """Incidents with their steps, and the orders of people."""

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
        text = self._json(body)
        with self.writing():
            self._db.execute(
                "UPDATE incidents SET closed_at = ?, body = ? WHERE id = ?", (closed_at, text, incident.id)
            )
            row = (incident.id, incident.opened_at.isoformat(), closed_at, int(incident.automatic), text)
            self._remember("incidents", incident.id, row)

    def open_one(self) -> Incident | None:
        """The incident that is open, if there is one."""
        found = self._incidents("WHERE closed_at IS NULL ORDER BY id LIMIT 1")
        return found[0] if found else None

    def incident(self, number: int) -> Incident | None:
        """The incident with this id."""
        found = self._incidents("WHERE id = ?", number)
        return found[0] if found else None

    def incidents(self, limit: int = 50) -> list[Incident]:
        """The newest incidents, newest first."""
        return self._incidents("ORDER BY id DESC LIMIT ?", limit)

    def automatic_rollbacks(self, since: datetime) -> list[datetime]:
        """When the automatic rollbacks that really switched a version began, those after `since`."""
        switched = "WHERE automatic = 1 AND json_extract(body, '$.facts.switched_to') IS NOT NULL"
        return [found.opened_at for found in self._incidents(switched) if found.opened_at > since]

    def last_number(self) -> int:
        """The highest number that an incident of this journal ever had; 0 before the first."""
        rows = self._rows("SELECT seq FROM sqlite_sequence WHERE name = 'incidents'")
        return int(rows[0][0]) if rows else 0

    def go_on_after(self, number: int) -> None:
        """The next incident gets a higher number than this one."""
        with self.writing():
            if self.last_number() < number:
                self._db.execute("DELETE FROM sqlite_sequence WHERE name = 'incidents'")
                self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('incidents', ?)", (number,))

    def _incidents(self, which: str, *values: Any) -> list[Incident]:
        return [self._incident(row) for row in self._rows(f"SELECT * FROM incidents {which}", *values)]

    def _incident(self, row: sqlite3.Row) -> Incident:
        try:
            body = json.loads(row["body"])
            if not is_incident(body):
                raise ValueError("of another shape")
            return Incident(
                id=row["id"],
                opened_at=datetime.fromisoformat(row["opened_at"]),
                closed_at=_when(row["closed_at"]),
                automatic=bool(row["automatic"]),
                **{name: value for name, value in body.items() if name in _KEPT},
            )
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise self._garbled(f"incident {row['id']}") from None

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
        rows = self._rows("SELECT * FROM steps WHERE incident = ? ORDER BY id", incident.id)
        try:
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
        except (ValueError, TypeError):
            raise self._garbled(f"a step of incident {incident.id}") from None

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
        rows = self._rows("SELECT * FROM orders WHERE answer IS NULL ORDER BY id")
        return [(r["id"], Order(r["what"], r["who"], r["why"], r["wanted"], r["ident"])) for r in rows]

    def orders(self, limit: int = 20) -> list[OrderRow]:
        """The newest orders, newest first."""
        rows = self._rows("SELECT * FROM orders ORDER BY id DESC LIMIT ?", limit)
        try:
            return [
                OrderRow(datetime.fromisoformat(r["at"]), r["what"], r["who"], r["why"], r["answer"])
                for r in rows
            ]
        except (ValueError, TypeError):
            raise self._garbled("an order") from None

    # -- pruning, in small transactions

    def old_incidents(self, before: datetime, limit: int) -> list[int]:
        """Incidents that were closed before then, oldest first; never one of the `KEPT` newest."""
        rows = self._rows(
            "SELECT id FROM incidents WHERE closed_at < ? AND id NOT IN "
            "(SELECT id FROM incidents ORDER BY id DESC LIMIT ?) ORDER BY id LIMIT ?",
            before.isoformat(),
            KEPT,
            limit,
        )
        return [row["id"] for row in rows]

    def forget_incidents(self, numbers: Collection[int]) -> None:
        """Deletes these with their steps."""
        with self.writing():
            for number in numbers:
                self._db.execute("DELETE FROM steps WHERE incident = ?", (number,))
                self._db.execute("DELETE FROM incidents WHERE id = ?", (number,))
                self._remember("incidents", number, None)

    def forget_orders(self, before: datetime, besides: Collection[str], limit: int) -> int:
        """Deletes orders of before then that were answered; returns how many.

        Never one of the `KEPT` newest, nor one whose flag (`besides`: the idents of flags that lie in the control
        folder) could not be moved away: it would be obeyed a second time.
        """
        with self.writing():
            return self._db.execute(
                "DELETE FROM orders WHERE id IN (SELECT id FROM orders WHERE at < ? AND answer IS NOT NULL "
                "AND id NOT IN (SELECT id FROM orders ORDER BY id DESC LIMIT ?) "
                "AND (ident IS NULL OR ident NOT IN (SELECT value FROM json_each(?))) ORDER BY id LIMIT ?)",
                (before.isoformat(), KEPT, json.dumps(sorted(besides)), limit),
            ).rowcount
