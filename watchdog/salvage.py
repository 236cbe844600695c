"""What can still be read of a damaged database, copied into a sound one.

A damaged page ends a scan: each table is read from its beginning to the damage, and from its end back to it. Rows that
nothing of ours can have written (wrong type, no time where one must be, no JSON) are left out.
"""

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from watchdog.plain import one_line
from watchdog.shapes import VITAL, fits, is_incident

Row = tuple[Any, ...]

_TYPES: dict[str, tuple[type, ...]] = {"INTEGER": (int,), "REAL": (float, int), "TEXT": (str,)}


def copy_readable(source: sqlite3.Connection, target: sqlite3.Connection) -> list[str]:
    """Fills the tables that `target` has; returns those of which something could not be read.

    To be called inside a transaction of `target`; `source` is only read, and may be closed.
    """
    tables = target.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
    ).fetchall()
    return [name for name, sql in tables if not _copy(source, target, name, "WITHOUT ROWID" in sql)]


def nonsense(path: Path) -> str:
    """The first row of a sound file that nothing of ours can have written, as half a sentence; "" if there is none."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)
        with contextlib.closing(db):
            for table in _CHECKS:
                columns = db.execute(f"PRAGMA table_info({table})").fetchall()
                names = ", ".join(column[1] for column in columns)
                for raw in _as_written(db, f"SELECT {names} FROM {table}") if columns else ():
                    row = _row(raw, columns)
                    if row is None or not _makes_sense(table, row):
                        key = raw[0].decode("utf-8", "replace") if isinstance(raw[0], bytes) else str(raw[0])
                        return f"a row of {table} is garbled: {one_line(key, 40)}"
    except sqlite3.Error:
        return ""  # damaged, locked, no rights: others find that out
    return ""


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, table: str, without_rowid: bool) -> bool:
    columns = target.execute(
        f"PRAGMA table_info({table})"
    ).fetchall()  # (cid, name, type, notnull, default, pk)
    names = ", ".join(column[1] for column in columns)
    order = ", ".join(c[1] for c in sorted(columns, key=lambda c: c[5]) if c[5]) if without_rowid else "rowid"
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"
    left_out = False
    for direction in ("ASC", "DESC"):
        by = ", ".join(f"{name} {direction}" for name in order.split(", "))
        try:
            for raw in _as_written(source, f"SELECT {names} FROM {table} ORDER BY {by}"):
                row = _row(raw, columns)
                if row is not None and _makes_sense(table, row):
                    target.execute(insert, row)
                else:
                    left_out = True
        except sqlite3.Error:
            left_out = True
        else:
            break
    return not left_out


def _as_written(source: sqlite3.Connection, query: str) -> Iterator[Row]:
    """Rows with their texts as bytes: one that is no UTF-8 must not end the scan."""
    factory, source.text_factory = source.text_factory, bytes
    try:
        cursor = source.cursor()
        cursor.row_factory = None
        with contextlib.closing(cursor):
            yield from cursor.execute(query)
    finally:
        source.text_factory = factory


def _row(raw: Row, columns: list[Row]) -> Row | None:
    """The row with texts, or None when a value has not its column's type."""
    row = []
    for value, (_, _, kind, not_null, _, key) in zip(raw, columns, strict=True):
        if isinstance(value, bytes):
            try:
                value = value.decode()
            except UnicodeDecodeError:
                return None
        if value is None and (not_null or key):
            return None
        if value is not None and not isinstance(value, _TYPES[kind]):
            return None
        row.append(value)
    return tuple(row)


def _is_time(text: str | None) -> bool:
    try:
        return text is None or datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _is_json(text: str, check: Callable[[Any], bool]) -> bool:
    """NaN and infinities are none: SQLite cannot read them."""
    try:
        return check(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return False


def _refuse(word: str) -> None:
    raise ValueError(word)


_CHECKS: Mapping[str, Callable[[Row], bool]] = {
    "named": lambda row: _is_json(row[1], partial(fits, row[0]) if row[0] in VITAL else lambda _: True),
    "incidents": lambda row: _is_time(row[1]) and _is_time(row[2]) and _is_json(row[4], is_incident),
    "steps": lambda row: _is_time(row[4]) and _is_time(row[5]),
    "orders": lambda row: _is_time(row[2]),
}


def _makes_sense(table: str, row: Row) -> bool:
    check = _CHECKS.get(table)
    return check is None or check(row)
