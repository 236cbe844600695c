"""Values over time: exact as long as there are few, bounded when there are many."""

from bisect import bisect_right, insort
from datetime import datetime, timedelta
from operator import attrgetter

import msgspec

from triggers.following import Moment

MOST = 10_000
"""Points kept one by one. Beyond, those of one window / COARSE are merged."""

COARSE = 4_320
"""20 s of 24 h."""


class Point(msgspec.Struct, array_like=True):
    """`count`: how many values it stands for."""

    at: Moment
    value: float
    count: int = 1


_at = attrgetter("at")


class Series(msgspec.Struct, forbid_unknown_fields=True):
    """In order of time. `sums`: merging adds (P&L of exits); else the last value stays (readings of equity)."""

    sums: bool
    points: list[Point] = []

    def put(self, at: datetime, value: float, window: timedelta) -> None:
        """Nearly always at the end; late by seconds is tolerated."""
        points = self.points
        if not points or at >= points[-1].at:
            if not self.sums and points and points[-1].value == value:
                return
            points.append(Point(at, value))
        else:
            insort(points, Point(at, value), key=_at)
        if len(points) > MOST:
            self._merge(window / COARSE)

    def forget(self, until: datetime) -> None:
        """What ended before `until`: all older points, but for the last one, which still holds at `until`."""
        first = bisect_right(self.points, until, key=_at) - 1
        if first > 0:
            del self.points[:first]

    def value_at(self, at: datetime) -> float | None:
        """The last value that is not after `at`."""
        index = bisect_right(self.points, at, key=_at)
        return self.points[index - 1].value if index else None

    def _merge(self, width: timedelta) -> None:
        """At most COARSE points a window are left, and two windows: amortised it costs next to nothing."""
        merged: list[Point] = []
        for point in self.points:
            last = merged[-1] if merged else None
            if last is not None and point.at - last.at < width:
                last.value = last.value + point.value if self.sums else point.value
                last.count += point.count
            else:
                merged.append(point)
        self.points = merged[-2 * COARSE :]
