"""Works an incident off: journals before and after each step, and turns what a step answers into what comes next."""

import logging
import re
import sqlite3
from contextlib import nullcontext
from dataclasses import dataclass

from watchdog import after_words, messages
from watchdog.incident import Incident
from watchdog.interrupts import HaltAsked, HandOver
from watchdog.procedure import OF_THE_START, STEPS, STUCK, Done, Halt, OlderVersion, Outcome, Run
from watchdog.world import World

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""The first target, and once the next older one."""

WITHOUT_JOURNAL = frozenset({"hold_down", "stop_bot", "settle_orders"})
"""A bot can always be stopped; what comes after needs the journal."""

WITH_HANDS = frozenset({"stop_bot", "roll_back", "start_bot"})
"""While these run, no tick stops or starts the bot. Settling may take long: who brings the bot back meanwhile is
noticed."""

RETRY_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Pauses before a step that was stuck is tried again; the last one repeats."""


@dataclass(frozen=True)
class Stuck:
    """The step met trouble that time or a person can mend."""

    why: str


class Runner:
    """Carries one incident at a time to its end. HandOver leaves it open, on disk, for the next start."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def carry_on(self, incident: Incident) -> None:
        """Runs the incident's steps from where it stands until it is closed."""
        run = Run(incident, self.world)
        stuck = 0
        while incident.open:
            outcome = await self._one_step(run)
            stuck = stuck + 1 if isinstance(outcome, Stuck) else 0
            if isinstance(outcome, Stuck):
                self._page_stuck(run, outcome)
                await self._rest(run, RETRY_S[min(stuck, len(RETRY_S)) - 1])

    async def _rest(self, run: Run, seconds: float) -> None:
        try:
            await run.wait(seconds)
        except HaltAsked as asked:
            self._turn_into_halt(run.incident, asked)
            try:
                self.world.journal.save(run.incident)
            except sqlite3.Error as error:
                log.critical("the journal cannot be written (%s): the halt is obeyed all the same", error)

    async def _one_step(self, run: Run) -> Outcome | Stuck:
        incident, world = run.incident, self.world
        if incident.step not in {step.__name__ for step in STEPS[incident.plan]}:  # of another build
            why = (
                f"{incident.reason}. This build knows no step {incident.step}, at which the incident was left"
            )
            self._turn_into_halt(incident, HaltAsked(why, incident.by))
        step = next(step for step in STEPS[incident.plan] if step.__name__ == incident.step)
        world.mend()
        row = self._begin(incident)
        outcome: Outcome | Stuck
        try:
            world.interrupts.look(halting=incident.plan == "halt")
            if row is None and step.__name__ not in WITHOUT_JOURNAL:
                raise sqlite3.OperationalError("the journal cannot be written; see the log")
            async with world.hands if step.__name__ in WITH_HANDS else nullcontext():
                outcome = await step(run)
        except HandOver:
            self._end(
                row, incident, "handed over", "the watchdog was asked to end; its next start goes on here"
            )
            raise
        except HaltAsked as asked:
            outcome = Done(f"halted instead: {asked.why}", skip_to=incident.step)
            self._turn_into_halt(incident, asked)
            self._end(row, incident, "halt", asked.why)
            return outcome
        except (*STUCK, sqlite3.Error) as error:
            outcome = self._in_trouble(incident, error)
        said = outcome.detail if isinstance(outcome, Done) else outcome.why
        log.info("incident %d: %s: %s", incident.id, incident.step, said)
        self._advance(run, outcome)
        if not self._end(row, incident, _in_words(outcome), said):
            incident.closed_at = None  # a closing that is not on disk has not happened
        return outcome

    def _in_trouble(self, incident: Incident, error: Exception) -> Outcome | Stuck:
        """Without a journal no rollback can be begun safely, but a bot that a rule condemned must not go on."""
        if incident.step == "assess" and isinstance(error, sqlite3.Error):
            return Halt(f"The journal cannot be written ({error}), so no rollback can be begun")
        return Stuck(str(error))

    def _begin(self, incident: Incident) -> int | None:
        try:
            return self.world.journal.begin(incident, self.world.now())
        except sqlite3.Error as error:
            log.critical("the journal cannot be written: %s", error)
            return None

    def _end(self, row: int | None, incident: Incident, result: str, detail: str) -> bool:
        """Journals after the step; False when the disk refuses. The step is then run again after a crash, which it
        was made for."""
        try:
            self.world.journal.end(row, incident, result, detail, self.world.now())
        except sqlite3.Error as error:
            log.critical("the journal cannot be written: %s", error)
            return False
        return True

    def _advance(self, run: Run, outcome: Outcome | Stuck) -> None:
        """Where the incident goes on. Nothing is on disk until the step's end is journalled with it."""
        incident = run.incident
        if isinstance(outcome, Done):
            names = [step.__name__ for step in STEPS[incident.plan]]
            following = outcome.skip_to or next(iter(names[names.index(incident.step) + 1 :]), None)
            incident.step = following or incident.step
        elif isinstance(outcome, Halt):
            why = outcome.why if incident.bot_is_back else f"{incident.reason}. {outcome.why}"
            self._turn_into_halt(incident, HaltAsked(why, incident.by))
        elif isinstance(outcome, OlderVersion):
            self._one_older(run, outcome)

    def _one_older(self, run: Run, outcome: OlderVersion) -> None:
        incident = run.incident
        if incident.target is not None:
            incident.tried.append(incident.target)
        if incident.attempt >= ATTEMPTS:
            why = after_words.none_proved(
                incident.tried, outcome.why, self.world.registry.typed("release", "VERSION")
            )
            self._turn_into_halt(incident, HaltAsked(f"{incident.reason}. {why}", incident.by))
            return
        run.tell("older", messages.one_older(incident, outcome.why), "critical")
        incident.attempt += 1
        incident.target, incident.step = None, "stop_bot"
        for fact in OF_THE_START:
            incident.facts.pop(fact, None)

    def _turn_into_halt(self, incident: Incident, asked: HaltAsked) -> None:
        self.world.interrupts.obeyed()
        incident.reason, incident.by = _both(incident, asked.why), asked.who
        incident.plan, incident.step = "halt", "hold_down"

    def _page_stuck(self, run: Run, outcome: Stuck) -> None:
        incident = run.incident
        text = messages.stuck(incident, outcome.why)
        self.world.teller.tell(f"incident-{incident.id}-stuck-{incident.step}", text, "critical")


def _both(incident: Incident, why: str) -> str:
    """Why the rollback began, and why it ended in a halt: the report needs both, each with its version."""
    if why.startswith(incident.reason):
        return why
    then = f"then on {incident.target}" if incident.bot_is_back else "then"
    return f"{incident.reason} ({incident.from_version}); {then}: {why}"


def _in_words(outcome: Outcome | Stuck) -> str:
    """How the journal and people name it: `done`, `stuck`, `halt`, `older version`."""
    return re.sub("(?<=[a-z])(?=[A-Z])", " ", type(outcome).__name__).lower()
