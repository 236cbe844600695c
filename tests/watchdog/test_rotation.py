"""Every line once and in order, rotated the ways that logrotate and Python's handlers do it; real files."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower


@pytest.fixture
def log(tmp_path: Path) -> RotatingLog:
    return RotatingLog(tmp_path)


def test_old_rotated_files_are_left_alone_without_a_place(log: RotatingLog) -> None:
    log.append(3)
    log.rename()
    lines = log.append(2)
    follower = Follower(log.path)
    assert drain(follower) == lines


def test_rename_finishes_the_old_file_first(log: RotatingLog) -> None:
    follower = Follower(log.path)
    lines = log.append(2)
    got = drain(follower)
    lines += log.append(2)
    log.rename()
    lines += log.append(2)
    assert got + drain(follower) == lines


def test_two_renames_between_reads_lose_nothing(log: RotatingLog) -> None:
    follower = Follower(log.path)
    lines = log.append(2)
    got = drain(follower)
    for _ in range(3):
        lines += log.append(2)
        log.rename()
    lines += log.append(1)
    assert got + drain(follower) == lines


def test_half_a_line_that_was_put_aside_is_not_taken_for_a_copy_of_a_log_that_begins_alike(
    log: RotatingLog,
) -> None:
    """As a full disk leaves it behind: nothing but the beginning of a line, and then the log is rotated."""
    follower = Follower(log.path)
    log.write('{"type": "ex')
    log.rename()
    log.write('{"type": "exit"}\n')
    assert drain(follower) == ['{"type": "ex', '{"type": "exit"}']


def test_a_bot_that_keeps_its_log_open_is_followed_into_the_renamed_file(log: RotatingLog) -> None:
    follower = Follower(log.path)
    with log.path.open("a") as held:
        held.write("before\n")
        held.flush()
        assert drain(follower) == ["before"]
        log.rename(create=True)
        held.write("after\n")
        held.flush()
        assert drain(follower) == ["after"]
        restarted = Follower(log.path, follower.place)
        held.write("later\n")
        held.flush()
        assert drain(follower) == drain(restarted) == ["later"]
    log.write("reopened\n")
    assert drain(follower) == drain(restarted) == ["reopened"]


@pytest.mark.parametrize("more", [0, 1, 40])
def test_copytruncate_reads_the_rest_from_the_copy(log: RotatingLog, more: int) -> None:
    """With `more` = 40 the new text has grown beyond the old offset: size alone tells nothing."""
    follower = Follower(log.path)
    lines = log.append(10)
    got = drain(follower)
    lines += log.append(3)
    log.copytruncate()
    lines += log.append(more)
    assert got + drain(follower) == lines
    assert follower.lost_track == 0


def test_copytruncate_of_lines_that_were_never_seen(log: RotatingLog) -> None:
    """The log was empty at the last look: nothing in it could be recognised."""
    log.path.touch()
    follower = Follower(log.path)
    assert drain(follower) == []
    lines = log.append(3)
    log.copytruncate()
    lines += log.append(2)
    log.copytruncate()
    assert drain(follower) == lines
    assert drain(Follower(log.path, follower.place)) == []


def test_truncation_without_a_copy_goes_on_with_what_is_new(log: RotatingLog) -> None:
    log.append(4)
    log.rename()
    follower = Follower(log.path)
    log.append(10)
    drain(follower)
    os.truncate(log.path, 0)
    lines = log.append(2)
    assert drain(follower) == lines
    assert follower.lost_track == 1


def test_truncation_to_a_shorter_text_with_the_same_head(log: RotatingLog) -> None:
    head = "h" * 300 + "\n"
    log.write(head + "one\ntwo\nthree\n")
    follower = Follower(log.path)
    assert len(drain(follower)) == 4
    log.path.write_text(head + "four\nfive\nsix\nseven\n")
    assert drain(follower) == [head.strip(), "four", "five", "six", "seven"]


def test_a_file_that_vanishes_and_comes_back(log: RotatingLog) -> None:
    follower = Follower(log.path)
    log.append(2)
    drain(follower)
    log.path.unlink()
    assert drain(follower) == []
    assert follower.trouble is not None
    lines = log.append(2)
    assert drain(follower) == lines
    assert follower.trouble is None


def test_a_rotated_file_is_not_read_again_when_the_one_after_it_vanished(log: RotatingLog) -> None:
    follower = Follower(log.path)
    log.append(2)
    drain(follower)
    os.utime(log.rename(), (4_000_000_000, 4_000_000_000))  # its time is no help
    for _ in range(3):
        lines = log.append(2)
        assert drain(follower) == lines
        log.path.unlink()
        assert drain(follower) == []


@pytest.mark.parametrize("running", [True, False])
def test_a_file_moved_away_and_back_is_not_read_again(log: RotatingLog, running: bool) -> None:
    follower = Follower(log.path)
    log.append(2)
    drain(follower)
    place = follower.place
    (log.path.parent / "elsewhere").mkdir()
    aside = log.path.parent / "elsewhere" / "trades.jsonl"
    log.path.rename(aside)
    follower = follower if running else Follower(log.path, place)
    assert drain(follower) == []
    aside.rename(log.path)
    lines = log.append(1)
    assert drain(follower) == lines


@pytest.mark.parametrize("running", [True, False])
def test_a_log_saved_by_an_editor_is_not_read_again(log: RotatingLog, running: bool) -> None:
    """A new inode with the same text: a restored backup, `sed -i`, an editor."""
    follower = Follower(log.path)
    log.append(5)
    drain(follower)
    copy = log.path.with_name("tmp")
    shutil.copyfile(log.path, copy)
    copy.rename(log.path)
    lines = log.append(2)
    follower = follower if running else Follower(log.path, follower.place)
    assert drain(follower) == lines


def test_an_old_file_that_is_put_back_is_not_read(log: RotatingLog) -> None:
    """Nothing is known of what came before the log: then the time of its last write tells."""
    old = log.path.with_name("trades.jsonl.1")
    follower = Follower(log.path)
    log.append(5)
    drain(follower)
    old.write_text("restored from a backup\n")
    os.utime(old, (1_700_000_000, 1_700_000_000))
    log.path.write_text("")
    assert drain(follower) == []
    lines = log.append(1)
    assert drain(follower) == lines


def test_a_copy_that_is_not_truncated_yet_is_not_read_twice(log: RotatingLog) -> None:
    """Copytruncate seen between its two halves; a copy that somebody keeps looks the same for good."""
    log.path.touch()
    follower = Follower(log.path)
    assert drain(follower) == []
    lines = log.append(3)
    shutil.copyfile(log.path, log.path.with_name("trades.jsonl.1"))
    got = drain(follower)
    assert got == lines
    lines += log.append(1)
    os.truncate(log.path, 0)
    lost = lines.pop()  # written between copy and truncation, as happens with copytruncate
    lines += log.append(1)
    got += drain(follower)
    assert [line for line in got if line != lost] == lines


def test_a_copy_kept_beside_the_log_is_not_read_twice(log: RotatingLog) -> None:
    lines = log.append(3)
    shutil.copyfile(log.path, log.path.with_name("trades.jsonl.1"))
    lines += log.append(3)
    follower = Follower.from_start(log.path, datetime(2020, 1, 1, tzinfo=UTC))
    assert drain(follower) == lines
    assert drain(Follower(log.path, follower.place)) == []


@pytest.mark.parametrize("by_copy", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
def test_who_numbers_rotated_files_upwards_has_no_line_read_twice(
    log: RotatingLog, by_copy: bool, restarted: bool
) -> None:
    follower = Follower(log.path)
    wanted: list[str] = []
    got: list[str] = []
    for number in range(1, 6):
        wanted += log.append(3)
        got += drain(follower)
        wanted += log.append(2)
        rotated = log.path.with_name(f"{log.path.name}.{number}")
        if by_copy:
            shutil.copy(log.path, rotated)
            os.truncate(log.path, 0)
        else:
            log.path.rename(rotated)
        if restarted:
            place = follower.place
            follower.close()
            follower = Follower(log.path, place)
        wanted += log.append(1)
        got += drain(follower)
    assert got == wanted
    follower.close()
