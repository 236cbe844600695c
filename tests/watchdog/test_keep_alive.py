"""When a bot that died by itself is started again."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.fakes import START
from watchdog.keep_alive import WITHIN, recent, what_now


def ago(*seconds: float) -> list[datetime]:
    return [START - timedelta(seconds=s) for s in sorted(seconds, reverse=True)]


@pytest.mark.parametrize(
    ("restarts_ago", "what"),
    [
        ((), "start"),
        ((0.5,), "wait"),
        ((1.0,), "start"),
        ((1.9, 10), "wait"),
        ((2.0, 10), "start"),
        ((3.9, 10, 20), "wait"),
        ((4.0, 10, 20), "start"),
        ((599.0, 599.1, 599.2, 599.3), "give up"),
        ((600.0, 600.1, 600.2, 600.3), "start"),
        ((60, 120, 180, 600), "start"),
        ((0.1, 120, 180, 240), "give up"),
    ],
)
def test_back_off_doubles_and_ends_at_the_limit(restarts_ago: tuple[float, ...], what: str) -> None:
    assert what_now(ago(*restarts_ago), START, 4) == what


def test_no_restart_allowed_means_giving_up_at_once() -> None:
    assert what_now([], START, 0) == "give up"


@given(st.integers(1, 6), st.integers(1, 60))
def test_a_bot_that_dies_at_once_is_restarted_just_so_often_in_any_ten_minutes(
    limit: int, every_s: int
) -> None:
    restarts: list[datetime] = []
    now = START
    while now - START < 3 * WITHIN:
        what = what_now(restarts, now, limit)
        if what == "start":
            restarts.append(now)
        assert len(recent(restarts, now)) <= limit
        if what == "give up":
            assert len(recent(restarts, now)) == limit
        now += timedelta(seconds=every_s)
    assert len(restarts) >= limit
