import json
import math

import pytest

from triggers import Verdict
from triggers.verdict import percent


def test_it_goes_into_json() -> None:
    verdict = Verdict("drawdown", "ok", 0.031, 0.25, "drawdown 3.1 %")
    assert json.loads(json.dumps(verdict.as_dict())) == {
        "name": "drawdown",
        "state": "ok",
        "value": 0.031,
        "limit": 0.25,
        "reason": "drawdown 3.1 %",
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_say_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="sharpe"):
        Verdict("sharpe", "ok", number, 1.0, "")
    with pytest.raises(ValueError, match="sharpe"):
        Verdict("sharpe", "ok", None, number, "")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.25, "25 %"), (0.261, "26.1 %"), (0.0, "0 %"), (0.0005, "0.1 %"), (1.0, "100 %"), (0.1, "10 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_percent_tells_a_value_from_the_limit_that_it_just_exceeds() -> None:
    assert percent(0.2504, apart_from=0.25) == "25.04 %"
    assert percent(0.250004, apart_from=0.25) == "25.0004 %"
    assert percent(0.25, apart_from=0.25) == "25 %"
    assert percent(0.25 + 1e-12, apart_from=0.25) == "25 %"
