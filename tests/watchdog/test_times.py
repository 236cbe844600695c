from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.times import LocalTimes


def test_a_time_in_utc_stays_as_it_is() -> None:
    for tz in (UTC, ZoneInfo("UTC"), ZoneInfo("Etc/UTC")):
        for text in ("2026-03-01T10:00:00", "2026-03-01T10:00:00Z", "2026-03-01 11:00:00+01:00"):
            at = LocalTimes(tz).utc(text)
            assert at == datetime(2026, 3, 1, 10, tzinfo=UTC)
            assert at.tzinfo is UTC


@pytest.mark.parametrize("text", ["", "now", "2026-02-30T00:00:00", "2026-03-01T25:00:00", "1772361300"])
def test_what_is_no_time_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)iso|month|day|hour|time"):
        LocalTimes(UTC).utc(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_outside_all_years_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        LocalTimes(UTC).utc(text)


def test_a_local_time_outside_all_years_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="out of range"):
        LocalTimes(timezone(timedelta(hours=5))).utc("0001-01-01T00:00:00")


def test_records_out_of_order_by_seconds_in_the_hour_that_comes_twice_stay_in_it() -> None:
    times = LocalTimes(ZoneInfo("Europe/Berlin"))
    first = times.utc("2026-10-25T02:30:30")
    assert times.utc("2026-10-25T02:30:00") == first - timedelta(seconds=30)
    second = times.utc("2026-10-25T02:05:00")
    assert second == first + timedelta(minutes=34, seconds=30)
    assert times.utc("2026-10-25T02:04:30") == second - timedelta(seconds=30)


def test_a_time_that_never_was_is_not_taken_for_an_even_earlier_one() -> None:
    times = LocalTimes(ZoneInfo("Europe/Berlin"))
    times.utc("2026-03-29T04:00:00")
    assert times.utc("2026-03-29T02:30:00") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@given(
    st.datetimes(datetime.fromisoformat("1971-01-01"), datetime.fromisoformat("2100-01-01")),
    st.sampled_from(["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca"]),
)
def test_a_local_time_is_the_one_that_the_clock_on_the_wall_showed(local: datetime, zone: str) -> None:
    at = LocalTimes(ZoneInfo(zone)).utc(local.isoformat())
    shown = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert shown == local or shown - local in (timedelta(hours=1), timedelta(minutes=30))  # never was


@given(st.text(max_size=40) | st.datetimes().map(datetime.isoformat), st.sampled_from(["UTC", "Asia/Tokyo"]))
def test_any_text_is_a_time_or_a_value_error(text: str, zone: str) -> None:
    with suppress(ValueError):
        assert LocalTimes(ZoneInfo(zone)).utc(text).tzinfo is UTC
