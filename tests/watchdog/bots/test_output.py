import logging
import os
from pathlib import Path

import pytest

from watchdog.bots.output import BotOutput


def write(output: BotOutput, text: bytes) -> None:
    fd = output.open()
    os.write(fd, text)
    os.close(fd)


def test_output_is_appended_to_a_file_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "bot-output.log"
    write(BotOutput(path), b"one\n")
    write(BotOutput(path), b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_over_the_limit_is_put_aside_at_a_start(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    output = BotOutput(path, limit_bytes=10)
    write(output, b"0123456789")
    write(output, b"!")
    assert path.read_bytes() == b"0123456789!"  # exactly at the limit stays
    write(output, b"new")
    assert path.read_bytes() == b"new"
    assert (tmp_path / "out.log.1").read_bytes() == b"0123456789!"


def test_a_file_over_the_limit_is_emptied_under_a_bot_that_goes_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    output = BotOutput(path, limit_bytes=10)
    fd = output.open()
    os.write(fd, b"0123456789")
    output.trim()
    assert path.stat().st_size == 10
    os.write(fd, b"!\n")
    output.trim()
    os.write(fd, b"goes on\n")
    os.close(fd)
    assert path.read_bytes() == b"goes on\n"
    assert (tmp_path / "out.log.1").read_bytes() == b"0123456789!\n"
    assert (tmp_path / "out.log.1").stat().st_mode & 0o777 == 0o600
    assert output.tail(5) == ["goes on"]


def test_the_tail_is_of_the_last_start_only(tmp_path: Path) -> None:
    output = BotOutput(tmp_path / "out.log")
    write(output, b"old\n")
    write(output, b"one\r\ntwo\nthree")
    assert output.tail(40) == ["one", "two", "three"]
    assert output.tail(2) == ["two", "three"]
    assert output.tail(0) == []
    write(output, b"")
    assert output.tail(40) == []


def test_the_tail_survives_a_file_that_somebody_else_emptied(tmp_path: Path) -> None:
    output = BotOutput(tmp_path / "out.log")
    write(output, b"old\n" * 100)
    write(output, b"")
    (tmp_path / "out.log").write_bytes(b"new\n")
    assert output.tail(40) == ["new"]


def test_there_is_no_tail_without_a_file(tmp_path: Path) -> None:
    assert BotOutput(tmp_path / "out.log").tail(40) == []


def test_the_tail_is_readable_text_whatever_the_bot_wrote(tmp_path: Path) -> None:
    output = BotOutput(tmp_path / "out.log")
    write(output, b"\x1b[31mred\x1b[0m \xff\x00\tend\n" + b"x" * 5000 + b"\n")
    assert output.tail(40) == ["red �\tend", "x" * 1000]


def test_the_tail_of_a_large_file_begins_with_a_whole_line(tmp_path: Path) -> None:
    output = BotOutput(tmp_path / "out.log")
    write(output, b"".join(b"line %06d\n" % n for n in range(20_000)))
    tail = output.tail(100_000)
    assert tail[-1] == "line 019999"
    assert all(len(line) == 11 for line in tail)
    assert 5_000 < len(tail) < 6_000


def test_output_that_cannot_be_written_is_lost_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        write(BotOutput(tmp_path / "state" / "out.log"), b"lost\n")
    assert "the bot's output is lost" in caplog.text


def test_a_file_that_cannot_be_put_aside_is_emptied_all_the_same_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """On a full disk it may be what fills it."""
    (tmp_path / "out.log.1").mkdir()
    output = BotOutput(tmp_path / "out.log", limit_bytes=1)
    write(output, b"long")
    with caplog.at_level(logging.WARNING):
        output.trim()
    assert "the bot's output until now is not kept" in caplog.text
    assert (tmp_path / "out.log").read_bytes() == b""
    assert (tmp_path / "out.log.1").is_dir()
