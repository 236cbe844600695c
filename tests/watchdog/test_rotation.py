"""Every line once and in order, rotated the ways that logrotate and Python's handlers do it; real files."""

import gzip
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower
from watchdog.place import Place


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


@pytest.mark.parametrize("running", [True, False])
def test_a_file_moved_away_and_back_is_not_read_again(log: RotatingLog, running: bool) -> None:
    follower = Follower(log.path)
    log.append(2)
    drain(follower)
    place = follower.place
    aside = log.path.with_name("kept-elsewhere")
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


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("copy", [False, True])
def test_a_restart_finds_its_place_in_rotated_files(
    tmp_path: Path, compress: bool, dated: bool, copy: bool
) -> None:
    log = RotatingLog(tmp_path, dated)
    follower = Follower(log.path)
    lines = log.append(20)
    got = drain(follower)
    place = Place.restore(follower.place.dump())
    follower.close()
    for second in range(3):
        lines += log.append(5)
        aside = log.copytruncate() if copy else log.rename()
        os.utime(aside, (1_800_000_000 + second, 1_800_000_000 + second))
        if compress:
            log.compress(aside)
    lines += log.append(5)
    assert got + drain(Follower(log.path, place)) == lines


def test_a_restart_finds_a_file_renamed_to_something_unusual(log: RotatingLog) -> None:
    follower = Follower(log.path)
    lines = log.append(5)
    got = drain(follower)
    lines += log.append(5)
    log.path.rename(log.path.with_name("yesterday.txt"))
    lines += log.append(1)
    assert got + drain(Follower(log.path, follower.place)) == lines


def test_a_reused_inode_is_told_by_its_content(log: RotatingLog) -> None:
    log.append(5)
    follower = Follower(log.path)
    drain(follower)
    place = follower.place
    follower.close()
    log.copytruncate().unlink()  # the same inode, other text, and nothing left of the old one
    lines = log.append(50)
    restarted = Follower(log.path, place)
    assert drain(restarted) == lines
    assert restarted.place.inode == place.inode
    assert restarted.lost_track == 1


def test_a_gzip_in_the_making_is_not_read_twice(log: RotatingLog) -> None:
    follower = Follower(log.path)
    lines = log.append(5)
    got = drain(follower)
    lines += log.append(5)
    aside = log.rename()
    aside.with_name(aside.name + ".gz").write_bytes(gzip.compress(aside.read_bytes())[:-9])
    lines += log.append(1)
    assert got + drain(Follower(log.path, follower.place)) == lines


def test_a_damaged_gzip_is_read_as_far_as_it_goes(log: RotatingLog) -> None:
    lines = log.append(2000)
    packed = log.compress(log.rename())
    packed.write_bytes(packed.read_bytes()[:-2000])
    lines_now = log.append(2)
    follower = Follower.from_start(log.path, datetime(2026, 1, 1, tzinfo=UTC))
    first = [line.decode() for line in follower.read()]
    assert "is damaged and was read as far as it goes" in (follower.trouble or "")
    got = first + drain(follower)
    assert got[-2:] == lines_now
    assert 0 < len(got) < 2002
    assert got[: len(got) - 3] == lines[: len(got) - 3]  # the last line of the damaged file may be cut
    assert drain(follower) == []


def test_from_start_reads_rotated_files_written_since_then(log: RotatingLog) -> None:
    parts = []
    for day in (1, 2, 3):
        parts.append(log.append(3))
        aside = log.rename()
        stamp = datetime(2026, 3, day, tzinfo=UTC).timestamp()
        os.utime(aside, (stamp, stamp))
        if day < 3:
            os.utime(log.compress(aside), (stamp, stamp))
    parts.append(log.append(3))
    wanted = [line for part in parts[1:] for line in part]
    follower = Follower.from_start(log.path, datetime(2026, 3, 2, tzinfo=UTC))
    assert drain(follower) == wanted
    assert drain(Follower(log.path, follower.place)) == []


def test_numbered_files_keep_their_order_when_the_clock_was_stepped_back(log: RotatingLog) -> None:
    lines = log.append(2)
    log.rename()
    lines += log.append(2)
    os.utime(log.rename(), (1_700_000_000, 1_700_000_000))
    lines += log.append(2)
    assert drain(Follower.from_start(log.path, datetime(2020, 1, 1, tzinfo=UTC))) == lines


def test_files_with_similar_names_are_not_taken_for_rotated_ones(log: RotatingLog) -> None:
    for other in (
        "trades.jsonl.bak",
        "trades.jsonl.lock",
        "trades.jsonl~",
        "trades-2.jsonl",
        "trades.jsonl.1.swp",
    ):
        log.path.with_name(other).write_text("not ours\n")
    lines = log.append(2)
    assert drain(Follower.from_start(log.path, datetime(2020, 1, 1, tzinfo=UTC))) == lines


def test_a_symbolic_link_is_followed_and_rotation_found_beside_its_target(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    log = RotatingLog(tmp_path / "volume")
    link = tmp_path / "trades.jsonl"
    link.symlink_to(log.path)
    follower = Follower(link)
    lines = log.append(2)
    got = drain(follower)
    lines += log.append(2)
    log.rename()
    lines += log.append(2)
    assert got + drain(Follower(link, follower.place)) == lines


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
