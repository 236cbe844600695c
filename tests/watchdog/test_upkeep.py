"""What is put away and what never is, on real files with a manual clock."""

import asyncio
import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from notifier import Alert, Outbox
from tests.watchdog.fakes import START
from tests.watchdog.house import House
from watchdog import report, upkeep
from watchdog.incident import Incident, Order
from watchdog.journal import KEPT, Journal
from watchdog.orders import MOST_HANDLED, ControlFolder
from watchdog.upkeep import Upkeep, fault, holders

Build = Callable[..., House]
DAY = timedelta(days=1)
OLD = START - 91 * DAY
"""Older than the default retention."""


class Attic:
    """A house, its real outbox, and what looks after both."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.journal = house.world.journal
        self.outbox = Outbox(house.settings.state_dir / "watchdog.db")
        self.outbox.use_channels(["console"])
        self.upkeep = Upkeep(house.world, self.outbox, house.control)
        self.first_batch = asyncio.Event()
        house.machine.at_sleep.append(self._look_for_a_batch)

    def _look_for_a_batch(self) -> None:
        """Upkeep sleeps after each batch."""
        if len(self.texts) < 3 * upkeep.BATCH:
            self.first_batch.set()

    def incident(self, at: datetime, *, closed: bool = True) -> Incident:
        """An incident with two steps, evidence and a report."""
        incident = self.journal.open_incident(
            "rollback", "assess", "drawdown", "rule drawdown", automatic=True, at=at, from_version="v2.1.0"
        )
        for _ in range(2):
            self.journal.end(self.journal.begin(incident, at), incident, "done", "detail", at)
        if closed:
            incident.closed_at, incident.outcome = at + timedelta(hours=1), "rolled_back"
            incident.facts["switched_to"] = "v2.0.0"
            self.journal.save(incident)
        state = self.house.settings.state_dir
        report.save_evidence(state, incident, {"note": "values"}, str)
        report.write_report(state, incident, self.journal.steps(incident), at, str)
        return incident

    def order(self, at: datetime, ident: str | None = None, answer: str | None = "obeyed") -> None:
        number = self.journal.accept(Order("halt", "alice", ident=ident), at)
        if answer is not None and number is not None:
            self.journal.answer(number, answer)

    def alert(self, text: str, at: datetime, *, sent: bool = True) -> None:
        self.outbox.put(Alert("kind", text, key=text, coalesce=False), at)
        while sent and (pending := self.outbox.next("console", at)) is not None:
            self.outbox.sent(pending.id, "console", at)

    async def day(self) -> None:
        """The work of a day, as a tick begins it."""
        self.upkeep.look()
        await self.upkeep.finished()

    @property
    def numbers(self) -> list[int]:
        return [incident.id for incident in self.journal.incidents(1000)][::-1]

    @property
    def texts(self) -> list[str]:
        return [told.text for told in self.outbox.recent(1000)][::-1]

    def files(self, number: int) -> set[str]:
        folder = report.folder(self.house.settings.state_dir, number)
        return {path.name for path in folder.iterdir()}

    def close(self) -> None:
        self.outbox.close()


@pytest.fixture
def attic(house: House) -> Iterator[Attic]:
    found = Attic(house)
    yield found
    found.close()


# -- incidents


async def test_old_incidents_go_with_steps_and_evidence_and_their_reports_stay(attic: Attic) -> None:
    old = attic.incident(OLD)
    kept = [attic.incident(OLD + timedelta(minutes=n)) for n in range(KEPT)]
    await attic.day()
    assert attic.numbers == [incident.id for incident in kept]
    assert attic.journal.steps(old) == []
    assert attic.files(old.id) == {"report.md"}
    assert len(attic.journal.steps(kept[0])) == 2
    assert attic.files(kept[0].id) == {"report.md", "evidence.json"}


async def test_an_incident_that_is_not_old_enough_is_kept_however_many_there_are(attic: Attic) -> None:
    old = [attic.incident(OLD + timedelta(minutes=n)) for n in range(3)]
    young = [attic.incident(START - 89 * DAY + timedelta(minutes=n)) for n in range(KEPT + 5)]
    await attic.day()
    assert attic.numbers == [incident.id for incident in young]
    assert {incident.id for incident in old}.isdisjoint(attic.numbers)


async def test_the_open_incident_is_never_pruned(attic: Attic) -> None:
    opened = attic.incident(OLD, closed=False)
    for n in range(KEPT + 1):
        attic.incident(OLD + timedelta(minutes=n))
    await attic.day()
    assert attic.journal.open_one() == opened
    assert len(attic.journal.steps(opened)) == 2
    assert attic.files(opened.id) == {"report.md", "evidence.json"}


async def test_what_counts_for_the_cooldown_is_never_pruned(build: Build) -> None:
    """A cooldown that is longer than the retention."""
    house = build(retention="7d", rollback={"cooldown": "30d"})
    attic = Attic(house)
    for age in (32, 29):
        attic.incident(START - age * DAY)
    for _ in range(KEPT - 1):
        attic.incident(START - 40 * DAY)
    await attic.day()
    assert 1 not in attic.numbers
    assert attic.journal.automatic_rollbacks(START - 30 * DAY) == [START - 29 * DAY]
    attic.close()


async def test_a_clock_that_is_years_ahead_leaves_the_newest_incidents(attic: Attic) -> None:
    for _ in range(KEPT):
        attic.incident(START - DAY)
    attic.order(START - DAY)
    attic.house.machine.wall += 3650 * DAY
    await attic.day()
    assert len(attic.numbers) == KEPT
    assert len(attic.journal.orders()) == 1


async def test_named_values_are_never_pruned(attic: Attic) -> None:
    attic.journal.put("halted", {"since": OLD.isoformat(), "why": "relapse", "by": "alice"})
    attic.journal.put("deployment", {"key": "k", "since": OLD.isoformat()})
    before = dict(attic.journal.memory)
    await attic.day()
    assert dict(attic.journal.memory) == before
    assert attic.house.halted["why"] == "relapse"


async def test_files_that_people_laid_beside_a_report_stay(attic: Attic) -> None:
    old = attic.incident(OLD)
    for _ in range(KEPT):
        attic.incident(START)
    folder = report.folder(attic.house.settings.state_dir, old.id)
    (folder / "post-mortem.md").write_text("it was the data", encoding="utf-8")
    (folder / "report.part").write_text("half", encoding="utf-8")
    await attic.day()
    assert attic.files(old.id) == {"report.md", "post-mortem.md"}


# -- orders and flags


async def test_answered_orders_go_and_unanswered_ones_stay(attic: Attic) -> None:
    attic.order(OLD, "1:1:1")
    attic.order(OLD, "2:2:2", answer=None)
    for _ in range(KEPT):
        attic.order(START)
    await attic.day()
    assert len(attic.journal.orders(1000)) == KEPT + 1
    assert [order.ident for _, order in attic.journal.unanswered()] == ["2:2:2"]


async def test_the_order_of_a_flag_that_still_lies_there_stays_so_that_it_is_never_obeyed_twice(
    attic: Attic,
) -> None:
    attic.house.flag("HALT")
    (ident,) = attic.house.control.idents()
    attic.order(OLD, ident)
    attic.order(OLD, "1:1:1")
    for _ in range(KEPT):
        attic.order(START)
    await attic.day()
    assert attic.journal.accept(Order("halt", "alice", ident=ident), START) is None
    assert attic.journal.accept(Order("halt", "alice", ident="1:1:1"), START) is not None


async def test_handled_flags_go_by_age_and_by_number_and_other_files_stay(attic: Attic) -> None:
    handled = attic.house.settings.control_dir / "handled"
    old, young = f"{OLD:%Y%m%dT%H%M%S%f}-HALT", f"{START - DAY:%Y%m%dT%H%M%S%f}-RESUME"
    for name in (old, young, "notes.txt", "20200101-HALT"):
        (handled / name).touch()
    folder = handled / f"{OLD:%Y%m%dT%H%M%S%f}-ROLLBACK"
    folder.mkdir()
    await attic.day()
    assert {path.name for path in handled.iterdir()} == {young, "notes.txt", "20200101-HALT"}
    for n in range(MOST_HANDLED):
        (handled / f"{START + n * timedelta(seconds=1):%Y%m%dT%H%M%S%f}-HALT").touch()
    attic.house.control.forget_handled(OLD)
    assert len([p for p in handled.iterdir() if p.name.endswith("HALT")]) == MOST_HANDLED + 1
    assert not (handled / young).exists(), "the oldest beyond the number"


async def test_what_a_killed_command_left_in_the_control_folder_goes_with_time(attic: Attic) -> None:
    control = attic.house.settings.control_dir
    for name, at in ((".halt.4711", OLD), (".halt.4712", START)):
        (control / name).touch()
        os.utime(control / name, (at.timestamp(), at.timestamp()))
    await attic.day()
    assert {path.name for path in control.glob(".*")} == {".halt.4712"}


# -- the outbox


async def test_sent_alerts_go_and_waiting_ones_stay(attic: Attic) -> None:
    attic.alert("old and sent", OLD)
    attic.alert("old and waiting", OLD, sent=False)
    await attic.day()
    assert attic.texts == ["old and waiting"]


async def test_keys_of_an_open_incident_stay_so_that_its_steps_are_told_once(attic: Attic) -> None:
    attic.incident(OLD, closed=False)
    attic.alert("incident 1, rollback 1: assess", OLD + timedelta(seconds=1))
    await attic.day()
    assert not attic.outbox.put(Alert("k", "again", key="incident 1, rollback 1: assess"), START)


# -- when it runs


async def test_it_runs_at_the_first_tick_and_then_once_a_day_by_the_steady_clock(attic: Attic) -> None:
    attic.alert("one", OLD)
    await attic.day()
    assert attic.texts == []
    attic.alert("two", OLD)
    for hours in range(1, 24):
        attic.house.machine.go(3600)
        await attic.day()
        assert attic.texts == ["two"], hours
    attic.house.machine.step(-400 * 86400)  # a wall clock that is set back neither hastens nor delays it
    attic.house.machine.go(3600)
    await attic.day()
    assert attic.texts == []


async def test_looks_in_between_begin_nothing(attic: Attic) -> None:
    await attic.day()
    begun = attic.house.faults.writes
    for _ in range(10):
        attic.house.machine.go(359)
        await attic.day()
    assert attic.house.faults.writes == begun


async def test_a_disk_that_refuses_is_tried_again_in_an_hour_and_fails_no_tick(attic: Attic) -> None:
    attic.incident(OLD)
    for _ in range(KEPT):
        attic.incident(START)
    attic.house.faults.refuse = lambda number: True
    await attic.day()
    assert 1 in attic.numbers
    assert attic.files(1) == {"report.md"}, "the evidence goes first"
    attic.house.faults.refuse = lambda number: False
    attic.house.machine.go(3600)
    await attic.day()
    assert 1 not in attic.numbers


class BrokenFolder(ControlFolder):
    def idents(self) -> set[str]:
        raise ZeroDivisionError("a mistake of ours")


async def test_a_mistake_of_ours_is_told_and_ends_nothing(attic: Attic) -> None:
    folder = BrokenFolder(attic.house.settings.control_dir)
    attic.upkeep = Upkeep(attic.house.world, attic.outbox, folder)
    await attic.day()
    attic.house.machine.go(3600)
    await attic.day()
    assert attic.house.told.said("old entries could not be put away: ZeroDivisionError")


async def test_ending_waits_for_the_transaction_and_leaves_the_rest_to_the_next_start(attic: Attic) -> None:
    for n in range(3 * upkeep.BATCH):
        attic.outbox.put(Alert("kind", f"alert {n}", coalesce=False), OLD)
    while (pending := attic.outbox.next("console", OLD)) is not None:
        attic.outbox.sent(pending.id, "console", OLD)
    attic.upkeep.look()
    async with asyncio.timeout(10):
        await attic.first_batch.wait()
    await attic.upkeep.settle()
    assert 0 < len(attic.texts) < 3 * upkeep.BATCH
    attic.upkeep = Upkeep(attic.house.world, attic.outbox, attic.house.control)
    await attic.day()
    assert attic.texts == []


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from watchdog.clock import Clock
from watchdog.journal import Journal
from watchdog.upkeep import Upkeep

state, at = Path(sys.argv[1]), int(sys.argv[2])

class Dying(Journal):
    def forget_incidents(self, numbers):
        with self.writing():
            for count, number in enumerate(numbers, start=1):
                super().forget_incidents([number])
                if count == at:
                    os.kill(os.getpid(), signal.SIGKILL)

world = SimpleNamespace(
    journal=Dying(state / "watchdog.db"), settings=SimpleNamespace(state_dir=state), clock=Clock()
)
Upkeep(world, None, None).forget_incidents(datetime(2026, 3, 1, tzinfo=UTC))
"""


def killed(state: Path, at: int) -> int:
    return subprocess.run([sys.executable, "-c", KILLED, str(state), str(at)], check=False).returncode


@pytest.mark.parametrize("at", [1, 3])
async def test_a_kill_in_the_midst_of_it_is_made_up_by_the_next_run(attic: Attic, at: int) -> None:
    for _ in range(3):
        attic.incident(OLD)
    for _ in range(KEPT):
        attic.incident(START)
    state = attic.house.settings.state_dir
    assert killed(state, at) == -signal.SIGKILL
    assert fault(attic.journal.path) == ""
    assert set(attic.numbers) >= {1, 2, 3}, "the transaction never was"
    await attic.day()
    assert set(attic.numbers).isdisjoint({1, 2, 3})
    assert [attic.files(n) for n in (1, 2, 3)] == [{"report.md"}] * 3


# -- the size of the file


async def test_the_file_shrinks_after_pruning_and_the_wal_is_emptied(attic: Attic) -> None:
    for n in range(400):
        attic.outbox.put(Alert("kind", f"{n} " + "x" * 4000, coalesce=False), OLD)
    while (pending := attic.outbox.next("console", OLD)) is not None:
        attic.outbox.sent(pending.id, "console", OLD)
    attic.journal.checkpoint()
    large = attic.journal.path.stat().st_size
    assert large > 1_500_000
    await attic.day()
    assert attic.journal.wal_bytes() == 0
    assert attic.journal.path.stat().st_size < large / 4


READER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN")
db.execute("SELECT * FROM named").fetchall()
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def endless_reader(path: Path) -> Iterator[int]:
    """A process that holds a snapshot; its pid."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"ready\n"
    try:
        yield reader.pid
    finally:
        reader.communicate()


async def test_a_reader_in_an_endless_transaction_is_named_before_the_disk_is_full(attic: Attic) -> None:
    attic.upkeep = Upkeep(attic.house.world, attic.outbox, attic.house.control, wal_most_bytes=100_000)
    with endless_reader(attic.journal.path) as pid:
        for n in range(60):
            attic.journal.put("filler", "x" * 4000 + str(n))
        await attic.day()
        assert attic.journal.wal_bytes() > 100_000
        assert attic.house.told.said("watchdog.db-wal has grown to")
        assert attic.house.told.said(f"pid {pid}")
        assert holders(attic.journal.path) == [pid]
    attic.house.machine.go(3600)
    await attic.day()
    assert attic.journal.wal_bytes() == 0


async def test_a_wal_that_had_to_grow_is_cut_back_by_the_next_checkpoint_on_its_own(attic: Attic) -> None:
    with closing(sqlite3.connect(attic.journal.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM named").fetchall()
        for n in range(200):
            attic.journal.put("filler", "x" * 40_000 + str(n))
        assert attic.journal.wal_bytes() > 6_000_000
    for n in range(150):
        attic.journal.put("filler", "x" * 40_000 + str(n))
    assert attic.journal.wal_bytes() < 5_000_000


async def test_an_emptying_that_meets_a_writer_waits_for_nobody(attic: Attic) -> None:
    with closing(sqlite3.connect(attic.journal.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        began = asyncio.get_running_loop().time()
        attic.journal.checkpoint()
        assert asyncio.get_running_loop().time() - began < 0.9, "the busy timeout of 1 s"
    attic.journal.put("filler", 1)  # and the next write is patient again


async def test_a_journal_of_before_files_could_shrink_is_left_as_large_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "watchdog.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE named (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    journal = Journal(path)
    journal.put("large", "x" * 1_000_000)
    journal.put("large", None)
    assert journal.give_back() == 0
    journal.close()


async def test_the_look_at_the_file_finds_damage_and_marks_the_journal(attic: Attic) -> None:
    for _ in range(30):
        attic.incident(START)
    attic.journal.checkpoint()
    assert fault(attic.journal.path) == ""
    pages = attic.journal.path.stat().st_size // 4096
    with attic.journal.path.open("r+b") as file:
        for page in range(4, pages - 1):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    await attic.day()
    assert attic.journal.damage or attic.outbox.damage


async def test_damage_behind_the_cache_is_met_within_seconds(attic: Attic) -> None:
    """The daemon's own connection has the page in memory; whoever opens the file now cannot read it."""
    await attic.day()
    attic.journal.checkpoint()
    with attic.journal.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096)
    await attic.day()
    assert not attic.journal.damage
    attic.house.machine.go(upkeep.LOOK_S)
    await attic.day()
    assert attic.journal.damage


async def test_a_large_file_is_read_for_damage_the_less_often(house: House) -> None:
    """A thousandth of a core."""
    machine, looks = house.machine, list[float]()

    def slow(_: Path) -> str:
        looks.append(machine.monotonic_s)
        machine.go(0.5)
        return ""

    outbox = Outbox(house.settings.state_dir / "watchdog.db")
    work = Upkeep(house.world, outbox, house.control, check=slow)
    for _ in range(120):
        work.look()
        await work.finished()
        machine.go(upkeep.LOOK_S)
    outbox.close()
    assert len(looks) == 3
    assert all(late - soon >= 500 for soon, late in itertools.pairwise(looks))
