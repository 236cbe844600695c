"""What a unit wrote to its standard output and error, as far as the watchdog may read systemd's journal."""

import logging
from collections.abc import Callable

from watchdog.bots.base import BotError
from watchdog.bots.systemctl import Scope, environment, run
from watchdog.bots.unit import UnitState

LINES = 100
LINE_CHARS = 1000
EVERY_S = 30.0
ANSWER_S = 5.0  # a big journal on a slow disk takes its time; it is for people alone

log = logging.getLogger(__name__)


class JournalTail:
    """The last lines of one run of the unit, kept as of the last look: reading them takes a process and some time."""

    def __init__(self, scope: Scope, monotonic: Callable[[], float]) -> None:
        self._scope: Scope = scope
        self._monotonic = monotonic
        self._seen: tuple[str, bool, float] | None = None
        self.lines: list[str] = []

    async def follow(self, state: UnitState) -> None:
        """Reads anew when the bot came up or ended, and now and then while it runs."""
        now, up, seen = self._monotonic(), state.main is not None, self._seen
        if seen and (seen[0], seen[1]) == (state.invocation, up) and not (up and now - seen[2] >= EVERY_S):
            return
        self._seen = (state.invocation, up, now)
        await self.read(state.invocation or (seen[0] if seen else ""))

    async def read(self, invocation: str) -> None:
        """Reads the lines of this run. Without the right to, or in time, there are none."""
        if not invocation:
            return
        user = ["--user"] if self._scope == "user" else []
        command = ["journalctl", *user, "--quiet", "--no-pager", "--output=cat", f"--lines={LINES}"]
        try:
            said = await run(
                [*command, f"_SYSTEMD_INVOCATION_ID={invocation}"], environment(self._scope), ANSWER_S
            )
        except BotError as error:
            log.info("the bot's output cannot be read: %s", error)
            return
        self.lines = [line[:LINE_CHARS] for line in said.text.splitlines()]
