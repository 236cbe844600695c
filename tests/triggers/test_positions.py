"""Whether the account is flat decides what a drop of equity is."""

import math

import pytest

from tests.triggers.story import START
from triggers import Entry, Exit
from triggers.positions import MOST, ROUND_TRIPS, Positions


def enter(positions: Positions, size: float | None = 1.0, symbol: str | None = None) -> None:
    positions.enter(Entry(START, symbol, size))


def leave(positions: Positions, size: float | None = 1.0, symbol: str | None = None) -> None:
    positions.leave(Exit(START, -1.0, symbol, size))


def test_nothing_is_open_at_first() -> None:
    assert Positions().flat


def test_an_exit_of_the_same_size_closes() -> None:
    positions = Positions()
    enter(positions, 1.3)
    assert not positions.flat
    leave(positions, 1.3)
    assert positions.flat


def test_what_rounding_leaves_is_closed_and_more_is_not() -> None:
    for size, flat in ((0.994, True), (0.98, False), (1.2, True)):
        positions = Positions()
        enter(positions, 1.0)
        leave(positions, size)
        assert positions.flat is flat, size


def test_a_position_that_was_added_to_is_open_until_its_last_part_is_closed() -> None:
    for exits in ((1.0, 2.0), (3.0,), (0.5, 0.5, 2.0), (1.5, 1.5), (1.0, 1.0, 1.0)):
        positions = Positions()
        enter(positions, 1.0)
        enter(positions, 2.0)
        for size in exits[:-1]:
            leave(positions, size)
            assert not positions.flat, exits
        leave(positions, exits[-1])
        assert positions.flat, exits


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, 0.0])
def test_a_missing_size_of_an_exit_closes_all_of_it(missing: float | None) -> None:
    positions = Positions()
    enter(positions, 5.0)
    leave(positions, missing)
    assert positions.flat


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, 0.0])
def test_a_missing_size_of_an_entry_lets_any_exit_close(missing: float | None) -> None:
    positions = Positions()
    enter(positions, missing)
    enter(positions, 5.0)
    assert not positions.flat
    leave(positions, 0.1)
    assert positions.flat


def test_short_positions_may_be_logged_as_negative_sizes() -> None:
    positions = Positions()
    enter(positions, -2.0)
    leave(positions, 2.0)
    assert positions.flat


def test_symbols_are_kept_apart() -> None:
    positions = Positions()
    enter(positions, 1.0, "SOLUSDT")
    enter(positions, 1.0, "ETHUSDT")
    leave(positions, 1.0, "SOLUSDT")
    leave(positions, 1.0, "SOLUSDT")
    assert not positions.flat
    leave(positions, 1.0, "ETHUSDT")
    assert positions.flat


def test_a_symbol_that_only_one_of_the_two_lines_names_is_matched() -> None:
    positions = Positions()
    enter(positions, 1.0, "SOLUSDT")
    leave(positions, 1.0, None)
    assert positions.flat
    enter(positions, 1.0, None)
    leave(positions, 1.0, "SOLUSDT")
    assert positions.flat


def test_an_exit_without_a_symbol_is_not_guessed_among_several() -> None:
    positions = Positions()
    enter(positions, 1.0, "SOLUSDT")
    enter(positions, 1.0, "ETHUSDT")
    leave(positions, 1.0, None)
    assert len(positions.open) == 2


def test_an_exit_of_a_position_from_before_changes_nothing() -> None:
    positions = Positions()
    leave(positions, 1.0, "SOLUSDT")
    assert positions.flat


def test_a_position_whose_exit_was_lost_is_closed_by_the_exit_of_the_next_one() -> None:
    positions = Positions()
    enter(positions, 1.3)
    enter(positions, 1.1)
    assert not positions.flat
    leave(positions, 1.1)
    assert positions.flat


def test_sizes_that_do_not_agree_leave_nothing_open_for_ever() -> None:
    positions = Positions()
    for _ in range(ROUND_TRIPS):  # entries in dollars, exits in coins
        enter(positions, 195.0)
        assert not positions.flat
        leave(positions, 1.3)
    assert positions.flat


def test_a_position_that_is_closed_in_small_parts_stays_open() -> None:
    positions = Positions()
    enter(positions, 10.0)
    for _ in range(3 * ROUND_TRIPS):
        leave(positions, 0.3)
        leave(positions, 0.3)
        enter(positions, 0.5)
    assert not positions.flat


def test_an_exit_tells_whether_its_position_was_known() -> None:
    positions = Positions()
    enter(positions, 1.0, "SOLUSDT")
    assert not positions.leave(Exit(START, -1.0, "ETHUSDT", 1.0))
    assert positions.leave(Exit(START, -1.0, "SOLUSDT", 1.0))
    assert not positions.leave(Exit(START, -1.0, "SOLUSDT", 1.0))


def test_a_garbled_log_with_ever_new_symbols_costs_no_memory() -> None:
    positions = Positions()
    for number in range(10 * MOST):
        enter(positions, 1.0, f"S{number}" * 1000)
    assert len(positions.open) == MOST
    assert max(map(len, positions.open)) <= 64
