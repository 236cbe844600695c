"""A place is found again after restarts, wherever rotation carried it; real files."""

import gzip
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower
from watchdog.place import HEAD_BYTES, TAIL_BYTES, Place, Position


@pytest.fixture
def log(tmp_path: Path) -> RotatingLog:
    return RotatingLog(tmp_path)


@pytest.mark.parametrize(
    "state", [None, 5, [], {"offset": "x"}, {"offset": -1}, {"unknown": 1}, {"before": {}}]
)
def test_a_place_that_does_not_fit_is_refused(state: object) -> None:
    with pytest.raises(ValueError, match="not a place in a log"):
        Place.restore(state)


def test_a_place_is_json_and_comes_back_as_it_was(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path)
    log.append(1)
    log.rename()
    log.append(1)
    follower = Follower(log.path)
    drain(follower)
    place = follower.place
    assert place.before
    assert Place.restore(json.loads(json.dumps(place.dump()))) == place


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_a_position_knows_its_surroundings_however_it_was_reached(pieces: list[bytes]) -> None:
    position = Position()
    for piece in pieces:
        position = position.after(piece)
    text = b"".join(pieces)
    assert position == Position(len(text), text[:HEAD_BYTES], text[-TAIL_BYTES:])


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
    lines += log.append(2000)
    aside = log.rename()
    packed = gzip.compress(aside.read_bytes())
    aside.with_name(aside.name + ".gz").write_bytes(packed[: len(packed) // 2])
    lines += log.append(1)
    assert got + drain(Follower(log.path, follower.place)) == lines
    assert drain(Follower.from_start(log.path, datetime(2020, 1, 1, tzinfo=UTC))) == lines


@pytest.mark.parametrize("content", [gzip.compress(b"", mtime=0), b"no gzip at all", b"\x1f\x8b"])
def test_a_gzip_with_nothing_in_it_stops_nothing(log: RotatingLog, content: bytes) -> None:
    log.path.touch()
    follower = Follower(log.path)
    log.path.with_name("trades.jsonl.1.gz").write_bytes(content)
    assert drain(follower) == []
    lines = log.append(2)
    assert drain(follower) == lines


@pytest.mark.parametrize("times", [1, 3])
def test_files_that_all_begin_alike_are_told_apart(log: RotatingLog, times: int) -> None:
    """A banner at the head of each file, longer than what files are recognised by."""
    banner = "=" * 300
    log.write(banner + "\n")
    follower = Follower(log.path)
    lines = [banner, *log.append(2)]
    got = drain(follower)
    for _ in range(times):
        lines += log.append(2)
        log.rename()
        log.write(banner + "\n")
        lines += [banner, *log.append(2)]
    assert got + drain(Follower(log.path, follower.place)) == lines
    assert got + drain(follower) == lines


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


def test_a_link_to_the_log_of_the_day_reads_each_day_once(log: RotatingLog) -> None:
    today = log.path.with_name("trades.jsonl-20260301")
    today.touch()
    log.path.symlink_to(today)
    follower = Follower(log.path)
    assert drain(follower) == []
    lines = log.append(2)
    got = drain(follower)
    lines += log.append(1)
    log.path.unlink()
    log.path.symlink_to(today.with_name("trades.jsonl-20260302"))
    lines += log.append(2)
    assert got + drain(Follower(log.path, follower.place)) == lines
    assert got + drain(follower) == lines
