"""One call at a time, within a budget."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.watchdog.fakes import START, ManualClock
from watchdog.clock import Budget
from watchdog.exchange.access import CALL_TIMEOUT_S, MOST_GAP_S
from watchdog.exchange.errors import ExchangeError, answered
from watchdog.exchange.line import Limits, Line


class Bench:
    """A line, on a clock of its own. `set_clock` is what the exchange says to the question for the time."""

    def __init__(self, budget_s: float = 10.0) -> None:
        self.machine = ManualClock()
        self.waited: list[float] = []
        self.clock_asked = 0
        self.limits = Limits(self.machine.clock())
        budget = Budget(lambda: self.machine.monotonic_s, budget_s, MOST_GAP_S)
        self.line = Line(
            self.limits, lambda: self.machine.monotonic_s, self.wait, budget, lambda: self.set_clock()
        )

    async def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.machine.go(seconds)

    async def set_clock(self) -> None:
        self.clock_asked += 1


def answers(*given: Any) -> tuple[list[int], Callable[[], Any]]:
    """A call that gives, or raises, one after the other; and how often it was made."""
    made: list[int] = []

    async def call() -> Any:
        made.append(1)
        found = given[len(made) - 1]
        if isinstance(found, Exception):
            raise found
        return found

    return made, call


async def test_a_call_is_made_once_even_if_it_fails() -> None:
    bench, (made, call) = Bench(), answers(answered("x", 500, None, None), 1)
    with pytest.raises(ExchangeError, match="HTTP 500"):
        await bench.line.ask("x", call)
    assert (len(made), bench.waited) == (1, [0.0])


async def test_a_wrong_clock_is_set_and_the_call_made_again_once() -> None:
    bench, (made, call) = Bench(), answers(answered("x", 400, -1021, None), 1)
    assert await bench.line.ask("x", call) == 1
    assert (len(made), bench.clock_asked) == (2, 1)
    made, call = answers(answered("x", 400, -1021, None), answered("x", 400, -1021, None))
    with pytest.raises(ExchangeError, match="this machine's clock differs"):
        await bench.line.ask("x", call)


async def test_after_a_ban_nothing_is_asked_until_it_is_over() -> None:
    bench, (made, call) = Bench(100.0), answers(answered("x", 418, -1003, "20"), 1)
    for _ in range(5):
        with pytest.raises(ExchangeError) as caught:
            await bench.line.ask("x", call)
        assert caught.value.kind == "limited"
        bench.machine.go(4)
    assert len(made) == 1
    assert bench.limits.told == "not before 2026-03-01 10:00:20 UTC"
    bench.machine.go(0.6)
    assert await bench.line.ask("x", call) == 1


async def test_a_shorter_ban_does_not_shorten_a_longer_one() -> None:
    bench, kept = Bench(), list[Any]()
    limits = Limits(bench.machine.clock(), START + timedelta(seconds=60), kept.append)
    limits.begin(5)
    assert (limits.left_s, kept) == (60.0, [])
    limits.begin(90)
    assert kept == [START + timedelta(seconds=90.5)]


async def test_when_the_time_is_over_nothing_is_asked_any_more() -> None:
    bench, (made, call) = Bench(10.0), answers(1)
    await bench.line.pause(10)
    with pytest.raises(ExchangeError, match="the time for it is over") as caught:
        await bench.line.ask("x", call)
    assert (caught.value.kind, caught.value.lost, made) == ("late", False, [])


async def test_time_in_which_the_process_was_frozen_does_not_count() -> None:
    bench = Bench(60.0)
    bench.machine.go(65)
    assert await bench.line.ask("x", answers(1)[1]) == 1
    assert bench.line.left_s == 60.0 - MOST_GAP_S


async def test_a_call_that_takes_all_of_its_time_counts_wholly_and_so_does_a_long_pause() -> None:
    bench = Bench(60.0)

    async def slow() -> None:
        bench.machine.go(CALL_TIMEOUT_S)

    for _ in range(3):
        await bench.line.ask("x", slow)
    assert bench.line.left_s == 45.0
    await bench.line.pause(44.5)
    assert bench.line.left_s == 0.5


async def test_what_ends_a_wait_ends_the_call_before_it_is_made() -> None:
    bench, (made, call) = Bench(), answers(1)

    async def halted(_: float) -> None:
        raise KeyboardInterrupt

    bench.line.wait = halted
    with pytest.raises(KeyboardInterrupt):
        await bench.line.ask("x", call)
    assert made == []


async def test_an_exchange_that_does_not_tell_the_time_is_asked_all_the_same() -> None:
    bench = Bench()

    async def broken() -> None:
        raise answered("time", 500, None, None)

    bench.line.set_clock = broken
    assert not await bench.line.try_clock()
    assert await bench.line.ask("x", answers(1)[1]) == 1
