"""What the procedure asks of a bot, however the bot is run: is it up, stop it, start it, what did it say.

The procedure holds one lock around stop, roll back and start; a control needs no lock of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

from watchdog.bots import proc

Wait = Callable[[float], Awaitable[None]]
"""Waits so many seconds; may raise to say that something more urgent is asked for."""


class BotError(Exception):
    """The bot could not be looked at, stopped or started.

    The text says what is left (pid and command), what brings it back, and what mends it.
    """


class NoAnswerError(BotError):
    """Its owner (systemd, a container engine) could not be reached, or did not answer in time: nothing is known, and
    what was asked for may be done all the same."""


class EndedAtOnceError(BotError):
    """The bot was started as it should be, and ended by itself before it could be seen: its own fault."""


@dataclass(frozen=True)
class Running:
    """One process at the root of the bot's tree (its workers are not listed).

    `started_ticks` is field 22 of /proc/<pid>/stat, clock ticks since boot: with the pid it names one process
    for as long as the machine is up, whatever the wall clock does. `adopted`: it was started by somebody else
    than a watchdog; `started_by` names who, where its owner knows more than the process table does.
    """

    pid: int
    started_ticks: int
    adopted: bool
    command: str
    started_by: str | None = field(default=None, kw_only=True)

    def started_at(self, now_utc: datetime) -> datetime:
        """The start as wall time, reckoned back from `now_utc` (aware) by the process's age."""
        return now_utc - timedelta(seconds=proc.age_s(self.started_ticks))


@dataclass(frozen=True)
class Stopped:
    """A finished stop: nothing of the bot is left.

    `how` is the hardest signal that any of its processes needed, `seconds` the time until it was down, and
    `brought_back_by` names who had started it again meanwhile (it was stopped again, and stayed down).
    """

    pids: tuple[int, ...]
    how: Literal["was not running", "SIGTERM", "SIGKILL"]
    seconds: float
    brought_back_by: str | None


class BotControl(Protocol):
    """One way of running a bot."""

    @property
    def kind(self) -> str:
        """The value of `bot.control` that selects this one."""
        ...

    @property
    def supervised(self) -> bool:
        """Whether it has an owner (systemd, a container engine) that restarts it by a policy of its own."""
        ...

    @property
    def trouble(self) -> str | None:
        """What the owner said, at the last `find`, that is neither up nor simply down: a crash loop, a failed
        unit. A sentence for people, without what mends it; None = nothing odd."""
        ...

    async def find(self) -> list[Running]:
        """Look afresh: every root process of the bot that is alive, the main one first. [] = it is down.

        BotError when that cannot be known (an owner that does not answer): never taken for down.
        """
        ...

    async def stop(self, timeout_s: float) -> Stopped:
        """Stop the bot with all its descendants; what still lives after `timeout_s` is killed.

        May be called again, and when nothing runs. BotError when something is left or keeps coming back.
        """
        ...

    async def start(self, wait: Wait = asyncio.sleep) -> Running:
        """Start the bot, and wait with `wait` until it has a process.

        EndedAtOnceError when it had none for long enough to be seen; BotError when one runs already, or when it
        cannot be executed at all (with the remedy).
        """
        ...

    def exit_code(self, bot: Running) -> int | None:
        """How `bot` ended (negative = the signal that ended it); None while it lives or if nobody knows."""
        ...

    def output_tail(self, lines: int = 40) -> list[str]:
        """The last lines that the bot wrote to its standard output and error."""
        ...

    def remember(self) -> tuple[int, int, str] | None:
        """(pid, started_ticks, boot id) of the bot, to be kept so that a restarted watchdog finds it; None = down."""
        ...

    def trim_output(self) -> None:
        """Keeps what the bot wrote to its standard output from filling the disk; to be called now and then."""
        ...


def look_at(bot: BotControl) -> list[Running]:
    """`find`, for a command that has no event loop."""
    return asyncio.run(_found(bot))


async def _found(bot: BotControl) -> list[Running]:
    return await bot.find()
