"""Whoever can put words somewhere (a log line, a flag's reason, a process's name) does no more with them than be read.

The way of evil words through the real commands to every place that people look at: the terminal, the log, Telegram, the
journal's commands, the reports, the registry's history.
"""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from notifier.text import clean
from tests.fakes.telegram import TOKEN, TelegramServer
from tests.harmless import is_harmless
from tests.watchdog.yard import Yard
from watchdog import logs
from watchdog.screen import say, table

EVIL = (
    "too many losses\x1b[2J\x1b]0;owned\x07\x9b31m\u202egniht\u2028 <b>x</b>&amp; [click](http://evil) ![](http://evil/p)"
    "\n2026-03-01 10:00:00 INFO watching v9.9.9: all is well\r\n**Status:** Resolved\n| a | b |\x00`code` #12"
)
"""Screen, title, colour, direction, line ends, markup of three kinds, and lines that look like ours."""


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    yard = Yard(tmp_path / "bot")
    yield yard
    yard.end_bots()


def test_a_reason_is_words_wherever_it_is_shown(yard: Yard) -> None:
    with TelegramServer() as telegram:
        yard.configure(
            telegram={"token": TOKEN, "chat_id": 4711, "base_url": telegram.base_url},
            rollback={"monitor_for": "0.2s"},
        )
        with yard.bot():
            done = yard.process("rollback", "--reason", EVIL.replace("\0", ""), SUDO_USER="mallory\x1b[2J")
        shown = {"rollback": done.out + done.err}
        assert done.code == 0, shown
        for command in (["incidents"], ["incidents", "1"], ["status"], ["check"]):
            said = yard.cli(*command)
            shown[" ".join(command)] = said.out + said.err
        (report,) = yard.state.glob("incidents/*/report.md")
        shown["report"] = report.read_text(encoding="utf-8")
        shown["registry"] = yard.registry.read()["history"][-1]["reason"]
        shown["telegram"] = "\n".join(telegram.texts)
    for where, text in shown.items():
        assert is_harmless(text, "\n\t"), where
        lines = [
            line
            for line in text.splitlines()
            if re.match(r"\W*(2026-03-01 10:00:00 INFO|\*\*Status:\*\* Resolved)", line)
        ]
        assert lines == (["**Status:** Resolved"] if where in {"report", "incidents 1"} else []), where
    assert "](http" not in shown["report"]
    assert "<b>" not in shown["report"]
    assert "too many losses" in shown["telegram"]
    assert "<b>x</b>" in shown["telegram"], "it is shown as text, not taken as markup"
    assert json.loads(yard.cli("incidents", "--json").out)[0]["reason"].startswith("too many losses")


@pytest.mark.parametrize("tty", [True, False])
def test_a_screen_is_written_to_and_not_commanded(tty: bool) -> None:
    out = Console(file=io.StringIO(), force_terminal=tty, width=60, color_system=None)
    say(out, EVIL)
    table(out, [([(EVIL, ""), ("x", "red")], EVIL)])
    assert isinstance(out.file, io.StringIO)
    assert is_harmless(out.file.getvalue(), "\n\t")


@pytest.mark.parametrize("journald", [True, False])
def test_no_line_of_the_log_is_anybodys_but_ours(journald: bool) -> None:
    record = logging.LogRecord("watchdog", logging.WARNING, "x.py", 1, "%s", (EVIL,), None)
    formatter = (
        logs._Priorities("%(message)s")
        if journald
        else logs._Hanging("%(asctime)s %(levelname)s %(message)s")
    )
    first, *rest = formatter.format(record).split("\n")
    assert is_harmless(formatter.format(record), "\n\t")
    assert first.startswith("<4>" if journald else "20")
    assert rest
    assert all(line.startswith("<4>" if journald else "    ") for line in rest)


def test_an_alert_reads_as_it_is() -> None:
    assert is_harmless(clean(EVIL), "\n\t")
    assert clean("v2.0.0\u202e1.0.1v") == "v2.0.0\ufffd1.0.1v"
    assert clean("naïve 😀 👩\u200d🚀 مرحبا") == "naïve 😀 👩\u200d🚀 مرحبا"
