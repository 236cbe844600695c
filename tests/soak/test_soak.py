"""What tells growth from noise, the story, and a day and a half of it in CI."""

import os
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.soak.__main__ import main
from tests.soak.clock import Scale, SoakClock
from tests.soak.plan import BAD, plan
from tests.soak.samples import MIB, Judged, judge, slope

long = pytest.mark.skipif(
    os.environ.get("CI") != "true" and "MODEL_WATCHDOG_THOROUGH" not in os.environ,
    reason="takes half a minute: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1",
)
WEEKS = 3


def samples(**grows: float) -> list[dict[str, Any]]:
    """Three weeks of a quiet daemon, in which these values grow by so much a week."""
    base: dict[str, float] = {"rss": 70 * MIB, "fds": 17, "threads": 4, "db": 2e5, "wal": 1e5, "tick_ms": 5}
    found = []
    for number in range(600):
        weeks = number / 600 * WEEKS
        noise = number % 7
        values = {name: value + noise + grows.get(name, 0.0) * weeks for name, value in base.items()}
        found.append({"at": weeks * 604800, **values})
    return found


def wrong(judged: Sequence[Judged]) -> list[str]:
    return [f"{j.bound.name}: {j.wrong}" for j in judged if j.wrong]


def test_the_slope_is_that_of_a_line_whatever_single_peaks_say() -> None:
    points = [(x / 10, 5 + 2 * x / 10) for x in range(200)]
    assert slope(points) == pytest.approx(2.0)
    points[20] = points[150] = (points[20][0], 1e6)
    assert slope(points) == pytest.approx(2.0, abs=0.1)
    assert slope([]) == slope([(1.0, 2.0)]) == 0.0


def test_a_quiet_daemon_is_flat() -> None:
    assert wrong(judge(samples())) == []


@pytest.mark.parametrize(
    ("name", "a_week", "told"),
    [
        ("rss", 4 * MIB, "resident memory: grows by 4.0"),
        ("fds", 5, "open files: grows by"),
        ("threads", 3, "threads: grows by"),
        ("db", 800 * 1024, "watchdog.db: grows by"),
        ("wal", 800 * 1024, "watchdog.db-wal: grows by"),
        ("tick_ms", 6, "processor a tick: grows by"),
    ],
)
def test_what_grows_is_told_with_its_unit(name: str, a_week: float, told: str) -> None:
    assert told in wrong(judge(samples(**{name: a_week})))[0]
    assert wrong(judge(samples(**{name: a_week}), slopes=False)) == []


def test_what_is_too_much_is_told_in_a_short_soak_too() -> None:
    found = samples()
    found[3]["fds"] = 1000
    assert wrong(judge(found, slopes=False)) == ["open files: 1000.0  is more than it may ever be (64)"]


def test_the_same_seed_is_the_same_story_and_three_weeks_hold_all_there_is() -> None:
    assert plan(21, 7) == plan(21, 7) != plan(21, 8)
    for seed in range(20):
        events = plan(21, seed)
        assert [e.at for e in events] == sorted(e.at for e in events)
        kinds = {e.kind for e in events}
        assert {"rename", "copytruncate", "glitch", "outage", "deploy", "bad", "halt", "crash bot"} <= kinds
        assert {e.what for e in events if e.kind == "bad"} == set(BAD)
        ends = [e.at for e in events if e.kind in {"restart", "kill"}]
        assert ends
        assert max(ends) < timedelta(days=8), "the last life of the daemon is long enough to leak in"


def test_a_look_at_both_clocks_is_of_one_moment() -> None:
    """Five thousand times as fast, a pause of 10 ms between two looks would be a step of 50 s."""
    scale = Scale.ending_now(timedelta(days=1), 5000.0)
    clock = SoakClock(scale)()
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            sum(range(1000))

    others = [threading.Thread(target=disturb) for _ in range(3)]
    for other in others:
        other.start()
    before, began = clock.now(), time.monotonic()
    for _ in range(2000):
        clock.now()
    after, took_s = clock.now(), time.monotonic() - began
    stop.set()
    for other in others:
        other.join()
    assert clock.take_steps() == []
    assert (after - before).total_seconds() == pytest.approx(5000 * took_s, rel=0.2)


@long
def test_a_day_and_a_half_through_the_real_service() -> None:
    assert main(["--days", "1.5", "--seconds", "20", "--seed", "5"]) == 0
