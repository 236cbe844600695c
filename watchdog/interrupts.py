"""What may end a wait of the procedure early: the daemon hands over (SIGTERM), or somebody orders a halt.

A step that acts is never cut short; only waits look here, and the hashing of files. So a SIGTERM finishes the running
step, and what takes long while nothing is half done (the proof of the loaded model, the monitoring, the hashing of a
model of gigabytes before or after its switch) is left to the next start.
"""

from collections.abc import Awaitable, Callable

from watchdog.clock import Clock

SLICE_S = 0.1


class HandOver(Exception):
    """The daemon is asked to end; the incident stays open for the next start."""


class HaltAsked(Exception):
    """Somebody, or a rule, wants the bot halted now."""

    def __init__(self, why: str, who: str) -> None:
        super().__init__(why)
        self.why = why
        self.who = who


class Interrupts:
    """Shared by the daemon, which asks, and the procedure, which looks."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._hand_over = False
        self._halt: HaltAsked | None = None

    def ask_hand_over(self) -> None:
        """From now on the procedure ends at its next look."""
        self._hand_over = True

    @property
    def handing_over(self) -> bool:
        """Whether the daemon was asked to end."""
        return self._hand_over

    def ask_halt(self, why: str, who: str) -> None:
        """From now on the procedure turns into a halt at its next look. The first asker is kept."""
        self._halt = self._halt or HaltAsked(why, who)

    @property
    def halt_asked(self) -> bool:
        """Whether a halt is asked for that no step has turned to yet."""
        return self._halt is not None

    def obeyed(self) -> None:
        """The halt is on its way."""
        self._halt = None

    def look(self, *, halting: bool = False) -> None:
        """Raises HandOver or HaltAsked. A halt in progress is not interrupted by another one."""
        if self._hand_over:
            raise HandOver
        if self._halt is not None and not halting:
            raise self._halt

    async def wait(self, seconds: float, *, halting: bool = False) -> None:
        """Sleeps, in slices, and looks after each."""
        until = self._clock.monotonic() + seconds
        self.look(halting=halting)
        while (rest := until - self._clock.monotonic()) > 0:
            await self._sleep(min(SLICE_S, rest))
            self.look(halting=halting)
