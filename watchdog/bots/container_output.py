"""What a container wrote to its standard output and error, as far as the engine keeps it."""

import logging
from collections.abc import Callable

from watchdog.bots.base import BotError
from watchdog.bots.container import Container, time_of
from watchdog.bots.engine import Engine
from watchdog.bots.found import Found
from watchdog.plain import one_line

LINES = 100
LINE_CHARS = 1000
EVERY_S = 30.0

log = logging.getLogger(__name__)


class ContainerOutput:
    """The last lines of the last run, kept as of the last look: reading them takes a process and some time."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float]) -> None:
        self._engine, self._monotonic = engine, monotonic
        self._seen: tuple[str, str, str, float] | None = None
        self.lines: list[str] = []

    async def follow(self, found: Found) -> None:
        """Reads anew when the bot came up or ended, and now and then while it runs. Raises nothing."""
        container = _last(found)
        if container is None:
            return
        now_s, seen = self._monotonic(), self._seen
        same = seen is not None and seen[:3] == (container.id, container.started, container.status)
        if seen is not None and same and not (container.up and now_s - seen[3] >= EVERY_S):
            return
        self._seen = (container.id, container.started, container.status, now_s)
        try:
            said = await self._engine.ask(
                "logs", "--tail", str(LINES), "--since", container.started, container.id, merged=True
            )
        except BotError as error:
            log.info("the bot's output cannot be read: %s", error)
            return
        self.lines = [one_line(line, LINE_CHARS) for line in said.text.splitlines()] if said.code == 0 else []


def _last(found: Found) -> Container | None:
    """The one that runs, else the one that ran last."""
    ran = [c for c in found.ours if time_of(c.started) is not None]
    return max(ran, key=lambda c: (c.up, c.resting, c.started), default=None)
