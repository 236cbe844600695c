"""A rule with `for`: a toy rule that does as it is told stands in for the real ones."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.triggers.story import START
from triggers import Entry, Hold, LossStreakRule, LossStreakSettings, Record, State, Verdict

SECOND = timedelta(seconds=1)


class Toy:
    name = "toy"

    def __init__(self) -> None:
        self.state: State = "ok"
        self.seen: list[Record] = []

    def observe(self, record: Record) -> None:
        self.seen.append(record)

    def evaluate(self, now: datetime) -> Verdict:
        return Verdict("toy", self.state, 2.0, 1.0, "2 is above 1")

    def reset(self, since: datetime) -> None:
        self.state, self.seen = "ok", []

    def dump(self) -> dict[str, Any]:
        return {"state": self.state}

    def restore(self, state: dict[str, Any]) -> None:
        self.state = state["state"]

    def notices(self) -> list[tuple[str, str]]:
        return [("toy", "hello")]


def held(seconds: float = 30) -> tuple[Toy, Hold]:
    toy = Toy()
    return toy, Hold(toy, seconds * SECOND)


def states(hold: Hold, *seconds: float) -> list[str]:
    return [hold.evaluate(START + second * SECOND).state for second in seconds]


def test_what_is_true_is_pending_until_the_time_is_over() -> None:
    toy, hold = held(30)
    toy.state = "firing"
    assert states(hold, 0, 10, 29.9, 30, 40) == ["pending", "pending", "pending", "firing", "firing"]


def test_pending_says_for_how_long_and_keeps_value_and_limit() -> None:
    toy, hold = held(30)
    toy.state = "firing"
    hold.evaluate(START)
    verdict = hold.evaluate(START + 12 * SECOND)
    assert verdict.reason == "2 is above 1, for 12 s of 30 s"
    assert (verdict.value, verdict.limit) == (2.0, 1.0)


@pytest.mark.parametrize("other", ["ok", "no_data", "pending"])
def test_one_other_answer_starts_the_time_anew(other: State) -> None:
    toy, hold = held(30)
    toy.state = "firing"
    assert states(hold, 0, 20) == ["pending", "pending"]
    toy.state = other
    assert states(hold, 25) == [other]
    toy.state = "firing"
    assert states(hold, 30, 55, 60) == ["pending", "pending", "firing"]


def test_without_a_time_nothing_is_held() -> None:
    toy, hold = held(0)
    toy.state = "firing"
    assert states(hold, 0) == ["firing"]


@pytest.mark.parametrize("step", [-1.0, -86_400.0, 3600.0, 86_400.0])
def test_a_step_of_the_clock_fires_nothing(step: float) -> None:
    toy, hold = held(30)
    toy.state = "firing"
    assert states(hold, 0, 10, 10 + step) == ["pending", "pending", "pending"]
    assert states(hold, 10 + step + 29, 10 + step + 30) == ["pending", "firing"]


def test_a_long_time_between_two_looks_counts_when_it_is_shorter_than_an_hour() -> None:
    toy, hold = held(30)
    toy.state = "firing"
    assert states(hold, 0, 3599) == ["pending", "firing"]


def test_reset_forgets_the_time_and_the_rule_forgets_too() -> None:
    toy, hold = held(30)
    toy.state = "firing"
    states(hold, 0)
    hold.reset(START)
    assert states(hold, 20) == ["ok"]
    toy.state = "firing"
    assert states(hold, 30) == ["pending"]


def test_a_restart_does_not_begin_the_time_anew() -> None:
    toy, hold = held(30)
    toy.state = "firing"
    states(hold, 0, 20)
    _, other = held(30)
    other.restore(hold.dump())
    assert states(other, 29, 30) == ["pending", "firing"]


def test_a_state_from_before_the_first_look_restores_too() -> None:
    toy, other = held(30)
    other.restore(held(30)[1].dump())
    toy.state = "firing"
    assert states(other, 0, 30) == ["pending", "firing"]


def test_it_hands_everything_else_through() -> None:
    toy, hold = held()
    assert (hold.name, hold.inner) == ("toy", toy)
    record = Entry(START)
    hold.observe(record)
    assert toy.seen == [record]
    assert hold.notices() == [("toy", "hello")]


def test_a_state_that_does_not_fit_is_refused() -> None:
    hold = Hold(LossStreakRule(LossStreakSettings()), 30 * SECOND)
    misfits: tuple[dict[str, Any], ...] = (
        {},
        {"rule": {}},
        {**hold.dump(), "true_since": 5},
        {**hold.dump(), "looked_at": "yesterday"},
        {**hold.dump(), "looked_at": False},
        {**hold.dump(), "looked_at": "2026-03-01T10:00:00"},  # without an offset it fits no other time
    )
    for state in misfits:
        with pytest.raises((ValueError, KeyError, TypeError)):
            hold.restore(state)
