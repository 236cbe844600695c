"""Alerts in the bot's name; those of a step once, however often the step runs."""

import pytest

from tests.watchdog.fakes import START, Switch, Told
from watchdog.incident import Incident
from watchdog.tell import Teller


@pytest.fixture
def told() -> Told:
    return Told(Switch())


@pytest.fixture
def teller(told: Told) -> Teller:
    return Teller(told.put, "sol-perp")


def incident(number: int = 7, attempt: int = 1) -> Incident:
    found = Incident(number, "rollback", "assess", "drawdown", "rule drawdown", True, START, "v2.1.0")
    found.attempt = attempt
    return found


def test_an_alert_begins_with_the_bots_name(teller: Teller, told: Told) -> None:
    teller.tell("paused", "paused by alice\nuntil she resumes", "warning", coalesce=False)
    (alert,) = told.alerts
    assert (alert.kind, alert.text, alert.severity, alert.key, alert.coalesce) == (
        "paused",
        "sol-perp: paused by alice\nuntil she resumes",
        "warning",
        None,
        False,
    )


def test_alerts_of_one_kind_may_be_told_together(teller: Teller, told: Told) -> None:
    teller.tell("tick-failed", "a look at the bot failed")
    assert told.alerts[0].coalesce


def test_a_step_is_told_once_and_by_itself(teller: Teller, told: Told) -> None:
    for _ in range(3):
        teller.step(incident(), "stop_bot", "Bot stopped")
    (alert,) = told.alerts
    assert (alert.key, alert.kind, alert.coalesce) == (
        "incident 7, rollback 1: stop_bot",
        "incident-7",
        False,
    )


def test_another_step_attempt_plan_or_incident_is_told_anew(teller: Teller, told: Told) -> None:
    halt = incident()
    halt.plan = "halt"
    for one in (incident(), incident(attempt=2), halt, incident(8)):
        teller.step(one, "stop_bot", "Bot stopped")
    teller.step(incident(), "roll_back", "Registry switched")
    assert len(set(told.keys)) == len(told.alerts) == 5
