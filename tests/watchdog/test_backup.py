"""`python -P -m watchdog.backup`: one consistent moment while others write, and what is in the folder."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifier import Alert, Outbox
from tests.watchdog.damage import overwrite
from tests.watchdog.yard import AT, Said, Yard
from watchdog import backup
from watchdog.assemble import journal_path
from watchdog.backup import BackupError, back_up
from watchdog.doubt import BACKUP
from watchdog.incident import Order
from watchdog.journal import Journal
from watchdog.report import folder
from watchdog.upkeep import fault


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A watchdog with a past: a halt, a closed incident with its report, alerts that wait, a pause."""
    yard = Yard(tmp_path / "bot")
    with yard.journal() as journal:
        incident = journal.open_incident(
            "rollback", "close", "drawdown", "rule drawdown", automatic=True, at=AT, from_version="v2.1.0"
        )
        incident.closed_at = AT
        incident.facts["switched_to"] = "v2.0.0"
        journal.save(incident)
        journal.put("halted", {"since": AT.isoformat(), "why": "relapse", "by": "alice"})
        journal.accept(Order("halt", "alice", ident="1:2:3"), AT)
    report = folder(yard.state, 1) / "report.md"
    report.parent.mkdir(parents=True)
    report.write_text("## Rollback Incident\n", encoding="utf-8")
    with closing(Outbox(journal_path(yard.settings))) as outbox:
        outbox.use_channels(["telegram"])
        outbox.put(Alert("k", "waits"), AT)
    yard.control.mkdir(mode=0o700)
    (yard.control / "PAUSE").write_text("deploying", encoding="utf-8")
    return yard


def command(yard: Yard, to: Path, cwd: Path | None = None) -> Said:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "watchdog.backup", "--config", str(yard.path), "--to", str(to)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def contents(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}


ALL = {
    "watchdog.db",
    "incidents/0001/report.md",
    "control/PAUSE",
    "registry.json",
    "watchdog.yaml",
    "RESTORE.txt",
}


def test_all_that_the_watchdog_knows_is_in_it_and_what_is_not_is_said(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "config").mkdir(parents=True)  # as many a bot has one
    said = command(yard, tmp_path / "backups", tmp_path / "elsewhere")
    assert said.code == 0, said.err
    (place,) = (tmp_path / "backups").iterdir()
    assert contents(place) == ALL
    assert str(place) in said.out
    assert "not in it: 3 model files" in said.out
    assert place.name.startswith("sol-perp-20")
    with closing(Journal(place / "watchdog.db", read_only=True)) as copy:
        assert copy.get("halted")["why"] == "relapse"
        assert len(copy.incidents()) == 1
        assert len(copy.unanswered()) == 1
    with closing(Outbox(place / "watchdog.db")) as outbox:
        assert outbox.waiting("telegram") == 1
    text = (place / "RESTORE.txt").read_text(encoding="utf-8")
    assert str(yard.state) in text
    assert "model-watchdog resume" in text


def test_it_is_for_its_owner_alone(yard: Yard, tmp_path: Path) -> None:
    """Evidence and configuration may hold what is nobody else's business."""
    place = back_up(yard.settings, tmp_path / "backups", AT)
    assert place.parent.stat().st_mode & 0o777 == 0o700
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "watchdog.db").stat().st_mode & 0o777 == 0o600
    assert (place / "watchdog.yaml").stat().st_mode & 0o777 == 0o600


def test_the_copy_bears_a_mark_and_the_original_none(yard: Yard, tmp_path: Path) -> None:
    place = back_up(yard.settings, tmp_path / "backups", AT)
    with closing(Journal(place / "watchdog.db", read_only=True)) as copy:
        assert copy.get(BACKUP) == AT.isoformat()
    with yard.journal() as journal:
        assert journal.get(BACKUP) is None


def test_it_is_one_file_that_anybody_may_copy(yard: Yard, tmp_path: Path) -> None:
    with yard.journal() as journal:
        journal.put("tick", {"at": "now"})  # lies in the -wal file of a watchdog that runs
        place = back_up(yard.settings, tmp_path / "backups", AT)
    with closing(sqlite3.connect(f"file:{place}/watchdog.db?immutable=1", uri=True)) as copy:
        (value,) = copy.execute("SELECT value FROM named WHERE name = 'tick'").fetchone()
    assert json.loads(value) == {"at": "now"}
    assert not list(place.glob("watchdog.db-*"))


@contextmanager
def writing(path: Path) -> Iterator[list[int]]:
    """A watchdog that writes as fast as it can: two values in one transaction, an incident with a step, an alert."""
    stop, count = threading.Event(), [0]

    def write() -> None:
        journal, outbox = Journal(path), Outbox(path)
        while not stop.is_set():
            count[0] += 1
            with journal.writing():
                journal.put("one", count[0])
                incident = journal.open_incident(
                    "halt", "close", "x" * 500, "rule", automatic=True, at=AT, from_version="v2.1.0"
                )
                journal.begin(incident, AT)
                journal.put("two", count[0])
            outbox.put(Alert("k", f"alert {count[0]}", key=str(count[0]), coalesce=False), AT)
        outbox.close()
        journal.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


def test_a_copy_under_writes_is_one_moment(yard: Yard, tmp_path: Path) -> None:
    path = journal_path(yard.settings)
    with writing(path) as count:
        seen = 0
        for number in range(4):
            deadline = time.monotonic() + 20
            while count[0] <= seen + 1 and time.monotonic() < deadline:
                time.sleep(0.001)
            place = back_up(yard.settings, tmp_path / "backups", AT + timedelta(seconds=number))
            assert fault(place / "watchdog.db") == ""
            with closing(Journal(place / "watchdog.db", read_only=True)) as copy:
                assert copy.get("one") == copy.get("two")
                seen = copy.get("one")
                incidents = copy.incidents(100_000)
                assert len(incidents) == seen + 1
                assert all(copy.steps(incident) for incident in incidents[:-1][:5])
            with closing(sqlite3.connect(place / "watchdog.db")) as outbox:
                alerts, keys = (
                    outbox.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                    for table in ("outbox", "outbox_key")
                )
            assert alerts - 1 == keys
            assert keys in {seen, seen - 1}
    assert seen > 0


def test_a_registry_that_is_being_written_is_copied_whole(yard: Yard, tmp_path: Path) -> None:
    place = back_up(yard.settings, tmp_path / "backups", AT)
    assert json.loads((place / "registry.json").read_text())["current_version"] == "v2.1.0"
    yard.registry.path.write_text('{"models": {', encoding="utf-8")
    with pytest.raises(BackupError, match="the registry cannot be read"):
        back_up(yard.settings, tmp_path / "backups", AT + timedelta(seconds=1))
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [place.name], "nothing half is left"


def test_nothing_to_back_up_is_bad_news_and_leaves_nothing(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "bot")
    said = command(yard, tmp_path / "backups")
    assert said.code == 1
    assert "has never run" in said.err
    assert list((tmp_path / "backups").iterdir()) == []
    assert not yard.state.exists()


def test_a_damaged_journal_makes_no_backup_that_passes_for_one(yard: Yard, tmp_path: Path) -> None:
    path = journal_path(yard.settings)
    overwrite(path, 4096, path.stat().st_size)
    said = command(yard, tmp_path / "backups")
    assert said.code == 1
    assert "watchdog.db" in said.err
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file")
    said = command(yard, tmp_path / "backups")
    assert said.code == 1
    assert "give --to a folder" in said.err
    assert command(Yard(tmp_path / "other"), tmp_path).code == 1


def test_wrong_usage_and_a_wrong_configuration_are_2(yard: Yard, tmp_path: Path) -> None:
    yard.path.write_text("bot: 7", encoding="utf-8")
    assert command(yard, tmp_path / "backups").code == 2
    with pytest.raises(SystemExit) as ended:
        backup.main(["--config", str(yard.path)])
    assert ended.value.code == 2


def test_secrets_that_only_the_service_has_are_not_needed(yard: Yard, tmp_path: Path) -> None:
    yard.configure(telegram={"token": "${A_TOKEN_THAT_IS_NOT_SET}", "chat_id": 1})
    assert command(yard, tmp_path / "backups").code == 0


def test_what_a_killed_backup_left_is_deleted_by_a_later_one(yard: Yard, tmp_path: Path) -> None:
    backups = tmp_path / "backups"
    for name, age_s in ((".sol-perp-20200101T000000Z.part", 7200), (".sol-perp-20200102T000000Z.part", 60)):
        (backups / name).mkdir(parents=True)
        at = datetime.now(UTC).timestamp() - age_s
        os.utime(backups / name, (at, at))
    place = back_up(yard.settings, backups, AT)
    assert {path.name for path in backups.iterdir()} == {place.name, ".sol-perp-20200102T000000Z.part"}
