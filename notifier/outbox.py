"""Alerts on disk before they are sent, and until every channel has taken them.

Each channel gets the alerts in the order of their ids and at its own speed. An alert counts as sent only
once the channel has said so; after a crash in between it is sent again, under the same id.

Many alerts of one kind become one with a count; `coalesce` has the rules.
"""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .alert import Alert, Pending, Severity, Told
from .coalesce import FIELDS, absorb, insert, release_due
from .errors import NotifyError
from .outbox_file import BUSY_TIMEOUT_S, OutboxFile
from .text import clean


class Outbox(OutboxFile):
    """The outbox in the SQLite file `db_path`, which other connections may use for tables of their own.

    quiet_for: how long after an alert more of its kind are held back.
    redact: takes secrets out of a text before it is written.
    busy_timeout_s, damage: as for `OutboxFile`.

    Every method may raise NotifyError, for a disk that fails or a file that is no database. `now` is always
    an aware datetime. May be used from several threads.
    """

    def __init__(
        self,
        db_path: Path | str,
        *,
        quiet_for: timedelta = timedelta(hours=1),
        redact: Callable[[str], str] = str,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        self._quiet_s = quiet_for.total_seconds()
        self._redact = redact
        self._channels: tuple[str, ...] | None = None
        super().__init__(str(db_path), busy_timeout_s)

    def reopen(self) -> None:
        """Go on with the file that is at the path now, for the same channels."""
        with self._lock:
            super().reopen()
            if self._channels is not None:
                self.use_channels(self._channels)

    def use_channels(self, names: Sequence[str]) -> None:
        """Address alerts to these channels from now on, and those that nobody was named for yet.

        What waits for a channel that is no longer named stays until it is named again.
        """
        self._channels = tuple(names)
        with self._transaction() as db:
            db.execute("UPDATE outbox_channel SET active = 0")
            for name in names:
                db.execute(
                    "INSERT INTO outbox_channel VALUES (?, 1) ON CONFLICT DO UPDATE SET active = 1", (name,)
                )
            db.execute(
                "INSERT INTO outbox_delivery (alert, channel) SELECT id, name FROM outbox, outbox_channel "
                "WHERE active AND NOT EXISTS (SELECT 1 FROM outbox_delivery WHERE alert = id)"
            )

    def put(self, alert: Alert, now: datetime) -> bool:
        """Take an alert; on disk when this returns. False if its key is known already and nothing was
        done."""
        at = _seconds(now)
        text = self.wording(alert.text)
        with self._transaction() as db:
            if alert.key is not None and not _remember(db, alert.key, at):
                return False
            release_due(db, at, self._quiet_s)
            if not (alert.coalesce and absorb(db, alert, text, at, self._quiet_s)):
                insert(db, (alert.kind, alert.severity, text, 1, at, at), alert.coalesce)
            return True

    def wording(self, text: str) -> str:
        """The text as it is stored: without secrets and without what cannot be sent."""
        return clean(self._redact(text))

    def next(self, channel: str, now: datetime) -> Pending | None:
        """The oldest alert that `channel` has not taken, None if there is none. Its text is fixed from here
        on."""
        with self._transaction() as db:
            release_due(db, _seconds(now), self._quiet_s)
            row = db.execute(
                f"SELECT id, {FIELDS}, parts_sent FROM outbox JOIN outbox_delivery ON alert = id "
                "WHERE channel = ? AND state = 'waiting' ORDER BY alert LIMIT 1",
                (channel,),
            ).fetchone()
            if row is None:
                return None
            db.execute("UPDATE outbox SET started = 1 WHERE id = ? AND NOT started", (row[0],))
            return self._pending(*row)

    def _pending(
        self,
        number: int,
        kind: str,
        severity: Severity,
        text: str,
        count: int,
        first_at: float,
        last_at: float,
        parts_sent: int,
    ) -> Pending:
        try:
            return Pending(
                number, kind, severity, text, count, _moment(first_at), _moment(last_at), parts_sent
            )
        except (TypeError, ValueError, OverflowError, OSError):
            self.damage = self.damage or f"alert {number} is garbled"
            raise NotifyError(f"{self._path}: the outbox cannot be used: alert {number} is garbled") from None

    def part_sent(self, alert_id: int, channel: str, parts_sent: int) -> None:
        """`channel` has taken so many messages of a long alert; they are not sent again."""
        self._settle(alert_id, channel, "parts_sent = ?", parts_sent)

    def sent(self, alert_id: int, channel: str, now: datetime) -> None:
        """`channel` has taken the alert."""
        at = _seconds(now)
        with self._transaction() as db:
            self._settle(alert_id, channel, "state = 'sent', error = NULL, tried_at = ?", at)
            db.execute("UPDATE outbox SET told_at = ? WHERE id = ? AND told_at IS NULL", (at, alert_id))

    def failed(self, alert_id: int, channel: str, error: str, now: datetime) -> None:
        """An attempt failed; the alert waits on."""
        self._settle(
            alert_id, channel, "attempts = attempts + 1, error = ?, tried_at = ?", error, _seconds(now)
        )

    def undeliverable(self, alert_id: int, channel: str, error: str, now: datetime) -> None:
        """`channel` will never take this alert: it is skipped and kept, with the reason."""
        self._settle(
            alert_id, channel, "state = 'undeliverable', error = ?, tried_at = ?", error, _seconds(now)
        )

    def waiting(self, channel: str | None = None) -> int:
        """How many alerts are still to be sent: on one channel, or on any. Those held back are not
        counted."""
        return int(self._waiting("count(DISTINCT id)", channel) or 0)

    def oldest_s(self, now: datetime) -> float | None:
        """Age in seconds of the oldest alert that waits for a channel, None if none does."""
        first_at = self._waiting("min(first_at)", None)
        return None if first_at is None else max(0.0, _seconds(now) - first_at)

    def held(self) -> int:
        """How many alerts are held back, to be told together with others of their kind."""
        return int(self._one("SELECT coalesce(sum(count), 0) FROM outbox_held"))

    def next_due_s(self, now: datetime) -> float | None:
        """Seconds until held alerts are due, None if there are none."""
        due_at = self._one("SELECT min(due_at) FROM outbox_held")
        return None if due_at is None else min(max(0.0, due_at - _seconds(now)), self._quiet_s)

    def recent(self, limit: int = 20) -> list[Told]:
        """The newest alerts, newest first, with their state on each channel."""
        with self._lock, self._reported():
            rows = self._db.execute(
                f"SELECT id, {FIELDS} FROM outbox ORDER BY id DESC LIMIT ?", (limit,)
            ).fetchall()
            return [self._told(*row) for row in rows]

    def prune(self, before: datetime, limit: int = 100) -> int:
        """Forget alerts, and keys, older than `before`, at most `limit` of each in one transaction; never an
        alert that still waits. Returns how many were forgotten: 0 when no more are left."""
        at = _seconds(before)
        with self._transaction() as db:
            keys = db.execute(
                "DELETE FROM outbox_key WHERE key IN (SELECT key FROM outbox_key WHERE at < ? LIMIT ?)",
                (at, limit),
            ).rowcount
            alerts = db.execute(
                "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE last_at < ? "
                "AND EXISTS (SELECT 1 FROM outbox_delivery WHERE alert = id) "
                "AND NOT EXISTS (SELECT 1 FROM outbox_delivery WHERE alert = id AND state = 'waiting') "
                "ORDER BY id LIMIT ?)",
                (at, limit),
            ).rowcount
            return keys + alerts

    def _settle(self, alert_id: int, channel: str, change: str, *values: Any) -> None:
        with self._transaction() as db:
            db.execute(
                f"UPDATE outbox_delivery SET {change} WHERE alert = ? AND channel = ?",
                (*values, alert_id, channel),
            )

    def _waiting(self, what: str, channel: str | None) -> Any:
        return self._one(
            f"SELECT {what} FROM outbox LEFT JOIN outbox_delivery ON alert = id "
            "LEFT JOIN outbox_channel ON name = channel "
            "WHERE alert IS NULL OR (state = 'waiting' AND active AND channel = coalesce(?, channel))",
            channel,
        )

    def _told(
        self,
        number: int,
        kind: str,
        severity: Severity,
        text: str,
        count: int,
        first_at: float,
        last_at: float,
    ) -> Told:
        rows = self._db.execute(
            "SELECT channel, state, error FROM outbox_delivery WHERE alert = ? ORDER BY channel", (number,)
        ).fetchall()
        states = {channel: state for channel, state, _ in rows}
        errors = {channel: error for channel, _, error in rows if error}
        return Told(number, kind, severity, text, count, _moment(first_at), _moment(last_at), states, errors)


def _remember(db: sqlite3.Connection, key: str, at: float) -> bool:
    """Note an alert's key; False if it was known."""
    return db.execute("INSERT OR IGNORE INTO outbox_key VALUES (?, ?)", (key, at)).rowcount == 1


def _seconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.timestamp()


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
