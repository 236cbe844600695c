"""A journal that is damaged, deleted or replaced, on real files: under a running watchdog, and between two."""

import itertools
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from notifier import Alert, NotifyError, Outbox
from tests.watchdog import damage
from tests.watchdog.damage import UNDER_A_RUNNING_WATCHDOG, WHILE_NOBODY_LOOKS, some
from tests.watchdog.fakes import START, ManualClock, Told
from watchdog.incident import Incident, Order, Plan
from watchdog.journal import Journal, JournalError
from watchdog.mending import KEPT_ASIDE, RETRY_S, Mender, highest, make_anew, mend_before_opening, take_over
from watchdog.report import folder
from watchdog.tell import Teller
from watchdog.upkeep import fault

HOUR = timedelta(hours=1)


class Desk:
    """A journal and an outbox in use, and the mender over both."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.machine = ManualClock()
        self.told = Told(self.machine.switch)
        self.journal, self.outbox = Journal(path), Outbox(path)
        self.outbox.use_channels(["console"])
        teller = Teller(self.told.put, "sol-perp")
        self.mender = Mender(self.journal, self.outbox, teller, self.machine.clock())
        self.mender.look()

    def fill(self) -> Incident:
        """A long life: closed incidents, two automatic rollbacks of today, a halt, an order, alerts, an open one."""
        with self.journal.writing():
            for number in range(60):
                at = START - timedelta(days=60 - number) if number < 58 else START - HOUR
                closed = self.opened(at, "halt")
                closed.closed_at = at + HOUR / 2
                closed.facts["switched_to"] = "v2.0.0"
                self.journal.save(closed)
            self.journal.put("halted", {"since": START.isoformat(), "why": "relapse", "by": "alice"})
            self.journal.accept(Order("resume", "bob", ident="1:2:3"), START)
        for number in range(8):
            self.outbox.put(Alert("kind", f"sent {number}" + "x" * 3000, coalesce=False), START)
        while (pending := self.outbox.next("console", START)) is not None:
            self.outbox.sent(pending.id, "console", START)
        self.outbox.put(
            Alert("kind", "waiting", key="incident 61, rollback 1: assess", coalesce=False), START
        )
        incident = self.opened(START, "rollback")
        incident.facts["log_place"] = {"offset": 12}
        self.journal.end(self.journal.begin(incident, START), incident, "done", "found", START)
        self.journal.put("tick", {"at": START.isoformat(), "sentence": "watching"})
        return incident

    def opened(self, at: datetime, plan: Plan) -> Incident:
        return self.journal.open_incident(
            plan, "assess", "drawdown", "rule drawdown", automatic=True, at=at, from_version="v2.1.0"
        )

    def use(self) -> None:
        """What a tick does with the journal and the courier with the outbox."""
        for act in (
            lambda: self.journal.put("tick", {"at": "now"}),
            lambda: self.journal.automatic_rollbacks(START - 24 * HOUR),
            lambda: self.outbox.next("console", START),
            lambda: self.outbox.recent(100),
        ):
            try:
                act()
            except (sqlite3.Error, NotifyError):
                continue

    def close(self) -> None:
        self.outbox.close()
        self.journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.db"


@pytest.fixture
def desk(path: Path) -> Iterator[Desk]:
    found = Desk(path)
    yield found
    found.close()


def aside(path: Path) -> list[str]:
    """What was set aside, without what goes with it."""
    names = [p.name for p in path.parent.glob("*.set-aside-*")]
    return sorted(name for name in names if not name.endswith(("-wal", "-shm")))


def assert_all_is_known(desk: Desk, incident: Incident) -> None:
    journal = desk.journal
    assert journal.get("halted")["why"] == "relapse"
    assert journal.open_one() == incident
    assert len(journal.automatic_rollbacks(START - 24 * HOUR)) == 2
    assert len(journal.incidents(40)) == 40


# -- under a running watchdog


@pytest.mark.parametrize(
    "name", some(UNDER_A_RUNNING_WATCHDOG, ("middle", "zeros", "deleted", "replaced_by_nothing"))
)
@pytest.mark.parametrize("emptied_wal", some(("checkpointed", "with a wal"), ("checkpointed",)))
def test_nothing_that_matters_is_lost(desk: Desk, name: str, emptied_wal: str) -> None:
    incident = desk.fill()
    if emptied_wal == "checkpointed":
        desk.journal.checkpoint()
        desk.mender.look()
    UNDER_A_RUNNING_WATCHDOG[name](desk.path)
    desk.use()
    mended = desk.mender.look()
    desk.use()
    assert_all_is_known(desk, incident)
    if mended:
        assert fault(desk.path) == ""
        assert len(desk.told.alerts) == 1
        assert "halts, counters and the open incident are as they were" in desk.told.texts[0]
        assert desk.told.alerts[0].severity == "critical"
    else:
        desk.journal.checkpoint()
        assert fault(desk.path) == "", "what was damaged lay in the -wal file, too, and was written anew"
    desk.close()
    reopened = Desk(desk.path)
    assert_all_is_known(reopened, incident)
    following = reopened.opened(START + HOUR, "rollback")
    assert following.id == incident.id + 1
    reopened.close()


def test_a_state_folder_that_was_deleted_is_made_anew_at_once_for_its_owner_alone(tmp_path: Path) -> None:
    state = tmp_path / "var" / "state"
    state.mkdir(parents=True)
    desk = Desk(state / "watchdog.db")
    incident = desk.fill()
    shutil.rmtree(state.parent)
    assert desk.mender.look()
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    desk.close()
    reopened = Desk(desk.path)
    assert_all_is_known(reopened, incident)
    reopened.close()


@pytest.mark.parametrize("seed", [0, 1, 10, *(pytest.param(n, marks=damage.thorough) for n in range(20, 60))])
def test_a_few_bytes_anywhere_cost_nothing_that_matters(desk: Desk, seed: int) -> None:
    incident = desk.fill()
    desk.journal.checkpoint()
    damage.some_bytes(desk.path, seed)
    for _ in range(3):
        desk.use()
        if not desk.mender.look() and (wrong := fault(desk.path)):
            desk.journal.damage = wrong  # as the upkeep finds it, once a day
            desk.machine.go(RETRY_S)
            assert desk.mender.look()
    assert_all_is_known(desk, incident)
    assert fault(desk.path) == ""


@pytest.mark.parametrize("name", ["deleted", "all_deleted", "replaced_by_another"])
def test_of_a_file_that_is_only_gone_nothing_at_all_is_lost(desk: Desk, name: str) -> None:
    incident = desk.fill()
    before = list(desk.journal.connection.iterdump())
    UNDER_A_RUNNING_WATCHDOG[name](desk.path)
    assert desk.mender.look()
    assert list(desk.journal.connection.iterdump()) == before
    assert len(desk.journal.steps(incident)) == 1
    assert desk.outbox.waiting() == 1
    assert "Lost" not in desk.told.texts[0]


def test_what_is_written_afterwards_is_in_the_new_file(desk: Desk) -> None:
    desk.fill()
    desk.path.unlink()
    assert desk.mender.look()
    desk.journal.put("halted", None)
    desk.outbox.put(Alert("kind", "new", coalesce=False), START)
    with closing(sqlite3.connect(desk.path)) as other:
        assert other.execute("SELECT count(*) FROM named WHERE name = 'halted'").fetchone() == (0,)
        assert other.execute("SELECT count(*) FROM outbox WHERE text = 'new'").fetchone() == (1,)
    assert desk.outbox.waiting("console") == 2, "the channels are addressed as before"


def test_a_look_at_a_sound_file_changes_nothing(desk: Desk) -> None:
    desk.fill()
    for _ in range(3):
        assert not desk.mender.look()
    desk.journal.checkpoint()
    assert not desk.mender.look()
    assert desk.told.alerts == []
    assert aside(desk.path) == []


def test_a_wal_file_that_is_deleted_is_noticed(desk: Desk) -> None:
    incident = desk.fill()
    desk.mender.look()
    desk.path.with_name("watchdog.db-wal").unlink()
    assert desk.mender.look()
    assert "has lost its -wal file" in desk.told.texts[0]
    assert_all_is_known(desk, incident)


def test_a_disk_that_refuses_the_new_file_is_asked_again_and_the_watching_goes_on_from_memory(
    desk: Desk,
) -> None:
    desk.fill()
    desk.journal.checkpoint()
    in_the_way = desk.path.with_name("watchdog.db.part")
    in_the_way.mkdir()
    damage.zeros(desk.path)
    desk.use()
    assert not desk.mender.look()
    assert "could not be made anew" in desk.told.texts[0]
    assert desk.journal.get("halted")["why"] == "relapse"
    assert not desk.mender.look()
    assert len(desk.told.alerts) == 1, "once a minute is enough"
    in_the_way.rmdir()
    desk.machine.go(RETRY_S)
    assert desk.mender.look()
    assert fault(desk.path) == ""
    assert desk.journal.get("halted")["why"] == "relapse"


def test_only_the_newest_files_are_kept_aside(desk: Desk) -> None:
    desk.fill()
    for _ in range(KEPT_ASIDE + 2):
        damage.replaced_by_nothing(desk.path)
        desk.machine.go(RETRY_S + 1)
        assert desk.mender.look()
    assert len(aside(desk.path)) == KEPT_ASIDE


def test_an_alert_that_somebody_was_told_of_is_not_told_again_when_its_delivery_is_lost(path: Path) -> None:
    with closing(sqlite3.connect(path)) as source:
        Outbox(path).close()
        for number, told_at in ((1, 5.0), (2, None)):
            source.execute(
                "INSERT INTO outbox VALUES (?, 'kind', 'info', 'text', 0, 1, 1.0, 1.0, 1, ?)",
                (number, told_at),
            )
        source.commit()
        make_anew(path, source, {}, 0)
    take_over(path, START)
    outbox = Outbox(path)
    outbox.use_channels(["console"])
    assert [told.id for told in outbox.recent()] == [2]
    assert outbox.waiting("console") == 1
    outbox.close()


def test_a_row_that_is_garbled_inside_counts_as_damage_and_is_left_out(desk: Desk) -> None:
    incident = desk.fill()
    desk.journal.connection.execute("UPDATE incidents SET body = '{\"reason' WHERE id = 3")
    desk.journal.connection.execute("UPDATE named SET value = 'garbage' WHERE name = 'halted'")
    assert desk.journal.get("halted")["why"] == "relapse", "from memory"
    with pytest.raises(sqlite3.DatabaseError, match="incident 3 is garbled"):
        desk.journal.incidents(100)
    assert desk.mender.look()
    assert_all_is_known(desk, incident)
    assert desk.journal.incident(3) is None
    assert "Lost: some of the incidents." in desk.told.texts[0]


# -- between two watchdogs


@pytest.mark.parametrize("name", WHILE_NOBODY_LOOKS)
def test_a_damaged_file_is_set_aside_at_the_start_and_never_refused(desk: Desk, name: str) -> None:
    desk.fill()
    desk.close()
    WHILE_NOBODY_LOOKS[name](desk.path)
    (folder(desk.path.parent, 61)).mkdir(parents=True)
    wrong = mend_before_opening(desk.path, START)
    assert wrong or name == "emptied", "an empty file is a new one for SQLite: `doubt` knows better"
    assert fault(desk.path) == ""
    journal = Journal(desk.path)
    if wrong:
        assert len(aside(desk.path)) == 1
        assert str(desk.path.with_name(aside(desk.path)[0])) in wrong
        assert journal.last_number() >= 61, "a report is never written over"
    journal.close()


def test_what_can_still_be_read_is_kept_at_a_start(desk: Desk) -> None:
    incident = desk.fill()
    desk.close()
    with closing(sqlite3.connect(desk.path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'outbox_key'").fetchone()[0]
    damage.overwrite(desk.path, (root - 1) * damage.PAGE, root * damage.PAGE)
    wrong = mend_before_opening(desk.path, START)
    assert "Lost: which steps were told (some may come again)." in wrong
    again = Desk(desk.path)
    assert_all_is_known(again, incident)
    assert again.outbox.waiting("console") == 1
    again.close()


def test_a_sound_file_is_left_as_it_is(desk: Desk) -> None:
    desk.fill()
    desk.close()
    before = desk.path.read_bytes()
    assert mend_before_opening(desk.path, START) == ""
    assert desk.path.read_bytes() == before
    assert mend_before_opening(desk.path.with_name("missing.db"), START) == ""
    assert not desk.path.with_name("missing.db").exists()


def test_a_file_that_is_locked_or_that_nobody_may_read_is_not_taken_for_damaged(desk: Desk) -> None:
    desk.fill()
    desk.close()
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        assert mend_before_opening(desk.path, START) == ""
    assert aside(desk.path) == []


# -- a kill -9 in the middle of it


def names(path: Path) -> set[str]:
    return {p.name for p in path.parent.iterdir()}


@pytest.mark.parametrize(
    "moved", [(), ("",), ("", "-wal"), ("", "-wal", "-shm")], ids=lambda moved: f"{len(moved)} moved"
)
def test_the_next_start_finishes_what_a_kill_cut_short(desk: Desk, moved: tuple[str, ...]) -> None:
    incident = desk.fill()
    make_anew(desk.path, desk.journal.connection, desk.journal.memory, 0)
    # The damage, and the files as a kill leaves them: whatever was moved aside, the new one not yet in place.
    for suffix, text in itertools.product(("", "-wal", "-shm"), (b"damaged",)):
        file = desk.path.with_name(f"{desk.path.name}{suffix}")
        if suffix in moved:
            file.unlink(missing_ok=True)
        else:
            copy = desk.path.with_name("copy")
            copy.write_bytes(text)
            copy.rename(file)
    assert mend_before_opening(desk.path, START) == ""
    again = Desk(desk.path)
    assert_all_is_known(again, incident)
    again.close()
    assert not {name for name in names(desk.path) if name.endswith((".new", ".part"))}


def test_a_new_file_that_is_not_whole_is_thrown_away(desk: Desk) -> None:
    incident = desk.fill()
    desk.close()
    desk.path.with_name("watchdog.db.part").write_bytes(b"half")
    desk.path.with_name("watchdog.db.part-wal").write_bytes(b"half")
    assert mend_before_opening(desk.path, START) == ""
    assert not any("part" in name for name in names(desk.path))
    again = Desk(desk.path)
    assert_all_is_known(again, incident)
    again.close()


def test_the_highest_number_is_that_of_a_folder(tmp_path: Path) -> None:
    assert highest(tmp_path) == 0
    for name in ("0007", "12345", "notes", "0009.part", "007"):
        (tmp_path / "incidents" / name).mkdir(parents=True)
    assert highest(tmp_path) == 12345


def test_a_journal_of_a_newer_version_is_refused_still(desk: Desk) -> None:
    desk.journal.put("schema", 99)
    desk.close()
    assert mend_before_opening(desk.path, START) == ""
    with pytest.raises(JournalError, match="newer"):
        Journal(desk.path)
