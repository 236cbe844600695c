"""The journal's tables, and why it cannot be opened."""

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
