"""Ending the bot's containers with all their processes, within a time."""

import asyncio
import logging
import math
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.compose_client import Compose
from watchdog.bots.container import Container, lives_in, processes_of
from watchdog.bots.container_starter import attribute
from watchdog.bots.engine import Engine
from watchdog.bots.found import Found

POLL_S = 0.1
MARGIN_S = 15.0
"""What an engine takes to kill, beyond the bot's own time."""
SOON_S = 5.0
"""By then compose, which takes a second or two to begin, has told the engine to stop the bot; and what it may take
beyond the bot's own time."""

_NO_END = frozenset(
    str(int(s)) for s in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT, signal.SIGWINCH)
)
"""Signals that people send to have a log opened anew, and such things."""

log = logging.getLogger(__name__)


class TakeDown:
    """`pids` are all that were met, the main process first; `killed`: a main process needed SIGKILL."""

    def __init__(
        self,
        engine: Engine,
        compose: Compose,
        look: Callable[[], Awaitable[Found]],
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
        kill_wait_s: float,
        soon_s: float = SOON_S,
    ) -> None:
        self._engine, self._compose, self._look = engine, compose, look
        self._sleep, self._monotonic, self._kill_wait_s = sleep, monotonic, kill_wait_s
        self._soon_s = soon_s
        self.pids: list[int] = []
        self.killed = False

    async def run(self, found: Found, timeout_s: float) -> None:
        """Stops what `found` shows: through compose, then past it, then by SIGKILL; it may be run again.

        Returns when nothing of it is left, or when somebody started it anew meanwhile. BotError.
        """
        first, limit_s = found, max(1, math.ceil(timeout_s))
        answer_s = limit_s + self._kill_wait_s + MARGIN_S
        self._see(found)
        for attempt in (self._through_compose, self._past_compose, self._by_force):
            if still := _still(first, found):
                await attempt(still, limit_s, answer_s)
                found = await self._look()
        if still := _still(first, found):
            raise BotError(_why_alive(still[0]))
        ended = [c for c in found.ours if not c.up and c.id in {up.id for up in first.up}]
        self.killed = self.killed or any(c.exit_code == -signal.SIGKILL and not c.oom for c in ended)
        for container in found.left:
            await self._end_left(container)

    def _see(self, found: Found) -> None:
        for container in found.ours:
            pids = [s.pid for s in found.processes[container.id]] or ([0] if container.up else [])
            self.pids += [p for p in sorted(pids, key=lambda p: p != container.pid) if p not in self.pids]

    async def _through_compose(self, still: Sequence[Container], limit_s: int, answer_s: float) -> None:
        """Compose is not waited for where it hangs: the bot would go on trading meanwhile."""
        asked = asyncio.ensure_future(self._compose.stop(limit_s, answer_s))
        try:
            await asyncio.wait({asked}, timeout=self._soon_s)
            if asked.done() or await self._told(still):
                await asyncio.wait({asked}, timeout=limit_s + self._soon_s)
            said = asked.result() if asked.done() else None
        except BotError as error:
            log.warning("compose could not stop the bot, so the engine itself is told: %s", error)
        else:
            if said is None:
                log.warning(
                    "compose hangs and does not stop the bot, so it is ended, and the engine itself is told"
                )
            elif said.code:
                log.warning("compose could not stop the bot, so the engine itself is told: %s", said.why)
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def _told(self, still: Sequence[Container]) -> bool:
        """Whether compose has had the engine begin, or is to do something else before: a second signal would then
        disturb a bot that is closing its positions. Where the engine does not say, it is taken to have begun."""
        if self._compose.prepares_stop:
            return True
        up = [c for c in still if c.up]
        try:
            return bool(up) and all([_ending(await self._engine.events(c.id, c.started)) for c in up])
        except BotError as error:
            log.info("whether compose has told the engine to stop the bot is not known: %s", error)
            return True

    async def _past_compose(self, still: Sequence[Container], limit_s: int, answer_s: float) -> None:
        said = await self._engine.ask("stop", "-t", str(limit_s), *(c.id for c in still), answer_s=answer_s)
        if said.code:
            log.warning("the engine could not stop the bot: %s", said.why)

    async def _by_force(self, still: Sequence[Container], _: int, answer_s: float) -> None:
        said = await self._engine.ask("kill", *(c.id for c in still), answer_s=answer_s)
        if said.code:
            log.warning("the engine could not kill the bot: %s", said.why)
        until = self._monotonic() + self._kill_wait_s
        while self._monotonic() < until and (await self._look()).up:
            await self._sleep(POLL_S)

    async def _end_left(self, container: str) -> None:
        """SIGKILL to processes of a container that the engine calls down: it lost track of them."""
        self.killed = True
        until = self._monotonic() + self._kill_wait_s
        while left := processes_of([container])[container]:
            self.pids += [process.pid for process in left if process.pid not in self.pids]
            for process in left:
                _kill(process.pid, container)
            if self._monotonic() >= until:
                raise BotError(
                    f"pid {left[0].pid} ({left[0].comm}, state {left[0].state}) of the bot is still there "
                    f"{self._kill_wait_s:g} s after SIGKILL; the engine calls its container down. Mend what it waits "
                    "for or reboot the machine, then order the stop again."
                )
            await self._sleep(POLL_S)


def _still(first: Found, now: Found) -> list[Container]:
    """What of `first` goes on in `now`, the engine's own restarts of it too; not what somebody started anew."""
    began = {c.id: c for c in (*first.up, *first.resting)}
    return [
        c
        for c in (*now.up, *now.resting)
        if c.id in began and (c.started == began[c.id].started or c.restarts > began[c.id].restarts)
    ]


def _ending(events: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a container that is up has had a signal that is to end it."""
    return any(e.get("Action") == "kill" and attribute(e, "signal") not in _NO_END for e in events)


def _kill(pid: int, container: str) -> None:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if lives_in(pid, container):  # and the pid is not another process's by now
            signal.pidfd_send_signal(process, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except PermissionError:
        who = proc.user_name(os.geteuid())
        raise BotError(
            f"pid {pid} (`{proc.describe(pid)}`) of the bot lives on though the engine calls its container down, and "
            f"{who} may not end it: `sudo kill -9 {pid}`, then order the stop again."
        ) from None
    finally:
        os.close(process)


def _why_alive(container: Container) -> str:
    return (
        f"container {container.name} is still {container.status} (pid {container.pid}) after the engine was told to "
        f"stop and to kill it. `docker stop {container.name}` by hand says why; a process that waits inside the kernel "
        "(state D, mostly for a disk or a network mount) ends with that wait or with a reboot. Then order the stop "
        "again."
    )
