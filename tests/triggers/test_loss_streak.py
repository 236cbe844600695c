import math

import pytest

from tests.triggers.story import Story
from triggers import LossStreakRule, LossStreakSettings


def streak(at_least: int = 10) -> Story:
    return Story(LossStreakRule(LossStreakSettings(at_least)))


def after(*pnls: float, at_least: int = 10) -> Story:
    story = streak(at_least)
    for pnl in pnls:
        story.exits(pnl)
    return story


def test_before_the_first_exit_there_is_no_data() -> None:
    story = streak().enters().reads(2000)
    assert story.state == "no_data"
    assert story.verdict.value is None


def test_fires_exactly_at_the_limit() -> None:
    assert after(*[-1.0] * 9).state == "ok"
    assert after(*[-1.0] * 10).state == "firing"
    assert after(*[-1.0] * 11).state == "firing"


def test_its_reason_has_value_and_limit() -> None:
    assert after(*[-1.0] * 10).verdict.reason == "10 losses in a row (limit 10)"
    assert after(-1.0).verdict.reason == "1 loss in a row (limit 10)"


def test_a_profit_breaks_it() -> None:
    story = after(*[-1.0] * 9, 0.01, -1.0)
    assert story.state == "ok"
    assert story.verdict.value == 1


def test_an_exit_of_exactly_zero_neither_counts_nor_breaks() -> None:
    assert after(*[-1.0] * 9, 0.0, -0.0).verdict.value == 9
    assert after(*[-1.0] * 9, 0.0, -1.0).state == "firing"
    assert after(0.0).verdict.value == 0


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, -1e300, 1e300])
def test_an_impossible_pnl_neither_counts_nor_breaks(garbage: float) -> None:
    assert after(garbage).state == "no_data"
    assert after(*[-1.0] * 9, garbage).verdict.value == 9
    assert after(*[-1.0] * 9, garbage, -1.0).state == "firing"


def test_the_smallest_loss_is_a_loss() -> None:
    assert after(-5e-324, at_least=1).state == "firing"


@pytest.mark.parametrize(
    "state", [{"losses": 3, "exits": 2}, {"losses": -1, "exits": 2}, {"losses": 1.0, "exits": 2}]
)
def test_a_state_that_cannot_be_is_refused(state: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        LossStreakRule(LossStreakSettings()).restore(state)


def test_settings_name_field_and_value() -> None:
    with pytest.raises(ValueError, match=r"loss_streak\.at_least is 0"):
        LossStreakSettings(0)
