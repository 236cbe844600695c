"""One tick: collect new records, evaluate the rules, decide, act, say in one sentence how things stand.

Long, because it holds all that a tick does, in its order.
"""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from notifier import is_locked
from triggers import Engine, GaveUp, Verdict
from watchdog import checklist, early, keep_alive, messages, rehearsal, rights
from watchdog.bots.base import BotError
from watchdog.bots.writers import told, writers
from watchdog.collect import Collector
from watchdog.conditions import Conditions
from watchdog.decide import DAY, ONLY_ALERTS, Decision, Situation, decide
from watchdog.doubt import automatic_rollbacks
from watchdog.incidents import Incidents
from watchdog.orders import ControlFolder
from watchdog.rules import TRADE_RULES
from watchdog.tell import Severity
from watchdog.transfers import TransferWatch
from watchdog.upkeep import holders
from watchdog.world import World

log = logging.getLogger(__name__)

PRESSING = frozenset({"still-loading", "two-bots", "unsigned"})
"""Troubles that the collecting found and that are not for office hours."""


HANDS_S = 20.0
"""So long a tick waits for its hands. What takes longer (a unit with a slow start, a bot that ignores SIGTERM) goes on
beside the ticks: they have to keep coming, whatever the bot does."""


class OutrunError(Exception):
    """While a start was waited for, something more urgent came: an incident, a halt, the end of this watchdog."""


class Watch:
    """Looks, judges and acts for one bot."""

    def __init__(
        self, world: World, collector: Collector, engine: Engine, incidents: Incidents, control: ControlFolder
    ) -> None:
        self._world, self._collector, self._engine = world, collector, engine
        self._incidents, self._control = incidents, control
        self._conditions = Conditions(world.journal, world.teller)
        self._transfers = (
            None if world.exchange is None else TransferWatch(world.exchange, world.clock, engine)
        )
        self._early = early.Early(world.journal.get("early"))
        self._troubles: dict[str, tuple[str, Severity]] = {}
        self.hands_s = HANDS_S
        self._doing: asyncio.Task[None] | None = None
        self._failed: dict[str, tuple[str, Severity]] = {}
        """What the hands could not do; kept while they try again."""
        self._gave_up: str | None = None
        self._unwritten: str | None = None
        """What kept the last tick from being written down."""
        self._started_once = False
        self._down_since: datetime | None = None
        self._ended_trouble: str | None = None
        """What a bot that is kept down was stopped for, though it was not up."""
        self._key: str | None = None
        self._judged: tuple[str, datetime] | None = None
        """Which version was judged last, and until when what it wrote was read for that."""
        self.verdicts: list[Verdict] = []

    async def look(self) -> None:
        """Collects and judges, and does nothing about it: for evidence."""
        await self._collector.collect()
        self.verdicts = self._judge(self._world.now())

    async def tick(self) -> str:
        """One look at everything; returns the sentence. Raises only what is a mistake of ours."""
        self._troubles = {}
        if self._doing is None:
            self._failed = {}
        elif self._doing.done():
            done, self._doing = self._doing, None
            done.result()  # a mistake of ours is told as a failed tick
        self._world.mend()
        self._world.save_kept()
        self._world.bot.trim_output()
        self._tell_clock_steps()
        if (error := self._incidents.crashed()) is not None:
            self._troubles["incident"] = (
                f"a step failed in a way nobody expected ({error!r}); it is tried again",
                "critical",
            )
        read_until = self._world.now()
        await self._collector.collect()
        if self._transfers is not None:
            self._transfers.look(self._engine.observe)
        now = self._world.now()
        self.verdicts = self._judge(now)
        for kind, text in self._engine.notices():
            self._world.teller.tell(f"notice-{kind}", text, "warning")
        self._warn_early()
        decision = decide(self.verdicts, self._situation(now))
        decision = await self._look_after_bot(decision, now)
        self._act(decision)
        self._note_judged(read_until)
        for name, text in self._collector.troubles.items():
            if name == "trade-log-stale" and self._world.halted:
                continue
            self._troubles[name] = (text, "critical" if name in PRESSING else "warning")
        for name, text in rights.troubles(self._world.settings):
            self._troubles[name] = (text, "critical")
        if self._unwritten is not None:
            self._troubles["journal"] = (self._unwritten, "critical")
        self._conditions.update(now, self._troubles | self._failed, self._collector.undecided)
        sentence = self._sentence()
        self._save(now, sentence)
        return sentence

    def judged(self, version: str, since: datetime) -> bool:
        """Whether a tick has judged `version` by all that it wrote until `since` or later, and done what follows."""
        return self._judged is not None and self._judged[0] == version and self._judged[1] >= since

    def _note_judged(self, read_until: datetime) -> None:
        """A rule that is about to fire has not judged yet."""
        deployment, pending = self._collector.deployment, any(v.state == "pending" for v in self.verdicts)
        if deployment is not None and self._collector.caught_up and not pending:
            self._judged = (deployment.version, read_until)

    def tick_failed(self, error: BaseException) -> None:
        """A tick ended with a mistake of ours: the next one comes all the same."""
        log.error("a tick failed", exc_info=error)
        self._world.teller.tell(
            "tick-failed",
            f"a look at the bot failed: {type(error).__name__}: {error}\n"
            f"The next one comes in time; if this goes on, the bot is not watched.",
            "critical",
        )

    def ticks_missing(self, seconds: float) -> None:
        """No tick came for so long; the ticking was started anew."""
        self._world.teller.tell(
            "ticks-missing",
            f"the bot was not looked at for {seconds:.0f} s; the ticking was started anew",
            "critical",
        )

    def part_ended(self, name: str, error: BaseException | None) -> None:
        """A part of the daemon ended with a mistake of ours and was started anew."""
        self._world.teller.tell(
            "part-ended", f"the watchdog's {name} ended ({error!r}) and was started anew", "critical"
        )

    # -- judging

    def _judge(self, now: datetime) -> list[Verdict]:
        if not self._collector.caught_up or self._collector.deployment is None:
            why = (
                "the logs are still being read"
                if self._collector.deployment
                else "the registry names no current version"
            )
            return [Verdict(name, "no_data", None, None, why) for name in self._engine.names]
        verdicts = self._engine.evaluate(now)
        untrusted = self._collector.untrusted
        if untrusted is None:
            return verdicts
        return [
            replace(v, state="no_data", reason=untrusted) if v.name in TRADE_RULES else v for v in verdicts
        ]

    def _situation(self, now: datetime) -> Situation:
        settings = self._world.settings
        limits = settings.rollback
        return Situation(
            now=now,
            actions={name: getattr(settings.triggers, name).action for name in self._engine.names},
            cooldown=limits.cooldown,
            max_per_day=limits.max_per_day,
            rollbacks=self._rollbacks(now, max(DAY, limits.cooldown)),
            busy=self._incidents.busy or self._outrun,
            monitoring=self._incidents.monitoring,
            halted=self._world.halted is not None,
            paused=self._control.paused() is not None,
            observe=settings.mode == "observe",
        )

    def _rollbacks(self, now: datetime, span: timedelta) -> list[datetime]:
        """The automatic rollbacks of so long; while that is not known, as many as there may be."""
        most = self._world.settings.rollback.max_per_day
        try:
            return automatic_rollbacks(self._world.journal, most, now - span)
        except sqlite3.Error as error:
            log.critical(
                "the journal cannot be read (%s): the rollbacks of today are taken for used up", error
            )
            return [now] * max(1, most)

    @property
    def _outrun(self) -> bool:
        """Another deployment began while this tick was still collecting (an incident switched the version, a person
        resumed): what it has is of the old one."""
        incident = self._incidents.current
        if incident is not None and incident.monitoring and incident.target != self._collector.version:
            return True
        return any(v.state == "firing" for v in self.verdicts) and self._collector.outdated()

    # -- acting

    def _act(self, decision: Decision) -> None:
        version = self._collector.version
        if decision.kind == "rollback":
            self._incidents.open(
                "rollback",
                decision.cause,
                _rules(decision),
                automatic=True,
                version=version,
                condemned=version,
            )
        elif decision.kind == "halt":
            why = f"{decision.cause} ({decision.why})" if decision.cause else decision.why
            condemned = version if decision.verdicts else None
            self._incidents.halt(why, _rules(decision), automatic=True, condemned=condemned)
        elif decision.kind in {"alert", "wait"} and not self._world.halted:
            self._tell_of(decision)

    def _tell_of(self, decision: Decision) -> None:
        """Rules that fire and about which nothing is done, those that only alert among them."""
        version = self._collector.version
        for verdict in (v for v in self.verdicts if v.state == "firing"):
            why = decision if verdict in decision.verdicts else Decision("alert", (verdict,), ONLY_ALERTS)
            text = messages.not_acted(verdict, why, version)
            self._troubles[f"rule-{verdict.name}"] = (text, "critical")

    async def _look_after_bot(self, decision: Decision, now: datetime) -> Decision:
        """A bot that is down though nobody here stopped it, or up though it is halted."""
        world = self._world
        if world.settings.mode == "observe":
            if not self._collector.running:
                self._troubles["bot-down"] = (
                    "the bot is down; mode is observe, so it is not started",
                    "critical",
                )
            return decision
        if self._doing is not None or world.hands.locked():
            return decision
        if self._collector.bot_unknown:
            return decision
        if world.halted or self._kept_down():
            await self._by_hand(self._hold_down())
            return decision
        if self._incidents.busy:
            return decision
        self._notice_deployment()
        if self._collector.running:
            self._started_once, self._down_since = True, None
            if world.journal.get("start_asked") is not None:
                world.keep("start_asked", None)  # a stop from here on is its owner's, or a person's
            return decision
        if decision.kind in {"rollback", "halt"} or self._collector.deployment is None:
            return decision
        if self._control.paused() is not None:
            self._troubles["bot-down"] = ("the bot is down; paused, so it is not started", "critical")
            return decision
        if world.bot.supervised and world.journal.get("start_asked") is None:
            self._left_to_owner(now)
            return decision
        return await self._start_again(decision, now)

    def _left_to_owner(self, now: datetime) -> None:
        """Units and containers are brought back by their own restart policy, or by nobody: then people are paged."""
        self._down_since = self._down_since or now
        limit = self._world.settings.bot.start_timeout
        if now - self._down_since > limit:
            owner = f" ({self._world.bot.trouble})" if self._world.bot.trouble else ""
            self._troubles["bot-down"] = (
                f"the bot has been down for more than {messages.span(limit)} and its own restart policy did not bring "
                f"it back{owner}: start it yourself, or `model-watchdog halt` if it is meant to be down",
                "critical",
            )

    def _kept_down(self) -> bool:
        """The rollback has stopped the bot and not yet started it."""
        incident = self._incidents.current
        return (
            incident is not None
            and incident.plan == "rollback"
            and incident.step in {"settle_orders", "roll_back"}
        )

    def _other_writers(self) -> str:
        process = self._world.settings.bot.process
        folder = None if process is None else process.directory
        return told(writers(self._world.settings.bot.log, folder))

    def _notice_deployment(self) -> None:
        """The first start in a deployment is no restart."""
        key = None if self._collector.deployment is None else self._collector.deployment.key
        if key != self._key:
            self._key, self._started_once = key, False

    async def _hold_down(self) -> None:
        """Stops a bot that is up, and one that its owner starts again and again, though it crashes each time."""
        incident, trouble = self._incidents.current, self._world.bot.trouble
        self._ended_trouble = None if trouble is None else self._ended_trouble
        restless = self._world.bot.supervised and trouble is not None and trouble != self._ended_trouble
        if not (self._collector.running or restless) or (
            incident is not None and incident.step in {"hold_down", "stop_bot"}
        ):
            return  # the procedure is stopping it; settling and closing may take long
        async with self._world.hands:
            if not (self._world.halted or self._kept_down()):
                return  # it went on meanwhile
            try:
                found = next(iter(await self._world.bot.find()), None)
                if found is None and self._world.bot.trouble is None:
                    return  # what was seen before the procedure stopped it
                if found is None:
                    self._ended_trouble = trouble
                    await self._world.bot.stop(self._world.settings.bot.stop_timeout.total_seconds())
                    return  # the trouble itself is told
                if incident is not None and incident.plan == "rollback":
                    self._world.brought_back(incident, found)
                starter = messages.starter(found)
                stopped = await self._world.bot.stop(self._world.settings.bot.stop_timeout.total_seconds())
            except BotError as error:
                self._failed["brought-back"] = (
                    f"something starts the stopped bot again and again: {error}",
                    "critical",
                )
                return
            if not self._world.halted:
                return  # told with the incident
            self._world.teller.tell(
                f"brought-back by {re.sub('[0-9]', '', starter)}",  # another one than before is news at once
                f"somebody started the halted bot (pid {found.pid}, {found.command}; started by {starter}); "
                f"{messages.stopped(stopped)}\n"
                f"To let it run: `model-watchdog resume --reason ...`",
                "critical",
            )

    async def _start_again(self, decision: Decision, now: datetime) -> Decision:
        world, version = self._world, self._collector.version
        obstacle = self._collector.obstacle()
        if obstacle is not None:
            self._troubles["bot-down"] = (
                f"the bot is down and is not started on {version}: {obstacle}",
                "critical",
            )
            return decision
        if others := self._other_writers():
            self._troubles["bot-down"] = (
                f"the bot is not found as it is configured, but another process in its folder writes its log "
                f"({others}): it is not started, lest two of them trade. End that one, or set bot.process.command to "
                f"the way in which it is run",
                "critical",
            )
            return decision
        restarts = self._restarts(now)
        what = keep_alive.what_now(restarts, now, world.settings.bot.max_restarts)
        if not self._started_once and not restarts:
            what = "start"  # the first start is no restart
        if what == "give up":
            return self._give_up(decision, now, len(restarts))
        if what == "start":
            await self._by_hand(self._start(restarts, now))
        return decision

    async def _by_hand(self, doing: Coroutine[Any, Any, None]) -> None:
        """Does it, beside the ticks if it takes long; `world.hands` keeps the next ticks from doing it, too."""
        self._doing = asyncio.get_running_loop().create_task(doing)
        await asyncio.wait({self._doing}, timeout=self.hands_s)
        if self._doing.done():
            done, self._doing = self._doing, None
            done.result()

    def drop(self) -> None:
        """Ends what goes on beside the ticks where it is."""
        if self._doing is not None:
            self._doing.cancel()

    async def settle(self) -> None:
        """Waits for what goes on beside the ticks."""
        if self._doing is not None:
            await asyncio.wait({self._doing})

    async def _patience(self, seconds: float) -> None:
        """Waits, unless something more urgent came."""
        world = self._world
        await world.sleep(seconds)
        if self._incidents.busy or world.halted or world.interrupts.handing_over:
            raise OutrunError

    async def _start(self, restarts: list[datetime], now: datetime) -> None:
        async with self._world.hands:
            if not self._incidents.busy and not self._world.halted:
                await self._start_now(restarts, now)

    async def _start_now(self, restarts: list[datetime], now: datetime) -> None:
        world = self._world
        key = self._collector.deployment.key if self._collector.deployment else ""
        if self._started_once or restarts:
            restarts = [*restarts, now]
            world.keep("restarts", {"key": key, "at": [at.isoformat() for at in restarts]})
        ended = (
            messages.how_it_ended(self._collector.exit_code, world.bot.output_tail(3))
            if self._started_once
            else ""
        )
        self._gave_up = None
        try:
            world.before_start()
            running = await world.bot.start(self._patience)
        except OutrunError:
            return
        except BotError as error:
            # Not the bot's doing, so it counts as no restart; every tick tries again.
            world.keep("restarts", {"key": key, "at": [at.isoformat() for at in restarts if at != now]})
            self._failed["bot-down"] = (f"the bot is down and could not be started: {error}", "critical")
            return
        world.remember_bot()
        world.after_start(running)
        world.keep("start_asked", None)
        self._started_once = True
        count = (
            f", restart {len(restarts)} of {world.settings.bot.max_restarts} in 10 min" if restarts else ""
        )
        world.teller.tell(
            "bot-started",
            f"the bot was down{ended} and was started on {self._collector.version} (pid {running.pid}{count})",
            "warning" if restarts else "info",
            coalesce=False,
        )

    def _give_up(self, decision: Decision, now: datetime, restarts: int) -> Decision:
        """Too many restarts: a load error if the model was never loaded, else a halt."""
        world, key = self._world, self._collector.deployment.key if self._collector.deployment else ""
        acts = (
            world.settings.triggers.load_error.enabled
            and world.settings.triggers.load_error.action != "alert"
        )
        if acts and not self._collector.loaded:
            if self._gave_up != key:
                self._gave_up = key
                self._engine.observe(GaveUp(now, restarts, keep_alive.WITHIN.total_seconds() / 60))
            return decision
        minutes = keep_alive.WITHIN.total_seconds() / 60
        loaded = "with its model loaded" if self._collector.loaded else "before it had loaded its model"
        return Decision(
            "halt", why=f"the bot ended by itself more than {restarts} times in {minutes:.0f} min, {loaded}"
        )

    def _restarts(self, now: datetime) -> list[datetime]:
        kept: dict[str, Any] = self._world.journal.get("restarts", {"key": None, "at": []})
        key = self._collector.deployment.key if self._collector.deployment else ""
        return (
            keep_alive.recent([datetime.fromisoformat(at) for at in kept["at"]], now)
            if kept["key"] == key
            else []
        )

    # -- telling

    def _tell_clock_steps(self) -> None:
        for step in self._world.clock.take_steps():
            self._world.teller.tell(
                "clock-step",
                f"the wall clock was stepped by {step.total_seconds():+.0f} s\n"
                f"The rules go on as if it had not been; nothing is asked of you unless you did not expect it.",
                "warning",
            )

    def _warn_early(self) -> None:
        """Rules that come near to firing; not while another version is put in place, nor of a bot that is stopped."""
        deployment, settings = self._collector.deployment, self._world.settings
        if deployment is None or self._incidents.busy or self._outrun or self._world.halted:
            return
        rules = {name: getattr(settings.triggers, name) for name in self._engine.names}
        held = {name: share for name in rules if (share := self._engine.held(name)) is not None}
        waits = {name: rule.for_ for name, rule in rules.items()}
        for name, verdict in self._early.look(deployment.key, self.verdicts, held, waits):
            then = decide([replace(verdict, state="firing")], self._situation(self._world.now()))
            text = early.warning(verdict, deployment.version, then)
            kind = f"early-{verdict.name}"
            self._world.teller.tell(kind, text, "warning", key=f"early {name}", coalesce=False)

    def _sentence(self) -> str:
        version = self._collector.version or "no version"
        halted = self._world.halted
        incident = self._incidents.current
        if incident is not None and incident.plan == "rollback":
            doing = "monitoring" if incident.monitoring else f"rolling back ({incident.step})"
            seen = checklist.in_short(incident.facts.get("looks", ())) if incident.monitoring else ""
            doing = f"paused, {doing}" if self._control.paused() else doing
            said = f"{doing} {incident.target or version}, {messages.cause(incident)}"
            return f"{said}; {seen}" if seen else said
        if halted is not None:
            return f"halted since {messages.since(halted)}: {halted['why']}"
        numbers = ", ".join(text for text in map(messages.in_short, self.verdicts) if text)
        state = "paused, watching" if self._control.paused() else "watching"
        mode = " (observe)" if self._world.settings.mode == "observe" else ""
        kept = self._world.journal.get(rehearsal.KEPT)
        ready = rehearsal.in_short(kept, self._collector.target, self._world.now())
        runs = self._collector.still_runs
        another = f", but the bot still runs {runs} (restart it)" if runs is not None else ""
        return f"{state} {version}{mode}{another}: {numbers or 'no data yet'}{f'; {ready}' if ready else ''}"

    def _save(self, now: datetime, sentence: str) -> None:
        """What status shows, and the checkpoint: one transaction."""
        journal = self._world.journal
        tick = {
            "at": now.isoformat(),
            "sentence": sentence,
            "triggers": [v.as_dict() for v in self.verdicts],
            "rollback_target": self._collector.target,
            "offset_s": self._world.clock.offset.total_seconds(),
        }
        try:
            with journal.writing():
                journal.put("tick", tick)
                journal.put("conditions", self._conditions.dump())
                journal.put("early", self._early.dump())
                journal.put("checkpoint", self._collector.checkpoint())
                if self._collector.running:
                    journal.put("bot", self._world.bot.remember())  # a bot that daemonises changes its pid
            self._unwritten = None
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s): the watching goes on", error)
            self._unwritten = messages.unwritten(error, holders(journal.path) if is_locked(error) else [])


def _rules(decision: Decision) -> str:
    return "rule " + ", ".join(v.name for v in decision.verdicts) if decision.verdicts else "the watchdog"
