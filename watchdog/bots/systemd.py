"""`control: systemd`: a bot that is a unit of systemd's, stopped, started and restarted by systemd itself."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

from watchdog.bots import proc
from watchdog.bots.base import BotError, EndedAtOnceError, Running, Stopped, Wait
from watchdog.bots.bringer import told_starter, who_started
from watchdog.bots.journal_tail import JournalTail
from watchdog.bots.restarts import Restarts
from watchdog.bots.starter import Starter
from watchdog.bots.systemctl import Said, Systemctl
from watchdog.bots.take_down import TakeDown
from watchdog.bots.tree import GRACE_S, KILL_WAIT_S
from watchdog.bots.unit import DOWN, PROPERTIES, UnitState, parse
from watchdog.clock import Budget

Remembered = tuple[int, int, str]  # pid, started_ticks, boot id

POLL_S = 0.1
SETTLE_S = 0.5  # how long after the end whatever brings a bot back is waited for
ATTEMPTS = 3
NOTICED_S = 3.0  # how long systemd may take to notice that a process has ended
GONE_POLL_S = 0.02

log = logging.getLogger(__name__)


class SystemdBot:
    """The bot as `unit`. `remembered` is what `remember()` gave before a restart of the watchdog.

    Looking needs no right; stopping and starting need root, or the polkit rule (verbs start, stop, kill, reset-failed).
    The unit is never masked or changed: who brings it back is found at the next look, and stopped again.
    """

    kind = "systemd"
    supervised = True

    def __init__(
        self,
        unit: str,
        systemctl: Systemctl,
        start_timeout_s: float,
        remembered: Remembered | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        kill_wait_s: float = KILL_WAIT_S,
    ) -> None:
        self._unit, self._systemctl, self._start_timeout_s = unit, systemctl, start_timeout_s
        self._boot_id = proc.boot_id()
        self._known = remembered[:2] if remembered and remembered[2] == self._boot_id else None
        self._ours = self._known
        self._sleep, self._monotonic, self._kill_wait_s = sleep, monotonic, kill_wait_s
        self._ended: tuple[tuple[int, int], int] | None = None
        self._restarts = Restarts()
        self._starter: tuple[str, str] | None = None
        self._transient = False
        self._output = JournalTail(systemctl.scope, monotonic)
        self.trouble: str | None = None

    async def find(self) -> list[Running]:
        """The main process; without one, the oldest of what is left in the unit's control group: a unit is one bot,
        however many processes it has. [] while it is on its way up."""
        state = await self._look()
        self.trouble = state.trouble(self._restarts.lately(self._monotonic(), state.restarts))
        await self._output.follow(state)
        running = await self._running(state)
        self._known = (running[0].pid, running[0].started_ticks) if running else None
        return running

    def remember(self) -> Remembered | None:
        """What to persist, so that after a restart of the watchdog it is known whether this is the same process."""
        return (*self._known, self._boot_id) if self._known else None

    async def start(self, wait: Wait = asyncio.sleep) -> Running:
        """`systemctl start`, and waiting for the main process; a start that is under way already is joined.

        ExecStartPre= may take until `start_timeout_s`. EndedAtOnceError when it ended by itself before it was seen;
        BotError when it runs already, or when it could not be executed at all.
        """
        state = await self._look()
        if running := await self._running(state):
            raise BotError(
                f"{state.name} already runs as pid {running[0].pid} (`{running[0].command}`), started by "
                f"{running[0].started_by}: nothing was started. Stop it first."
            )
        if not state.loaded:
            raise BotError(
                f"{self._load_trouble(state)} Mend or unmask the unit, then order the start again."
            )
        if not state.starting:
            if not state.down:  # it waits for RestartSec=, or is "active (exited)"
                await self._take_down().run(GRACE_S)
            await self._forget_failure()
        job = asyncio.ensure_future(
            self._systemctl.ask("start", self._unit, answer_s=2 * self._start_timeout_s)
        )
        try:
            return await self._started(job, wait)
        finally:
            job.cancel()  # of the asking alone: the start itself is systemd's
            await asyncio.gather(job, return_exceptions=True)

    async def stop(self, timeout_s: float) -> Stopped:
        """`systemctl stop`, SIGKILL to all in the control group after `timeout_s`; then look if it is brought back.

        What was brought back is stopped again, `ATTEMPTS` times in all, each with its own `timeout_s`.
        """
        began, taken = self._monotonic(), self._take_down()
        down_s, bringer = 0.0, None
        state = await self._look()
        for _ in range(ATTEMPTS):
            if not state.down:
                await taken.run(timeout_s)
                down_s = self._monotonic() - began
            await self._sleep(SETTLE_S)
            state = await self._look_again()
            if state.down:
                return await self._stopped(state, taken, down_s, bringer)
            bringer = await who_started(self._systemctl, state)
            log.warning("%s is back, brought back by %s", state.name, bringer.text)
        assert bringer is not None
        pid = state.main.pid if state.main else None
        raise BotError(
            f"{state.name} was stopped {ATTEMPTS} times and is back each time"
            f"{f', now as pid {pid} (`{proc.describe(pid)}`)' if pid else ''}, brought back by {bringer.text}. "
            f"{bringer.remedy}"
        )

    def exit_code(self, bot: Running) -> int | None:
        """Known if systemd still knew it at a look after the end: not once it started the next process."""
        return self._ended[1] if self._ended and self._ended[0] == (bot.pid, bot.started_ticks) else None

    def output_tail(self, lines: int = 40) -> list[str]:
        """From systemd's journal, as of a recent look; [] where the journal may not be read."""
        return self._output.lines[-lines:] if lines > 0 else []

    def trim_output(self) -> None:
        """The journal is systemd's to keep small."""

    # -- acting

    async def _started(self, job: asyncio.Future[Said], wait: Wait) -> Running:
        """Waits until there is a main process, or until it is clear that there will be none."""
        budget = Budget(self._monotonic, self._start_timeout_s)
        while True:
            asked = job.done()
            state = await self._look()
            # Of a bot that put itself into the background systemd may not know which process is the main one.
            if state.main or (asked and state.active == "active"):
                self._starter = (state.invocation, "the watchdog")
                if begun := await self._running(state):
                    self._ours = self._known = (begun[0].pid, begun[0].started_ticks)
                    return replace(begun[0], adopted=False)
            ended = state.exited or (state.active in DOWN and not state.starting)
            if asked and (state.resting or ended):
                raise await self._why_not(state, job.result())
            if budget.over():
                raise BotError(
                    f"{state.name} has had no main process for {self._start_timeout_s:g} s: systemd says "
                    f"{state.active} ({state.sub}), so ExecStartPre= or a unit that it needs takes long. See "
                    f"`{self._systemctl.command} status {state.name}`, or raise bot.start_timeout."
                )
            await wait(POLL_S)

    async def _why_not(self, state: UnitState, said: Said) -> BotError:
        """Its own fault (EndedAtOnceError), or something that no other version of the model would mend."""
        if said.code and not said.errors.startswith("Job for"):
            return self._systemctl.refusal("start", self._unit, said)
        status = f"`{self._systemctl.command} status {state.name}`"
        if state.never_executed:
            return BotError(f"{state.name}: {state.never_executed}. Mend the unit; {status} tells more.")
        if state.exec_pid == 0 and state.condition_failed:
            return BotError(
                f"{state.name} was not started: a Condition...= of the unit does not hold ({status})."
            )
        if state.exec_pid == 0 and state.result in {"timeout", "resources", "start-limit-hit"}:
            return BotError(f"{state.name} was not started: {state.how_it_ended()} ({status}).")
        await self._output.read(state.invocation)
        last = " / ".join(line.strip() for line in self.output_tail(5) if line.strip())[-300:]
        return EndedAtOnceError(
            f"{state.name} ended at once: {state.how_it_ended()}{f'; its last words: {last}' if last else ''}"
        )

    async def _stopped(
        self, state: UnitState, taken: TakeDown, down_s: float, bringer: Starter | None
    ) -> Stopped:
        self._known = self._ours = None
        if state.active == "failed":
            await self._forget_failure()  # a bot that is stopped on purpose is no failed unit
        how: Literal["SIGTERM", "SIGKILL"] = "SIGKILL" if taken.killed else "SIGTERM"
        if not taken.pids:
            return Stopped((), "was not running", 0.0, bringer.text if bringer else None)
        return Stopped(tuple(taken.pids), how, down_s, bringer.text if bringer else None)

    def _take_down(self) -> TakeDown:
        return TakeDown(
            self._systemctl, self._unit, self._look_again, self._sleep, self._monotonic, self._kill_wait_s
        )

    async def _forget_failure(self) -> None:
        """Also what counts for StartLimitBurst=, which is meant for crashes and not for orders."""
        said = await self._systemctl.ask("reset-failed", self._unit)
        if said.code and "not loaded" not in said.errors:
            log.warning("%s", self._systemctl.refusal("reset-failed", self._unit, said))

    # -- looking

    async def _look(self) -> UnitState:
        """BotError for a unit that does not exist and of which nothing runs: that is no bot that is down."""
        state = await self._look_again()
        if state.load == "not-found" and state.active in DOWN and not state.processes:
            went = " It was made by systemd-run, and went with its end." if self._transient else ""
            raise BotError(
                f"there is no unit {state.name} in {self._whose()}: whether the bot runs under another name cannot be "
                f"known.{went} Set bot.systemd.unit and bot.systemd.scope (`{self._systemctl.command} list-units` "
                "shows what runs), or put the unit file back."
            )
        return state

    async def _look_again(self) -> UnitState:
        """In the midst of a stop: systemd forgets a unit without a file (of systemd-run, say) as soon as it is down."""
        until = self._monotonic() + NOTICED_S
        while (state := parse((await self._systemctl.show(PROPERTIES, self._unit))[0])).gone_pid:
            if self._monotonic() >= until:
                raise BotError(
                    f"systemd names pid {state.gone_pid} as the main process of {state.name}, and it is not to be seen "
                    "in /proc: mount that without hidepid=, and let the watchdog's unit have no ProtectProc=."
                )
            await asyncio.sleep(GONE_POLL_S)  # it has just died: systemd is about to tell how
        if not state.name.endswith(".service"):
            raise BotError(
                f"{state.name} is no service: set bot.systemd.unit to the unit whose process the bot is."
            )
        self._transient = state.transient or (self._transient and not state.loaded)
        if self._known and state.exec_pid == self._known[0] and state.exec_code is not None:
            self._ended = (self._known, state.exec_code)
        if state.main:
            self._known = (state.main.pid, state.main.started_ticks)
        return state

    async def _running(self, state: UnitState) -> list[Running]:
        if (main := state.bot(self._known)) is None:
            return []
        key = (main.pid, main.started_ticks)
        by = await self._started_by(state)
        return [Running(*key, key != self._ours, proc.describe(main.pid), started_by=by)]

    async def _started_by(self, state: UnitState) -> str:
        """Asked once for each start."""
        if self._starter is None or self._starter[0] != state.invocation:
            self._starter = (state.invocation, await told_starter(self._systemctl, state))
        return self._starter[1]

    def _whose(self) -> str:
        return "the systemd of the system" if self._systemctl.scope == "system" else "the user's own systemd"

    def _load_trouble(self, state: UnitState) -> str:
        return f"{state.name}: {state.trouble(0) or state.load}."
