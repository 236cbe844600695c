"""Collects what the bot writes and is, and feeds it to the rules: only what is new, in order, for this deployment.

What cannot be read is a trouble, told to people, and never a record: missing or garbled data fires nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from config import Settings
from registry import ModelRegistry, RegistryError
from triggers import BotExited, BotStarted, Engine, LoadErrorRule, LogLine, Record
from watchdog import messages
from watchdog.bot_log import BotLogParser
from watchdog.bots.base import BotControl, Running
from watchdog.bots.starter import who_started
from watchdog.clock import LIVE, Clock
from watchdog.follow import Follower
from watchdog.journal import Journal
from watchdog.model_files import ModelFiles
from watchdog.place import Place
from watchdog.trades import CUT, MOST_S_A_TICK, Trades

KEPT_LOG_LINES = 80


@dataclass(frozen=True)
class Deployment:
    """The current version and since when it counts; `key` changes when a new deployment starts."""

    version: str
    since: datetime
    key: str


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
        self._files = ModelFiles(registry, clock)
        self._trades: Trades | None = None
        self._log: Follower | None = None
        self._live = False
        self.deployment: Deployment | None = None
        self.versions: frozenset[str] = frozenset()
        self.running: list[Running] = []
        self._known: tuple[int, int] | None = None
        self._known_running: Running | None = None
        self.exited: Running | None = None
        self.exit_code: int | None = None
        self.troubles: dict[str, str] = {}
        self.last_lines: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        self._restored: dict[str, Any] | None = journal.get("checkpoint")

    async def collect(self) -> None:
        """Reads what is new and feeds it to the rules. Raises nothing that the inputs could cause."""
        self._look_at_registry()
        records: list[Record] = list(self._look_at_bot())
        if self.deployment is not None and self._trades is not None and self._log is not None:
            await self._read_log(records)
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
        self._trouble("artifact", self._files.unreadable)
        self._trouble("registry-entry", self._files.entry_trouble)
        found = self._files.look_for_target()
        self._trouble("no-target", None if found else messages.no_target_ahead(deployment.version))

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
        self.versions = frozenset(found.get("models", {}))
        if deployment is None:
            self.troubles["no-version"] = (
                f"{self._settings.registry.path}: the registry names no current version"
            )
            return
        self.troubles.pop("no-version", None)
        resumed_at = self._journal.get("resumed_at")
        key = f"{deployment.version} {deployment.since} {resumed_at}"
        if self.deployment is None or self.deployment.key != key:
            self._begin_deployment(deployment.version, self._since(key, deployment.since, resumed_at), key)

    def _since(self, key: str, written: str | None, resumed_at: str | None) -> datetime:
        """When the deployment started, in steady time; reckoned once for each, then kept."""
        kept = self._journal.get("deployment")
        if kept is not None and kept["key"] == key:
            return datetime.fromisoformat(kept["since"])
        now = self._clock.now()
        since = now
        if written is not None:
            try:
                at = datetime.fromisoformat(written)
            except ValueError:
                self.troubles["deployed-at"] = f"the registry's history holds {written!r} in place of a time"
            else:
                since = min(now, self._clock.steady(at if at.tzinfo else at.replace(tzinfo=self._tz)))
        if resumed_at is not None:
            since = max(since, datetime.fromisoformat(resumed_at))
        self._journal.put("deployment", {"key": key, "since": since.isoformat()})
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
        self._trades = Trades(self._settings, self._clock, trades, last and datetime.fromisoformat(last))
        self._log = log

    # -- the bot

    def _look_at_bot(self) -> Iterable[Record]:
        now = self._clock.now()
        self.running = self._bot.find()
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
            yield BotStarted(started_at)
        self._known, self._known_running = known, main

    def bot_was_started(self, running: Running) -> None:
        """The watchdog itself just started it: if it ends before the next look, that is noticed, too."""
        self._engine.observe(BotStarted(running.started_at(self._clock.now())))
        self._known, self._known_running = (running.pid, running.started_ticks), running

    def _two_bots(self) -> str | None:
        if len(self.running) < 2:
            return None
        each = ", ".join(f"pid {r.pid} started by {who_started(r.pid)}" for r in self.running)
        return f"{len(self.running)} bots are running at once ({each}); end all but one"

    # -- logs

    async def _read_log(self, others: list[Record]) -> None:
        """Feeds the new lines to the rules, batch by batch: a long history must not pile up in memory.

        `others`: starts and ends of the bot, which come between the lines by their times.
        """
        assert self._log is not None
        now = self._clock.now()
        waiting = deque(sorted(others, key=attrgetter("at")))
        began = time.monotonic()
        while True:
            raw = self._log.read()
            self.last_lines.extend(line.decode("utf-8", "replace")[:CUT] for line in raw[-KEPT_LOG_LINES:])
            lines = self._parser.feed(raw)
            enough = self._log.caught_up or time.monotonic() - began > MOST_S_A_TICK
            if enough:
                lines += self._parser.flush()
            for line in sorted((self._dated(line, now) for line in lines), key=attrgetter("at")):
                while waiting and waiting[0].at <= line.at:
                    self._engine.observe(waiting.popleft())
                self._engine.observe(line)
            if enough:
                break
            await asyncio.sleep(0)
        for record in waiting:
            self._engine.observe(record)
        self._trouble("bot-log", self._log.trouble)

    def _dated(self, line: LogLine, now: datetime) -> LogLine:
        """In steady time. What was just read was just written, whatever time zone the bot's log is in."""
        at = self._clock.steady(line.at)
        if self._live and abs(at - now) > max(LIVE, 3 * self._settings.poll_interval):
            at = now
        return line if at == line.at else replace(line, at=at)

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
        return self.troubles.get("trade-log-future") or self.troubles.get("trade-log-stale")

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
