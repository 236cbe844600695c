"""What a soak measures, and how it tells growth from noise."""

import json
import sqlite3
import statistics
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psutil

from tests.soak.stage import Stage

WEEK_S = timedelta(weeks=1).total_seconds()
TABLES = ("incidents", "steps", "orders", "outbox", "outbox_delivery", "outbox_key")
JUDGED = 0.5
"""The last part of the time, by which growth is told."""
MOST_POINTS = 150
"""Of the samples that a slope is reckoned from: it looks at every pair of them."""


@dataclass(frozen=True)
class Bound:
    """`most_a_week`: growth in `unit` per simulated week that is still taken for none. `most`: what it may never be."""

    name: str
    unit: str
    most_a_week: float
    most: float
    read: Callable[[dict[str, Any]], float]


MIB = 2.0**20
BOUNDS = (
    Bound("resident memory", "MiB", 2.0, 250.0, lambda s: s["rss"] / MIB),
    Bound("open files", "", 1.0, 64.0, lambda s: s["fds"]),
    Bound("threads", "", 1.0, 40.0, lambda s: s["threads"]),
    Bound("watchdog.db", "KiB", 300.0, 4096.0, lambda s: s["db"] / 1024),
    Bound("watchdog.db-wal", "KiB", 300.0, 8192.0, lambda s: s["wal"] / 1024),
    Bound("processor a tick", "ms", 2.0, 500.0, lambda s: s["tick_ms"]),
)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The Theil-Sen slope: the median of the slopes between all pairs, so that no peak and no step of a few samples
    makes it (Sen, 1968). 0.0 for fewer than two points."""
    thinned = points[:: max(1, len(points) // MOST_POINTS)]
    slopes = [
        (y2 - y1) / (x2 - x1)
        for number, (x1, y1) in enumerate(thinned)
        for x2, y2 in thinned[number + 1 :]
        if x2 > x1
    ]
    return statistics.median(slopes) if slopes else 0.0


@dataclass
class Sampler:
    """Looks at the daemon twice a second, in a thread of its own, until it is stopped."""

    stage: Stage
    every_s: float = 0.5
    samples: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ticks = (0, 0.0)

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.every_s):
            try:
                self.samples.append(self._look())
            except (psutil.Error, sqlite3.Error, OSError, ValueError):
                continue  # it is being restarted

    def _look(self) -> dict[str, Any]:
        daemon = self.stage.daemon
        if daemon is None:
            raise ProcessLookupError
        found: dict[str, Any] = {"at": self.stage.now().timestamp(), "pid": daemon.pid}
        with daemon.oneshot():
            found |= {
                "rss": daemon.memory_info().rss,
                "fds": daemon.num_fds(),
                "threads": daemon.num_threads(),
            }
        database = self.stage.database
        wal = database.with_name(database.name + "-wal")
        found |= {"db": database.stat().st_size, "wal": wal.stat().st_size if wal.exists() else 0}
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
            found |= {t: db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}
        return found | self._tick()

    def _tick(self) -> dict[str, Any]:
        """What a tick took since the last look, and how many there were."""
        told = json.loads((self.stage.top / "ticks.json").read_text(encoding="utf-8"))
        count, cpu_s = told["count"], told["cpu_s"]
        before = self._ticks if self._ticks[0] <= count else (0, 0.0)  # another daemon began
        self._ticks = (count, cpu_s)
        new = count - before[0]
        last = self.samples[-1]["tick_ms"] if self.samples else 0.0
        return {"ticks": count, "tick_ms": 1000 * (cpu_s - before[1]) / new if new else last}


@dataclass(frozen=True)
class Judged:
    """One bound, held against the samples of the second half. `wrong`: what is wrong, "" if nothing is."""

    bound: Bound
    first: float
    last: float
    most: float
    a_week: float
    wrong: str


def judge(samples: Sequence[dict[str, Any]], *, slopes: bool = True) -> list[Judged]:
    """Every bound; `slopes`: False for a soak that is too short for them."""
    first, last = samples[0]["at"], samples[-1]["at"]
    late = [s for s in samples if s["at"] >= first + (1 - JUDGED) * (last - first)]
    return [_judge(bound, samples, late, slopes) for bound in BOUNDS]


def _judge(
    bound: Bound, samples: Sequence[dict[str, Any]], late: Sequence[dict[str, Any]], slopes: bool
) -> Judged:
    values = [bound.read(s) for s in samples]
    points = [(s["at"] / WEEK_S, bound.read(s)) for s in late]
    a_week, most = slope(points), max(values)
    wrong = ""
    if most > bound.most:
        wrong = f"{most:.1f} {bound.unit} is more than it may ever be ({bound.most:g})"
    elif slopes and a_week > bound.most_a_week:
        wrong = f"grows by {a_week:.2f} {bound.unit} a week (at most {bound.most_a_week:g})"
    edge = max(1, len(points) // 10)
    first = statistics.median(y for _, y in points[:edge])
    last = statistics.median(y for _, y in points[-edge:])
    return Judged(bound, first, last, most, a_week, wrong)
