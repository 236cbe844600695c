"""Collects what the bot writes and is, and feeds it to the rules: only what is new, in order, for this deployment.

What cannot be read is a trouble, told to people, and never a record: missing or garbled data fires nothing.

Long, because the order in which registry, bot and logs are looked at within one tick is what makes it right.
"""

import asyncio
import logging
import sqlite3
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any

from config import Settings
from registry import Deployment as Written
from registry import ModelRegistry, RegistryError
from triggers import (
    BotExited,
    BotStarted,
    Engine,
    LoadErrorRule,
    LogLine,
    Record,
    tells_loaded,
    tells_loading,
)
from watchdog import messages
from watchdog.bot_log import BotLogParser
from watchdog.bots.base import BotControl, BotError, Running
from watchdog.clock import LIVE, Clock
from watchdog.follow import Follower
from watchdog.journal import Journal
from watchdog.log_files import read_tail
from watchdog.messages import span
from watchdog.model_files import ModelFiles
from watchdog.order_words import how_to_restart, two_bots
from watchdog.place import Place
from watchdog.proof import Names, names_of_all
from watchdog.trades import CUT, MOST_S_A_TICK, Trades

log = logging.getLogger(__name__)

KEPT_LOG_LINES = 80
TAIL_BYTES = 64 * 1024
QUARTER = timedelta(minutes=15)
"""Time zones differ by quarters of an hour."""

FARTHEST = timedelta(hours=27)
"""From the first to the last of all time zones; what is further ahead is no time zone."""

LOOKED_FOR = frozenset(
    {
        "trade-log",
        "trade-log-lines",
        "trade-log-future",
        "trade-log-past",
        "trade-log-stale",
        "runs-another",
        "bot-log",
    }
)
"""Troubles of the logs; not looked for while the registry names no current version."""

SENTINEL = b"2000-01-01 00:00:00,000 - end - INFO - end"
"""A header makes the message before it complete."""


@dataclass(frozen=True)
class Deployment:
    """The current version and since when it counts; `key` changes when a new deployment starts."""

    version: str
    since: datetime
    key: str


def _key(deployment: Written, resumed_at: str | None) -> str:
    return f"{deployment.version} {deployment.since} {resumed_at}"


class Collector:
    """One bot's followers, and the engine that they feed."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        journal: Journal,
        registry: ModelRegistry,
        bot: BotControl,
        engine: Engine,
    ) -> None:
        self._settings, self._clock, self._journal = settings, clock, journal
        self._registry, self._bot, self._engine = registry, bot, engine
        self._tz = settings.bot.tz
        self._parser = BotLogParser(self._tz)
        self._files = ModelFiles(registry, clock, journal)
        self._trades: Trades | None = None
        self._log: Follower | None = None
        self._live = False
        """All that was written has been read: what comes now was just written."""
        self._log_floor: datetime | None = None
        self._loads: str | None = None
        """The version that the bot's log last said to load."""
        self._loads_end: bool | None = None
        """Whether the last line about its loading told of an end: this bot says so when it has loaded a model."""
        self._says_end = False
        """Whether it ever did."""
        self._known_names: list[Names] | None = None
        self.deployment: Deployment | None = None
        self.versions: frozenset[str] = frozenset()
        self.running: list[Running] = []
        self.bot_unknown = False
        """Its owner did not answer: `running` is of the last time it did."""
        self._known: tuple[int, int] | None = None
        self._known_running: Running | None = None
        self.exited: Running | None = None
        self.exit_code: int | None = None
        self.troubles: dict[str, str] = {}
        self._looked = False
        self.last_lines: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        self._restored: dict[str, Any] | None = journal.get("checkpoint")

    async def collect(self) -> None:
        """Reads what is new and feeds it to the rules. Raises nothing that the inputs could cause."""
        self._look_at_registry()
        records = await self._look_at_bot()
        if self.deployment is not None and self._trades is not None and self._log is not None:
            await self._read_log(self._log, sorted(records, key=attrgetter("at")))
            async for record in self._trades.read(self.deployment.version, self.versions, live=self._live):
                self._engine.observe(record)
            self._live = self.caught_up
            for check in await self._files.check(self.deployment.version):
                self._engine.observe(check)
            self._look_for_troubles(self.deployment, self._trades)

    def _look_for_troubles(self, deployment: Deployment, trades: Trades) -> None:
        self._trouble("trade-log", trades.follower.trouble)
        self._trouble("trade-log-lines", trades.garbled)
        self._trouble("trade-log-future", trades.from_the_future)
        self._trouble("trade-log-past", trades.from_the_past)
        self._trouble("trade-log-stale", trades.stale(deployment.since))
        self._trouble("runs-another", self.runs_another)
        self._trouble("still-loading", self.still_loading)
        self._trouble("artifact", self._files.unreadable)
        self._trouble("registry-entry", self._files.entry_trouble)
        self._trouble("unsigned", self._files.unsigned)
        self._trouble("unsigned-targets", self._files.unsigned_targets)
        found = self._files.look_for_target()
        self._trouble("no-target", None if found else messages.no_target_ahead(deployment.version))
        self._looked = True

    @property
    def undecided(self) -> frozenset[str]:
        """The troubles that were not looked for yet since the start: one that was known before is not over."""
        return self._files.undecided if self._looked else self._files.undecided | LOOKED_FOR

    @property
    def version(self) -> str | None:
        """The current version, as far as the registry could be read."""
        return None if self.deployment is None else self.deployment.version

    @property
    def caught_up(self) -> bool:
        """Whether all that was written has been read; before that no verdict is asked for."""
        return (
            self._trades is not None
            and self._log is not None
            and self._trades.follower.caught_up
            and self._log.caught_up
        )

    def new_deployment_now(self) -> None:
        """A person resumed: the rules begin anew, with the current version."""
        self._journal.put("resumed_at", self._clock.now().isoformat())

    def evidence(self) -> dict[str, Any]:
        """What an incident keeps: the values, the last trades, the log's tail, the equity curve's data."""
        now = self._clock.now()
        deployment = self.deployment
        return {
            "at": now.isoformat(),
            "version": None if deployment is None else deployment.version,
            "deployed_at": None if deployment is None else deployment.since.isoformat(),
            "verdicts": [v.as_dict() for v in self._engine.evaluate(now)],
            "rules": self._engine.dump(),
            "last_trades": [] if self._trades is None else list(self._trades.last),
            "bot_log": list(self.last_lines),
            "bot_output": self._bot.output_tail(),
        }

    def checkpoint(self) -> dict[str, Any] | None:
        """The rules' state and the places in the logs, to be written together."""
        if self.deployment is None or self._trades is None or self._log is None:
            return self._restored
        return {
            "deployment": self.deployment.key,
            "trades": self._trades.follower.place.dump(),
            "log": self._log.place.dump(),
            "engine": self._engine.dump(),
            "bot": self._known,
            "loads": self._loads,
            "loads_end": self._loads_end,
            "says_end": self._says_end,
            "last_trade_at": self._trades.last_at and self._trades.last_at.isoformat(),
            "offset_s": self._clock.offset.total_seconds(),
        }

    # -- registry and deployment

    def _look_at_registry(self) -> None:
        try:
            found = self._registry.read()
            deployment = self._registry.deployment()
        except RegistryError as error:
            self.troubles["registry"] = f"the registry cannot be read: {error}"
            return
        self.troubles.pop("registry", None)
        versions = frozenset(found["models"])
        if versions != self.versions:
            self.versions, self._known_names = versions, None
        if deployment is None:
            self.troubles["no-version"] = (
                f"{self._settings.registry.path}: the registry names no current version"
            )
            return
        self.troubles.pop("no-version", None)
        resumed_at = self._journal.get("resumed_at")
        key = _key(deployment, resumed_at)
        if self.deployment is None or self.deployment.key != key:
            self._begin_deployment(deployment.version, self._since(key, deployment.since, resumed_at), key)

    def outdated(self) -> bool:
        """Whether another deployment began since the registry was looked at: a rollback that was quick, a person who
        resumed. What is known is then of the one before. False while the registry cannot be read."""
        try:
            deployment = self._registry.deployment()
        except RegistryError:
            return False
        if deployment is None or self.deployment is None:
            return False
        return self.deployment.key != _key(deployment, self._journal.get("resumed_at"))

    def _since(self, key: str, written: str | None, resumed_at: str | None) -> datetime:
        """When the deployment started, in steady time; reckoned once for each, then kept."""
        kept = self._journal.get("deployment")
        if kept is not None and kept["key"] == key:
            return datetime.fromisoformat(kept["since"])
        self.troubles.pop("deployed-at", None)
        now = self._clock.now()
        since = now
        if written is not None:
            try:
                at = datetime.fromisoformat(written)
                at = (at if at.tzinfo else at.replace(tzinfo=self._tz)).astimezone(UTC)
                since = min(now, self._clock.steady(at))
            except (ValueError, OverflowError):
                self.troubles["deployed-at"] = f"the registry's history holds {written!r} in place of a time"
        if resumed_at is not None:
            since = max(since, datetime.fromisoformat(resumed_at))
        try:
            self._journal.put("deployment", {"key": key, "since": since.isoformat()})
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s): the deployment is kept in memory alone", error)
        return since

    def _begin_deployment(self, version: str, since: datetime, key: str) -> None:
        self.deployment = Deployment(version, since, key)
        self._engine.reset(since)
        self._files.forget()
        if self._trades is None:
            self._open_followers(since, key)

    def _open_followers(self, since: datetime, key: str) -> None:
        """From the checkpoint when it fits; else the logs are read again, from the start of the deployment."""
        kept, self._restored = self._restored, None
        if kept is not None:
            try:
                self._restore(kept, key)
            except (ValueError, KeyError, TypeError):
                self._engine.reset(since)
            else:
                return
        trades = Follower.from_start(self._settings.trade_log.path, since)
        self._trades = Trades(self._settings, self._clock, trades, None)
        self._log = Follower.from_start(self._settings.bot.log, since)

    def _restore(self, kept: dict[str, Any], key: str) -> None:
        """Goes on where the checkpoint was made. ValueError, KeyError or TypeError when it does not fit."""
        last = kept["last_trade_at"]
        trades = Follower(self._settings.trade_log.path, Place.restore(kept["trades"]))
        log = Follower(self._settings.bot.log, Place.restore(kept["log"]))
        if kept["deployment"] == key:
            self._engine.restore(kept["engine"])
        self._known = None if kept["bot"] is None else (kept["bot"][0], kept["bot"][1])
        self._loads, self._loads_end = kept.get("loads"), kept.get("loads_end")
        self._says_end = bool(kept.get("says_end", self._loads_end))
        self._trades = Trades(self._settings, self._clock, trades, last and datetime.fromisoformat(last))
        self._log = log

    # -- the bot

    async def _look_at_bot(self) -> list[Record]:
        try:
            found = await self._bot.find()
        except BotError as error:  # it may be up or down: until that is known, nothing is done about it
            self.bot_unknown = True
            self.troubles["bot-unknown"] = f"whether the bot runs cannot be known: {error}"
            return []
        self.bot_unknown, self.running = False, found
        self.troubles.pop("bot-unknown", None)
        self._trouble("bot-owner", self._bot.trouble)
        return list(self._changes())

    def _changes(self) -> Iterable[Record]:
        now = self._clock.now()
        main = self.running[0] if self.running else None
        known = None if main is None else (main.pid, main.started_ticks)
        self._trouble("two-bots", self._two_bots())
        if known == self._known:
            self._known_running = main
            return
        started_at = None if main is None else main.started_at(now)
        if self._known is not None and self._known_running is not None:
            self.exited, self.exit_code = self._known_running, self._bot.exit_code(self._known_running)
            # Before the start of the next one, whose first lines may be there already: they are not the dead one's.
            yield BotExited(now if started_at is None else min(now, started_at), self.exit_code)
        if started_at is not None:
            self._loads = self._loads_end = None
            yield BotStarted(started_at)
        self._known, self._known_running = known, main

    def before_start(self) -> None:
        """What stands in the bot's log now was written by an earlier process: it says nothing of the next one."""
        if self._log is not None and self._live:
            while (raw := self._log.read()) or not self._log.caught_up:
                self._keep_lines(raw)

    def after_start(self, running: Running) -> None:
        """The watchdog itself just started it: what the log says from here on, this process says. If it ends before the
        next look, that is noticed, too."""
        self._log_floor = running.started_at(self._clock.now())
        self._engine.observe(BotStarted(self._log_floor))
        self._known, self._known_running = (running.pid, running.started_ticks), running
        self._loads = self._loads_end = None

    def _two_bots(self) -> str | None:
        return two_bots(self.running) if len(self.running) > 1 else None

    # -- logs

    async def _read_log(self, log: Follower, events: list[Record]) -> None:
        """Feeds what is new in the log, and `events` in their places among its lines."""
        began = time.monotonic()
        ahead = self._ahead_of_file() if not self._live else timedelta(0)
        while True:
            raw = log.read()
            self._keep_lines(raw)
            lines = self._parser.feed(raw)
            if log.caught_up:
                lines += self._parser.flush()
            for line in lines:
                self._feed_line(self._dated(line, ahead), events)
            if log.caught_up or time.monotonic() - began > MOST_S_A_TICK:
                break
            await asyncio.sleep(0)
        for event in events:
            self._engine.observe(event)
        self._trouble("bot-log", log.trouble)

    def _feed_line(self, line: LogLine, events: list[Record]) -> None:
        while events and events[0].at <= line.at:
            self._engine.observe(events.pop(0))
        self._engine.observe(line)
        if tells_loading(line.message) or tells_loaded(line.message):
            named = next(
                (n.version for n in self._names() if n.named_in(line.message, about_loading=True)), None
            )
            self._loads, self._loads_end = named or self._loads, tells_loaded(line.message)
            self._says_end = self._says_end or self._loads_end

    def _keep_lines(self, raw: list[bytes]) -> None:
        self.last_lines.extend(line.decode("utf-8", "replace")[:CUT] for line in raw[-KEPT_LOG_LINES:])

    def _dated(self, line: LogLine, ahead: timedelta) -> LogLine:
        """In steady time. What was just read was just written, whatever time zone the bot's log is in, and by the
        process that runs; lines of the past are moved by what they are `ahead`."""
        at, now = self._clock.steady(line.at) - ahead, self._clock.now()
        if self._live:
            if abs(at - now) > max(LIVE, 3 * self._settings.poll_interval):
                at = now
            at = at if self._log_floor is None else max(at, self._log_floor)
        return line if at == line.at else replace(line, at=at)

    def _ahead_of_file(self) -> timedelta:
        """By how much the log's last line is later than the file was last written: its clock is in another time zone
        than `bot.timezone`. Nothing is known of one that is behind."""
        path = self._settings.bot.log
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            last = BotLogParser(self._tz).feed([*read_tail(path, TAIL_BYTES).splitlines(), SENTINEL])
        except (OSError, OverflowError, ValueError):  # the last two: an mtime of the year 10,000
            return timedelta(0)
        ahead = last[-1].at - written if last else timedelta(0)
        quarters = round(ahead / QUARTER) * QUARTER if ahead < FARTHEST else timedelta(0)
        self._trouble(
            "bot-log-zone",
            f"{path}: its lines are {span(quarters)} ahead of the clock; taken for another time zone and put right. "
            f"Set bot.timezone to the bot's, or let it log in UTC"
            if quarters > timedelta(0)
            else None,
        )
        return max(quarters, timedelta(0))

    # -- which version runs

    @property
    def runs_another(self) -> str | None:
        """That the running bot loaded another version than the current one, and was not started since; or None.

        Its trades are then not those of the current version, whatever the registry says.
        """
        if self.deployment is None or (runs := self.still_runs) is None:
            return None
        pid = self.running[0].pid
        return (
            f"{self.deployment.version} was promoted, but the bot (pid {pid}) still runs {runs}, which it loaded "
            f"before: the trade rules do not judge. Restart the bot{how_to_restart(self._settings, pid)}"
        )

    @property
    def still_runs(self) -> str | None:
        """The version that the running bot loaded before another one became current; None when it is the same one."""
        if self.deployment is None or not self.running or self._loads in (None, self.deployment.version):
            return None
        started_at = self.running[0].started_at(self._clock.now())
        return None if started_at >= self.deployment.since else self._loads

    @property
    def still_loading(self) -> str | None:
        """That the running bot began to load and does not say that it has, as it did before, for longer than it may
        take; or None. It does not trade then, and no rule sees that."""
        if not self.running or self._loads_end is not False or not self._says_end:
            return None
        main, now, most = self.running[0], self._clock.now(), self._settings.bot.start_timeout
        rule = self._engine.rule("load_error")
        if now - main.started_at(now) <= most or (isinstance(rule, LoadErrorRule) and not rule.loading):
            return None
        return (
            f"the bot (pid {main.pid}) began to load {self._loads or 'its model'} and has not said that it is loaded, "
            f"{span(now - main.started_at(now))} after its start (bot.start_timeout: {span(most)}): it hangs, or loads "
            f"slowly. Look at its log; `model-watchdog rollback` goes back, `model-watchdog halt` stops it"
        )

    def _names(self) -> list[Names]:
        if self._known_names is None:
            try:
                files = self._registry.files()
            except RegistryError:
                return []  # told already, by who reads the current version
            self._known_names = list(names_of_all(files, {}).values())
        return self._known_names

    def _trouble(self, name: str, text: str | None) -> None:
        if text is None:
            self.troubles.pop(name, None)
        else:
            self.troubles[name] = text

    # -- what others ask

    @property
    def target(self) -> str | None:
        """The version that a rollback would go to, verified."""
        return self._files.target

    @property
    def untrusted(self) -> str | None:
        """Why the trade log cannot be judged by now, or None: stale, or its times are from the future."""
        names = ("trade-log-future", "trade-log-stale", "runs-another")
        return next((self.troubles[name] for name in names if name in self.troubles), None)

    def obstacle(self) -> str | None:
        """Why the bot must not be started on the current version, or None once its files are known to verify."""
        for trouble in ("registry", "no-version"):
            if trouble in self.troubles:
                return self.troubles[trouble]
        return "the registry was not read yet" if self.version is None else self._files.obstacle(self.version)

    @property
    def loaded(self) -> bool:
        """Whether the bot's log showed that the model was loaded since the bot's last start."""
        rule = self._engine.rule("load_error")
        return isinstance(rule, LoadErrorRule) and rule.loaded

    def close(self) -> None:
        """Lets go of the logs."""
        if self._log is not None:
            self._log.close()
        if self._trades is not None:
            self._trades.follower.close()
