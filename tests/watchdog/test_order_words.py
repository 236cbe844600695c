"""What people are told of their orders, and of what is left to do by hand."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.house import settings_in
from watchdog.bots.base import Running
from watchdog.order_words import how_to_restart, observes, put_back, two_bots, which_to_end


@pytest.mark.parametrize("daemon", [None, 4711])
def test_a_refusal_says_what_to_do_instead(tmp_path: Path, daemon: int | None) -> None:
    settings = settings_in(tmp_path, {"mode": "observe"})
    for what, by_hand in (("halt", "stop it yourself"), ("rollback", put_back(settings.path))):
        said = observes(settings, what, daemon)
        assert said.startswith(f"refused: mode is observe in {tmp_path}/watchdog.yaml")
        assert by_hand in said
        assert "set mode: act there" in said
        assert ("kill -HUP 4711" in said) is (daemon is not None)


@pytest.mark.parametrize(
    ("adopted", "which"),
    [
        ((False, True), "pid 2, which the watchdog did not start"),
        ((True, False), "pid 1, which the watchdog did not start"),
        ((True, True, True), "pid 2 and pid 3 (the watchdog looks after pid 1)"),
        ((False, False), "pid 2 (the watchdog looks after pid 1)"),
    ],
)
def test_of_several_bots_those_are_to_be_ended_that_the_watchdog_did_not_start(
    adopted: tuple[bool, ...], which: str
) -> None:
    running = [
        Running(pid, 1, foreign, "main.py", started_by="cron") for pid, foreign in enumerate(adopted, 1)
    ]
    assert which_to_end(running) == which
    assert f"end {which}; then" in two_bots(running)


def test_who_started_which_is_said() -> None:
    cron = Running(2, 1, True, "main.py", started_by="cron (pid 812)")
    said = two_bots([Running(1, 1, False, "main.py"), cron])
    assert "(pid 1 started by the watchdog, pid 2 started by cron (pid 812))" in said


def test_the_script_that_puts_a_version_back_is_told_with_full_paths(tmp_path: Path) -> None:
    python, script, *options = shlex.split(put_back(tmp_path / "watchdog.yaml"))
    assert python == sys.executable
    assert Path(script) == Path(__file__).parents[2] / "scripts" / "rollback_model.py"
    assert options == ["--execute", "--config", f"{tmp_path}/watchdog.yaml"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ": end it (`kill 7`), and the watchdog starts it again"),
        ({"mode": "observe"}, ""),
        (
            {"bot": {"control": "systemd", "process": None, "systemd": {"unit": "bot.service"}}},
            ": `systemctl restart bot.service`",
        ),
        (
            {
                "bot": {
                    "control": "systemd",
                    "process": None,
                    "systemd": {"unit": "bot.service", "scope": "user"},
                }
            },
            ": `systemctl --user restart bot.service`",
        ),
        (
            {
                "bot": {
                    "control": "compose",
                    "process": None,
                    "compose": {"file": "/srv/c.yml", "service": "bot"},
                }
            },
            ": `docker compose -f /srv/c.yml restart bot`",
        ),
    ],
)
def test_how_the_bot_is_restarted_depends_on_how_it_is_run(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert how_to_restart(settings_in(tmp_path, changes), 7) == words
