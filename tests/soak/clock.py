"""Simulated time, which goes so many times faster than the machine's, the same in every process of a soak."""

import json
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from watchdog.clock import Clock


@dataclass(frozen=True)
class Scale:
    """At `monotonic_s` of the machine (CLOCK_MONOTONIC, one for all processes) it was `epoch_s` (unix time), and time
    goes `speed` times as fast."""

    monotonic_s: float
    epoch_s: float
    speed: float

    @classmethod
    def ending_now(cls, lasts: timedelta, speed: float) -> Self:
        """So that the soak's last moment is the present: what the machine stamps by itself (a file's mtime, an event
        of the registry) is then never earlier than the simulated time, which nothing minds."""
        return cls(time.monotonic(), time.time() - lasts.total_seconds(), speed)

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def at(self, monotonic_s: float) -> datetime:
        """The simulated time at that moment."""
        return datetime.fromtimestamp(self.epoch_s + (monotonic_s - self.monotonic_s) * self.speed, UTC)

    def now(self) -> datetime:
        return self.at(time.monotonic())


class SoakClock:
    """Makes the watchdog's clocks. A pair of looks, wall then monotonic, must be of one moment: a process that is put
    off for 2 ms in between would see a step of 10 simulated seconds."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._looks = threading.local()

    def __call__(self, offset: timedelta = timedelta(0)) -> Clock:
        return Clock(self._wall, self._monotonic, offset)

    def _wall(self) -> datetime:
        self._looks.last = time.monotonic()
        return self._scale.at(self._looks.last)

    def _monotonic(self) -> float:
        last: float | None = getattr(self._looks, "last", None)
        self._looks.last = None
        return (time.monotonic() if last is None else last) * self._scale.speed
