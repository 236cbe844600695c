"""The drawdown's settings and what its verdict says; which equity counts is in test_equity and test_money."""

import math
from typing import Any

import pytest

from tests.triggers.story import START, Story
from triggers import DrawdownRule, DrawdownSettings


@pytest.mark.parametrize(
    ("equity", "state"), [(1500.01, "ok"), (1500.0, "ok"), (1499.99, "firing"), (1480.0, "firing")]
)
def test_it_fires_above_the_limit_and_not_at_it(equity: float, state: str) -> None:
    story = Story(DrawdownRule(DrawdownSettings())).reads(2000).trades(equity - 2000, equity)
    assert story.state == state


def test_the_reason_tells_a_drawdown_from_its_limit() -> None:
    story = Story(DrawdownRule(DrawdownSettings())).reads(2000).trades(-500.02, 1499.98)
    assert story.verdict.reason.startswith("drawdown 25.001 % is above 25 %:")


def test_no_data_names_the_limit_too() -> None:
    verdict = DrawdownRule(DrawdownSettings(0.4)).evaluate(START)
    assert (verdict.state, verdict.value, verdict.limit) == ("no_data", None, 0.4)
    assert "limit 40 %" in verdict.reason


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"above": 0}, "drawdown.above is 0"),
        ({"above": 1.0}, "drawdown.above is 1.0"),
        ({"above": 25}, "drawdown.above is 25"),
        ({"above": math.nan}, "drawdown.above is nan"),
        ({"initial_equity": 0}, "initial_equity is 0"),
        ({"initial_equity": math.inf}, "initial_equity is inf"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DrawdownSettings(**wrong)
