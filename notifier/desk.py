"""What the courier keeps in mind for one channel, beside what is on disk."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from .alert import Pending
from .channel import Channel
from .errors import NotifyError

MAX_UNWRITTEN = 500


@dataclass
class Desk:
    """failures: failed attempts in a row; refusals: those that a person must mend.

    trouble: what was said of them, so that it is said once.

    unwritten: alerts that the disk did not take, to be sent from memory.
    """

    channel: Channel
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    failures: int = 0
    refusals: int = 0
    disk_failures: int = 0
    misconfigured: bool = False
    trouble: str | None = None
    trouble_since: datetime | None = None
    unwritten: deque[Pending] = field(default_factory=lambda: deque(maxlen=MAX_UNWRITTEN))
    _records: deque[Callable[[], None]] = field(default_factory=deque)

    @property
    def name(self) -> str:
        return self.channel.name

    def record(self, alert: Pending, write: Callable[[], None]) -> None:
        """Write down what became of an alert; if the disk fails it is kept and written by the next `flush`,
        for an alert that was sent must not be sent again because of the disk."""
        if alert.id:
            self._records.append(write)
            with suppress(NotifyError):
                self.flush()

    def flush(self) -> None:
        """Write what is not written yet. Raises NotifyError if the disk still fails."""
        while self._records:
            self._records[0]()
            self._records.popleft()
