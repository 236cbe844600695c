"""The service of `model-watchdog run`, by a simulated clock: `python -m tests.soak.daemon CONFIG CLOCK TICKS`.

TICKS takes, every half a second, how many ticks there were, what they took of the processor, and the worst of them.
"""

import functools
import json
import sys
import time
from pathlib import Path

import config
from config import Settings
from tests.soak.clock import Scale, SoakClock
from watchdog import service
from watchdog.assemble import Parts, assemble
from watchdog.watch import Watch

WRITE_EVERY_S = 0.5


class TimedWatch(Watch):
    """Says what its ticks cost."""

    to: Path
    count = 0
    cpu_s = 0.0
    worst_s = 0.0
    written_s = 0.0

    async def tick(self) -> str:
        began_s = time.thread_time()
        try:
            return await super().tick()
        finally:
            took_s = time.thread_time() - began_s
            self.count += 1
            self.cpu_s += took_s
            self.worst_s = max(self.worst_s, took_s)
            self._write()

    def _write(self) -> None:
        now_s = time.monotonic()
        if now_s - self.written_s >= WRITE_EVERY_S:
            part = self.to.with_suffix(".part")
            part.write_text(json.dumps({"count": self.count, "cpu_s": self.cpu_s, "worst_s": self.worst_s}))
            part.replace(self.to)
            self.written_s, self.worst_s = now_s, 0.0


def build(settings: Settings, clock: Path, ticks: Path) -> Parts:
    """The real parts, with another clock and timed ticks."""
    parts = assemble(settings, SoakClock(Scale.read(clock)))
    parts.watch.__class__ = TimedWatch
    assert isinstance(parts.watch, TimedWatch)
    parts.watch.to = ticks
    return parts


def main(path: Path, clock: Path, ticks: Path) -> int:
    return service.run(config.load(path), functools.partial(build, clock=clock, ticks=ticks))


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:4])))
