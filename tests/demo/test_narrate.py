"""`model-watchdog demo`: one real run of the quickest cause, in order; the other causes have tests of the daemon."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from demo.bot.make import DemoBot
from demo.causes import CAUSES
from registry import ModelRegistry
from tests.demo.running import until


def demo(tmp_path: Path, cause: str, **environ: str) -> subprocess.Popen[str]:
    """Its throw-away folder is made below `tmp_path`."""
    return subprocess.Popen(
        [sys.executable, "-m", "watchdog", "demo", "--cause", cause],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "80", "PYTHONUNBUFFERED": "1", **environ},
    )


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Neither daemon nor bot outlives the demo."""
    yield
    until(lambda: not living(tmp_path), "an end of everything that was started")


def living(top: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            inside = Path(process.cwd()).is_relative_to(top) or str(top) in command
        except (psutil.Error, OSError):
            continue
        if inside and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
            found.append(process)
    return found


@pytest.mark.usefixtures("nothing_left")
def test_a_damaged_model_is_caught_and_rolled_back_before_your_eyes(tmp_path: Path) -> None:
    process = demo(tmp_path, "load_error")
    said, _ = process.communicate(timeout=90)
    assert process.returncode == 0, said
    (top,) = tmp_path.glob("model-watchdog-demo-*")
    in_order = (
        f"a throw-away folder with a small trading bot: {top / 'bot'}",
        "v2.1.0 cannot be loaded",
        "the watchdog is started",
        "ALERT demo-bot: rolling back v2.1.0 to v2.0.0",
        "Why: the bot's log says: ERROR Error loading model",
        "demo-bot: Bot stopped with SIGTERM",
        "demo-bot: Registry switched from v2.1.0 to v2.0.0",
        "demo-bot: Bot restarted on v2.0.0",
        "incident 1 is closed",
        "\nincident 1: rolled back\n",
        "Look next:",
    )
    places = [said.find(part) for part in in_order]
    assert -1 not in places, said
    assert places == sorted(places)
    registry = ModelRegistry(top / "bot" / "models_saved").read()
    assert registry["current_version"] == "v2.0.0"
    assert registry["models"]["v2.1.0"]["status"] == "quarantined"
    shown = re.findall(r"^  [a-z' ]+?  +(/\S+)$", said, re.MULTILINE)
    assert len(shown) == 6
    assert [path for path in shown if not Path(path).is_file()] == [], (
        "a path to look at next is broken, or wrong"
    )
    incidents = re.search(r"model-watchdog (incidents --config \S+)", said)
    assert incidents
    command = [sys.executable, "-m", "watchdog", *incidents[1].split()]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "rolled back" in listed.stdout


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_has_seen_enough_leaves_nothing_running(tmp_path: Path, number: signal.Signals) -> None:
    """However often they say so."""
    process = demo(tmp_path, "sharpe")
    assert process.stdout is not None
    with process.stdout:
        said = ""
        for line in process.stdout:
            said += line
            if "the watchdog is started" in said:
                process.send_signal(number)
        assert process.wait(30) == 1, said
    assert "somebody started the bot by hand" in said
    assert said.endswith("interrupted: everything is put away\n")


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_makes_a_bot_with_a_sound_version_to_go_back_to(tmp_path: Path, cause: str) -> None:
    bot: DemoBot = CAUSES[cause].make(tmp_path / "bot")
    assert bot.registry.get_current_model()["version"] == "v2.1.0"  # type: ignore[index]
    assert bot.registry.target() == "v2.0.0"
    assert bot.registry.verify_checksum("v2.1.0"), (
        "what is damaged is damaged before it is registered, or later"
    )
    assert "v2.1.0" in CAUSES[cause].story
