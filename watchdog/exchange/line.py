"""One call at a time, within a budget of time: bans are waited for, never probed; a wrong clock is set and asked again.

A call is made once. Whoever needs its answer asks again in the next round, so that one broken endpoint does not use up
the time of the others.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from watchdog.clock import Budget, Clock
from watchdog.exchange.errors import ExchangeError

T = TypeVar("T")
Wait = Callable[[float], Awaitable[None]]
"""Waits so many seconds; may raise when the procedure is to end (`watchdog.interrupts`)."""

LOOK_S = 1.0
"""Between two looks at the budget in a pause."""

MARGIN_S = 0.5
"""After the end of a ban, for clocks that differ."""


class Limits:
    """Until when the exchange wants to be left alone. It counts by address, and so for every program on it."""

    def __init__(
        self, clock: Clock, until: datetime | None = None, keep: Callable[[datetime], None] = lambda _: None
    ) -> None:
        """`until`: as an earlier process kept it; `keep` is told of every later moment."""
        self._clock, self._until, self._keep = clock, until, keep

    @property
    def left_s(self) -> float:
        """How long still, in seconds; 0 when it may be asked."""
        if self._until is None:
            return 0.0
        return max(0.0, (self._until - self._clock.now()).total_seconds())

    def begin(self, seconds: float) -> None:
        """It asked for so long; a longer one stays in force."""
        until = self._clock.now() + timedelta(seconds=seconds + MARGIN_S)
        if self._until is None or until > self._until:
            self._until = until
            self._keep(until)

    @property
    def told(self) -> str:
        """For people."""
        return "" if self._until is None else f"not before {self._until:%Y-%m-%d %H:%M:%S} UTC"


@dataclass
class Line:
    """Calls of one client. `set_clock` takes over the exchange's time."""

    limits: Limits
    monotonic: Callable[[], float]
    wait: Wait
    budget: Budget
    """Time in which this process was frozen does not count, but for one gap (`access.MOST_GAP_S`)."""
    set_clock: Callable[[], Awaitable[object]]

    @property
    def left_s(self) -> float:
        """What is left of the budget, in seconds. A look at it."""
        return self.budget.left_s()

    async def pause(self, seconds: float) -> None:
        """Waits so long, and looks at the budget often enough for all of it to count."""
        while seconds > 0:
            await self.wait(min(seconds, LOOK_S))
            self.budget.left_s()
            seconds -= LOOK_S

    async def ask(self, call: str, make: Callable[[], Awaitable[T]]) -> T:
        """Makes the call, now. ExchangeError when it brought nothing; `limited` without a call while a ban lasts."""
        for last in (False, True):
            await self._may_ask(call)
            try:
                return await make()
            except ExchangeError as error:
                if error.kind == "limited":
                    self.limits.begin(error.wait_s or 0.0)
                if error.kind != "clock" or last:
                    raise
            await self.try_clock()
        raise AssertionError("the second time returns or raises")

    async def try_clock(self) -> bool:
        """Takes the exchange's time; without it this machine's own is tried."""
        try:
            await self._may_ask("time")
            await self.set_clock()
        except ExchangeError as error:
            if error.kind == "limited" and error.wait_s is not None:
                self.limits.begin(error.wait_s)
            return False
        return True

    async def _may_ask(self, call: str) -> None:
        await self.wait(0.0)
        if self.limits.left_s > 0:
            raise ExchangeError(
                call, f"the exchange does not want to be asked, {self.limits.told}", "limited"
            )
        if self.left_s <= 0:
            raise ExchangeError(call, "the time for it is over", "late")
