"""`control: compose`: a bot that is a service of a compose file, run and restarted by a container engine."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Literal

from watchdog.bots import proc
from watchdog.bots.base import BotError, NoAnswerError, Running, Stopped, Wait
from watchdog.bots.compose_client import Compose, Service
from watchdog.bots.container import Container
from watchdog.bots.container_output import ContainerOutput
from watchdog.bots.container_start import Beginning
from watchdog.bots.container_starter import who_started
from watchdog.bots.container_stop import SOON_S, TakeDown
from watchdog.bots.engine import Engine
from watchdog.bots.found import Argv, Found, sort_out
from watchdog.bots.restarts import Restarts
from watchdog.bots.runs import Runs
from watchdog.bots.tree import GRACE_S, KILL_WAIT_S
from watchdog.clock import Budget

Remembered = tuple[int, int, str]  # pid, started_ticks, boot id

POLL_S = 0.2
SETTLE_S = 1.0  # how long after the end whatever brings a bot back is waited for; compose needs that to start
ATTEMPTS = 3

log = logging.getLogger(__name__)


class ComposeBot:
    """The bot as a service. `remembered` is what `remember()` gave before a restart of the watchdog.

    How things stand is the engine's word, and /proc's where the engine is on this machine; stopping and starting goes
    through compose, and past it where compose fails: to stop a bot must not depend on a compose file without mistakes.
    """

    kind = "compose"
    supervised = True

    def __init__(
        self,
        service: Service,
        engine: Engine,
        start_timeout_s: float,
        remembered: Remembered | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        kill_wait_s: float = KILL_WAIT_S,
        soon_s: float = SOON_S,
    ) -> None:
        self._service, self._engine, self._start_timeout_s = service, engine, start_timeout_s
        self._soon_s = soon_s
        self._boot_id = proc.boot_id()
        ours = remembered[:2] if remembered and remembered[2] == self._boot_id else None
        self._runs = Runs(engine, ours, self._who)
        self._sleep, self._monotonic, self._kill_wait_s = sleep, monotonic, kill_wait_s
        self._compose: Compose | None = None
        self._commands: set[Argv] = set()
        self._restarts: dict[str, Restarts] = {}
        self._output = ContainerOutput(engine, monotonic)
        self._remedy = ""
        self.trouble: str | None = None

    async def find(self) -> list[Running]:
        """The main process of each container of the bot that is up, a frozen one too; what is left of one that the
        engine calls down. [] while the engine waits before it starts it again."""
        found = await self._look()
        running = await self._running(found)
        self.trouble = self._trouble(found)
        await self._output.follow(found)
        return running

    def remember(self) -> Remembered | None:
        """What to persist, so that after a restart of the watchdog it is known whether this is the same process."""
        known = self._runs.known
        return None if known is None else (*known, self._boot_id)

    async def start(self, wait: Wait = asyncio.sleep) -> Running:
        """Starts the container that is there; makes one (no build, no pull, no other service) where there is none.

        EndedAtOnceError when it ended by itself before it was seen; BotError when it runs already, or when it could
        not be executed at all.
        """
        found = await self._look()
        if running := await self._running(found):
            first = running[0]
            raise BotError(
                f"the bot already runs as pid {first.pid} (`{first.command}`), started by {first.started_by}: nothing "
                "was started. Stop it first."
            )
        if found.resting:  # a crash loop: it would come up beside what is started here
            await self._take_down().run(found, GRACE_S)
            found = await self._look()
        beginning = Beginning(self._engine, self._clients(), self._start_timeout_s, found)
        job = asyncio.ensure_future(beginning.ask())
        budget = Budget(self._monotonic, self._start_timeout_s)
        try:
            while True:
                done, found = job.done(), await self._look()
                if running := await self._running(found, begun=True):
                    return running[0]
                if done:
                    await self._output.follow(found)
                    raise beginning.why_not(found, job.result(), self.output_tail(5))
                if budget.over():
                    raise beginning.too_slow()
                await wait(POLL_S)
        finally:
            job.cancel()  # of the asking alone: what the engine has begun it may bring to its end
            await asyncio.gather(job, return_exceptions=True)

    async def stop(self, timeout_s: float) -> Stopped:
        """Through compose, and past it where it fails; SIGKILL to all that is left after `timeout_s`.

        Then it is looked whether anything brings it back.
        What was brought back is stopped again, `ATTEMPTS` times in all, each with its own `timeout_s`.
        """
        began, down_s = self._monotonic(), 0.0
        taken = self._take_down()
        bringer: str | None = None
        for _ in range(ATTEMPTS):
            if not (found := await self._look()).down:
                await self._runs.see(found)
                await taken.run(found, timeout_s)
                down_s = self._monotonic() - began
            await self._sleep(SETTLE_S)
            found = await self._look()
            back = await self._running(found)
            if found.down:
                how: Literal["SIGTERM", "SIGKILL"] = "SIGKILL" if taken.killed else "SIGTERM"
                if not taken.pids:
                    return Stopped((), "was not running", 0.0, bringer)
                return Stopped(tuple(taken.pids), how, down_s, bringer)
            bringer = back[0].started_by if back else "the engine's restart policy"
            log.warning("the bot is back, brought back by %s", bringer)
        now = f", now as pid {back[0].pid} (`{back[0].command}`)" if back else ""
        raise BotError(
            f"the bot was stopped {ATTEMPTS} times and is back each time{now}, brought back by {bringer}. "
            f"{self._remedy}"
        )

    def exit_code(self, bot: Running) -> int | None:
        """Known once a look found it ended, as long as the engine remembers it."""
        return self._runs.code((bot.pid, bot.started_ticks))

    def output_tail(self, lines: int = 40) -> list[str]:
        """From the engine's log of the container, as of a recent look; [] where its logging driver keeps none."""
        return self._output.lines[-lines:] if lines > 0 else []

    def trim_output(self) -> None:
        """The container's log is the engine's to keep small (`logging: options: max-size`)."""

    def _take_down(self) -> TakeDown:
        return TakeDown(
            self._engine,
            self._clients(),
            self._look,
            self._sleep,
            self._monotonic,
            self._kill_wait_s,
            self._soon_s,
        )

    # -- looking

    async def _look(self) -> Found:
        found = await self._look_once()
        if found.left:  # or it was started between the engine's answer and the look into /proc
            await self._sleep(POLL_S)
            found = await self._look_once()
        return found

    async def _look_once(self) -> Found:
        try:
            containers = await self._engine.containers(self._service.name)
        except NoAnswerError as error:
            raise NoAnswerError(f"{error}{self._runs.last_seen()}") from error
        found = sort_out(containers, self._service, self._clients().project, self._commands)
        self._commands.update(c.argv for c in found.regular)
        return found

    def _clients(self) -> Compose:
        """Compose, for the project that the files named when they were read first."""
        if self._compose is None:
            self._compose = Compose(self._service, self._service.project_name(os.environ), self._engine)
        return self._compose

    async def _running(self, found: Found, *, begun: bool = False) -> list[Running]:
        await self._runs.see(found, begun=begun)
        lost = [
            Running(
                left[0].pid, left[0].started_ticks, True, proc.describe(left[0].pid), started_by="the engine"
            )
            for left in found.left.values()
        ]
        return [run.running(self._runs.ours) for run in self._runs.up] + lost

    async def _who(self, container: Container, main: proc.Stat | None) -> str:
        starter = await who_started(self._engine, container, main, self._service.file.parent)
        self._remedy = starter.remedy
        return starter.text

    def _trouble(self, found: Found) -> str | None:
        now_s = self._monotonic()
        self._restarts = {c.id: self._restarts.get(c.id, Restarts()) for c in found.ours}
        counts = {c.id: self._restarts[c.id].lately(now_s, c.restarts) for c in found.ours}
        told = [text for c in found.ours if (text := c.trouble(counts[c.id]))]
        for container, left in found.left.items():
            pids = ", ".join(str(process.pid) for process in left)
            told.append(
                f"the engine calls container {container[:12]} down, but processes of it are left (pid {pids})"
            )
        told += [
            f"service {c.service} of the same file runs in the compose project {c.project}, too (container {c.name})"
            for c in found.elsewhere
        ]
        return "; ".join(told) or None
