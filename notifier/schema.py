"""The outbox's tables. They live in a file that other tables share, hence the prefix and a version of their
own.

Times are seconds since 1970 in UTC (REAL).
"""

import sqlite3

from .errors import NotifyError

VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS outbox_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (      -- one row an alert that people see; `id` is its `#id`
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    severity TEXT NOT NULL,
    text TEXT NOT NULL,
    coalesce INTEGER NOT NULL,           -- may take in others of its kind, as long as `started` is 0
    count INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    started INTEGER NOT NULL DEFAULT 0,  -- handed to a channel: from here on the text is fixed
    told_at REAL                         -- first delivered on any channel
);
CREATE INDEX IF NOT EXISTS outbox_by_kind ON outbox (kind, id);
CREATE TABLE IF NOT EXISTS outbox_delivery (
    alert INTEGER NOT NULL REFERENCES outbox (id) ON DELETE CASCADE,
    channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting',   -- waiting, sent, undeliverable
    parts_sent INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,     -- that failed
    error TEXT,
    tried_at REAL,
    PRIMARY KEY (alert, channel)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox_delivery (channel, alert) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS outbox_held ( -- more of a kind that was told a short while ago: one message, later
    kind TEXT PRIMARY KEY,
    severity TEXT NOT NULL,
    text TEXT NOT NULL,
    count INTEGER NOT NULL,
    first_at REAL NOT NULL,
    last_at REAL NOT NULL,
    due_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox_key (key TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox_channel (name TEXT PRIMARY KEY, active INTEGER NOT NULL) WITHOUT ROWID;
"""


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Make the tables, inside the caller's transaction. Raises NotifyError if a newer program made them."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'outbox_meta'").fetchone()
    row = (
        connection.execute("SELECT value FROM outbox_meta WHERE key = 'schema'").fetchone() if known else None
    )
    if row is not None and int(row[0]) > VERSION:
        raise NotifyError(
            f"{path}: the outbox was written by a newer version of this program (schema {row[0]}, this one "
            f"knows {VERSION}): install that version again, or move the file away (it holds unsent alerts)"
        )
    for statement in _TABLES.split(";\n"):
        connection.execute(statement)
    connection.execute("INSERT OR IGNORE INTO outbox_meta VALUES ('schema', ?)", (str(VERSION),))
