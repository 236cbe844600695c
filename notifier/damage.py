"""Telling a damaged SQLite file from a disk that is full, slow or locked."""

import sqlite3

_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def means_damage(error: sqlite3.Error) -> bool:
    """Whether the file holds what SQLite can never have written, so that waiting will not mend it.

    Extended codes keep the plain one in their low byte (https://www.sqlite.org/rescode.html). A text that is no UTF-8
    is found by Python, without a code.
    """
    code = getattr(error, "sqlite_errorcode", None)
    return "Could not decode" in str(error) if code is None else code & 0xFF in _CODES


def is_locked(error: sqlite3.Error) -> bool:
    """Whether another program keeps the file from being written."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF == sqlite3.SQLITE_BUSY
