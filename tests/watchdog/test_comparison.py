"""Before and after side by side: the numbers, and how honest the reading is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.comparison import Span, distribution, reading, table
from watchdog.predictions import Prediction

START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def span(pnls: tuple[float, ...] = (), **changes: Any) -> Span:
    fields: dict[str, Any] = {
        "version": "v2.0.0",
        "begin": START,
        "end": START + HOUR,
        "pnls": pnls,
        "equity": 2000.0,
        "predictions": (),
        "errors": 0,
    }
    return Span(**{**fields, **changes})


def predicted(ups: int, downs: int, confidence: float = 0.6) -> list[Prediction]:
    """With confidences that vary a little around the given one."""
    sides = [True] * ups + [False] * downs
    return [Prediction(START, up, confidence + 0.01 * (n % 2)) for n, up in enumerate(sides)]


# -- numbers


def test_an_exit_of_exactly_nothing_is_neither_win_nor_loss() -> None:
    assert span((5.0, -5.0, 0.0, 5.0)).win_rate == pytest.approx(2 / 3)
    assert span((0.0,)).win_rate is None


def test_the_drawdown_is_from_the_highest_point_of_the_span() -> None:
    assert span((500.0, -1000.0, 250.0)).drawdown == pytest.approx(1000 / 2500)
    assert span(()).drawdown == 0
    assert span((-1.0,), equity=0.0).drawdown is None


def test_rates_are_per_hour_and_nothing_is_divided_by_no_time() -> None:
    assert span(end=START + HOUR / 2).per_hour(10) == 20
    assert span(end=START).per_hour(10) is None
    assert span().per_hour(None) is None


def test_the_distribution_of_predictions() -> None:
    found = distribution(
        span(
            predictions=[Prediction(START, True, 0.5), Prediction(START, True, 0.7), Prediction(START, False)]
        )
    )
    assert found.count == 3
    assert found.mean == pytest.approx(0.6)
    assert found.spread == pytest.approx(0.1414, abs=1e-4)
    assert found.share_up == pytest.approx(2 / 3)


def test_without_predictions_the_distribution_is_not_known() -> None:
    found = distribution(span())
    assert (found.count, found.mean, found.spread, found.share_up) == (0, None, None, None)


def test_the_table_has_both_sides_and_says_what_is_not_known() -> None:
    lines = table(span((-1.0,), version="v2.1.0", errors=None), span((5.0, -1.0)))
    assert lines[0] == "| | before (v2.1.0) | since (v2.0.0) |"
    rows = {row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:4]] for row in lines[2:]}
    assert rows["exits"] == ["1", "2"]
    assert rows["win rate"] == ["0.0 % (0 of 1)", "50.0 % (1 of 2)"]
    assert rows["P&L"] == ["-1.00", "+4.00"]
    assert rows["P&L per exit"] == ["-1.00", "+2.00"]
    assert rows["errors per hour"] == ["not known", "0 (0)"]
    assert rows["mean confidence"] == ["-", "-"]
    assert rows["from, to (UTC)"][0] == "03-01 10:00:00, 03-01 11:00:00"
    assert all(row.count("|") == 4 for row in lines)


# -- the reading


def test_few_trades_are_too_few_to_compare() -> None:
    assert "Too few trades to compare (9 before, 50 since)" in reading(
        span((-1.0,) * 9), span((1.0, 2.0) * 25)
    )


def test_a_difference_that_chance_makes_is_no_difference() -> None:
    before, after = span((10.0, -10.0) * 10), span((10.0, -9.0) * 10)
    assert "differs by no more than chance does" in reading(before, after)


def test_a_clear_difference_is_told_with_its_size_and_direction() -> None:
    bad, good = span((-5.0, -4.0) * 10), span((5.0, 4.0) * 10)
    assert "P&L per exit is better: +4.50 after -4.50, " in reading(bad, good)
    assert "standard errors apart" in reading(bad, good)
    assert "P&L per exit is worse: -4.50 after +4.50, " in reading(good, bad)


def test_what_never_varies_is_compared_all_the_same() -> None:
    same = span((1.0,) * 10)
    assert "differs by no more than chance does" in reading(same, same)
    assert "P&L per exit is better: +2.00 after +1.00;" in reading(same, span((2.0,) * 10))


def test_predictions_that_lean_otherwise_are_told() -> None:
    said = reading(span(predictions=predicted(95, 5)), span(predictions=predicted(50, 50)))
    assert "predictions are distributed otherwise: 50.0 % say up after 95.0 %" in said


def test_a_confidence_that_moved_is_told() -> None:
    said = reading(span(predictions=predicted(20, 20, 0.9)), span(predictions=predicted(20, 20, 0.6)))
    assert "predictions are distributed otherwise: their mean confidence is 0.60 after 0.91" in said


def test_predictions_as_before_too_few_and_none() -> None:
    alike = span(predictions=predicted(20, 20))
    assert "predictions are distributed as before" in reading(alike, alike)
    assert "too few predictions to compare (40 before, 2 since)" in reading(
        alike, span(predictions=predicted(1, 1))
    )
    assert "no prediction was seen" in reading(span(), span())
    dumb = span(predictions=[Prediction(START)] * 40)
    assert "tell neither direction nor confidence (40 before, 40 since)" in reading(dumb, dumb)


def test_errors_are_told_as_rates_or_as_not_known() -> None:
    assert reading(span(errors=12), span(errors=1)).endswith("1 errors an hour after 12.")
    assert reading(span(errors=None), span()).endswith("errors could not be compared.")


amounts = st.floats(min_value=-1e14, max_value=1e14)


@given(st.lists(amounts, max_size=40), st.lists(amounts, max_size=40), st.integers(0, 60), st.integers(0, 60))
def test_whatever_is_compared_gives_one_sentence_and_one_table(
    left: list[float], right: list[float], ups: int, downs: int
) -> None:
    before = span(tuple(left), predictions=predicted(ups, downs))
    after = span(tuple(right), predictions=predicted(downs, ups), end=START)
    said = reading(before, after)
    assert said[0].isupper()
    assert said.endswith(".")
    assert len(table(before, after)) == 15
