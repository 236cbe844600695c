"""The file that the journal is in: one SQLite database, its transactions, its named values.

WAL with synchronous=FULL: a write that returned is on disk. The named values and the newest incidents, which a
watchdog cannot do without, are in memory, too: a file that is damaged, deleted or replaced under a running watchdog
is made anew from there (`watchdog.mending`).
"""

import contextlib
import json
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from notifier import is_locked, means_damage
from watchdog.journal_schema import SCHEMA, TABLES, JournalError, NoJournalError
from watchdog.plain import plain
from watchdog.shapes import VITAL, fits

REMEMBERED_INCIDENTS = 50
WAL_LIMIT_BYTES = 4 * 1024 * 1024
"""To which the -wal file is cut back after it had to grow; SQLite writes about as much between two checkpoints."""
PATIENCE_MS, IMPATIENCE_MS = 1000, 20
"""How long a write waits for a program that has the file locked; after a wait in vain the next ones hardly wait, so
that a halt is not held up at each of its writes."""
FREED_PAGES = 200
"""How many free pages are given back to the disk in one transaction."""

Key = tuple[str, Any]
"""A table, and a row's key in it."""


class JournalFile:
    """Opens, or makes, the file at `path`. One process writes; `status` may read at the same time.

    `redact` takes secrets out of every text before it is written: a bot's log and people's reasons may hold them. What
    could not be stored, or would command a terminal, goes as well.
    `damage` is what SQLite said when it met something in the file that makes no sense; "" while all is well.
    """

    def __init__(self, path: Path, *, read_only: bool = False, redact: Callable[[str], str] = str) -> None:
        self.path = path
        self._redact: Callable[[str], str] = lambda text: plain(redact(text))
        self._read_only = read_only
        self._lock = threading.RLock()
        self._memory: dict[Key, tuple[Any, ...]] = {}
        self._staged: dict[Key, tuple[Any, ...] | None] = {}
        """What the open transaction changes of it; None: the row is deleted."""
        self.damage = ""
        self.is_new = False
        """There was no journal before."""
        self.identity = (0, 0)
        """Device and inode of the file that was opened."""
        self._open()

    def _open(self) -> None:
        if self._read_only and not self.path.exists():
            raise NoJournalError(
                f"{self.path}: no journal yet: the watchdog has never run with this state_dir"
            )
        try:
            self._db = sqlite3.connect(
                self.path, isolation_level=None, timeout=PATIENCE_MS / 1000, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._cannot_be_opened(error) from error
        self._db.row_factory = sqlite3.Row
        self._patient = True
        try:
            if self._read_only:
                self._db.execute("PRAGMA query_only=1")
                self._db.execute("SELECT 1 FROM named LIMIT 1")
            else:
                self._prepare()
                found = self.path.stat()
                self.identity = (found.st_dev, found.st_ino)
        except JournalError:
            self._db.close()
            raise
        except sqlite3.Error as error:
            self._db.close()
            if self._read_only and "no such table" in str(error):
                raise NoJournalError(
                    f"{self.path}: no journal yet: it is being made at this moment"
                ) from None
            raise self._cannot_be_opened(error) from error

    def _cannot_be_opened(self, error: sqlite3.Error) -> JournalError:
        return JournalError(
            f"{self.path}: the journal cannot be opened ({error}). Check the folder's owner and free space; a damaged "
            f"file is set aside by the watchdog itself, at its next look or its next start, and people are told"
        )

    def _prepare(self) -> None:
        for pragma in (
            "auto_vacuum=INCREMENTAL",  # of a new file alone
            "journal_mode=WAL",
            "synchronous=FULL",
            f"journal_size_limit={WAL_LIMIT_BYTES}",
        ):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.executescript(TABLES)
        found = self.get("schema")
        if found is not None and found > SCHEMA:
            raise JournalError(
                f"{self.path}: written by a newer model-watchdog (schema {found}, this one knows {SCHEMA}); "
                f"install that version again"
            )
        self.is_new = found is None
        self._memory = {("named", row["name"]): tuple(row) for row in self._rows("SELECT * FROM named")}
        newest = self._rows("SELECT * FROM incidents ORDER BY id DESC LIMIT ?", REMEMBERED_INCIDENTS)
        self._memory.update({("incidents", row["id"]): tuple(row) for row in newest})
        if found is None:
            self.put("schema", SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def reopen(self) -> None:
        """Goes on with the file that is at `path` now. JournalError when that cannot be."""
        with self._lock:
            self._db.close()
            self._open()
            self.damage = ""

    @property
    def connection(self) -> sqlite3.Connection:
        """For whoever holds `locked` and copies the file's rows."""
        return self._db

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other thread writes meanwhile."""
        with self._lock:
            yield

    @property
    def memory(self) -> Mapping[Key, tuple[Any, ...]]:
        """The rows that the watchdog cannot do without, as they were written last."""
        return dict(self._memory)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction: all of it, or nothing, is on disk afterwards. The inner one of two is part of the outer.

        Steps write from threads while the ticks write from theirs: one waits for the other.
        """
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            try:
                with self._transaction():
                    yield
            except sqlite3.Error as error:
                self._take_note(error)
                self._be_patient(not is_locked(error))
                raise
            else:
                self._be_patient(True)
                self._commit_to_memory()
            finally:
                self._staged = {}

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # on some errors SQLite has rolled back by itself
                self._db.execute("ROLLBACK")
            raise

    def _remember(self, table: str, key: Any, row: tuple[Any, ...] | None) -> None:
        """To be called inside the transaction that writes the row."""
        self._staged[table, key] = row

    def _be_patient(self, patient: bool) -> None:
        if patient != self._patient:
            self._patient = patient
            with contextlib.suppress(sqlite3.Error):
                self._db.execute(f"PRAGMA busy_timeout={PATIENCE_MS if patient else IMPATIENCE_MS}")

    def _commit_to_memory(self) -> None:
        for key, row in self._staged.items():
            if row is None:
                self._memory.pop(key, None)
            else:
                self._memory[key] = row
        for key in sorted(k for k in self._memory if k[0] == "incidents")[:-REMEMBERED_INCIDENTS]:
            del self._memory[key]

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self._take_note(error)
            raise

    def _take_note(self, error: sqlite3.Error) -> None:
        if means_damage(error) or "malformed JSON" in str(error):
            self.damage = self.damage or str(error)

    def _garbled(self, what: str) -> sqlite3.DatabaseError:
        """A row that nothing of ours can have written: the error to raise."""
        self.damage = self.damage or f"{what} is garbled"
        return sqlite3.DatabaseError(f"{what} is garbled")

    # -- named values

    def get(self, name: str, default: Any = None) -> Any:
        """The value kept under this name. While the file cannot be read: the one that was written last. One of another
        build, or of nobody's, that can be done without counts as none."""
        try:
            rows = self._rows("SELECT value FROM named WHERE name = ?", name)
            value = self._value(name, rows[0]["value"]) if rows else None
            return default if value is None else value
        except sqlite3.Error:
            if self._read_only:
                raise
        row = self._staged.get(("named", name), self._memory.get(("named", name)))
        return default if row is None else json.loads(row[1])

    def _value(self, name: str, text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            raise self._garbled(f"the value of {name}") from None
        if fits(name, value):
            return value
        if name not in VITAL:
            return None
        if self._read_only:
            raise self._garbled(f"the value of {name}")
        return value  # the start has looked at all of them, and what came since is ours

    def put(self, name: str, value: Any) -> None:
        """Keeps a JSON value under this name; None forgets it."""
        with self.writing():
            if value is None:
                self._db.execute("DELETE FROM named WHERE name = ?", (name,))
                self._remember("named", name, None)
                return
            row = (name, self._json(value))
            self._db.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", row)
            self._remember("named", name, row)

    def _json(self, value: Any) -> str:
        return json.dumps(_cleaned(value, self._redact))

    # -- the size of the file

    def checkpoint(self) -> int:
        """Moves what is in the -wal file into the database and empties it, unless somebody reads or writes at this
        moment; returns the bytes that are left in it."""
        with self._lock:
            if self._db.in_transaction:
                return self.wal_bytes()
            self._db.execute("PRAGMA busy_timeout=0")
            try:
                self._rows("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self._db.execute(f"PRAGMA busy_timeout={PATIENCE_MS if self._patient else IMPATIENCE_MS}")
        return self.wal_bytes()

    def wal_bytes(self) -> int:
        """The size of the -wal file."""
        try:
            return self.path.with_name(self.path.name + "-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def give_back(self) -> int:
        """Gives some free pages back to the disk; returns how many are left."""
        with self._lock:
            self._rows(f"PRAGMA incremental_vacuum({FREED_PAGES})")
            if not self._rows("PRAGMA auto_vacuum")[0][0]:
                return 0  # made before files could shrink: its free pages are used again
            return int(self._rows("PRAGMA freelist_count")[0][0])


def _cleaned(value: Any, redact: Callable[[str], str]) -> Any:
    """A JSON value with every text in it redacted, the names of its keys left as they are. NaN and infinities, which
    JSON has no word for and SQLite cannot read, are null."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _cleaned(inner, redact) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(inner, redact) for inner in value]
    return value
