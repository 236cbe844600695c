"""The watchdog's own log lines: for a terminal, for the journal, for a file; never with a secret."""

import io
import logging
import os
import pty
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from watchdog import logs


def say() -> None:
    """What a daemon says, in all its ways."""
    logs.set_up(["hunter2"])
    logs.say_alert("sol-perp: rolling back\nWhy: the key is hunter2", "critical")
    logging.getLogger("watchdog.watch").info("watching v2.1.0 [with brackets]")
    logging.getLogger("watchdog.watch").debug("not shown")
    logging.getLogger("httpx").info("HTTP Request: POST /bothunter2/sendMessage")
    logging.getLogger("apscheduler.executors").warning("a tick was late")
    try:
        raise ValueError("hunter2")
    except ValueError:
        logging.getLogger("watchdog").exception("failed")


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger and those of the libraries, put back as they were."""
    logger = logging.getLogger()
    handlers, level = list(logger.handlers), logger.level
    named = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "apscheduler", "telegram")}
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(level)
    for name, before in named.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture
def on(root: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Says it all on the stream with this descriptor, which is closed then."""

    def say_on(descriptor: int) -> None:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            monkeypatch.setattr(sys, "stderr", stream)
            say()

    return say_on


def read(descriptor: int) -> str:
    """All that is to be read, until the other end is closed."""
    text = b""
    with os.fdopen(descriptor, "rb", buffering=0) as stream, suppress(OSError):  # a terminal hangs up
        while more := stream.read(65536):
            text += more
    return text.decode()


def test_in_a_file_every_line_has_time_and_level_and_no_secret(on: Callable[[int], None]) -> None:
    reading, writing = os.pipe()
    on(writing)
    lines = read(reading).splitlines()
    assert lines[0].endswith("CRITICAL sol-perp: rolling back")
    assert lines[0].startswith("20")
    assert "hunter2" not in "\n".join(lines)
    assert any(line.endswith("INFO watching v2.1.0 [with brackets]") for line in lines)
    assert any("Traceback" in line for line in lines)
    for quiet in ("not shown", "HTTP Request", "a tick was late"):
        assert not any(quiet in line for line in lines)


def test_under_systemd_every_line_has_its_priority_and_no_time(
    on: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    on(writing)
    lines = read(reading).splitlines()
    assert lines[0] == "<2>sol-perp: rolling back"
    assert lines[1].startswith("<2>Why: the key is ")
    assert "<6>watching v2.1.0 [with brackets]" in lines
    assert "<3>failed" in lines
    assert all(line.startswith("<") for line in lines)  # of a traceback, too
    assert "hunter2" not in "\n".join(lines)


def test_another_stream_than_the_journals_gets_no_priorities(
    on: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is inherited by children; what counts is whether stderr is that stream."""
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    reading, writing = os.pipe()
    on(writing)
    assert not any(line.startswith("<") for line in read(reading).splitlines())


def test_on_a_terminal_words_are_coloured_by_level_and_brackets_stay(
    on: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    reading, writing = pty.openpty()
    shown: list[str] = []
    reader = threading.Thread(target=lambda: shown.append(read(reading)))
    reader.start()
    on(writing)
    reader.join(30)
    assert "\x1b[1;31m" in shown[0]
    assert "watching v2.1.0 [with brackets]" in shown[0]
    assert "hunter2" not in shown[0]


def test_without_a_stderr_there_is_no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not logs.under_systemd()


def test_setting_up_again_leaves_one_handler_with_the_new_secrets(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(["first-secret"])
    logs.set_up(["second-secret"])
    assert len(root.handlers) == 1
    logging.getLogger("watchdog").warning("the key is second-secret")
    assert "second-secret" not in capsys.readouterr().err


def test_the_level_can_be_chosen(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up([], logging.WARNING)
    logging.getLogger("watchdog").info("not shown")
    logging.getLogger("watchdog").warning("shown")
    assert capsys.readouterr().err.splitlines()[0].endswith("WARNING shown")


@pytest.mark.parametrize(
    ("severity", "level"),
    [("info", logging.INFO), ("warning", logging.WARNING), ("critical", logging.CRITICAL)],
)
def test_alerts_are_log_lines_of_their_severity(
    severity: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        logs.say_alert("100 % of %s", severity)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (level, "100 % of %s")
