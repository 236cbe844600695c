"""Warnings before the limit: once, not on the way back, and not for the Sharpe ratio."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.house import House
from tests.watchdog.test_watch import Build, living, tick, trades
from triggers import DrawdownSettings, LossStreakSettings, Verdict, build
from watchdog.decide import Decision
from watchdog.early import CLEAR, LONG_ENOUGH, NEAR, Early, warning

HOUR = timedelta(hours=1)


def drawdown(value: float | None, state: Any = "ok") -> Verdict:
    return Verdict("drawdown", state, value, 0.25, f"drawdown {value} (limit 25 %)")


def losses(value: int, state: Any = "ok") -> Verdict:
    return Verdict("loss_streak", state, value, 10, f"{value} losses in a row (limit 10)")


def told(early: Early, *verdicts: Verdict, key: str = "v2.1.0", **held: float) -> list[str]:
    return [name for name, _ in early.look(key, verdicts, held, dict.fromkeys(held, HOUR))]


@pytest.mark.parametrize(
    ("verdict", "near"),
    [
        (drawdown(0.199), False),
        (drawdown(0.2), True),
        (losses(7), False),
        (losses(8), True),
        (losses(0), False),
    ],
)
def test_it_is_near_from_80_percent_of_the_limit_on(verdict: Verdict, near: bool) -> None:
    assert bool(told(Early(None), verdict)) is near


def test_it_is_told_once_however_it_moves_about_the_mark() -> None:
    early = Early(None)
    values = [0.1, 0.21, 0.19, 0.21, 0.16, 0.24, 0.2]
    assert sum(len(told(early, drawdown(value))) for value in values) == 1


def test_well_away_from_the_limit_it_is_over_and_may_come_again_under_another_name() -> None:
    early = Early(None)
    first = told(early, losses(8))
    assert told(early, losses(5)) == []
    second = told(early, losses(8))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_rule_that_fires_is_not_near_nor_on_its_way_back() -> None:
    early = Early(None)
    assert told(early, drawdown(0.3, "firing")) == []
    assert told(early, drawdown(0.24)) == []
    assert told(early, drawdown(0.1)) == []
    assert len(told(early, drawdown(0.24))) == 1


def test_a_new_deployment_begins_anew_and_missing_data_changes_nothing() -> None:
    early = Early(None)
    assert len(told(early, drawdown(0.21))) == 1
    assert told(early, drawdown(None, "no_data")) == []
    assert told(early, drawdown(0.21)) == []
    assert len(told(early, drawdown(0.21), key="v2.2.0")) == 1


def test_a_small_sharpe_ratio_is_near_nothing() -> None:
    for value in (1.01, 1.2, -50.0):
        assert told(Early(None), Verdict("sharpe", "ok", value, 1.0, "sharpe")) == []
    assert told(Early(None), Verdict("checksum", "pending", 0, 0, "a file is being written")) == []


def test_a_rule_that_has_been_true_for_most_of_its_time_is_near() -> None:
    early = Early(None)
    pending = Verdict("sharpe", "pending", 0.5, 1.0, "sharpe 0.5 is below 1, for 4 h of 6 h")
    assert told(early, pending, sharpe=0.7) == []
    assert len(told(early, pending, sharpe=0.8)) == 1
    assert told(early, pending, sharpe=0.9) == []


def test_a_time_that_is_over_before_anybody_has_read_of_it_is_no_warning() -> None:
    early = Early(None)
    pending = Verdict("checksum", "pending", 1, 0, "missing, for 29 s of 30 s")
    short = {"checksum": LONG_ENOUGH - timedelta(seconds=1)}
    assert early.look("v2.1.0", [pending], {"checksum": 0.9}, short) == []


def test_a_restart_tells_nothing_twice_and_a_kill_before_the_save_tells_it_under_the_same_name() -> None:
    early = Early(None)
    kept = early.dump()
    first = told(early, losses(8))
    assert told(Early(kept), losses(8)) == first  # the outbox knows this name
    assert told(Early(early.dump()), losses(9)) == []


@given(st.lists(st.floats(0, 0.3), max_size=60))
def test_between_two_warnings_it_was_well_away(values: list[float]) -> None:
    early, lowest = Early(None), 0.0
    for value in values:
        state = "firing" if value > 0.25 else "ok"
        lowest = min(lowest, value)
        if told(early, drawdown(value, state)):
            assert 0.25 * NEAR <= value <= 0.25
            assert lowest < 0.25 * CLEAR
            lowest = value


@pytest.mark.parametrize(
    ("decision", "then"),
    [
        (Decision("rollback"), "When the rule fires, v2.1.0 is rolled back."),
        (Decision("wait", why="the cooldown"), "When the rule fires, v2.1.0 is rolled back."),
        (
            Decision("halt", why="2 of 2 automatic rollbacks a day are used up"),
            "the bot is halted, and v2.1.0 is not rolled back: 2 of 2 automatic rollbacks a day are used up.",
        ),
        (Decision("alert", why="mode is observe"), "you are told, and nothing is done: mode is observe."),
    ],
)
def test_it_says_what_will_be_done(decision: Decision, then: str) -> None:
    text = warning(losses(8), "v2.1.0", decision)
    assert text.splitlines()[0] == "v2.1.0 comes near the limit of loss_streak"
    assert "8 losses in a row (limit 10)" in text
    assert then in text


def test_the_engine_knows_how_long_a_rule_has_been_true() -> None:
    at = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    engine = build([(DrawdownSettings(), timedelta(0)), (LossStreakSettings(1), HOUR)], at)
    assert (engine.held("drawdown"), engine.held("loss_streak"), engine.held("sharpe")) == (None, None, None)
    rule = engine.rule("loss_streak")
    assert rule is not None
    rule.restore({"losses": 1, "exits": 1})
    for minutes in (0, 45):
        engine.evaluate(at + timedelta(minutes=minutes))
    assert engine.held("loss_streak") == 0.75


# -- in the ticks


def near(house: House) -> list[str]:
    return [alert.text for alert in house.told.alerts if alert.kind.startswith("early-")]


LIMIT: dict[str, Any] = {"loss_streak": {"at_least": 5}}


async def test_a_tick_warns_once_and_a_restart_not_again(build: Build) -> None:
    house = living(build, triggers=LIMIT)
    trades(house, *["loss"] * 4)
    await tick(house, 3)
    (text,) = near(house)
    assert "4 losses in a row (limit 5)" in text
    assert "v2.1.0 is rolled back" in text
    house.wake()
    await tick(house, 3)
    assert len(near(house)) == 1
    assert house.told.refused == []


async def test_killed_before_it_was_kept_it_is_not_told_again(build: Build) -> None:
    house = living(build, triggers=LIMIT)
    trades(house, *["loss"] * 4)
    await tick(house)
    house.world.journal.put("early", None)
    house.wake()
    await tick(house)
    assert len(near(house)) == 1
    assert len(house.told.refused) == 1


async def test_who_fires_at_once_was_not_near(build: Build) -> None:
    house = living(build, triggers={"loss_streak": {"at_least": 5, "action": "alert"}})
    trades(house, *["loss"] * 5)
    await tick(house, 2)
    assert near(house) == []


async def test_once_the_rollbacks_of_the_day_are_used_up_the_warning_says_that_it_halts(build: Build) -> None:
    house = living(build, triggers=LIMIT, rollback={"max_per_day": 0})
    trades(house, *["loss"] * 4)
    await tick(house, 2)
    (text,) = near(house)
    assert "the bot is halted, and v2.1.0 is not rolled back: 0 of 0 automatic rollbacks" in text
