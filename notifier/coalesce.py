"""Many alerts of one kind become one with a count.

* An alert that no channel was handed yet takes in the next of its kind: newest text, highest severity, one
  more.
* When one was told less than the quiet time ago, the next ones are held back and told together when that
  time is over, as a new alert with the next id, so that ids stay in the order of telling.
* What is more severe than the alert that was told is not held back.

All functions run inside the caller's transaction; times are seconds since 1970, durations seconds.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from .alert import Alert, Severity, louder

FIELDS = "kind, severity, text, count, first_at, last_at"


def insert(db: sqlite3.Connection, fields: Sequence[Any], coalesce: bool) -> None:
    """Add an alert (the values of FIELDS), to be delivered to every active channel."""
    alert_id = db.execute(
        f"INSERT INTO outbox ({FIELDS}, coalesce) VALUES (?, ?, ?, ?, ?, ?, ?)", (*fields, coalesce)
    ).lastrowid
    db.execute(
        "INSERT INTO outbox_delivery (alert, channel) SELECT ?, name FROM outbox_channel WHERE active",
        (alert_id,),
    )


def absorb(db: sqlite3.Connection, alert: Alert, text: str, at: float, quiet_s: float) -> bool:
    """Put the alert into another of its kind, which waits or is held back. False: it must go out by
    itself."""
    waiting = db.execute(
        "SELECT id, severity FROM outbox WHERE kind = ? AND coalesce AND NOT started "
        "ORDER BY id DESC LIMIT 1",
        (alert.kind,),
    ).fetchone()
    if waiting is not None:
        db.execute(
            "UPDATE outbox SET count = count + 1, text = ?, severity = ?, last_at = max(last_at, ?) "
            "WHERE id = ?",
            (text, louder(alert.severity, waiting[1]), at, waiting[0]),
        )
        return True
    told = db.execute(
        "SELECT severity, told_at FROM outbox WHERE kind = ? AND coalesce AND told_at IS NOT NULL "
        "ORDER BY id DESC LIMIT 1",
        (alert.kind,),
    ).fetchone()
    if told is None or not 0 <= at - told[1] < quiet_s:
        return False
    held = _hold(db, alert, text, at, due_at=told[1] + quiet_s)
    if louder(held, told[0]) != told[0]:
        _release(db, alert.kind)
    return True


def release_due(db: sqlite3.Connection, at: float, quiet_s: float) -> None:
    """Turn what was held back long enough into alerts. A due time out of reach means that the clock was
    stepped."""
    due = db.execute(
        "SELECT kind FROM outbox_held WHERE due_at <= ? OR due_at > ? ORDER BY due_at, kind",
        (at, at + quiet_s),
    ).fetchall()
    for (kind,) in due:
        _release(db, kind)


def _hold(db: sqlite3.Connection, alert: Alert, text: str, at: float, due_at: float) -> Severity:
    """Hold an alert back; returns the highest severity that is held of its kind."""
    row = db.execute("SELECT severity FROM outbox_held WHERE kind = ?", (alert.kind,)).fetchone()
    severity = alert.severity if row is None else louder(alert.severity, row[0])
    db.execute(
        "INSERT INTO outbox_held VALUES (?, ?, ?, 1, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET severity = ?, text = ?, count = count + 1, last_at = max(last_at, ?)",
        (alert.kind, severity, text, at, at, due_at, severity, text, at),
    )
    return severity


def _release(db: sqlite3.Connection, kind: str) -> None:
    row = db.execute(f"SELECT {FIELDS} FROM outbox_held WHERE kind = ?", (kind,)).fetchone()
    insert(db, row, coalesce=True)
    db.execute("DELETE FROM outbox_held WHERE kind = ?", (kind,))
