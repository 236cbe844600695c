from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.units import duration, share


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("5m", 300),
        ("24h", 86400),
        ("7d", 604800),
        ("0.5s", 0.5),
        ("1.5h", 5400),
        ("0s", 0),
        ("0", 0),
    ],
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == timedelta(seconds=seconds)


def test_a_bare_zero_needs_no_unit() -> None:
    assert duration(0) == timedelta(0)


NO_TEXT: list[object] = [10, 0.5, False, True, None, [], object()]
NO_DURATION = ["", "10", "s", "-5m", "+5m", "5 m", "5M", "1h30m", "1e3s", ".5s", "5.s", "10s\n"]
NO_DURATION += ["１0s", "inf", "nan", "99999d"]


@pytest.mark.parametrize("value", [*NO_DURATION, *NO_TEXT])
def test_what_is_no_duration_is_refused_with_examples_of_good_ones(value: object) -> None:
    with pytest.raises(ValueError, match=r"such as 10s, 5m, 24h or 7d|at most 3650d"):
        duration(value)


def test_a_duration_of_absurdly_many_digits_is_too_long_and_no_overflow() -> None:
    with pytest.raises(ValueError, match="too long"):
        duration("9" * 1000 + "d")


@given(st.integers(0, 87600), st.sampled_from("smh"))
@settings(deadline=None)
def test_every_whole_duration_is_exact(number: int, unit: str) -> None:
    assert duration(f"{number}{unit}") == timedelta(seconds=number * {"s": 1, "m": 60, "h": 3600}[unit])


@pytest.mark.parametrize(
    ("text", "fraction"), [("25%", 0.25), ("2.5%", 0.025), ("99.9%", 0.999), ("1%", 0.01)]
)
def test_shares_are_fractions_of_one(text: str, fraction: float) -> None:
    assert share(text) == pytest.approx(fraction, rel=1e-12)


def test_the_default_share_is_exactly_a_quarter() -> None:
    assert share("25%") == 0.25


@pytest.mark.parametrize("text", ["0%", "0.0%", "100%", "101%", "9" * 400 + "%", "0." + "0" * 400 + "1%"])
def test_a_share_of_nothing_or_of_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="above 0% and below 100%"):
        share(text)


@pytest.mark.parametrize("value", ["25", "-5%", "25 %", "%", "1e1%", "25%\n", 25, 0.25, True, None, object()])
def test_a_share_without_its_percent_sign_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="percent sign, such as 25%"):
        share(value)
