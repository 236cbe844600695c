from datetime import timedelta

from tests.triggers.story import HOUR, START
from triggers.series import COARSE, MOST, Series

DAY = 24 * HOUR
SECOND = timedelta(seconds=1)


def test_a_late_record_is_put_in_its_place() -> None:
    series = Series(sums=True)
    for minute in (1, 3, 2):
        series.put(START + timedelta(minutes=minute), float(minute), DAY)
    assert [point.value for point in series.points] == [1, 2, 3]


def test_the_value_at_a_time_is_the_last_one_not_after_it() -> None:
    series = Series(sums=False)
    series.put(START, 1.0, DAY)
    series.put(START + HOUR, 2.0, DAY)
    assert series.value_at(START - SECOND) is None
    assert series.value_at(START) == 1.0
    assert series.value_at(START + HOUR - SECOND) == 1.0
    assert series.value_at(START + HOUR) == 2.0
    assert series.value_at(START + DAY) == 2.0


def test_forgetting_keeps_the_value_that_still_holds() -> None:
    series = Series(sums=False)
    for hour in range(5):
        series.put(START + hour * HOUR, float(hour), DAY)
    series.forget(START + 2.5 * HOUR)
    assert [point.value for point in series.points] == [2, 3, 4]
    series.forget(START - HOUR)
    assert len(series.points) == 3


def test_a_reading_that_repeats_costs_nothing_and_an_exit_that_repeats_counts() -> None:
    readings, pnl = Series(sums=False), Series(sums=True)
    for second in range(100):
        readings.put(START + second * SECOND, 2000.0, DAY)
        pnl.put(START + second * SECOND, -1.0, DAY)
    assert len(readings.points) == 1
    assert len(pnl.points) == 100


def test_many_exits_are_merged_and_neither_sum_nor_count_is_lost_within_the_window() -> None:
    series = Series(sums=True)
    for number in range(5 * MOST):
        series.put(START + number * SECOND, 1.0, DAY)
        assert len(series.points) <= MOST
    end = START + 5 * MOST * SECOND
    kept = [point for point in series.points if point.at > end - DAY * 0.5]
    assert abs(sum(point.value for point in kept) - 12 * 3600) <= 20
    assert sum(point.count for point in kept) == sum(point.value for point in kept)


def test_many_readings_are_merged_to_the_last_of_each_span() -> None:
    series = Series(sums=False)
    for number in range(MOST + 1):
        series.put(START + number * SECOND, float(number), DAY)
    assert len(series.points) <= MOST / 15
    width = DAY / COARSE
    for hour in range(1, 3):
        value = series.value_at(START + hour * HOUR)
        assert value is not None
        assert abs(value - 3600 * hour) <= width.total_seconds()


def test_when_even_merging_does_not_help_the_oldest_go() -> None:
    series = Series(sums=True)
    for number in range(3 * MOST):
        series.put(START + number * HOUR, 1.0, 2 * HOUR)
    assert len(series.points) <= MOST
    assert series.points[-1].at == START + (3 * MOST - 1) * HOUR
