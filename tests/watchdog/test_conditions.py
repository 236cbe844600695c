"""Troubles that last: told when they begin, now and then while they last, and when they are over."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.watchdog.fakes import START, Switch, Told
from watchdog.conditions import PATIENCE, REMIND, Conditions
from watchdog.journal import Journal
from watchdog.tell import Severity, Teller

TROUBLE: dict[str, tuple[str, Severity]] = {"artifact": ("a model file cannot be read; chmod it", "warning")}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "watchdog.db")
    yield journal
    journal.close()


@pytest.fixture
def told() -> Told:
    return Told(Switch())


@pytest.fixture
def conditions(journal: Journal, told: Told) -> Conditions:
    return Conditions(journal, Teller(told.put, "sol-perp"))


def test_a_trouble_is_told_once_when_it_begins(conditions: Conditions, told: Told) -> None:
    for seconds in range(0, 3600, 10):
        conditions.update(START + timedelta(seconds=seconds), TROUBLE)
    (alert,) = told.alerts
    assert (alert.kind, alert.severity) == ("condition-artifact", "warning")
    assert alert.text == "sol-perp: a model file cannot be read; chmod it"


def test_it_is_told_again_every_few_hours_while_it_lasts(conditions: Conditions, told: Told) -> None:
    for minutes in range(0, 13 * 60, 10):
        conditions.update(START + timedelta(minutes=minutes), TROUBLE)
    assert [text.split(": ", 1)[1] for text in told.texts] == [
        "a model file cannot be read; chmod it",
        "still so after 6 h: a model file cannot be read; chmod it",
        "still so after 12 h: a model file cannot be read; chmod it",
    ]
    assert timedelta(hours=6) == REMIND


def test_its_end_is_told_with_how_long_it_took(conditions: Conditions, told: Told) -> None:
    conditions.update(START, TROUBLE)
    conditions.update(START + timedelta(minutes=12), {})
    conditions.update(START + timedelta(minutes=13), {})
    assert told.texts[1:] == ["sol-perp: over after 12 min. It was: a model file cannot be read"]
    assert told.alerts[1].severity == "info"


@pytest.mark.parametrize("name", PATIENCE)
def test_a_bot_that_has_just_started_is_given_time_to_make_its_files(
    conditions: Conditions, told: Told, name: str
) -> None:
    trouble: dict[str, tuple[str, Severity]] = {name: ("it is not there", "warning")}
    conditions.update(START, trouble)
    conditions.update(START + timedelta(seconds=29), trouble)
    conditions.update(START + timedelta(seconds=29), {})
    assert told.alerts == []
    conditions.update(START + timedelta(seconds=40), trouble)
    conditions.update(START + timedelta(seconds=70), trouble)
    assert told.texts == ["sol-perp: it is not there"]


def test_each_trouble_is_told_by_itself(conditions: Conditions, told: Told) -> None:
    conditions.update(START, {**TROUBLE, "no-target": ("there is no target", "warning")})
    conditions.update(START + timedelta(minutes=1), TROUBLE)
    assert told.texts == [
        "sol-perp: a model file cannot be read; chmod it",
        "sol-perp: there is no target",
        "sol-perp: over after 1 min. It was: there is no target",
    ]


def test_a_restart_tells_nothing_twice_and_forgets_no_end(
    conditions: Conditions, journal: Journal, told: Told
) -> None:
    conditions.update(START, TROUBLE)
    journal.put("conditions", conditions.dump())
    again = Conditions(journal, Teller(told.put, "sol-perp"))
    again.update(START + timedelta(minutes=1), TROUBLE)
    assert len(told.alerts) == 1
    again.update(START + timedelta(minutes=2), {})
    assert told.texts[1:] == ["sol-perp: over after 2 min. It was: a model file cannot be read"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "there is no version to roll back to from v2.1.0: if a rule fires, the bot will be stopped and halted. "
            "Register and promote one",
            "there is no version to roll back to from v2.1.0",
        ),
        ("the bot is down. Start it", "the bot is down"),
        (
            "/srv/m/registry.json: the registry names no current version",
            "/srv/m/registry.json: the registry names no current version",
        ),
    ],
)
def test_what_is_over_asks_for_nothing(conditions: Conditions, told: Told, text: str, what: str) -> None:
    conditions.update(START, {"some": (text, "warning")})
    conditions.update(START + timedelta(minutes=1), {})
    assert told.texts[1:] == [f"sol-perp: over after 1 min. It was: {what}"]


def test_what_nobody_has_looked_for_since_a_restart_is_not_over(
    conditions: Conditions, journal: Journal, told: Told
) -> None:
    conditions.update(START, TROUBLE)
    journal.put("conditions", conditions.dump())
    again = Conditions(journal, Teller(told.put, "sol-perp"))
    again.update(START + timedelta(minutes=1), {}, {"artifact"})
    again.update(START + timedelta(minutes=2), TROUBLE)
    assert len(told.alerts) == 1
    again.update(START + timedelta(minutes=3), {})
    assert "over after 3 min" in told.texts[1]
