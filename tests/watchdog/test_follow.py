"""What is read, bounded, skipped and told; real files."""

import os
import tracemalloc
from pathlib import Path

import pytest

from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower


@pytest.fixture
def log(tmp_path: Path) -> RotatingLog:
    return RotatingLog(tmp_path)


def test_reads_each_line_once(log: RotatingLog) -> None:
    first = log.append(3)
    follower = Follower(log.path)
    assert drain(follower) == first
    assert drain(follower) == []
    assert drain(follower) == [] != log.append(2)
    assert len(drain(follower)) == 2


def test_half_a_last_line_waits_for_its_end(log: RotatingLog) -> None:
    follower = Follower(log.path)
    log.write("whole\nhal")
    assert drain(follower) == ["whole"]
    assert follower.place.offset == len("whole\n")
    log.write("f\n")
    assert drain(follower) == ["half"]


def test_a_log_that_is_not_there_yet_is_told_and_then_read(log: RotatingLog) -> None:
    follower = Follower(log.path)
    assert drain(follower) == []
    assert follower.trouble == f"{log.path} is not there"
    lines = log.append(2)
    assert drain(follower) == lines
    assert follower.trouble is None


def test_a_folder_that_is_not_there_yet_is_told_and_then_read(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "logs")
    follower = Follower(log.path)
    assert drain(follower) == []
    assert "is not there" in (follower.trouble or "")
    log.path.parent.mkdir()
    assert drain(follower) == [] != (lines := log.append(2))
    assert drain(follower) == lines


def test_a_file_that_is_cut_off_inside_a_line_that_is_too_long_is_read_anew(log: RotatingLog) -> None:
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=1000)
    log.write("y" * 5000)
    assert drain(follower) == []
    os.truncate(log.path, 10)
    lines = log.append(2)
    assert drain(follower) == ["y" * 10 + lines[0], lines[1]]


def test_a_line_that_is_too_long_is_skipped_and_counted(log: RotatingLog) -> None:
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=1000)
    log.write("one\n" + "y" * 1001 + "\n" + "z" * 1000 + "\n")
    assert drain(follower) == ["one", "z" * 1000]
    assert follower.too_long == 1
    log.write("y" * 5000)
    assert drain(follower) == []
    assert follower.place.offset == 4 + 1002 + 1001
    log.write("y" * 5000)
    assert drain(follower) == []
    restarted = Follower(log.path, follower.place, max_line_bytes=1000, batch_bytes=1000)
    log.write("\nlast\n")
    assert drain(follower) == drain(restarted) == ["last"]
    assert follower.too_long == 2
    assert follower.place == restarted.place


def test_a_too_long_line_at_the_end_of_a_rotated_file(log: RotatingLog) -> None:
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=1000)
    log.write("one\n" + "y" * 5000)
    assert drain(follower) == ["one"]
    log.rename()
    log.write("two\n")
    assert drain(follower) == ["two"]
    assert follower.too_long == 1


@pytest.mark.parametrize("batch_bytes", [1000, 4000, 1 << 20])
def test_holes_of_nul_bytes_hide_no_line(log: RotatingLog, batch_bytes: int) -> None:
    """A writer without O_APPEND goes on at its old offset after copytruncate."""
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=batch_bytes)
    log.write("one\n")
    with log.path.open("r+b") as file:
        file.seek(10_000)
        file.write(b"two\n\0\0three\n")
    assert drain(follower) == ["one", "two", "three"]
    assert follower.too_long == 0
    log.write("\0" * 50)
    assert drain(follower) == []
    log.write("four\n")
    assert drain(follower) == ["four"]


def test_nul_bytes_at_the_end_may_become_text(log: RotatingLog) -> None:
    """Over a network the length of a file can be there before its text."""
    follower = Follower(log.path)
    log.write("one\n\0\0\0\0")
    assert drain(follower) == ["one"]
    assert drain(follower) == []
    log.path.write_text("one\ntwo\n")
    assert drain(follower) == ["two"]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_not_a_file_neither_hangs_nor_floods(log: RotatingLog, kind: str) -> None:
    follower = Follower(log.path)
    lines = log.append(2)
    assert drain(follower) == lines
    log.path.unlink()
    if kind == "pipe":
        os.mkfifo(log.path)
    elif kind == "folder":
        log.path.mkdir()
    else:
        log.path.symlink_to("/dev/zero")
    for reader in (follower, Follower(log.path), Follower(log.path, follower.place)):
        assert drain(reader) == []
        assert "not a file" in (reader.trouble or "")
    log.path.rmdir() if kind == "folder" else log.path.unlink()
    lines = log.append(2)
    assert drain(follower) == lines


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights to be refused")
def test_permission_denied_is_told_with_who_was_refused(log: RotatingLog) -> None:
    lines = log.append(2)
    log.path.chmod(0)
    log.path.parent.chmod(0o755)
    follower = Follower(log.path)
    # Root reads everything: as an ordinary user for the length of one read, in this thread's process.
    for parent in log.path.parents:
        if parent != Path("/") and parent.stat().st_uid == os.geteuid() and len(parent.parts) > 2:
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        assert drain(follower) == []
        trouble = follower.trouble
    finally:
        os.seteuid(0)
    assert trouble == f"{log.path} may not be read by this user (uid 65534): permission denied"
    log.path.chmod(0o600)
    assert drain(follower) == lines


def test_a_batch_is_bounded_and_the_place_goes_along(log: RotatingLog) -> None:
    lines = log.append(500)
    follower = Follower(log.path, max_line_bytes=200, batch_bytes=1000)
    got: list[str] = []
    while not follower.caught_up:
        batch = follower.read()
        assert sum(len(line) + 1 for line in batch) <= 1000
        got += [line.decode() for line in batch]
        # A restart after any batch goes on right behind it.
        follower = (
            Follower(log.path, follower.place, max_line_bytes=200, batch_bytes=1000) if batch else follower
        )
    assert got == lines


def test_memory_stays_flat_for_a_big_log_with_a_big_line(log: RotatingLog) -> None:
    with log.path.open("w") as file:
        for _ in range(40):
            file.write(("x" * 99 + "\n") * 10_000)
        for _ in range(30):
            file.write("y" * 1_000_000)
        file.write("\nlast\n")
    follower = Follower(log.path)
    tracemalloc.start()
    try:
        count = 0
        while not follower.caught_up:
            count += len(follower.read())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 400_001
    assert follower.too_long == 1
    assert peak < 40 << 20  # the log has 70 MB
