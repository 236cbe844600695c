"""What holds for every command: usage, exit codes, pipes, narrow terminals, colours, closed and full outputs."""

import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.watchdog.yard import AT, Yard
from watchdog.cli import app

COMMANDS = [
    "run",
    "check",
    "status",
    "rollback",
    "halt",
    "resume",
    "pause",
    "positions",
    "incidents",
    "init",
    "demo",
]
LATER = ["replay", "calibrate", "drill", "dashboard"]


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """In a folder whose name is longer than any column."""
    return Yard(tmp_path / "a-folder-with-a-name-that-is-longer-than-any-column-of-a-table" / "bot")


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


# -- help and wrong usage


def test_help_lists_what_works_and_nothing_else() -> None:
    found = typed("--help")
    assert found.exit_code == 0
    listed = re.findall(r"^  ([a-z]+) ", found.output.partition("Commands:")[2], re.MULTILINE)
    assert listed == COMMANDS
    assert "..." not in found.output.partition("Commands:")[2], "a line was cut short"
    assert "0 good, 1 bad news, 2 wrong usage" in found.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    found = typed(command, "--help")
    assert found.exit_code == 0
    assert f"{command} [OPTIONS]" in found.output
    assert ("--config FILE" in found.output) is (command not in {"init", "demo"})


@pytest.mark.parametrize(
    "arguments",
    [
        *([command] for command in LATER),
        ["rolback"],
        ["status", "--jsn"],
        ["status", "surplus"],
        ["rollback", "--to"],
        ["incidents", "seven"],
        ["demo", "--cause", "weather"],
        ["check", "--config"],
        [],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert typed(*arguments).exit_code == 2


def test_the_version_is_that_of_the_distribution() -> None:
    assert typed("--version").output == f"model-watchdog {version('model-watchdog')}\n"


# -- configuration


@pytest.mark.parametrize(
    "command", ["run", "check", "status", "rollback", "halt", "resume", "pause", "incidents"]
)
def test_a_wrong_configuration_is_2_and_every_mistake_is_named(yard: Yard, command: str) -> None:
    yard.path.write_text("bot: {name: 7}\nno_such_key: 1\n")
    said = yard.cli(command)
    assert (said.code, said.out) == (2, "")
    assert f"{yard.path}:1:13: bot.name" in said.err
    assert f"{yard.path}:2:1: no_such_key" in said.err


@pytest.mark.parametrize("named", [None, "flags", "/nowhere/at/all"])
def test_a_wrong_configuration_tells_how_to_stop_the_bot_where_that_is_known(
    yard: Yard, named: str | None
) -> None:
    text = "no_such_key: 1\n" + ("" if named is None else f"control_dir: {named}\n")
    yard.path.write_text(text)
    assert "HALT" not in yard.cli("status").err, "no watchdog has made a control folder"
    control = yard.top / (named or "control")
    if named != "/nowhere/at/all":
        control.mkdir()
        assert f"to stop the bot now: touch {control}/HALT" in yard.cli("status").err
    yard.path.write_text(text + "nonsense: [")
    assert "HALT" not in yard.cli("status").err, "which folder it is cannot be told"


def test_without_a_configuration_both_places_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = typed("status")
    assert found.exit_code == 2
    assert "neither watchdog.yaml nor /etc/model-watchdog/watchdog.yaml" in found.stderr
    assert "HALT" not in found.stderr


def test_the_configuration_beside_one_is_found(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(yard.top)
    assert typed("check").exit_code == 0


# -- outputs that end early

BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
"""What was not written by the end is written by the interpreter's own last flush."""


@pytest.mark.parametrize("command", [("status", "--json"), ("check",), ("incidents", "--json"), ("status",)])
def test_a_reader_that_goes_away_is_no_error_worth_a_word(yard: Yard, command: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        yard.command(*command), stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30, env=BUFFERED
    )
    os.close(writing)
    assert (done.returncode in (0, 1), done.stderr) == (True, "")


def test_a_full_disk_is_said(yard: Yard) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            yard.command("status", "--json"), stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED
        )
    assert done.returncode == 1
    assert done.stderr == "output: No space left on device\n"


def test_a_closed_output_does_no_harm(yard: Yard) -> None:
    command = subprocess.list2cmdline(yard.command("status"))
    done = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")


# -- what it looks like


def on_a_terminal(arguments: list[str], columns: int, **environ: str) -> str:
    """What a terminal of that width shows, colours included."""
    leader, follower = pty.openpty()
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "CI")}
    process = subprocess.Popen(
        arguments, stdin=follower, stdout=follower, stderr=follower, env=kept | {"TERM": "xterm"} | environ
    )
    os.close(follower)
    shown, until_s = b"", time.monotonic() + 30
    while time.monotonic() < until_s:
        if not select.select([leader], [], [], 0.1)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(leader)
    process.wait(10)
    return shown.decode().replace("\r\n", "\n")


def plain(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


@pytest.fixture
def eventful(yard: Yard) -> Yard:
    """With an incident, a halt, and long reasons that hold paths."""
    reason = f"{yard.model('v2.1.0')} (main of v2.1.0) differs from the registry's SHA-256 " * 2
    rule = {"name": "checksum", "state": "firing", "value": 1.0, "limit": 0.0, "reason": reason}
    yard.tick(triggers=[rule])
    with yard.journal() as journal:
        journal.open_incident(
            "halt", "hold_down", reason, "rule checksum", automatic=True, at=AT, from_version="v2.1.0"
        )
        journal.put("halted", {"since": AT.isoformat(), "why": reason, "by": "ops", "incident": 1})
    return yard


@pytest.mark.parametrize("command", ["check", "status", "incidents"])
@pytest.mark.parametrize("columns", [80, 40])
def test_no_path_is_broken_on_a_narrow_terminal(eventful: Yard, command: str, columns: int) -> None:
    shown = plain(on_a_terminal(eventful.command(command), columns))
    path = str(eventful.model("v2.1.0") if command != "check" else eventful.path)
    assert path in shown, "the path is broken, or cut"
    assert "…" not in shown
    if columns == 80:
        too_long = [line for line in shown.splitlines() if len(line) > columns]
        assert [line for line in too_long if str(eventful.top) not in line] == [], "words are not wrapped"


@pytest.mark.parametrize("command", ["check", "status", "incidents"])
def test_in_a_pipe_nothing_is_wrapped_or_coloured(eventful: Yard, command: str) -> None:
    said = eventful.process(command, COLUMNS="40", TERM="xterm-256color")
    assert "\x1b" not in said.out
    assert any(len(line) > 100 for line in said.out.splitlines())
    assert all(line == line.rstrip() for line in said.out.splitlines())
    assert str(eventful.model("v2.1.0") if command != "check" else eventful.path) in said.out


def test_colours_are_for_terminals_and_can_be_refused(eventful: Yard) -> None:
    colour = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|9\d)m")
    assert colour.search(on_a_terminal(eventful.command("status"), 80))
    assert not colour.search(on_a_terminal(eventful.command("status"), 80, NO_COLOR="1"))


def test_what_looks_like_markup_or_an_emoji_is_shown_as_it_is(yard: Yard) -> None:
    yard.tick(sentence="[bold]x[/bold] :warning: \\")
    with yard.daemon():
        assert yard.cli("status").out.splitlines()[0] == "[bold]x[/bold] :warning: \\"


def test_a_command_is_no_slower_than_it_need_be() -> None:
    """Libraries that only the daemon needs are not loaded to say the version."""
    code = "import sys, watchdog.cli; print([m for m in ('telegram', 'apscheduler', 'sqlite3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
