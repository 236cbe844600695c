"""Collects what the bot writes and is, and feeds it to the rules: only what is new, in order, for this deployment.

What cannot be read is a trouble, told to people, and never a record: missing or garbled data fires nothing.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from config import Settings
from registry import ModelRegistry, RegistryError
from registry.artifacts import artifacts_of
from triggers import ArtifactCheck, BotExited, BotStarted, Engine, LoadErrorRule, LogLine, Record
from watchdog import messages
from watchdog.artifacts import ArtifactWatch
from watchdog.bot_log import BotLogParser
from watchdog.bots.base import BotControl, Running
from watchdog.bots.starter import who_started
from watchdog.clock import LIVE, Clock
from watchdog.follow import Follower
from watchdog.journal import Journal
from watchdog.messages import span
from watchdog.place import Place
from watchdog.trade_log import TradeLogDecoder

KEPT_TRADES = 50
KEPT_LOG_LINES = 80
BATCH_PAUSE_S = 0.0
MOST_S_A_TICK = 5.0
"""A long history is read over several ticks, so that orders and heartbeats are not held up."""

ARTIFACT_WAIT_S = 1.0
"""Small files are hashed within the tick; a tick does not wait for large ones."""

AHEAD = 3
"""So many records in a row from the future are no slip: the time zone or a clock is wrong."""


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
        self._decoder = TradeLogDecoder(self._tz)
        self._parser = BotLogParser(self._tz)
        self._artifacts = ArtifactWatch()
        self._artifact_task: asyncio.Task[list[ArtifactCheck]] | None = None
        self._checks: list[ArtifactCheck] = []
        self._target_artifacts = ArtifactWatch()
        self._target_task: asyncio.Task[str | None] | None = None
        self.target: str | None = None
        self._ahead_by = timedelta(0)
        self._trades: Follower | None = None
        self._log: Follower | None = None
        self._live = False
        self._ahead = 0
        self._last_trade_at: datetime | None = None
        self.deployment: Deployment | None = None
        self.versions: frozenset[str] = frozenset()
        self.running: list[Running] = []
        self._known: tuple[int, int] | None = None
        self._known_running: Running | None = None
        self.exited: Running | None = None
        self.exit_code: int | None = None
        self.troubles: dict[str, str] = {}
        self.last_trades: deque[str] = deque(maxlen=KEPT_TRADES)
        self.last_lines: deque[str] = deque(maxlen=KEPT_LOG_LINES)
        self._restored: dict[str, Any] | None = journal.get("checkpoint")

    async def collect(self) -> None:
        """Reads what is new and feeds it to the rules. Raises nothing that the inputs could cause."""
        self._look_at_registry()
        records: list[Record] = list(self._look_at_bot())
        if self.deployment is not None and self._trades is not None and self._log is not None:
            records += await self._read_log()
            for record in sorted(records, key=attrgetter("at")):
                self._engine.observe(record)
            await self._read_trades()
            for check in await self._check_artifacts(self.deployment):
                self._engine.observe(check)
            self._look_for_target()
        self._watch_staleness()

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
            and self._trades.caught_up
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
            "last_trades": list(self.last_trades),
            "bot_log": list(self.last_lines),
            "bot_output": self._bot.output_tail(),
        }

    def checkpoint(self) -> dict[str, Any] | None:
        """The rules' state and the places in the logs, to be written together."""
        if self.deployment is None or self._trades is None or self._log is None:
            return self._restored
        return {
            "deployment": self.deployment.key,
            "trades": self._trades.place.dump(),
            "log": self._log.place.dump(),
            "engine": self._engine.dump(),
            "bot": self._known,
            "last_trade_at": None if self._last_trade_at is None else self._last_trade_at.isoformat(),
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
        if self._artifact_task is not None:
            self._artifact_task.cancel()
        self._artifact_task, self._checks = None, []
        if self._trades is None:
            self._open_followers(since, key)

    def _open_followers(self, since: datetime, key: str) -> None:
        """From the checkpoint when it fits; else the logs are read again, from the start of the deployment."""
        kept, self._restored = self._restored, None
        try:
            if kept is not None:
                self._trades = Follower(self._settings.trade_log.path, Place.restore(kept["trades"]))
                self._log = Follower(self._settings.bot.log, Place.restore(kept["log"]))
                if kept["deployment"] == key:
                    self._engine.restore(kept["engine"])
                self._known = None if kept["bot"] is None else (kept["bot"][0], kept["bot"][1])
                last = kept["last_trade_at"]
                self._last_trade_at = None if last is None else datetime.fromisoformat(last)
                return
        except (ValueError, KeyError, TypeError):
            self._engine.reset(since)
        self._trades = Follower.from_start(self._settings.trade_log.path, since)
        self._log = Follower.from_start(self._settings.bot.log, since)

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

    async def _read_log(self) -> list[LogLine]:
        assert self._log is not None
        now = self._clock.now()
        lines: list[LogLine] = []
        began = time.monotonic()
        while True:
            raw = self._log.read()
            self.last_lines.extend(line.decode("utf-8", "replace")[:500] for line in raw[-KEPT_LOG_LINES:])
            lines += self._parser.feed(raw)
            if self._log.caught_up or time.monotonic() - began > MOST_S_A_TICK:
                break
            await asyncio.sleep(BATCH_PAUSE_S)
        lines += self._parser.flush()
        self._trouble("bot-log", self._log.trouble)
        return [self._dated(line, now) for line in lines]

    def _dated(self, line: LogLine, now: datetime) -> LogLine:
        """In steady time. What was just read was just written, whatever time zone the bot's log is in."""
        at = self._clock.steady(line.at)
        if self._live and abs(at - now) > max(LIVE, 3 * self._settings.poll_interval):
            at = now
        return line if at == line.at else replace(line, at=at)

    async def _read_trades(self) -> None:
        assert self._trades is not None
        began = time.monotonic()
        while True:
            lines = self._trades.read()
            self._feed_trades(lines)
            if self._trades.caught_up or time.monotonic() - began > MOST_S_A_TICK:
                break
            await asyncio.sleep(BATCH_PAUSE_S)
        self._live = self.caught_up
        self._trouble("trade-log", self._trades.trouble)
        self._trouble("trade-log-lines", self._garbled())
        self._trouble("trade-log-future", self._from_the_future())

    def _feed_trades(self, lines: list[bytes]) -> None:
        now = self._clock.now()
        offset = self._clock.offset
        current = None if self.deployment is None else self.deployment.version
        for line in lines:
            decoded = self._decoder.decode(line)
            if decoded is None:
                continue
            record, made_by = decoded.record, decoded.model_version
            if offset:
                record = replace(record, at=self._clock.steady(record.at))
            if record.at - now > LIVE:
                self._ahead += 1
                self._ahead_by = record.at - now
                continue
            self._ahead = 0
            self._last_trade_at = now if self._live else max(record.at, self._last_trade_at or record.at)
            if made_by is not None and made_by != current and made_by in self.versions:
                continue
            self._engine.observe(record)
        self.last_trades.extend(line.decode("utf-8", "replace")[:500] for line in lines[-KEPT_TRADES:])

    def _garbled(self) -> str | None:
        bad = (
            self._decoder.garbled + self._decoder.impossible + (self._trades.too_long if self._trades else 0)
        )
        if not bad:
            return None
        return (
            f"{self._settings.trade_log.path}: lines that could not be used were left out ({self._example()})"
        )

    def _example(self) -> str:
        first = self._decoder.first_garbled
        return (
            "no example"
            if first is None
            else f"the first: line {first.line}, {first.reason}: {first.excerpt}"
        )

    def _from_the_future(self) -> str | None:
        if self._ahead < AHEAD:
            return None
        return (
            f"{self._settings.trade_log.path}: the newest records are {span(self._ahead_by)} ahead of the clock, so "
            f"the trade rules do not judge; check `bot.timezone` ({self._settings.bot.timezone}) and the bot's clock"
        )

    @property
    def untrusted(self) -> str | None:
        """Why the trade log's times cannot be believed now, or None."""
        return self.troubles.get("trade-log-future")

    def _watch_staleness(self) -> None:
        now = self._clock.now()
        stale_after = self._settings.trade_log.stale_after
        reference = self._last_trade_at or (self.deployment.since if self.deployment else now)
        quiet = now - reference
        self._trouble(
            "trade-log-stale",
            f"{self._settings.trade_log.path}: nothing new for {span(quiet)} (limit {span(stale_after)}); "
            f"is the bot trading?"
            if quiet > stale_after
            else None,
        )

    def _trouble(self, name: str, text: str | None) -> None:
        if text is None:
            self.troubles.pop(name, None)
        else:
            self.troubles[name] = text

    # -- artifacts

    async def _check_artifacts(self, deployment: Deployment) -> list[ArtifactCheck]:
        """What is known of the current version's files; a large one is hashed beside the ticks."""
        if self._artifact_task is None:
            self._artifact_task = asyncio.create_task(self._hash(self._artifacts, deployment.version))
        await asyncio.wait({self._artifact_task}, timeout=ARTIFACT_WAIT_S)
        if not self._artifact_task.done():
            return []
        task, self._artifact_task = self._artifact_task, None
        checks = task.result()
        self._checks = [check for check in checks if check.version == deployment.version]
        bad = [f"{check.path}: {check.detail}" for check in self._checks if check.state == "unreadable"]
        self._trouble("artifact", f"a model file cannot be checked: {'; '.join(bad)}" if bad else None)
        return self._checks

    async def _hash(self, watch: ArtifactWatch, version: str) -> list[ArtifactCheck]:
        try:
            entry = self._registry.read()["models"].get(version)
            expected = {a.name: (a.path, a.expected) for a in artifacts_of(entry, self._registry.folder)}
        except (RegistryError, ValueError) as error:
            self.troubles["registry-entry"] = f"the registry's entry of {version} cannot be used: {error}"
            return []
        self.troubles.pop("registry-entry", None)
        return await watch.check(version, expected, self._clock.now(), self._clock.monotonic())

    def obstacle(self) -> str | None:
        """Why the bot must not be started on the current version, or None once its files are known to verify."""
        if self.deployment is None or "registry" in self.troubles:
            return (
                self.troubles.get("registry")
                or self.troubles.get("no-version")
                or "the registry was not read yet"
            )
        if self._registry.is_quarantined(self.deployment.version):
            return (
                "it is quarantined: it was rolled back from. Promote a good version, or promote this one to "
                "release it"
            )
        bad = [f"{check.path} is {check.state}" for check in self._checks if check.state != "ok"]
        if bad or not self._checks:
            return "; ".join(bad) or "its files are still being checked"
        return None

    @property
    def loaded(self) -> bool:
        """Whether the bot's log showed that the model was loaded since the bot's last start."""
        rule = self._engine.rule("load_error")
        return isinstance(rule, LoadErrorRule) and rule.loaded

    # -- the target

    def _look_for_target(self) -> None:
        """Which version a rollback would go to, verified; large files are hashed beside the ticks."""
        if self._target_task is None:
            self._target_task = asyncio.create_task(self._find_target())
        elif self._target_task.done():
            task, self._target_task = self._target_task, None
            self.target = task.result()
            self._trouble(
                "no-target",
                None if self.target else messages.no_target_ahead(self.version),
            )

    async def _find_target(self) -> str | None:
        try:
            candidates = self._registry.targets()
        except RegistryError:
            return None  # told as the trouble "registry" already
        for version in candidates:
            checks = await self._hash(self._target_artifacts, version)
            if checks and all(check.state == "ok" for check in checks):
                return version
        return None
