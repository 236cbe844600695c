"""Ending a unit with all that is in its control group, through systemd, within a time."""

import logging
from collections.abc import Awaitable, Callable

from watchdog.bots.base import BotError
from watchdog.bots.systemctl import DeniedError, Systemctl
from watchdog.bots.tree import GRACE_S
from watchdog.bots.unit import DOWN, UnitState

POLL_S = 0.1
KILL_EVERY_S = 1.0  # ExecStopPost= starts a process after the kill: it is killed, too

log = logging.getLogger(__name__)


class TakeDown:
    """`pids` are all that were met, the main process first; `killed`: at least one needed SIGKILL."""

    def __init__(
        self,
        systemctl: Systemctl,
        unit: str,
        look: Callable[[], Awaitable[UnitState]],
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
        kill_wait_s: float,
    ) -> None:
        self._systemctl, self._unit, self._look = systemctl, unit, look
        self._sleep, self._monotonic, self._kill_wait_s = sleep, monotonic, kill_wait_s
        self.pids: list[int] = []
        self.killed = False

    async def run(self, timeout_s: float) -> None:
        """Stops the unit, and kills what is left after `timeout_s`; it may be run again.

        Returns when nothing is left and nothing is about to start it, or when somebody started it anew. BotError.
        """
        began = self._monotonic()
        asked_of: str | None = None
        left_s: float | None = None
        first_kill_s: float | None = None
        last_kill_s = 0.0
        while not (state := await self._look()).down:
            now_s = self._monotonic() - began
            self._see(state)
            if state.active in DOWN and not state.job:  # left by KillMode=process or none
                if left_s is None:
                    left_s = now_s
                    await self._signal("SIGTERM")
            elif state.refuses_stop:
                if (state.main or state.processes) and state.invocation != asked_of:
                    asked_of = state.invocation
                    await self._go_past(state)
            elif asked_of is None:
                asked_of = state.invocation
                await self._systemctl.order("stop", "--no-block", self._unit)
            elif not state.job and (state.active == "active" or state.invocation != asked_of):
                return  # somebody's start was quicker, or took our stop's place
            late = now_s >= timeout_s or (left_s is not None and now_s >= left_s + GRACE_S)
            if late and (first_kill_s is None or now_s >= last_kill_s + KILL_EVERY_S):
                first_kill_s, last_kill_s = now_s if first_kill_s is None else first_kill_s, now_s
                await self._kill()
            if first_kill_s is not None and now_s >= first_kill_s + self._kill_wait_s:
                raise BotError(self._why_alive(state))
            await self._sleep(POLL_S)
        self._see(state)

    async def _go_past(self, state: UnitState) -> None:
        """What Restart= starts again meanwhile is ended as well, until the start limit or our patience is reached."""
        log.warning(
            "%s refuses to be stopped (RefuseManualStop=yes): SIGTERM is sent to its processes instead",
            state.name,
        )
        await self._signal("SIGTERM")

    def _see(self, state: UnitState) -> None:
        seen = ([state.main] if state.main else []) + list(state.processes)
        self.pids = list(dict.fromkeys([*self.pids, *(p.pid for p in seen)]))
        by_systemd = state.exec_code == -9 and state.exec_pid in self.pids and state.main is None
        self.killed = self.killed or by_systemd  # after the unit's own TimeoutStopSec=

    async def _kill(self) -> None:
        self.killed = True
        await self._signal("SIGKILL")

    async def _signal(self, name: str) -> None:
        try:
            await self._systemctl.order("kill", f"--signal={name}", self._unit)
        except DeniedError:
            raise
        except BotError as error:  # it ended in this very moment
            log.info("%s", error)

    def _why_alive(self, state: UnitState) -> str:
        if state.refuses_stop:
            return (
                f"{state.name} refuses to be stopped (RefuseManualStop=yes in the unit). Its processes were ended, and "
                f"systemd still calls it {state.active} ({state.sub}), after {state.restarts} restarts by its own "
                f"Restart={state.restart}. Take RefuseManualStop=yes out of the unit, `{self._systemctl.command} "
                "daemon-reload`, then order the stop again."
            )
        left = ", ".join(f"pid {p.pid} ({p.comm}, state {p.state})" for p in state.processes)
        return (
            f"{state.name} is still {state.active} ({state.sub}) {self._kill_wait_s:g} s after SIGKILL to all of it: "
            f"{left or 'no process is left'}. A process in state D waits inside the kernel, mostly for a disk or a "
            f"network mount: mend what it waits for or reboot the machine, then order the stop again. "
            f"`{self._systemctl.command} status {state.name}` tells what systemd waits for."
        )
