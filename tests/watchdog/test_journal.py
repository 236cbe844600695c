"""The journal, on real SQLite files: what a kill, a full disk and a second thread leave in it."""

import json
import math
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tests.watchdog.fakes import START
from watchdog.incident import Incident, Order
from watchdog.journal import SCHEMA, Journal, JournalError, NoJournalError
from watchdog.journal_file import IMPATIENCE_MS, PATIENCE_MS
from watchdog.mending import mend_before_opening
from watchdog.shapes import NAMED, VITAL, fits


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def opened(journal: Journal, *, automatic: bool = True, minutes: int = 0) -> Incident:
    return journal.open_incident(
        "rollback",
        "assess",
        "drawdown",
        "rule drawdown",
        automatic=automatic,
        at=START + timedelta(minutes=minutes),
        from_version="v2.1.0",
    )


class FailingJournal(Journal):
    """`db` is the connection, to do to it what a disk does."""

    @property
    def db(self) -> sqlite3.Connection:
        return self._db

    def full(self) -> None:
        """No page more fits on the disk."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        self._db.execute(f"PRAGMA max_page_count={pages}")

    def roomy(self) -> None:
        """Somebody made room."""
        self._db.execute("PRAGMA max_page_count=1000000")


def test_half_a_character_and_a_command_to_the_terminal_are_stored_as_what_can_be_read(
    journal: Journal,
) -> None:
    """SQLite refuses the first, which would end whoever writes; the second waits for `incidents` to show it."""
    incident = opened(journal)
    number = journal.begin(incident, START)
    incident.reason = "half \ud800 \x1b[2J"
    journal.end(number, incident, "done", "\udcff\x9b\u202e", START)
    order = journal.accept(Order("halt", "\ud800", "\x1b]0;x\x07"), START)
    journal.answer(order or 0, "no \ud800")
    (step,) = journal.steps(incident)
    assert step.detail == "\ufffd" * 3
    assert [(row.who, row.why, row.answer) for row in journal.orders()] == [
        ("\ufffd", "\ufffd]0;x\ufffd", "no \ufffd")
    ]
    found = journal.incident(incident.id)
    assert found is not None
    assert found.reason == "half \ufffd \ufffd[2J"


# -- opening


def test_a_write_that_returned_is_on_disk_in_wal_mode_and_fsynced(journal: Journal, path: Path) -> None:
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert FailingJournal(path).db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL


def test_what_was_written_is_there_for_the_next_process(journal: Journal, path: Path) -> None:
    journal.put("halted", {"why": "relapse"})
    incident = opened(journal)
    journal.close()
    again = Journal(path)
    assert again.get("halted") == {"why": "relapse"}
    assert again.open_one() == incident
    again.close()


def test_a_writer_that_is_killed_in_a_transaction_leaves_nothing_of_it(path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from watchdog.journal import Journal\n"
        "journal = Journal(Path(sys.argv[1])); journal.put('first', 1)\n"
        "with journal.writing():\n"
        "    journal.put('first', 2); journal.put('second', 2); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False, timeout=60)
    assert done.returncode == -9
    journal = Journal(path)
    assert (journal.get("first"), journal.get("second")) == (1, None)
    journal.close()


def test_reading_alone_needs_a_journal_that_is_there(path: Path) -> None:
    with pytest.raises(JournalError, match="no journal yet"):
        Journal(path, read_only=True)
    assert not path.exists()


def test_a_journal_that_is_being_made_at_this_moment_is_none_yet(path: Path) -> None:
    path.touch()
    with pytest.raises(NoJournalError, match="being made"):
        Journal(path, read_only=True)


def test_a_reader_sees_what_the_watchdog_writes_and_cannot_write_itself(journal: Journal, path: Path) -> None:
    reader = Journal(path, read_only=True)
    journal.put("tick", {"at": START.isoformat()})
    assert reader.get("tick") == {"at": START.isoformat()}
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.put("tick", None)
    reader.close()


def test_a_file_that_is_no_journal_is_named_with_the_remedy(path: Path) -> None:
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalError, match=r"watchdog\.db: the journal cannot be opened .*set aside"):
        Journal(path)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"nowhere/watchdog\.db"):
        Journal(tmp_path / "nowhere" / "watchdog.db")


def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(journal: Journal, path: Path) -> None:
    journal.put("schema", SCHEMA + 1)
    journal.close()
    with pytest.raises(JournalError, match=r"newer model-watchdog \(schema 2, this one knows 1\)"):
        Journal(path)


# -- named values


def test_named_values_are_replaced_forgotten_and_have_defaults(journal: Journal) -> None:
    assert journal.get("restarts") is None
    assert journal.get("restarts", {"at": []}) == {"at": []}
    journal.put("restarts", {"at": [1]})
    journal.put("restarts", {"at": [1, 2]})
    assert journal.get("restarts") == {"at": [1, 2]}
    journal.put("restarts", None)
    assert journal.get("restarts", "none") == "none"


@pytest.mark.parametrize("value", [0, False, "", [], {}])
def test_a_falsy_value_is_a_value(journal: Journal, value: object) -> None:
    journal.put("x", value)
    assert journal.get("x", "default") == value


def test_a_disk_that_cannot_be_read_leaves_what_was_read_last(path: Path) -> None:
    journal = FailingJournal(path)
    journal.put("halted", {"why": "relapse"})
    assert journal.get("halted") == {"why": "relapse"}
    assert journal.get("paused") is None
    journal.close()
    assert journal.get("halted") == {"why": "relapse"}
    assert journal.get("paused", "default") == "default"
    assert journal.get("never written", "default") == "default", "all that was there was read at the opening"


def test_a_reader_is_told_that_the_disk_cannot_be_read(journal: Journal, path: Path) -> None:
    """What it read last may be of before a halt."""
    journal.put("halted", None)
    reader = Journal(path, read_only=True)
    assert reader.get("halted") is None
    reader.close()
    with pytest.raises(sqlite3.Error):
        reader.get("halted")


def test_a_value_that_was_rolled_back_is_not_what_was_read_last(path: Path) -> None:
    journal = FailingJournal(path)
    journal.put("halted", {"why": "relapse"})

    def take_back() -> None:
        with journal.writing():
            journal.put("halted", None)
            assert journal.get("halted") is None
            raise RuntimeError

    with pytest.raises(RuntimeError):
        take_back()
    assert journal.get("halted") == {"why": "relapse"}
    journal.close()


# -- transactions


def test_an_exception_takes_the_whole_transaction_back(journal: Journal) -> None:
    def interrupted() -> None:
        with journal.writing():
            journal.put("one", 1)
            opened(journal)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert journal.get("one") is None
    assert journal.open_one() is None
    journal.put("two", 2)  # and the next one is a transaction of its own
    assert journal.get("two") == 2


def test_the_inner_transaction_is_part_of_the_outer(journal: Journal, path: Path) -> None:
    reader = Journal(path, read_only=True)
    with journal.writing():
        with journal.writing():
            journal.put("one", 1)
        assert reader.get("one") is None
    assert reader.get("one") == 1
    reader.close()


def test_a_commit_that_fails_leaves_no_transaction_open(path: Path) -> None:
    """Otherwise every later write would seem to succeed, and none would be on disk."""
    journal = FailingJournal(path)
    reader = Journal(path, read_only=True)
    # A deferred foreign key makes COMMIT itself fail, as a disk does that fills up at the last moment.
    journal.db.execute("PRAGMA foreign_keys=ON")
    journal.db.execute(
        "CREATE TABLE late (id INTEGER REFERENCES incidents(id) DEFERRABLE INITIALLY DEFERRED)"
    )

    def fail_late() -> None:
        with journal.writing():
            journal.put("one", 1)
            journal.db.execute("INSERT INTO late VALUES (4711)")

    with pytest.raises(sqlite3.IntegrityError):
        fail_late()
    assert not journal.db.in_transaction
    assert journal.get("one") is None
    journal.put("two", 2)
    assert reader.get("two") == 2
    for one in (journal, reader):
        one.close()


def test_a_full_disk_is_an_error_and_no_more_and_room_on_it_mends_all(path: Path) -> None:
    journal = FailingJournal(path)
    incident = opened(journal)
    journal.full()
    with pytest.raises(sqlite3.OperationalError, match="full"):
        journal.put("large", "x" * 100_000)
    assert not journal.db.in_transaction
    assert journal.open_one() == incident
    journal.roomy()
    journal.put("large", "x" * 100_000)
    assert len(journal.get("large")) == 100_000
    journal.close()


def test_after_a_wait_in_vain_for_a_lock_the_next_ones_are_short(path: Path) -> None:
    """A halt writes at each of its steps: it must not be held up by every one."""
    journal = FailingJournal(path)

    def waits_ms() -> int:
        return int(journal.db.execute("PRAGMA busy_timeout").fetchone()[0])

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            journal.put("one", 1)
        assert waits_ms() == IMPATIENCE_MS
        journal.checkpoint()
        assert waits_ms() == IMPATIENCE_MS
        assert not journal.damage
        other.execute("ROLLBACK")
    journal.put("one", 1)
    assert waits_ms() == PATIENCE_MS
    journal.close()


def test_a_disk_that_rolls_back_by_itself_does_not_hide_its_own_error(path: Path) -> None:
    journal = FailingJournal(path)

    def run_full() -> None:
        with journal.writing():
            journal.db.execute("ROLLBACK")  # as SQLite does by itself on some I/O errors
            raise sqlite3.OperationalError("database or disk is full")

    with pytest.raises(sqlite3.OperationalError, match="full"):
        run_full()
    journal.put("one", 1)
    assert journal.get("one") == 1
    journal.close()


def test_a_step_in_a_thread_and_a_tick_do_not_write_into_one_transaction(journal: Journal) -> None:
    """What the thread takes back would otherwise be committed by the tick."""
    inside, done = threading.Event(), threading.Event()

    def step() -> None:
        inside.wait(10)
        with suppress(ZeroDivisionError), journal.writing():
            journal.put("step", 1)
            raise ZeroDivisionError
        done.set()

    thread = threading.Thread(target=step)
    thread.start()
    with journal.writing():
        journal.put("other", 1)
        inside.set()
        done.wait(0.2)
        assert not done.is_set()  # it waits for this transaction
    thread.join(10)
    assert (journal.get("other"), journal.get("step")) == (1, None)


# -- incidents and steps


def test_an_incident_is_read_back_as_it_was_saved(journal: Journal) -> None:
    incident = opened(journal)
    incident.plan, incident.step, incident.target, incident.attempt = "halt", "stop_bot", "v2.0.0", 2
    incident.tried.append("v2.0.0")
    incident.facts["log_place"] = {"offset": 12}
    incident.outcome, incident.closed_at = "halted", START + timedelta(minutes=3)
    journal.save(incident)
    assert journal.incident(incident.id) == incident
    assert journal.open_one() is None
    assert journal.incident(99) is None


def test_the_oldest_open_incident_is_the_open_one_and_the_list_is_newest_first(journal: Journal) -> None:
    first, second = opened(journal), opened(journal, minutes=1)
    assert journal.open_one() == first
    assert journal.incidents() == [second, first]
    assert journal.incidents(limit=1) == [second]


def test_only_automatic_rollbacks_that_switched_a_version_are_counted(journal: Journal) -> None:
    for automatic, switched, minutes in (
        (True, True, 0),
        (True, False, 1),
        (False, True, 2),
        (True, True, 3),
    ):
        incident = opened(journal, automatic=automatic, minutes=minutes)
        if switched:
            incident.facts["switched_to"] = "v2.0.0"
        journal.save(incident)
    assert journal.automatic_rollbacks(START - timedelta(hours=1)) == [START, START + timedelta(minutes=3)]
    assert journal.automatic_rollbacks(START) == [START + timedelta(minutes=3)]


def test_an_incident_that_was_turned_into_a_halt_after_its_switch_still_counts(journal: Journal) -> None:
    incident = opened(journal)
    incident.facts["switched_to"], incident.plan, incident.step = "v2.0.0", "halt", "close"
    journal.save(incident)
    assert journal.automatic_rollbacks(START - timedelta(days=1)) == [START]


def test_a_step_is_journalled_before_and_after_and_takes_the_incident_along(journal: Journal) -> None:
    incident = opened(journal)
    incident.target = "v2.0.0"
    row = journal.begin(incident, START)
    assert journal.open_one() == incident
    (begun,) = journal.steps(incident)
    assert (begun.step, begun.ended_at, begun.result) == ("assess", None, None)
    incident.step = "stop_bot"
    journal.end(row, incident, "done", "found", START + timedelta(seconds=2))
    (ended,) = journal.steps(incident)
    assert (ended.step, ended.result, ended.detail, ended.attempt) == ("assess", "done", "found", 1)
    assert ended.ended_at == START + timedelta(seconds=2)
    assert (journal.open_one() or incident).step == "stop_bot"


# -- orders


def test_an_order_is_open_until_it_is_answered(journal: Journal) -> None:
    order = Order("rollback", "alice", "looks wrong", "v1.9.0", "1:2:3")
    number = journal.accept(order, START)
    assert number is not None
    assert journal.unanswered() == [(number, order)]
    journal.answer(number, "incident 1")
    assert journal.unanswered() == []
    (row,) = journal.orders()
    assert (row.what, row.who, row.why, row.answer, row.at) == (
        "rollback",
        "alice",
        "looks wrong",
        "incident 1",
        START,
    )


def test_the_same_flag_file_is_accepted_once_and_signals_each_time(journal: Journal) -> None:
    flag = Order("halt", "alice", ident="1:2:3")
    assert journal.accept(flag, START) is not None
    assert journal.accept(flag, START) is None
    signal = Order("rollback", "signal SIGUSR1")
    assert journal.accept(signal, START) != journal.accept(signal, START)
    assert len(journal.orders()) == 3


# -- of another build


def written_by_another(path: Path, name: str, value: object) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", (name, json.dumps(value)))
    db.close()


@pytest.mark.parametrize("name", sorted(NAMED.keys() - VITAL))
@pytest.mark.parametrize(
    "value", [5, "x", [], [1, 2, 3], {"at": "yesterday"}, {"offset_s": float("nan")}, True]
)
def test_a_value_that_can_be_done_without_counts_as_absent_where_it_does_not_fit(
    path: Path, name: str, value: object
) -> None:
    written_by_another(path, name, value)
    if fits(name, value):
        return
    for read_only in (True, False):
        journal = Journal(path, read_only=read_only)
        assert journal.get(name) is None
        assert journal.get(name, "none") == "none"
        assert journal.damage == ""
        journal.close()


@pytest.mark.parametrize("name", sorted(VITAL - {"schema"}))
@pytest.mark.parametrize("value", [5, [], {"since": 5}, {"at": [5]}, [1, 2], True])
def test_a_vital_value_that_does_not_fit_is_told_and_at_a_start_makes_the_journal_a_damaged_one(
    path: Path, name: str, value: object
) -> None:
    written_by_another(path, name, value)
    reader = Journal(path, read_only=True)
    with pytest.raises(sqlite3.DatabaseError, match=f"the value of {name} is garbled"):
        reader.get(name)
    reader.close()
    assert f"a row of named is garbled: {name}" in mend_before_opening(path, START)
    journal = Journal(path)
    assert journal.get(name) is None
    journal.close()
    assert mend_before_opening(path, START) == ""


@pytest.mark.parametrize(
    "body", ["{}", "[]", "5", '{"plan": "dance"}', '{"plan": "halt", "step": 5}', "[" * 10_000]
)
def test_an_incident_of_another_shape_is_garbled(path: Path, body: str) -> None:
    journal = Journal(path)
    incident = opened(journal)
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE incidents SET body = ? WHERE id = ?", (body, incident.id))
    db.close()
    reader = Journal(path, read_only=True)
    with pytest.raises(sqlite3.DatabaseError, match="incident 1 is garbled"):
        reader.open_one()
    reader.close()
    assert "a row of incidents is garbled: 1" in mend_before_opening(path, START)


def test_more_than_is_known_is_no_fault(path: Path) -> None:
    """Another build may keep more."""
    written_by_another(
        path, "halted", {"since": START.isoformat(), "why": "w", "by": "b", "incident": 1, "mood": [1]}
    )
    written_by_another(path, "mood", [5])
    journal = Journal(path)
    assert journal.get("halted")["mood"] == [1]
    assert journal.get("mood") == [5]
    journal.close()
    assert mend_before_opening(path, START) == ""


def test_a_number_that_json_has_no_word_for_keeps_no_counter_from_being_read(journal: Journal) -> None:
    """SQLite reads no NaN: one in the facts of an incident would hide every rollback of the day."""
    incident = opened(journal)
    incident.facts |= {"switched_to": "v2.0.0", "price": math.nan, "loss": [-math.inf]}
    journal.save(incident)
    assert journal.automatic_rollbacks(START - timedelta(days=1)) == [START]
    found = journal.incident(incident.id)
    assert found is not None
    assert found.facts == {"switched_to": "v2.0.0", "price": None, "loss": [None]}


def test_an_incident_that_sqlite_cannot_read_is_garbled(path: Path) -> None:
    journal = Journal(path)
    incident = opened(journal)
    journal.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE incidents SET body = replace(body, 'null', 'NaN') WHERE id = ?", (incident.id,))
    db.close()
    assert "a row of incidents is garbled: 1" in mend_before_opening(path, START)
