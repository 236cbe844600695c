"""One steady UTC for everything that is decided, so that a stepped wall clock neither fires nor stops anything.

The wall clock is compared with the monotonic one at every look. When they drift apart by more than
`STEP_S` seconds between two looks, somebody stepped the wall clock (NTP after a bad boot, a person, a
virtual machine that was restored). The step is then taken out of every later reading: `now()` goes on as if
nothing had happened, and the timestamps that the bot writes, which carry the same step, are mapped by `steady()`.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

STEP_S = 10.0
"""A gap between the clocks that slewing (at most 0.5 ms/s) cannot make between two looks."""

LIVE = timedelta(minutes=5)
"""A record that was just read was just written: it lies this near to now."""


def utc_now() -> datetime:
    """The wall clock, as aware UTC."""
    return datetime.now(UTC)


class Clock:
    """Steady UTC time. `offset` is the sum of all steps so far (wall = steady + offset)."""

    def __init__(
        self,
        wall: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        offset: timedelta = timedelta(0),
    ) -> None:
        self._wall = wall
        self.monotonic = monotonic
        self._offsets = [offset]
        self._seen = (wall(), monotonic())
        self._steps: list[timedelta] = []

    @property
    def offset(self) -> timedelta:
        """What the wall clock was stepped by in all."""
        return self._offsets[-1]

    def now(self) -> datetime:
        """Steady time, aware UTC. Every call looks for a step."""
        wall, monotonic = self._wall(), self.monotonic()
        expected = self._seen[0] + timedelta(seconds=monotonic - self._seen[1])
        step = wall - expected
        if abs(step.total_seconds()) > STEP_S:
            self._offsets = [*self._offsets[-7:], self.offset + step]
            self._steps.append(step)
        self._seen = (wall, monotonic)
        return wall - self.offset

    def take_steps(self) -> list[timedelta]:
        """The steps noticed since the last call, to be told to people."""
        steps, self._steps = self._steps, []
        return steps

    def steady(self, at: datetime) -> datetime:
        """Maps a timestamp that somebody took from the wall clock to steady time.

        Around a step it is not known which clock a timestamp was taken from: one that lies within `LIVE` of
        now under an earlier offset, and not under the present one, was taken before the step.
        """
        mapped = _before(at, self.offset)
        if len(self._offsets) == 1:
            return mapped
        now = self.now()
        if abs(mapped - now) <= LIVE:
            return mapped
        return next(
            (
                _before(at, offset)
                for offset in reversed(self._offsets)
                if abs(_before(at, offset) - now) <= LIVE
            ),
            mapped,
        )


def _before(at: datetime, delta: timedelta) -> datetime:
    """`at` - `delta`; where no calendar has that, `at` itself, which is as impossible."""
    try:
        return at - delta
    except OverflowError:
        return at


class Budget:
    """Time to wait for something that counts only while somebody looks: a watchdog that was frozen (SIGSTOP, a paused
    virtual machine, a disk that hung) must not blame what it waits for.

    Every call of `over` or `left_s` is a look; of the time since the last one at most `most_gap_s` seconds count, so
    that it ends in the end however slow the looks are. `monotonic` in seconds.
    """

    def __init__(self, monotonic: Callable[[], float], seconds: float, most_gap_s: float = 2.0) -> None:
        self._monotonic, self._most_gap_s = monotonic, most_gap_s
        self._left_s, self._seen_s = seconds, monotonic()

    def left_s(self) -> float:
        """What is left in seconds, zero when it is over."""
        now_s = self._monotonic()
        self._left_s -= min(now_s - self._seen_s, self._most_gap_s)
        self._seen_s = now_s
        return max(0.0, self._left_s)

    def over(self) -> bool:
        """Whether so much time was looked at."""
        return self.left_s() <= 0.0
