"""Time that stands still, and a channel in memory."""

import asyncio
import heapq
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

from notifier import Alert, Part, Pending, Severity
from notifier.text import parts

NIGHT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


class ManualTime:
    """A clock that only `advance` moves; `sleep` returns when it has been moved far enough."""

    def __init__(self) -> None:
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NIGHT + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + delay_s, next(self._number), future))
        await future

    async def advance(self, seconds: float = 0.0) -> None:
        """Let time pass, and everybody who waits for it, or for nothing, do what they have to do."""
        end_s = self._elapsed_s + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._elapsed_s = max(self._elapsed_s, due_s)
                future.set_result(None)
                await settle()
        self._elapsed_s = end_s


async def settle() -> None:
    """Run the loop until all that can run without waiting has run (in memory, a few rounds are plenty)."""
    for _ in range(100):
        await asyncio.sleep(0)


class MemoryChannel:
    """Keeps what it is sent; `script` holds what the next sends raise (None: nothing)."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.sent: list[str] = []
        self.severities: list[Severity] = []
        self.script: list[Exception | None] = []
        self.always: Exception | None = None
        self.lines_as_parts = False
        self.closed = False

    def parts(self, alert: Pending) -> Sequence[Part]:
        if self.lines_as_parts:
            return [Part(line, alert.severity) for line in alert.text.split("\n")]
        return parts(alert)

    async def send(self, part: Part) -> None:
        await asyncio.sleep(0)
        error = self.script.pop(0) if self.script else self.always
        if error is not None:
            raise error
        self.sent.append(part.text)
        self.severities.append(part.severity)

    async def aclose(self) -> None:
        self.closed = True

    @property
    def headlines(self) -> list[str]:
        return [text.split("\n")[0] for text in self.sent]


def step(text: str, severity: Severity = "info", key: str | None = None) -> Alert:
    """An alert that stands by itself."""
    return Alert("step", text, severity, key=key, coalesce=False)
