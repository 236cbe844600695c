"""An event loop on the manual clock: the same moves end the same way on every machine, however busy it is.

What is given to a thread is done at once. Where a real loop would wait for a timer, the clock jumps to it; where it
would wait for ever, it says so.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from tests.watchdog.fakes import ManualClock

T = TypeVar("T")


class NothingMoves(AssertionError):
    """Everybody waits for somebody else."""


class AtOnce(ThreadPoolExecutor):
    """Does in the caller's thread what it is given."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  (as a thread hands it over: a kill, too)
            future.set_exception(error)
        return future


class Jumping(selectors.PollSelector):
    """Waits for nothing."""

    def __init__(self, machine: ManualClock) -> None:
        super().__init__()
        self._machine = machine

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout is None:
            raise NothingMoves("every task waits, and for no timer")
        if not found and timeout is not None and timeout > 0:
            self._machine.go(timeout)
        return found


class ManualLoop(asyncio.SelectorEventLoop):
    """The loop of one process of the watchdog."""

    def __init__(self, machine: ManualClock) -> None:
        super().__init__(Jumping(machine))
        self._machine = machine
        self.set_default_executor(AtOnce(1))
        self.set_exception_handler(lambda *_: None)  # who looks at a task's end sees its error there

    def time(self) -> float:
        return self._machine.monotonic_s

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """To its end; what it started goes on at the next run."""
        return self.run_until_complete(coroutine)

    def end(self) -> None:
        """Whatever is still going on is over, as after a kill."""
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            self.run_until_complete(asyncio.wait(tasks))
        self.run_until_complete(self.shutdown_asyncgens())
        self.close()
