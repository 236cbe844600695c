"""The end of a log, found without reading it, is the place that reading it to its end gives."""

from pathlib import Path

import pytest

from watchdog.follow import Follower, end_of


def read_to_the_end(path: Path) -> Follower:
    follower = Follower(path, max_line_bytes=1 << 22)
    while follower.read() or not follower.caught_up:
        pass
    return follower


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"one\n",
        b"one\ntwo\n",
        b"half a line",
        b"one\nhalf a line",
        b"one\n" + b"x" * 200_000,
        b"line\n" * 50_000,
        b"line\n" * 50_000 + b"half" * 50_000,
        b"\n",
    ],
)
def test_the_place_is_that_of_a_reader(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "bot.log"
    path.write_bytes(text)
    follower = read_to_the_end(path)
    assert end_of(path).offset == follower.place.offset
    assert end_of(path) == follower.place
    follower.close()


def test_what_is_written_afterwards_is_read_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    path.write_bytes(b"old\n" * 100_000 + b"half a ")
    place = end_of(path)
    with path.open("ab") as file:
        file.write(b"line\nnew\n")
    follower = Follower(path, place)
    assert follower.read() == [b"half a line", b"new"]
    follower.close()


def test_a_rotation_after_it_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    path.write_bytes(b"old\n" * 10)
    place = end_of(path)
    with path.open("ab") as file:
        file.write(b"before the rotation\n")
    path.rename(tmp_path / "bot.log.1")
    path.write_bytes(b"after it\n")
    follower = Follower(path, place)
    lines: list[bytes] = []
    while (more := follower.read()) or not follower.caught_up:
        lines += more
    assert lines == [b"before the rotation", b"after it"]
    follower.close()


def test_a_log_that_is_not_there_yet_begins_with_its_first_line(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    place = end_of(path)
    path.write_bytes(b"first\n")
    follower = Follower(path, place)
    assert follower.read() == [b"first"]
    follower.close()
