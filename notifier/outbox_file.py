"""The SQLite file that the outbox is in: its connection, its transactions, and what is said when it fails."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .damage import is_locked, means_damage
from .errors import NotifyError
from .schema import prepare

BUSY_TIMEOUT_S, IMPATIENT_S = 1.0, 0.02
WAL_LIMIT_BYTES = 4 * 1024 * 1024


class OutboxFile:
    """The file at `path`. Every method may raise NotifyError.

    busy_timeout_s: how long to wait for another connection to end its transaction. After a wait in vain the next
        ones are short, so that a program which keeps the file locked does not hold up the caller at each alert.
    damage: what was said when something in the file made no sense; "" while all is well.
    """

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self._path = path
        self._busy_timeout_s = busy_timeout_s
        self._lock = threading.RLock()
        self.damage = ""
        self._open()

    def _open(self) -> None:
        self._patient = True
        with self._reported():
            self._db = sqlite3.connect(
                self._path, timeout=self._busy_timeout_s, isolation_level=None, check_same_thread=False
            )
        try:
            with self._reported():
                for pragma in (
                    "journal_mode = WAL",
                    "synchronous = FULL",
                    "foreign_keys = ON",
                    f"journal_size_limit = {WAL_LIMIT_BYTES}",
                ):
                    self._db.execute(f"PRAGMA {pragma}")
            with self._transaction():
                prepare(self._db, self._path)
        except NotifyError:
            self._db.close()
            raise

    def reopen(self) -> None:
        """Go on with the file that is at the path now."""
        with self._lock:
            self._db.close()
            self._open()
            self.damage = ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """No other thread writes meanwhile."""
        with self._lock:
            yield

    def close(self) -> None:
        self._db.close()

    def _one(self, query: str, *values: Any) -> Any:
        with self._lock, self._reported():
            return self._db.execute(query, values).fetchone()[0]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One transaction, short and without an await; the inner one of two is part of the outer."""
        with self._lock, self._reported():
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._be_patient(True)

    def _be_patient(self, patient: bool) -> None:
        if patient != self._patient:
            self._patient = patient
            wait_s = self._busy_timeout_s if patient else min(IMPATIENT_S, self._busy_timeout_s)
            self._db.execute(f"PRAGMA busy_timeout = {wait_s * 1000:.0f}")

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if is_locked(error):
                self._be_patient(False)
            if means_damage(error):
                self.damage = self.damage or str(error)
            raise NotifyError(
                f"{self._path}: the outbox cannot be used: {error}; check the disk and the file's permissions"
            ) from error
