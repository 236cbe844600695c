"""The steady clock, on a machine whose wall clock people and NTP set."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.watchdog.fakes import START, ManualClock
from watchdog.clock import LIVE, STEP_S, Budget, Clock, utc_now

HOUR = timedelta(hours=1)


@pytest.fixture
def machine() -> ManualClock:
    return ManualClock()


def test_time_is_the_wall_clock_in_utc_while_nobody_steps_it(machine: ManualClock) -> None:
    clock = machine.clock()
    machine.go(90)
    assert clock.now() == START + timedelta(seconds=90)
    assert clock.now().tzinfo is UTC
    assert clock.take_steps() == []
    assert clock.steady(START) == START


def test_the_default_is_this_machines_clock() -> None:
    clock = Clock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert utc_now().tzinfo is UTC


@pytest.mark.parametrize("hours", [-24, -1, 1, 24])
def test_a_step_either_way_changes_nothing_and_is_told_once(machine: ManualClock, hours: int) -> None:
    clock = machine.clock()
    machine.step(hours * 3600)
    machine.go(5)
    assert clock.now() == START + timedelta(seconds=5)
    machine.go(5)
    assert clock.now() == START + timedelta(seconds=10)
    assert clock.offset == timedelta(hours=hours)
    assert clock.take_steps() == [timedelta(hours=hours)]
    assert clock.take_steps() == []


def test_a_drift_that_slewing_makes_is_followed(machine: ManualClock) -> None:
    clock = machine.clock()
    for _ in range(100):
        machine.go(60)
        machine.step(-0.03)
        clock.now()
    assert clock.offset == timedelta(0)
    assert clock.now() == machine.wall


@pytest.mark.parametrize(("seconds", "steps"), [(STEP_S, 0), (STEP_S + 0.001, 1), (-STEP_S - 0.001, 1)])
def test_a_step_is_a_gap_beyond_the_limit(machine: ManualClock, seconds: float, steps: int) -> None:
    clock = machine.clock()
    machine.step(seconds)
    clock.now()
    assert len(clock.take_steps()) == steps


def test_timestamps_that_the_bot_wrote_after_a_step_are_mapped(machine: ManualClock) -> None:
    clock = machine.clock()
    machine.step(3600)
    machine.go(60)
    now = clock.now()
    assert clock.steady(machine.wall) == now
    assert clock.steady(machine.wall - timedelta(minutes=4)) == now - timedelta(minutes=4)


def test_a_timestamp_from_just_before_the_step_is_not_moved_by_it(machine: ManualClock) -> None:
    clock = machine.clock()
    written = machine.wall - timedelta(seconds=2)
    machine.step(-3600)
    machine.go(3)
    now = clock.now()
    assert clock.steady(written) == written
    assert now - written == timedelta(seconds=5)


def test_an_old_timestamp_is_taken_with_the_present_step(machine: ManualClock) -> None:
    clock = machine.clock()
    machine.step(3600)
    clock.now()
    assert clock.steady(START - 10 * HOUR) == START - 11 * HOUR


def test_two_steps_that_undo_each_other_leave_the_wall_clock(machine: ManualClock) -> None:
    clock = machine.clock()
    for hours in (5, -5):
        machine.step(hours * 3600)
        machine.go(1)
        clock.now()
    assert clock.offset == timedelta(0)
    assert clock.now() == machine.wall
    assert clock.take_steps() == [timedelta(hours=5), timedelta(hours=-5)]


def test_the_offset_of_the_last_process_is_gone_on_with(machine: ManualClock) -> None:
    clock = Clock(lambda: machine.wall, lambda: machine.monotonic_s, HOUR)
    assert clock.now() == START - HOUR
    assert clock.steady(machine.wall) == clock.now()


def test_a_clock_that_is_stepped_for_ever_keeps_few_offsets(machine: ManualClock) -> None:
    clock = machine.clock()
    for _ in range(1000):
        machine.step(60)
        machine.go(1)
        clock.now()
    assert clock.now() == START + timedelta(seconds=1000)
    assert clock.steady(machine.wall) == clock.now()


@pytest.mark.parametrize(
    "at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)]
)
@pytest.mark.parametrize("step_s", [86400, -86400])
def test_a_time_at_the_end_of_the_calendar_is_no_error(
    machine: ManualClock, at: datetime, step_s: int
) -> None:
    """A line of a log may say any time there is."""
    clock = machine.clock()
    machine.step(step_s)
    clock.now()
    assert abs(clock.steady(at).year - at.year) <= 1


@given(st.lists(st.tuples(st.floats(0, 3600), st.floats(-1e6, 1e6)), max_size=20))
def test_steady_time_never_goes_back_and_never_jumps(changes: list[tuple[float, float]]) -> None:
    machine = ManualClock()
    clock = machine.clock()
    before = clock.now()
    for seconds, step in changes:
        machine.go(seconds)
        machine.step(step)
        now = clock.now()
        slack = timedelta(seconds=STEP_S, microseconds=10)
        assert abs(now - before - timedelta(seconds=seconds)) <= slack
        if abs(step) > STEP_S + 0.001:  # what is no step is followed, as the wall clock's own drift
            assert abs(now - before - timedelta(seconds=seconds)) <= timedelta(microseconds=10)
        assert abs(clock.steady(machine.wall) - now) <= LIVE
        before = now


def test_only_the_time_in_which_somebody_looked_is_used_up(machine: ManualClock) -> None:
    budget = Budget(machine.clock().monotonic, 10.0)
    for _ in range(8):
        machine.go(1.0)
        assert not budget.over()
    machine.go(600.0)  # frozen: only as much counts as two looks may lie apart
    assert budget.left_s() == 0.0
    assert budget.over()


def test_a_frozen_watchdog_has_time_left_when_it_goes_on(machine: ManualClock) -> None:
    budget = Budget(machine.clock().monotonic, 10.0, most_gap_s=0.5)
    machine.go(600.0)
    assert budget.left_s() == pytest.approx(9.5)
    assert budget.left_s() == pytest.approx(9.5)  # a second look at once uses up nothing


def test_looks_that_are_always_slow_come_to_an_end(machine: ManualClock) -> None:
    budget = Budget(machine.clock().monotonic, 10.0)
    looks = 0
    while not budget.over():
        machine.go(30.0)
        looks += 1
    assert looks == 5
