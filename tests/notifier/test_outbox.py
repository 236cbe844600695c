"""Alerts are on disk, in order, once, and told together when there are many."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from notifier import Alert, NotifyError, Outbox, Pending

from .helpers import NIGHT, step

MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox(path)
    outbox.use_channels(["console", "telegram"])
    yield outbox
    outbox.close()


def take(outbox: Outbox, channel: str = "console", now: datetime = NIGHT) -> Pending:
    alert = outbox.next(channel, now)
    assert alert is not None
    return alert


def deliver(outbox: Outbox, channel: str = "console", now: datetime = NIGHT) -> list[str]:
    """Send all that waits for a channel; the texts, with their counts if above 1."""
    texts = []
    while alert := outbox.next(channel, now):
        outbox.sent(alert.id, channel, now)
        texts.append(alert.text if alert.count == 1 else f"{alert.text} x{alert.count}")
    return texts


def test_alerts_survive_the_process_that_put_them(path: Path, outbox: Outbox) -> None:
    outbox.put(step("one"), NIGHT)
    outbox.put(step("two", "critical"), NIGHT)
    again = Outbox(path)
    assert again.waiting() == 2
    assert deliver(again, "telegram") == ["one", "two"]
    again.close()


def test_every_commit_is_synced_to_the_disk(path: Path, outbox: Outbox) -> None:
    assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert outbox._db.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_each_channel_has_its_own_pace_and_its_own_order(outbox: Outbox) -> None:
    for text in ("one", "two", "three"):
        outbox.put(step(text), NIGHT)
    assert deliver(outbox, "console") == ["one", "two", "three"]
    assert outbox.waiting("console") == 0
    assert outbox.waiting("telegram") == outbox.waiting() == 3
    assert deliver(outbox, "telegram") == ["one", "two", "three"]
    assert outbox.waiting() == 0


def test_an_alert_is_offered_until_it_is_sent(outbox: Outbox) -> None:
    outbox.put(step("one"), NIGHT)
    outbox.put(step("two"), NIGHT)
    first = take(outbox)
    assert take(outbox) == first
    outbox.failed(first.id, "console", "no connection", NIGHT)
    assert take(outbox) == first
    outbox.sent(first.id, "console", NIGHT)
    assert take(outbox).text == "two"


def test_a_key_is_taken_once_and_never_again(path: Path, outbox: Outbox) -> None:
    assert outbox.put(step("stopping", key="7-stop_bot"), NIGHT)
    assert not outbox.put(step("stopping, again", key="7-stop_bot"), NIGHT)
    assert deliver(outbox) == ["stopping"]
    again = Outbox(path)
    assert not again.put(step("stopping, after a crash", key="7-stop_bot"), NIGHT)
    again.close()


def test_an_alert_without_key_is_taken_each_time(outbox: Outbox) -> None:
    assert outbox.put(step("one"), NIGHT)
    assert outbox.put(step("one"), NIGHT)
    assert deliver(outbox) == ["one", "one"]


def test_what_waits_takes_in_more_of_its_kind(outbox: Outbox) -> None:
    outbox.put(Alert("no_data", "nothing for 1 h"), NIGHT)
    outbox.put(step("another kind"), NIGHT)
    outbox.put(Alert("no_data", "nothing for 2 h", "warning"), NIGHT + 60 * MINUTE)
    outbox.put(Alert("no_data", "nothing for 3 h", "info"), NIGHT + 120 * MINUTE)
    alert = take(outbox)
    assert (alert.text, alert.count, alert.severity) == ("nothing for 3 h", 3, "warning")
    assert (alert.first_at, alert.last_at) == (NIGHT, NIGHT + 120 * MINUTE)
    assert outbox.waiting("console") == 2


def test_what_a_channel_was_handed_no_longer_changes(outbox: Outbox) -> None:
    outbox.put(Alert("no_data", "nothing for 1 h"), NIGHT)
    handed = take(outbox, "telegram")
    outbox.put(Alert("no_data", "nothing for 2 h"), NIGHT)
    outbox.put(Alert("no_data", "nothing for 3 h"), NIGHT)
    assert take(outbox, "telegram") == handed
    assert deliver(outbox) == ["nothing for 1 h", "nothing for 3 h x2"]


def test_steps_of_an_incident_are_never_merged(outbox: Outbox) -> None:
    outbox.put(step("stopping"), NIGHT)
    outbox.put(step("stopped"), NIGHT)
    assert deliver(outbox) == ["stopping", "stopped"]


def test_more_of_a_kind_told_a_short_while_ago_are_told_together_later(outbox: Outbox) -> None:
    outbox.put(Alert("bot_down", "down"), NIGHT)
    assert deliver(outbox) == ["down"]
    for minute in (5, 20, 59):
        outbox.put(Alert("bot_down", f"down at {minute}"), NIGHT + minute * MINUTE)
    assert (outbox.held(), outbox.waiting("console")) == (3, 0)
    assert outbox.next_due_s(NIGHT + 59 * MINUTE) == 60.0
    assert deliver(outbox, now=NIGHT + 59 * MINUTE) == []
    assert deliver(outbox, now=NIGHT + 60 * MINUTE) == ["down at 59 x3"]
    assert outbox.next_due_s(NIGHT + 60 * MINUTE) is None


def test_a_quiet_time_begins_anew_with_each_message(outbox: Outbox) -> None:
    told = []
    for minute in range(0, 300, 2):
        outbox.put(Alert("bot_down", "down"), NIGHT + minute * MINUTE)
        told += deliver(outbox, now=NIGHT + minute * MINUTE)
    assert told == ["down", "down x30", "down x30", "down x30", "down x30"]


def test_after_a_quiet_time_without_any_the_next_goes_out_at_once(outbox: Outbox) -> None:
    outbox.put(Alert("bot_down", "down"), NIGHT)
    deliver(outbox)
    outbox.put(Alert("bot_down", "down again"), NIGHT + 60 * MINUTE)
    assert deliver(outbox, now=NIGHT + 60 * MINUTE) == ["down again"]


def test_what_was_held_is_not_told_after_what_came_later(outbox: Outbox) -> None:
    outbox.put(Alert("bot_down", "down"), NIGHT)
    deliver(outbox)
    outbox.put(Alert("bot_down", "held"), NIGHT + MINUTE)
    outbox.put(Alert("bot_down", "newest"), NIGHT + 90 * MINUTE)  # nobody asked for alerts in between
    assert deliver(outbox, now=NIGHT + 90 * MINUTE) == ["newest x2"]


def test_something_worse_is_not_held_back(outbox: Outbox) -> None:
    outbox.put(Alert("disk", "90 % full", "warning"), NIGHT)
    deliver(outbox)
    outbox.put(Alert("disk", "91 % full", "warning"), NIGHT + MINUTE)
    assert deliver(outbox, now=NIGHT + MINUTE) == []
    outbox.put(Alert("disk", "full", "critical"), NIGHT + 2 * MINUTE)
    assert deliver(outbox, now=NIGHT + 2 * MINUTE) == ["full x2"]


def test_held_alerts_survive_a_restart(path: Path, outbox: Outbox) -> None:
    outbox.put(Alert("bot_down", "down"), NIGHT)
    deliver(outbox)
    outbox.put(Alert("bot_down", "down again"), NIGHT + MINUTE)
    outbox.close()
    again = Outbox(path)
    assert deliver(again, now=NIGHT + 60 * MINUTE) == ["down again"]
    again.close()


def test_a_clock_that_was_stepped_back_holds_nothing_for_a_day(outbox: Outbox) -> None:
    tomorrow = NIGHT + timedelta(days=1)
    outbox.put(Alert("bot_down", "down"), tomorrow)
    deliver(outbox, now=tomorrow)
    outbox.put(Alert("bot_down", "held tomorrow"), tomorrow + MINUTE)
    assert deliver(outbox, now=NIGHT) == ["held tomorrow"]
    outbox.put(Alert("disk", "told tomorrow"), tomorrow)
    deliver(outbox, now=tomorrow)
    outbox.put(Alert("disk", "full"), NIGHT)
    assert deliver(outbox, now=NIGHT) == ["full"]


def test_parts_that_were_sent_are_remembered_per_channel(path: Path, outbox: Outbox) -> None:
    outbox.put(step("long"), NIGHT)
    alert = take(outbox, "telegram")
    outbox.part_sent(alert.id, "telegram", 2)
    again = Outbox(path)
    assert take(again, "telegram").parts_sent == 2
    assert take(again, "console").parts_sent == 0
    again.close()


def test_what_can_never_be_delivered_is_skipped_and_kept_with_its_reason(outbox: Outbox) -> None:
    outbox.put(step("poison"), NIGHT)
    outbox.put(step("fine"), NIGHT)
    outbox.undeliverable(take(outbox).id, "console", "rejected (400)", NIGHT)
    assert deliver(outbox) == ["fine"]
    fine, poison = outbox.recent()
    assert fine.states == {"console": "sent", "telegram": "waiting"}
    assert poison.states == {"console": "undeliverable", "telegram": "waiting"}
    assert poison.errors == {"console": "rejected (400)"}


def test_recent_shows_the_newest_first(outbox: Outbox) -> None:
    for number in range(5):
        outbox.put(step(f"step {number}"), NIGHT + number * MINUTE)
    assert [told.text for told in outbox.recent(2)] == ["step 4", "step 3"]
    assert outbox.recent(1)[0].first_at == NIGHT + 4 * MINUTE


def test_the_age_of_the_oldest_is_that_of_the_slowest_channel(outbox: Outbox) -> None:
    assert outbox.oldest_s(NIGHT) is None
    outbox.put(step("one"), NIGHT)
    outbox.put(step("two"), NIGHT + MINUTE)
    deliver(outbox, "console")
    assert outbox.oldest_s(NIGHT + 2 * MINUTE) == 120.0
    outbox.sent(take(outbox, "telegram").id, "telegram", NIGHT)
    assert outbox.oldest_s(NIGHT + 2 * MINUTE) == 60.0


def test_an_alert_put_before_any_channel_was_named_goes_to_the_first_that_are(path: Path) -> None:
    outbox = Outbox(path)
    outbox.put(step("early"), NIGHT)
    assert outbox.waiting() == 1
    outbox.use_channels(["console"])
    assert deliver(outbox) == ["early"]
    assert outbox.waiting() == 0
    outbox.close()


def test_a_new_channel_is_not_told_old_stories(outbox: Outbox) -> None:
    outbox.put(step("old"), NIGHT)
    outbox.use_channels(["console", "telegram", "pager"])
    outbox.put(step("new"), NIGHT)
    assert deliver(outbox, "pager") == ["new"]


def test_a_channel_that_comes_back_gets_what_it_had_not_taken(outbox: Outbox) -> None:
    outbox.put(step("one"), NIGHT)
    outbox.use_channels(["console"])
    outbox.put(step("two"), NIGHT)
    deliver(outbox, "console")
    assert outbox.waiting() == 0
    outbox.use_channels(["console", "telegram"])
    outbox.put(step("three"), NIGHT)
    assert deliver(outbox, "telegram") == ["one", "three"]


def test_pruning_forgets_what_is_done_and_nothing_that_waits(outbox: Outbox) -> None:
    outbox.put(step("done", key="a"), NIGHT)
    deliver(outbox, "console")
    deliver(outbox, "telegram")
    outbox.put(step("waits for telegram"), NIGHT)
    deliver(outbox, "console")
    outbox.put(step("recent"), NIGHT + MINUTE)
    assert outbox.prune(NIGHT + timedelta(seconds=1)) == 2, "the alert and its key"
    assert outbox.prune(NIGHT + timedelta(seconds=1)) == 0
    assert [told.text for told in outbox.recent()] == ["recent", "waits for telegram"]
    assert outbox.put(step("the key is free again", key="a"), NIGHT)


def test_pruning_takes_so_many_at_a_time_and_the_oldest_first(outbox: Outbox) -> None:
    for number in range(5):
        outbox.put(step(f"alert {number}"), NIGHT)
    for channel in ("console", "telegram"):
        deliver(outbox, channel)
    assert outbox.prune(NIGHT + MINUTE, limit=3) == 3
    assert [told.text for told in outbox.recent()] == ["alert 4", "alert 3"]
    assert outbox.prune(NIGHT + MINUTE, limit=3) == 2
    assert outbox.prune(NIGHT + MINUTE, limit=3) == 0


def test_an_alert_that_only_some_channels_have_taken_is_never_pruned(outbox: Outbox) -> None:
    outbox.put(step("waits for telegram"), NIGHT)
    deliver(outbox, "console")
    assert outbox.prune(NIGHT + timedelta(days=3650)) == 0
    assert deliver(outbox, "telegram") == ["waits for telegram"]


def test_what_is_held_back_is_never_pruned(outbox: Outbox) -> None:
    for _ in range(2):
        outbox.put(Alert("kind", "text"), NIGHT)
        for channel in ("console", "telegram"):
            deliver(outbox, channel)
    assert outbox.held() == 1
    outbox.prune(NIGHT + timedelta(days=30))
    assert outbox.held() == 1


def test_numbers_are_not_used_again_after_pruning(outbox: Outbox) -> None:
    outbox.put(step("one"), NIGHT)
    number = take(outbox).id
    deliver(outbox, "console")
    deliver(outbox, "telegram")
    outbox.prune(NIGHT + MINUTE)
    outbox.put(step("two"), NIGHT)
    assert take(outbox).id > number


def test_texts_are_cleaned_and_redacted_before_they_reach_the_disk(path: Path) -> None:
    outbox = Outbox(path, redact=lambda text: text.replace("hunter2", "[redacted]"))
    outbox.use_channels(["console"])
    outbox.put(step("password hunter2\udc80"), NIGHT)
    assert deliver(outbox) == ["password [redacted]\ufffd"]
    outbox.close()
    assert b"hunter2" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_time_without_zone_is_refused(outbox: Outbox) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        outbox.put(step("one"), NIGHT.replace(tzinfo=None))


def test_an_alert_says_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="severity is 'loud'; it must be one of info, warning, critical"):
        Alert("kind", "text", "loud")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind is empty"):
        Alert("", "text")


def test_the_file_of_a_newer_program_is_refused_and_left_alone(path: Path, outbox: Outbox) -> None:
    outbox.put(step("one"), NIGHT)
    outbox._db.execute("UPDATE outbox_meta SET value = '2' WHERE key = 'schema'")
    with pytest.raises(
        NotifyError, match=r"watchdog\.db: .* newer .*schema 2, this one knows 1.*install that"
    ):
        Outbox(path)
    assert outbox.waiting() == 1


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"this is a text, and a rather long one" * 100)
    with pytest.raises(NotifyError, match=r"watchdog\.db: the outbox cannot be used: file is not a database"):
        Outbox(path)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotifyError, match=r"missing/watchdog\.db: the outbox cannot be used"):
        Outbox(tmp_path / "missing" / "watchdog.db")


def test_another_connection_uses_the_same_file(path: Path, outbox: Outbox) -> None:
    journal = sqlite3.connect(path, isolation_level=None, timeout=5)
    journal.execute("CREATE TABLE journal (line TEXT)")
    for number in range(20):
        journal.execute("INSERT INTO journal VALUES (?)", (f"line {number}",))
        outbox.put(step(f"alert {number}"), NIGHT)
    assert len(deliver(outbox)) == 20
    assert journal.execute("SELECT count(*) FROM journal").fetchone() == (20,)
    journal.close()


def test_a_locked_file_is_an_error_and_leaves_nothing_half_done(path: Path, outbox: Outbox) -> None:
    impatient = Outbox(path, busy_timeout_s=0.01)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(NotifyError, match="database is locked"):
        impatient.put(step("one", key="a"), NIGHT)
    other.execute("ROLLBACK")
    assert impatient.put(step("one", key="a"), NIGHT)
    other.close()
    impatient.close()


def test_after_a_wait_in_vain_for_a_lock_the_next_ones_are_short(path: Path) -> None:
    """A halt tells of each of its steps: it must not be held up by every one."""
    outbox = Outbox(path, busy_timeout_s=0.2)

    def waits_ms() -> int:
        return int(outbox._db.execute("PRAGMA busy_timeout").fetchone()[0])

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert waits_ms() == 200
        with pytest.raises(NotifyError, match="database is locked"):
            outbox.put(step("one"), NIGHT)
        assert waits_ms() == 20
        other.execute("ROLLBACK")
    assert outbox.put(step("two"), NIGHT)
    assert waits_ms() == 200
    outbox.close()


def test_a_failure_in_the_middle_of_a_put_undoes_the_key(outbox: Outbox) -> None:
    outbox._db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT raise(ABORT, 'no room'); END"
    )
    with pytest.raises(NotifyError, match="no room"):
        outbox.put(step("one", key="a"), NIGHT)
    outbox._db.execute("DROP TRIGGER full")
    assert outbox.put(step("one", key="a"), NIGHT)


def test_threads_and_connections_may_put_at_the_same_time(path: Path, outbox: Outbox) -> None:
    other = Outbox(path)

    def put(target: Outbox, name: str) -> None:
        for number in range(25):
            target.put(step(f"{name} {number}"), NIGHT)

    threads = [
        threading.Thread(target=put, args=(target, f"{name}"))
        for name, target in enumerate((outbox, outbox, other))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = deliver(outbox)
    assert len(texts) == 75
    for name in range(3):
        assert [text for text in texts if text.startswith(f"{name} ")] == [f"{name} {n}" for n in range(25)]
    other.close()
