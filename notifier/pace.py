"""Keeps within Telegram's limits of messages per minute, so that it need not answer 429."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

GROUP_MESSAGES = 20  # a minute, per group (https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this)
PRIVATE_MESSAGES = 60  # a minute: about one a second, bursts being allowed


class Pace:
    """At most `messages` in any window of `per_s` seconds; who comes later waits, nobody is turned away.

    clock: monotonic seconds. sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        messages: int,
        per_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if messages < 1:
            raise ValueError(f"messages is {messages}; a pace needs at least 1")
        self._per_s = per_s
        self._clock = clock
        self._sleep = sleep
        self._taken: deque[float] = deque(maxlen=messages)

    async def wait(self) -> None:
        """Return when the next message may go out, and count it."""
        while len(self._taken) == self._taken.maxlen:
            wait_s = self._taken[0] + self._per_s - self._clock()
            if wait_s <= 0:
                break
            await self._sleep(wait_s)
        self._taken.append(self._clock())
