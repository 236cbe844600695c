"""The one incident that is open, and the task that works it off."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable

from registry import RegistryError
from watchdog import report
from watchdog.incident import Incident, Plan
from watchdog.interrupts import HandOver
from watchdog.procedure import STEPS
from watchdog.runner import Runner
from watchdog.way_back import CONDEMNED
from watchdog.world import World

log = logging.getLogger(__name__)

MOST_CRASHES = 3
"""A procedure that a mistake of ours ends so often is not the way out: the bot is halted."""


class Incidents:
    """Opens incidents, at most one at a time, and lets the runner carry them on beside the ticks."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._runner = Runner(world)
        self._task: asyncio.Task[None] | None = None
        self._crashes = 0
        self.current: Incident | None = None

    @property
    def busy(self) -> bool:
        """An incident is being worked on: the bot is being stopped, switched or started, or is about to be halted."""
        asked = self._world.interrupts.halt_asked
        return self.current is not None and (asked or not self.current.monitoring)

    @property
    def monitoring(self) -> bool:
        """The bot runs again and is watched."""
        return self.current is not None and self.current.monitoring

    def resume(self) -> None:
        """After a start: goes on with the incident that was open when the last watchdog ended."""
        world = self._world
        incident = world.journal.open_one()
        if incident is None:
            self._halt_that_came_late(next(iter(world.journal.incidents(1)), None))
        elif world.settings.mode == "observe":
            world.teller.tell(
                "open-incident",
                f"incident {incident.id} is open at {incident.step}, and mode is observe: it is not carried on. "
                f"Look after the bot yourself, or set mode: act",
                "critical",
            )
        else:
            log.warning("incident %d is open at %s: going on with it", incident.id, incident.step)
            asked = incident.facts.get("halt_asked")
            if asked is not None and incident.plan == "rollback":
                world.interrupts.ask_halt(asked["why"], asked["who"])
            self._work(incident)

    def open(
        self,
        plan: Plan,
        reason: str,
        by: str,
        *,
        automatic: bool,
        version: str | None = None,
        wanted: str | None = None,
        condemned: str | None = None,
        along: Callable[[Incident], None] = lambda _: None,
    ) -> Incident:
        """Opens an incident, on disk when this returns, and begins to work on it. Not to be called in a transaction.

        `version`: the one that was judged; default: the current one. `condemned`: the one that a rule fired on.
        `along` writes to the journal what must be on disk together with the incident, or not at all. An incident that
        is only monitored is superseded. When the journal cannot be written the bot is halted all the same, in memory.
        """
        world = self._world
        reason = world.redact(reason)  # it goes into the registry's history and to everybody's screen
        now, first = world.now(), STEPS[plan][0].__name__
        version = version or self._current_version()

        def write() -> Incident:
            with world.journal.writing():
                self._supersede()
                opened = world.journal.open_incident(
                    plan, first, reason, by, automatic=automatic, at=now, from_version=version, wanted=wanted
                )
                _condemn(opened, condemned)
                world.journal.save(opened)
                along(opened)
            return opened

        try:
            try:
                incident = write()
            except sqlite3.Error:
                if not world.mend():
                    raise
                incident = write()  # the journal was damaged, and is sound now
        except sqlite3.Error as error:
            log.critical(
                "the journal cannot be written (%s): the bot is halted, which needs no journal", error
            )
            why = f"{reason}. The journal cannot be written ({error})"
            incident = Incident(0, "halt", "hold_down", why, by, automatic, now, version)
            _condemn(incident, condemned)
        self._work(incident)
        return incident

    def _current_version(self) -> str | None:
        try:
            version: str | None = self._world.registry.read()["current_version"]
        except RegistryError as error:
            log.error("%s", error)
            return None
        return version

    def _supersede(self) -> None:
        if self.current is None:
            return
        incident, world = self.current, self._world
        incident.outcome, incident.closed_at = "superseded", world.now()
        try:
            steps = world.journal.steps(incident)
            report.write_report(world.settings.state_dir, incident, steps, world.now(), world.redact)
        except OSError as error:
            log.error("the report of incident %d cannot be written: %s", incident.id, error)
        world.journal.save(incident)

    def halt(
        self,
        why: str,
        who: str,
        *,
        automatic: bool,
        condemned: str | None = None,
        along: Callable[[Incident], None] = lambda _: None,
    ) -> Incident:
        """Halts the bot: turns the open incident into a halt, or opens one. `condemned`, `along`: as for `open`."""
        why = self._world.redact(why)
        if self.current is None:
            return self.open("halt", why, who, automatic=automatic, condemned=condemned, along=along)
        incident = self.current
        _condemn(incident, condemned)
        try:
            with self._world.journal.writing():
                if incident.plan == "rollback":
                    incident.facts["halt_asked"] = {"why": why, "who": who}
                    self._world.journal.save(incident)
                along(incident)
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s): the halt is obeyed all the same", error)
        if incident.plan == "rollback":
            self._world.interrupts.ask_halt(why, who)
        return incident

    def _halt_that_came_late(self, incident: Incident | None) -> None:
        """A halt that was asked for while the incident was being closed still counts, once."""
        if incident is None or incident.plan == "halt" or incident.facts.get("halt_done"):
            return
        asked, closed = incident.facts.get("halt_asked"), incident
        if asked is None:
            return
        closed.facts["halt_done"] = True
        self._world.interrupts.obeyed()
        if self._world.halted is None:
            self.open(
                "halt",
                asked["why"],
                asked["who"],
                automatic=False,
                condemned=closed.facts.get(CONDEMNED),
                along=lambda _: self._world.journal.save(closed),
            )
            return
        try:
            self._world.journal.save(closed)
        except sqlite3.Error as error:
            log.critical("the journal cannot be written: %s", error)

    def _work(self, incident: Incident) -> None:
        if incident is not self.current:
            self._crashes = 0
        before, self.current = self._task, incident
        if before is not None and before is not asyncio.current_task():
            before.cancel()  # it was only monitoring: nothing is half done, and a halt of the new one is not for it
        self._task = asyncio.get_running_loop().create_task(self._carry_on(incident, before))

    async def _carry_on(self, incident: Incident, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.done():
            with contextlib.suppress(asyncio.CancelledError):
                await before
        with contextlib.suppress(HandOver):
            await self._runner.carry_on(incident)
        if self.current is incident and not incident.open:
            self.current = None
            if not self._world.interrupts.handing_over:
                self._halt_that_came_late(incident)

    def drop(self) -> None:
        """Ends the running step where it is, as a kill -9 would."""
        if self._task is not None:
            self._task.cancel()

    async def settle(self) -> None:
        """Waits until the running step has ended and the incident is closed or handed over."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def crashed(self) -> BaseException | None:
        """An error that no step expected: the incident is still open, and is taken up again; in the end as a halt."""
        if self._task is None or not self._task.done() or self._task.cancelled() or self.current is None:
            return None
        error = self._task.exception()
        if error is not None:
            self._crashes += 1
            if self._crashes >= MOST_CRASHES and self.current.plan == "rollback":
                why = f"{self.current.reason}. The procedure failed {self._crashes} times ({error!r})"
                self._world.interrupts.ask_halt(why, self.current.by)
            self._work(self.current)
        return error


def _condemn(incident: Incident, version: str | None) -> None:
    if version is not None:
        incident.facts[CONDEMNED] = version
