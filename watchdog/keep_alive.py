"""A `process` bot that is down though nobody here stopped it is started again: with back-off, and not for ever."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

WITHIN = timedelta(minutes=10)
"""The time in which `max_restarts` is counted."""


def recent(restarts: Sequence[datetime], now: datetime) -> list[datetime]:
    """The restarts that still count."""
    return [at for at in restarts if now - at < WITHIN]


def what_now(
    restarts: Sequence[datetime], now: datetime, max_restarts: int
) -> Literal["start", "wait", "give up"]:
    """What to do about a bot that is down.

    The first restart comes at once, the following ones 1, 2, 4, 8 s ... after the one before; one that would be more
    than `max_restarts` in `WITHIN` is not made.
    """
    counted = recent(restarts, now)
    if len(counted) >= max_restarts:
        return "give up"
    if not counted:
        return "start"
    pause = timedelta(seconds=2.0 ** (len(counted) - 1))
    return "start" if now - counted[-1] >= pause else "wait"
