"""What people are told of their orders, and of what is left to do by hand."""

from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.house import settings_in
from watchdog.order_words import how_to_restart, observes


@pytest.mark.parametrize("daemon", [None, 4711])
def test_a_refusal_says_what_to_do_instead(tmp_path: Path, daemon: int | None) -> None:
    settings = settings_in(tmp_path, {"mode": "observe"})
    for what, by_hand in (("halt", "stop it yourself"), ("rollback", "rollback_model.py --execute")):
        said = observes(settings, what, daemon)
        assert said.startswith(f"refused: mode is observe in {tmp_path}/watchdog.yaml")
        assert by_hand in said
        assert "set mode: act there" in said
        assert ("kill -HUP 4711" in said) is (daemon is not None)


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
