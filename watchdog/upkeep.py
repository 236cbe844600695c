"""What a watchdog that is left alone for months puts away: old rows, old flags, and the room they took.

At the first tick and then once a day by the steady clock, beside the ticks: in transactions of a few milliseconds with
pauses between them, so that no tick and no step waits. Each of them may be the last (kill -9): the next run goes on.

Never pruned are the open incident, the newest incidents and orders, unanswered orders, alerts that still wait, the
halt and all other named values, and the reports (`docs/decisions`).
"""

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from notifier import NotifyError, Outbox, means_damage
from watchdog import report
from watchdog.decide import DAY
from watchdog.orders import ControlFolder
from watchdog.world import World

log = logging.getLogger(__name__)

EVERY = timedelta(hours=1)
"""How often the file is looked at, and how soon what failed is tried again."""
LOOK_S = 10.0
LOOK_TIMES = 1000.0
"""So soon the file is read for damage again, and after so many times what that took: a thousandth of a core."""
BATCH = 100
"""Rows a transaction."""
PAUSE_S = 0.05
"""Between two transactions: whoever waits for the lock gets it."""
WAL_MOST_BYTES = 64 * 1024 * 1024
"""A -wal file of this size is kept from being emptied by somebody: it has grown to 16 times its usual size."""


def fault(path: Path) -> str:
    """What is wrong with a database file, "" when it is sound. Reads all of it, beside whoever writes."""
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=1.0)
        with contextlib.closing(db):
            (found,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return str(error) if means_damage(error) else ""  # locked, or no rights: that is not the file's fault
    return "" if found == "ok" else str(found)


class Upkeep:
    """`look` after every tick, in the event loop; `settle` before the files are closed."""

    def __init__(
        self,
        world: World,
        outbox: Outbox,
        control: ControlFolder,
        wal_most_bytes: int = WAL_MOST_BYTES,
        check: Callable[[Path], str] = fault,
    ) -> None:
        self._world, self._outbox, self._control = world, outbox, control
        self._wal_most_bytes, self._check = wal_most_bytes, check
        self._task: asyncio.Task[None] | None = None
        self._next_s = self._next_pruning_s = world.clock.monotonic()
        self._next_look_s = self._next_s + LOOK_S
        self._ending = False

    def look(self) -> None:
        """Begins what is due, and returns at once. Raises nothing."""
        if self._task is not None:
            if not self._task.done():
                return
            self._tell_of_a_mistake(self._task)
            self._task = None
        now_s = self._world.clock.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + EVERY.total_seconds()
            self._task = asyncio.get_running_loop().create_task(self._work(now_s), name="upkeep")
        elif now_s >= self._next_look_s:
            self._task = asyncio.get_running_loop().create_task(self.look_for_damage(), name="upkeep")

    async def settle(self) -> None:
        """Returns when nothing is written any more; what is not done is done after the next start."""
        self._ending = True
        await self.finished()

    async def finished(self) -> None:
        """Returns when the work that was begun is done."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def _tell_of_a_mistake(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("the upkeep failed", exc_info=error)
            self._world.teller.tell(
                "upkeep",
                f"old entries could not be put away: {type(error).__name__}: {error}\n"
                f"The watching goes on; report it, with the log.",
                "warning",
            )

    async def _work(self, now_s: float) -> None:
        try:
            if now_s >= self._next_pruning_s:
                await self.prune()
                self._next_pruning_s = now_s + DAY.total_seconds()
            await self.keep_small()
            await self.look_for_damage()
        except (sqlite3.Error, NotifyError, OSError) as error:
            log.warning("old entries cannot be put away now (%s); it is tried again in an hour", error)

    # -- old rows and files

    async def prune(self) -> None:
        """Forgets what is older than `retention`."""
        world = self._world
        limits = world.settings
        before = world.now() - max(limits.retention, limits.rollback.cooldown + DAY)
        await self._in_batches(lambda: self.forget_incidents(before))
        idents = self._control.idents()
        await self._in_batches(lambda: world.journal.forget_orders(before, idents, BATCH))
        open_one = world.journal.open_one()
        told_before = before if open_one is None else min(before, open_one.opened_at)
        await self._in_batches(lambda: self._outbox.prune(told_before, BATCH))
        await asyncio.to_thread(self._control.forget_handled, before)

    def forget_incidents(self, before: datetime) -> int:
        """One batch; returns how many. Evidence first: rows that are left are taken up again by the next run, files
        would not be."""
        world = self._world
        numbers = world.journal.old_incidents(before, BATCH)
        for number in numbers:
            report.forget_evidence(world.settings.state_dir, number)
        world.journal.forget_incidents(numbers)
        return len(numbers)

    async def _in_batches(self, one: Callable[[], int]) -> None:
        done = 1
        while done and not self._ending:
            done = await asyncio.to_thread(one)
            await self._world.sleep(PAUSE_S)

    # -- the file's size

    async def look_for_damage(self) -> None:
        """SQLite meets damage only where it reads, and its cache hides it: a restart would be the first to see it, and
        till then no command could read what is going on."""
        journal, clock = self._world.journal, self._world.clock
        began_s = clock.monotonic()
        journal.damage = journal.damage or await asyncio.to_thread(self._check, journal.path)
        ended_s = clock.monotonic()
        self._next_look_s = ended_s + max(LOOK_S, LOOK_TIMES * (ended_s - began_s))

    async def keep_small(self) -> None:
        """Gives free pages back to the disk, empties the -wal file, and tells who keeps that from being done."""
        journal = self._world.journal
        left = -1
        while not self._ending:
            before, left = left, await asyncio.to_thread(journal.give_back)
            if left in (0, before):
                break
            await self._world.sleep(PAUSE_S)
        if await asyncio.to_thread(journal.checkpoint) > self._wal_most_bytes:
            self._tell_of_wal(await asyncio.to_thread(holders, journal.path))

    def _tell_of_wal(self, pids: list[int]) -> None:
        path = self._world.journal.path
        who = ", ".join(f"pid {pid}" for pid in pids) or "a process that this user may not see"
        self._world.teller.tell(
            "journal-wal",
            f"{path}-wal has grown to {self._world.journal.wal_bytes() / 2**20:.0f} MiB\n"
            f"Somebody reads {path.name} in a transaction that does not end ({who}), so that it cannot be emptied. "
            f"End that reader (a forgotten `sqlite3` shell, a backup that hangs) before the disk is full.",
            "warning",
        )


def holders(path: Path) -> list[int]:
    """The pids of other processes that have the file open. Those of other users are not seen."""
    try:
        wanted = path.stat()
    except OSError:
        return []
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):  # it ended, or belongs to somebody else
                if any(_is(fd, wanted) for fd in (process / "fd").iterdir()):
                    found.append(int(process.name))
    return sorted(found)


def _is(fd: Path, wanted: os.stat_result) -> bool:
    try:
        found = fd.stat()
    except OSError:
        return False  # closed meanwhile
    return (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino)
