"""A journal that is damaged, deleted or replaced is set aside, and made anew.

While the watchdog runs, all that it cannot do without is in memory (`JournalFile.memory`): nothing of a halt, a counter
or the open incident is lost. At a start there is only what can still be read; `watchdog.doubt` then takes care that
what is not known is not taken for good.

Made anew as `watchdog.db.part`, renamed to `watchdog.db.new` once it is whole and on disk; then the old files go
aside, and the new one takes their place. A kill -9 in between is finished by the next start.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from notifier import NotifyError, Outbox
from watchdog import report
from watchdog.clock import Clock
from watchdog.journal import Journal, JournalError
from watchdog.journal_file import Key
from watchdog.salvage import copy_readable, nonsense
from watchdog.tell import Teller
from watchdog.upkeep import fault

log = logging.getLogger(__name__)

RETRY_S = 60.0
"""A disk that refuses the new file is asked again after so long."""
KEPT_ASIDE = 3
ASIDE = "set-aside"

LOST = {
    "named": "some of the values kept by name",
    "incidents": "some of the incidents",
    "steps": "steps of incidents",
    "orders": "orders of the past",
    "outbox": "alerts of the past, perhaps some that waited",
    "outbox_delivery": "which alerts were sent (some may come again)",
    "outbox_key": "which steps were told (some may come again)",
    "outbox_held": "alerts that were held back",
}


class Mender:
    """`look` before every tick: costs two looks at the folder when all is well. Raises nothing."""

    def __init__(self, journal: Journal, outbox: Outbox, teller: Teller, clock: Clock) -> None:
        self._journal, self._outbox, self._teller, self._clock = journal, outbox, teller, clock
        self._not_before_s = clock.monotonic()
        self._wal: tuple[int, int] | None = None

    def look(self) -> bool:
        """Sees whether the journal's file is still the one that was opened, and makes it anew when it is not; True
        when it was."""
        wrong = self._wrong()
        if not wrong or self._clock.monotonic() < self._not_before_s:
            return False
        self._not_before_s = self._clock.monotonic() + RETRY_S
        log.critical("%s: %s; it is made anew", self._journal.path, wrong)
        told, renewed = "", False
        try:
            told, renewed = self._renew(), True
        except (sqlite3.Error, NotifyError, JournalError, OSError) as error:
            told = (
                f"It could not be made anew ({error}); that is tried again every minute. Until then the watching goes "
                f"on from memory, a rule that fires halts the bot, and a restart of the watchdog would forget.\n"
                f"Asked of you: look after the disk."
            )
        self._teller.tell("journal-damaged", f"the journal {wrong}\n{told}", "critical")
        return renewed

    def _wrong(self) -> str:
        """What is wrong, "" when nothing is."""
        damage = self._journal.damage or self._outbox.damage
        if damage:
            return f"is damaged ({damage})"
        path = self._journal.path
        wal, before = _identity(_beside(path, "-wal")), self._wal
        self._wal = wal or before
        try:
            found = path.stat()
        except FileNotFoundError:
            return "was deleted"
        except OSError:
            return ""  # the folder cannot be looked at: that says nothing about the file
        if (found.st_dev, found.st_ino) != self._journal.identity:
            return "was replaced by another file"
        return "has lost its -wal file" if before is not None and wal != before else ""

    def _renew(self) -> str:
        journal, outbox = self._journal, self._outbox
        # It may have gone with the whole folder.
        journal.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with journal.locked(), outbox.locked():
            floor = highest(journal.path.parent)
            lost = make_anew(journal.path, journal.connection, journal.memory, floor)
            journal.close()
            outbox.close()
            try:
                aside = take_over(journal.path, self._clock.now())
            finally:
                self._wal = None
                journal.reopen()
                outbox.reopen()
        return (
            f"{_set_aside(aside)} and a new one was made of what is in memory: halts, counters and the open incident "
            f"are as they were.{_told(lost)}\nAsked of you: find out why (the disk, a person, a program). To restore "
            f"a backup, stop the watchdog first."
        )


def mend_before_opening(path: Path, now: datetime, check: Callable[[Path], str] = fault) -> str:
    """At a start, before anybody opens the journal: returns what was wrong with it, "" when nothing was.

    OSError, sqlite3.Error, JournalError or NotifyError when a damaged one cannot be made anew.
    """
    if _beside(path, ".new").exists():
        take_over(path, now)  # whole, and made of what the watchdog knew
    _delete_part(path)
    if not path.exists():
        return ""
    wrong = check(path) or nonsense(path)
    if not wrong:
        return ""
    log.critical("%s is damaged (%s); it is made anew", path, wrong)
    source = sqlite3.connect(path, isolation_level=None, timeout=1.0)
    with contextlib.closing(source):
        lost = make_anew(path, source, {}, highest(path.parent))
    aside = take_over(path, now)
    return f"was damaged ({wrong}). {_set_aside(aside)} and a new one was made of what could be read.{_told(lost)}"


def make_anew(
    path: Path, source: sqlite3.Connection, memory: Mapping[Key, tuple[Any, ...]], floor: int
) -> list[str]:
    """Makes `<path>.new`, whole and on disk, of what can be read of `source` and what is in `memory`, which counts
    for more. The next incident's number is above `floor`. Returns the tables of which something is missing."""
    _delete_part(path)
    part = _beside(path, ".part")
    Journal(part).close()
    Outbox(part).close()
    target = sqlite3.connect(part, isolation_level=None)
    with contextlib.closing(target):
        target.execute("BEGIN")
        lost = copy_readable(source, target)
        if memory:
            target.execute("DELETE FROM named")
            lost = [table for table in lost if table != "named"]
        for (table, _), row in memory.items():
            target.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)
        _settle_deliveries(target)
        _go_on_numbering(source, target)
        target.execute("COMMIT")
    journal = Journal(part)
    journal.go_on_after(floor)
    journal.close()
    _fsync(part)
    part.rename(_beside(path, ".new"))
    _fsync(path.parent)
    return lost


def _settle_deliveries(target: sqlite3.Connection) -> None:
    """An alert whose deliveries are lost is sent again only if nobody was told of it at all."""
    target.execute("DELETE FROM outbox_delivery WHERE alert NOT IN (SELECT id FROM outbox)")
    target.execute(
        "DELETE FROM outbox WHERE told_at IS NOT NULL AND id NOT IN (SELECT alert FROM outbox_delivery)"
    )


def _go_on_numbering(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """No number of an incident or an alert is used twice, as far as the damaged file still tells."""
    with contextlib.suppress(sqlite3.Error):
        for table in ("incidents", "outbox"):
            query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
            numbers = [int(db.execute(query, (table,)).fetchone()[0]) for db in (source, target)]
            target.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            target.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, max(numbers)))


def take_over(path: Path, now: datetime) -> Path | None:
    """`<path>.new` takes the place of what is there, which goes aside; returns where it is, None if nothing was."""
    aside = _beside(path, f".{ASIDE}-{now:%Y%m%dT%H%M%S}")
    found = None
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            _beside(path, suffix).rename(_beside(aside, suffix))
            found = aside
    _beside(path, ".new").rename(path)
    _fsync(path.parent)
    stale = sorted(path.parent.glob(f"{path.name}.{ASIDE}-*"))
    kept = sorted({p.name.removesuffix("-wal").removesuffix("-shm") for p in stale})[-KEPT_ASIDE:]
    for old in stale:
        if not old.name.startswith(tuple(kept)):
            old.unlink(missing_ok=True)
    return found


def highest(state_dir: Path) -> int:
    """The highest number of an incident that left a folder."""
    return max(report.numbers(state_dir), default=0)


def _told(lost: list[str]) -> str:
    named = [LOST[table] for table in lost if table in LOST]
    return f" Lost: {', '.join(named)}." if named else ""


def _set_aside(aside: Path | None) -> str:
    return "Nothing was left of it" if aside is None else f"What was there is kept as {aside}"


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _delete_part(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        _beside(path, f".part{suffix}").unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
