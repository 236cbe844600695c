"""Timestamps that bots write, as aware UTC."""

from datetime import UTC, datetime, timedelta, tzinfo

_BACKWARDS = timedelta(minutes=5)


class LocalTimes:
    """Reads ISO 8601 timestamps of one log; those without an offset are in the time zone `tz`.

    In the hour that comes twice when summer time ends, a timestamp without an offset means the second one if the
    first would lie back by more than five minutes: logs go forward. Times that never were, when summer time
    begins, are read with the offset from before.
    """

    def __init__(self, tz: tzinfo) -> None:
        self._tz = tz
        self._is_utc = tz is UTC or str(tz) in ("UTC", "Etc/UTC")
        self._last = datetime.min.replace(tzinfo=UTC)

    def utc(self, text: str) -> datetime:
        """The time in UTC; ValueError if `text` is no timestamp or outside the years that can be had."""
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            if self._is_utc:
                return at.replace(tzinfo=UTC)
            return self._local(at)
        if at.tzinfo is UTC:
            return at
        return _in_utc(at)

    def _local(self, at: datetime) -> datetime:
        first = _in_utc(at.replace(tzinfo=self._tz))
        if self._last - first > _BACKWARDS:
            second = _in_utc(at.replace(tzinfo=self._tz, fold=1))
            # In a gap, fold=1 gives the earlier one of two times that never were.
            if second > first:
                first = second
        self._last = first
        return first


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"the time {at} is out of range") from error
