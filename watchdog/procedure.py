"""The rollback procedure: the playbook, step by step.

    assess -> stop_bot -> settle_orders -> roll_back -> start_bot -> confirm_loaded -> monitor -> close

and, for a halt,

    hold_down -> stop_bot -> settle_orders -> close

Each step looks before it acts and may be run again, so that after a crash the next start simply runs the step that
was open once more. A step answers with what comes next; `watchdog.runner` journals around it.

Long, because it is to be read from top to bottom, as the playbook is.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TypeVar

from registry import ModelRegistry, RegistryError
from watchdog import after_words, checklist, doubt, loading, messages, monitoring, rehearsal, report
from watchdog.bots.base import BotError, EndedAtOnceError, NoAnswerError, Running
from watchdog.bots.last_resort import kill_known
from watchdog.bots.writers import told, writers
from watchdog.clock import Budget
from watchdog.exchange import pages
from watchdog.exchange.step import last_look, settle
from watchdog.incident import Incident
from watchdog.way_back import CONDEMNED, asked, still_current
from watchdog.world import World

log = logging.getLogger(__name__)

SWITCH_AGAIN = 3
MOST_BROUGHT_BACK = 5
"""How often in one incident, before the rollback is given up for a halt."""

OF_THE_START = ("starting", "log_place", "pid", "started_ticks")
"""The facts of one start: another one begins without them."""

T = TypeVar("T")

LOOK_S = 0.2
"""How often a waiting step looks at the bot and its log."""


@dataclass(frozen=True)
class Done:
    """The step is done; the next of the plan follows, or `skip_to`."""

    detail: str
    skip_to: str | None = None


@dataclass(frozen=True)
class OlderVersion:
    """The target is no good: stop the bot again and go one version further back, once."""

    why: str


@dataclass(frozen=True)
class Halt:
    """The bot cannot be brought back to a good version: it stays stopped until a person resumes it."""

    why: str


Outcome = Done | OlderVersion | Halt


class BroughtBack(Exception):
    """Something started the bot while this incident keeps it down."""


@dataclass
class Run:
    """One incident being worked on in the world."""

    incident: Incident
    world: World
    look_at_s: float = 0.0

    def tell(self, name: str, text: str, severity: messages.Severity = "info") -> None:
        """An alert about this step, told once however often the step runs again."""
        self.world.teller.step(self.incident, name, text, severity)

    def note(self, **facts: object) -> None:
        """Writes facts that a later step, or the next start, has to know, before going on."""
        self.incident.facts.update(facts)
        self.world.journal.save(self.incident)

    async def beside(self, look: Callable[[], T]) -> T:
        """Looks (hashes files) in a worker thread. A halt or a hand-over does not wait for it: the world's registry
        looks for both itself, at every MiB."""
        task = asyncio.ensure_future(asyncio.to_thread(look))
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # it may say so in vain
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_S)
            self.world.interrupts.look(halting=self.incident.plan == "halt")
        return task.result()

    async def wait(self, seconds: float) -> None:
        """Waits, unless the daemon hands over or somebody orders a halt."""
        await self.world.interrupts.wait(seconds, halting=self.incident.plan == "halt")

    async def wait_while_down(self, seconds: float) -> None:
        """The same, and raises BroughtBack when the bot is seen to run meanwhile; looks once a second."""
        await self.wait(seconds)
        now_s = self.world.clock.monotonic()
        if now_s >= self.look_at_s:
            self.look_at_s = now_s + 1.0
            if await self.world.bot.find():
                raise BroughtBack


async def assess(run: Run) -> Outcome:
    """Finds the newest earlier version whose files verify, and saves the evidence.

    Proves: a target exists and verifies. Leaves behind on failure: nothing was touched; the bot is halted.
    """
    try:
        return await _assess(run)
    except RegistryError as error:
        return Halt(f"without a registry that can be read there is nothing to roll back to: {error}")


async def _assess(run: Run) -> Outcome:
    incident, registry = run.incident, run.world.registry
    current = current_version(registry)
    incident.from_version = incident.from_version or current
    if incident.automatic and current != incident.from_version:
        incident.outcome = "superseded"
        return Done(
            f"{incident.from_version} was judged, but {current} was promoted meanwhile", skip_to="close"
        )
    forgotten = doubt.forgotten(run.world.journal, registry, run.world.settings.bot.tz)
    incident.facts["left_before"] = sorted(forgotten)
    if incident.wanted is None:
        incident.target = await run.beside(lambda: registry.target(exclude=_no_targets(incident)))
    else:
        wanted = incident.wanted
        refusal = await run.beside(lambda: registry.why_not(wanted))
        if refusal is not None:
            incident.outcome = "refused"
            run.tell("assess", messages.order_refused(incident, refusal), "warning")
            return Done(refusal, skip_to="close")
        incident.target = incident.wanted
    if incident.target is None:
        return Halt(messages.no_target(incident.from_version))
    deployment = run.world.journal.get("deployment")
    if deployment is not None and deployment["key"].startswith(f"{incident.from_version} "):
        incident.facts["deployed_at"] = deployment["since"]  # what came before was not this version's doing
    incident.facts["loads_end"] = (run.world.journal.get("checkpoint") or {}).get("loads_end")
    severity: messages.Severity = "critical" if incident.automatic else "warning"
    run.tell("assess", messages.rolling_back(incident, run.world.now()), severity)
    return Done(f"rolling back to {incident.target}, whose files verify; {await _save_evidence(run)}")


def _no_targets(incident: Incident) -> list[str]:
    """What is never gone back to: the version that the incident is about, those that turned out to be no good, and
    those that were left before and whose quarantine the registry forgot."""
    about = [] if incident.from_version is None else [incident.from_version]
    return [*incident.tried, *about, *incident.facts.get("left_before", [])]


async def _save_evidence(run: Run) -> str:
    """Evidence is for people, afterwards: whatever goes wrong with it must not hold up the stopping of the bot."""
    world = run.world
    try:
        evidence = world.evidence()
        return await asyncio.to_thread(
            report.save_evidence, world.settings.state_dir, run.incident, evidence, world.redact
        )
    except Exception as error:  # a rule that cannot tell its state, say
        log.error("no evidence", exc_info=error)
        return f"the evidence could not be gathered ({type(error).__name__}: {error})"


async def hold_down(run: Run) -> Outcome:
    """Puts the halt in force, on disk, before anything else: from here on nothing starts the bot.

    Proves: the halt is journalled. Leaves behind on failure: the step is run again.
    """
    incident = run.incident
    run.world.keep(
        "halted",
        {
            "since": run.world.now().isoformat(),
            "why": incident.reason,
            "by": incident.by,
            "incident": incident.id,
            CONDEMNED: incident.facts.get(CONDEMNED),
        },
    )
    run.world.keep("start_asked", None)
    run.tell("hold_down", messages.halting(incident), "critical")
    return Done("the halt is in force")


async def stop_bot(run: Run) -> Outcome:
    """Stops the bot with all its descendants.

    Proves: no process of the bot is left and nothing brings it back. Leaves behind on failure: a bot that could not
    be stopped, people paged, the registry untouched; the step is tried again. In a halt the process that is known to be
    the bot is killed meanwhile, past an owner that does not stop it.
    """
    world = run.world
    try:
        stopped = await world.bot.stop(world.settings.bot.stop_timeout.total_seconds())
    except BotError as error:
        killed = kill_known(world.bot.remember()) if run.incident.plan == "halt" else None
        if killed is not None:
            run.tell(f"killed {killed}", messages.killed(run.incident, killed, str(error)), "critical")
        raise
    world.keep("bot", None)
    begun = _stop_begun_before(run) if stopped.how == "was not running" else None
    if stopped.how != "was not running" or begun is not None:
        run.incident.facts.setdefault("stopped_at", (begun or world.now()).isoformat())
    detail = messages.stopped(stopped, begun)
    process = world.settings.bot.process
    if others := writers(world.settings.bot.log, None if process is None else process.directory):
        run.tell("stop_bot, others", messages.others_left(run.incident, told(others)), "critical")
    unseen = () if world.exchange else (messages.unseen_orders(world.settings),)
    run.tell("stop_bot", messages.step(run.incident, detail, *unseen))
    return Done(detail)


def _stop_begun_before(run: Run) -> datetime | None:
    """When a watchdog that ended in the midst of this very stop had begun it, or None."""
    try:
        rows = run.world.journal.steps(run.incident)
    except sqlite3.Error as error:
        log.critical("the journal cannot be read (%s): the bot is stopped all the same", error)
        return None
    before = list(takewhile(lambda row: (row.step, row.result) == ("stop_bot", None), reversed(rows[:-1])))
    return before[-1].began_at if before else None


async def settle_orders(run: Run) -> Outcome:
    """Cancels or keeps the open orders, reads and keeps or closes the positions, as configured (`watchdog.exchange`).

    Proves: the exchange was read back. Leaves behind on failure, after a minute: whatever is there, people paged; the
    incident goes on, for a position without a bot is worse. Unknown is never flat; without an exchange all of it is.
    """
    run.incident.facts["settled"] = _stops(run.incident)
    return Done(await settle(run.incident, run.world, run.wait) or messages.unseen_orders(run.world.settings))


async def roll_back(run: Run) -> Outcome:
    """Makes the target the current version in the registry and in the links.

    Proves: the registry was read back, the files verify, the links point right. Leaves behind on failure: the bot
    stopped, the registry as it was; the next older good version is tried, without one the bot is halted.
    """
    incident, world = run.incident, run.world
    adopted = _promoted_meanwhile(run)
    if adopted is not None:
        incident.target = adopted
    elif current_version(world.registry) != incident.target or incident.target is None:
        switched = await asyncio.to_thread(_switch, run)
        if switched is None:
            return Halt(messages.no_target(incident.from_version))
        incident.target = switched
    problem = await run.beside(lambda: _unproven(run))
    if problem is not None:
        return OlderVersion(problem)
    run.note(switched_to=incident.target, switched_at=world.now().isoformat())
    checksum = str(world.registry.registry["models"][incident.target]["checksum"])
    detail = messages.switched(incident, checksum)
    run.tell("roll_back", messages.step(incident, detail))
    return Done(detail, skip_to="close" if world.halted else None)


def _promoted_meanwhile(run: Run) -> str | None:
    """A third, sound version that a person promoted since the incident was opened: the person's word holds."""
    registry, incident = run.world.registry, run.incident
    current = current_version(registry)
    if current is None or current in {incident.from_version, incident.target, *incident.tried}:
        return None
    return None if registry.is_quarantined(current) else current


def _switch(run: Run) -> str | None:
    """The registry's rollback, on the target that was chosen or, when that one fails now, on the next older one."""
    incident, registry = run.incident, run.world.registry
    reason = run.world.redact(f"incident {incident.id}: {incident.reason}")
    while True:
        if incident.target is None:
            incident.target = registry.target(exclude=_no_targets(incident))
            if incident.target is None:
                return None
        run.note()
        try:
            return registry.rollback(incident.target, reason=reason)
        except RegistryError:
            if current_version(registry) == incident.target:
                return incident.target  # switched, and then something was wrong: that is looked at next
            if registry.why_not(incident.target) is None:
                raise  # the target is good: the disk, or a lock, is in the way, and no other version would mend that
            incident.tried.append(incident.target)
            incident.target = None


def _unproven(run: Run) -> str | None:
    """What speaks against starting the bot on the target now, or None."""
    registry, target = run.world.registry, run.incident.target
    if target is None or current_version(registry) != target:
        return f"the registry names {current_version(registry)} as current, not {target}"
    if registry.is_quarantined(target):
        return f"{target} is quarantined"
    bad = [f"{a.path} is {a.state}" for a in registry.check(target) if a.state != "ok"]
    if bad:
        return f"{target} does not verify: {'; '.join(bad)}"
    if not registry.links_right():
        registry.sync_links()
    return None if registry.links_right() else f"the links do not point to {target}"


async def start_bot(run: Run) -> Outcome:
    """Starts the bot on the target, after its files were verified once more and its dry run, if any, went well.

    Proves: the process is up and stays up for `stays_up_for` without a load error. Leaves behind on failure: a stopped
    bot on a quarantined version; back to roll_back with the next older one, once.
    """
    world, incident = run.world, run.incident
    if world.halted:
        return Done("a halt is in force: the bot stays stopped", skip_to="close")
    if current_version(world.registry) != incident.target:
        return _switched_back(run)
    problem = await run.beside(lambda: _unproven(run))
    if problem is not None:
        return OlderVersion(problem)
    world.interrupts.look()  # hashing may have taken long: no start after a halt was asked for
    instead = await _brought_back(run) or await _dry_run(run)
    if instead is not None:
        return instead
    try:
        running = await _started_or_found(run)
    except EndedAtOnceError as error:
        return OlderVersion(str(error))
    except NoAnswerError:
        raise  # an engine that is just being restarted, say: the step is tried again, and looks first
    except BotError as error:
        return Halt(f"the bot could not be started, which no other version would mend: {error}")
    proof = loading.Watcher(world, incident, running)
    budget = Budget(world.clock.monotonic, world.settings.bot.stays_up_for.total_seconds())
    while not budget.over():
        state, why = await proof.look()
        if state == "wrong":
            return OlderVersion(why)
        if state == "ended":
            return _once_more(run, why)
        await run.wait(LOOK_S)
    return Done(f"started {incident.target}, pid {running.pid}")


def _switched_back(run: Run) -> Outcome:
    """Something (a deployment pipeline, say) made another version current after the switch: switch again, not for
    ever."""
    times = run.incident.facts.get("switched_back", 0) + 1
    what = f"after the rollback something made {current_version(run.world.registry)} current again"
    if times > SWITCH_AGAIN:
        return Halt(f"{what}, {times} times; stop whatever deploys it")
    run.note(switched_back=times)
    return Done(f"{what}; switching once more", skip_to="roll_back")


async def _brought_back(run: Run) -> Outcome | None:
    """A bot that runs though this step has not started it, or that was stopped again by a tick meanwhile: what it
    left on the exchange is looked after before the start."""
    facts = run.incident.facts
    if not facts.get("starting") and (found := await run.world.bot.find()):
        run.world.brought_back(run.incident, found[0])
    times = facts.get("brought_back", 0)
    if times > MOST_BROUGHT_BACK:
        return Halt(
            f"something starts the stopped bot again and again, {times} times until now; end whatever does"
        )
    if _stops(run.incident) > facts.get("settled", 0):
        return Done("the bot was up meanwhile; it is stopped once more", skip_to="stop_bot")
    return None


def _stops(incident: Incident) -> int:
    """How often the bot was up again after its first stop: each time what it left on the exchange is looked after."""
    again: dict[str, int] = incident.facts.get("once_more", {})
    return int(incident.facts.get("brought_back", 0)) + sum(again.values())


def _once_more(run: Run, why: str) -> Outcome:
    """The bot ended before its proof in a way that is not the model's word: somebody stopped or restarted it, removed
    its container, sent it a signal. The same version is started once more; a second time speaks against it."""
    facts, target = run.incident.facts, str(run.incident.target)
    before: dict[str, int] = facts.get("once_more", {})
    if target in before:
        return OlderVersion(f"{why}; it had been started once more already")
    run.tell(f"once more {target}", after_words.once_more(run.incident, why), "warning")
    facts["once_more"] = {**before, target: 1}
    for fact in OF_THE_START:
        facts.pop(fact, None)
    return Done(f"{why}; {target} is started once more", skip_to="stop_bot")


async def _dry_run(run: Run) -> Outcome | None:
    """`bot.dry_run` on the target, once, while the bot is still down. None when it went well, and when there is none or
    it could not be executed, which says nothing of the target: what the bot loads is proved after its start, too."""
    world, facts, target = run.world, run.incident.facts, str(run.incident.target)
    if world.settings.bot.dry_run is None or facts.get("starting"):
        return None
    found = facts.get("dry_run")
    if found is None or found["version"] != target:
        try:
            found = await rehearsal.before_start(world, target, run.wait_while_down)
        except BroughtBack:
            return await _brought_back(run) or Done("the bot was up for a moment; once more", "start_bot")
        run.note(dry_run=found)
    if found["ok"] is None:
        run.tell("dry run", after_words.no_dry_run(run.incident, found["said"]), "warning")
    elif not found["ok"]:
        return OlderVersion(f"its dry run failed: {found['said']}")
    return await _brought_back(run)


async def _started_or_found(run: Run) -> Running:
    """The bot that this step started, also when the watchdog died right after it had."""
    world, incident = run.world, run.incident
    if incident.facts.get("starting") and (found := await world.bot.find()):
        run.note(pid=found[0].pid, started_ticks=found[0].started_ticks)
        world.remember_bot()
        return found[0]
    run.note(starting=True, started_at=world.now().isoformat(), **monitoring.places(world))
    world.before_start()
    running = await world.bot.start(run.wait)
    world.remember_bot()
    world.after_start(running)
    run.note(pid=running.pid, started_ticks=running.started_ticks)
    return running


async def confirm_loaded(run: Run) -> Outcome:
    """Reads in the bot's own log that it loaded the target.

    Proves: the log names the version and shows no load error, within `start_timeout`. Leaves behind on failure: as
    start_bot.
    """
    world, incident = run.world, run.incident
    found = await world.bot.find()
    facts = incident.facts
    running = found[0] if found else Running(facts.get("pid", 0), facts.get("started_ticks", 0), False, "")
    proof = loading.Watcher(world, incident, running)
    budget = Budget(world.clock.monotonic, world.settings.bot.start_timeout.total_seconds())
    while True:
        over = budget.over()  # asked before the look: what was logged while nobody looked is read first
        state, why = await proof.look()
        if state == "proven":
            now = world.now()
            started_at = messages.parse_time(incident.facts.get("started_at", now.isoformat()))
            validate_at = started_at + world.settings.rollback.validate_for
            run.note(monitor_from=now.isoformat(), validate_at=validate_at.isoformat())
            run.tell(
                "confirm_loaded",
                messages.restarted(incident, why, world.settings.rollback.monitor_for, world.now()),
            )
            return Done(f"bot restarted on {incident.target}: {why}")
        if state == "wrong":
            return OlderVersion(why)
        if state == "ended":
            return _once_more(run, why)
        if over:
            return OlderVersion(f"not proved within {messages.span(world.settings.bot.start_timeout)}: {why}")
        await run.wait(LOOK_S)


async def monitor(run: Run) -> Outcome:
    """Watches the restored version for `monitor_for`: what it loads, that it stays up, predicts, trades and errs no
    more than before (`watchdog.monitoring`). A rule that fires meanwhile halts (the daemon's ticks see it), and so do
    another version and restarts beyond `max_restarts`; all else is told, and summed up at the end.

    Proves: nothing fired, by a tick that judged when the time was over: a watchdog that was away, or frozen, has not
    looked. Leaves behind on failure: a halted bot and people paged. When another version is made
    current meanwhile the watching ends, so that the rules judge that one in their own right.
    """
    lookout = monitoring.Lookout(run.world, run.incident)
    try:
        return await _watched(run, lookout)
    finally:
        lookout.close()


async def _watched(run: Run, lookout: monitoring.Lookout) -> Outcome:
    world, incident = run.world, run.incident
    end = messages.parse_time(incident.facts["monitor_from"]) + world.settings.rollback.monitor_for
    if "errors_before" not in incident.facts:
        incident.facts["errors_before"] = await run.beside(lookout.errors_before)
    while True:
        other = _current_instead(run)
        if other is None and (relapse := await lookout.look()) is not None:
            other = _current_instead(
                run
            )  # a bot that follows the registry loads what was promoted at this moment
            if other is None:
                return Halt(relapse)
        if other is not None:
            incident.outcome = "superseded"
            run.tell("monitor", messages.outlived(incident, other), "warning")
            return Done(f"{other} was made current meanwhile")
        rest_s = (end - world.now()).total_seconds()
        if rest_s <= 0 and not lookout.in_doubt and world.judged(str(incident.target), end):
            break
        await run.wait(min(max(rest_s, LOOK_S), 1.0))
    while not await world.bot.find():  # paused, say: it is not closed as good while nothing runs
        await run.wait(1.0)
    seen = checklist.in_short(incident.facts.get("looks", ()))
    return Done(f"nothing fired for {messages.span(world.settings.rollback.monitor_for)}; seen: {seen}")


def _current_instead(run: Run) -> str | None:
    """The version that is current in place of the target; None also while that cannot be read."""
    try:
        current = current_version(run.world.registry)
    except RegistryError:
        return None
    return None if current == run.incident.target else current


async def close(run: Run) -> Outcome:
    """Writes the report and sends the summary.

    Proves: the summary is in the outbox, and the report on disk; a disk that refuses it must not keep the incident
    open, and the journal can show it at any time. Leaves behind on failure: the step is tried again.
    """
    incident, world = run.incident, run.world
    await last_look(incident, world, run.wait)
    if incident.outcome is None:
        incident.outcome = "halted" if incident.plan == "halt" or world.halted else "rolled_back"
    steps = world.journal.steps(incident)
    path = report.folder(world.settings.state_dir, incident.id) / "report.md"
    written = f"report: {path}"
    try:
        await asyncio.to_thread(
            report.write_report, world.settings.state_dir, incident, steps, world.now(), world.redact
        )
    except OSError as error:
        written = f"{path} could not be written ({error}); shown by `model-watchdog incidents {incident.id}`"
    if incident.outcome not in {"refused", "superseded"}:
        urgent: messages.Severity = (
            "critical" if incident.outcome == "halted" else pages.severity(incident.facts)
        )
        if incident.outcome == "halted" and incident.plan == "rollback":  # of a bot that was halted before
            run.tell("close", after_words.still_halted(incident, written), "warning")
        else:
            text = messages.summary(incident, world.now(), written, await _way_back(run))
            run.tell("close", text, urgent)
    incident.closed_at = world.now()
    return Done(written)


async def _way_back(run: Run) -> str | None:
    """What to do before a resume, where the version that a rule condemned is still current; else None."""
    incident, registry = run.incident, run.world.registry
    try:
        version = still_current(incident.facts, current_version(registry))
        if version is None:
            return None
        left = doubt.forgotten(run.world.journal, registry, run.world.settings.bot.tz)
        return asked(version, await run.beside(lambda: registry.target(exclude=[*incident.tried, *left])))
    except (RegistryError, sqlite3.Error) as error:
        log.warning("whether the condemned version is still current cannot be known: %s", error)
        return None


def current_version(registry: ModelRegistry) -> str | None:
    """What registry.json names as current now (RegistryError when it cannot be read)."""
    version: str | None = registry.read()["current_version"]
    return version


Step = Callable[[Run], Awaitable[Outcome]]

ROLLBACK: tuple[Step, ...] = (
    assess,
    stop_bot,
    settle_orders,
    roll_back,
    start_bot,
    confirm_loaded,
    monitor,
    close,
)
HALT: tuple[Step, ...] = (hold_down, stop_bot, settle_orders, close)
STEPS = {"rollback": ROLLBACK, "halt": HALT}

STUCK = (BotError, RegistryError, OSError)
"""What a step may meet that time or a person can mend: people are paged and the step is tried again."""
