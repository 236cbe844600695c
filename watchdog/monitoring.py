"""The looks at a restored bot, from its restart on: what the playbook lists for the time after a rollback.

Everything is counted from the places in the logs at which they stood when the bot was started (in the incident's
facts), so that a restart of the watchdog counts nothing twice and forgets nothing. A look that finds something bad
tells it once. What is a relapse is decided here, too, and it is little: another version loaded, and restarts beyond
`bot.max_restarts`. Rules that fire, load errors among them, halt by themselves; missing data halts nothing.
"""

import logging
import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from registry import RegistryError
from watchdog import after_words, loading, messages
from watchdog.bot_log import BotLogParser
from watchdog.checklist import Before, Look, Seen, State
from watchdog.follow import Follower, end_of
from watchdog.health import Health
from watchdog.incident import Incident
from watchdog.place import Place
from watchdog.predictions import PredictionDecoder
from watchdog.spans import CutShort, Reader, Wanted
from watchdog.tell import Severity
from watchdog.trade_log import TradeLogDecoder
from watchdog.uptime import Uptime
from watchdog.world import World

log = logging.getLogger(__name__)

SAVE_EVERY_S = HEALTH_EVERY_S = NAMES_EVERY_S = 10.0
SILENT_AT_LEAST = timedelta(minutes=5)
"""A bot that writes nothing for half the time of the watching is told as silent, but never after less than this."""

UNWELL_S = 60.0
"""An endpoint says 503 while the bot is still getting ready."""

WRONG_S = 1.0
"""A bot that loads one model after another is between two of them for a moment."""

PLACES = ("log_place", "trades_place", "predictions_place")


def places(world: World) -> dict[str, Any]:
    """Where the bot's files end now: what comes behind is of the process that is started next."""
    settings = world.settings
    paths = (settings.bot.log, settings.trade_log.path, settings.monitor.predictions)
    return {name: end_of(path).dump() for name, path in zip(PLACES, paths, strict=True) if path is not None}


class Lookout:
    """Looks at one restored bot; `close` it in the end."""

    def __init__(self, world: World, incident: Incident) -> None:
        self._world, self._incident = world, incident
        settings = world.settings
        self._seen: Seen | None = None
        self._names_at_s = world.clock.monotonic()
        self._parser = BotLogParser(settings.bot.tz)
        self._log = self._follower("log_place", settings.bot.log)
        self._trades = self._follower("trades_place", settings.trade_log.path)
        self._trade_lines = TradeLogDecoder(settings.bot.tz)
        file = settings.monitor.predictions
        self._file = None if file is None else self._follower("predictions_place", file)
        self._predictions = PredictionDecoder(settings.bot.tz)
        self._stop = threading.Event()
        now_s = world.clock.monotonic()
        self._written_s = self._saved_s = now_s
        self._wrong_since_s: float | None = None
        self._unwell_since_s: float | None = None
        self._health: Health | None = None
        self._health_asked_s: float | None = None
        self._uptime = Uptime(world, incident, self._say, self._save)
        self._states: list[State] = []

    def _follower(self, name: str, path: Path) -> Follower:
        """From the place at the start. Without one (another build began this incident) from here on."""
        try:
            place = Place.restore(self._incident.facts[name])
        except (KeyError, ValueError):
            place = end_of(path)
        return Follower(path, place)

    def close(self) -> None:
        """Lets go of the files."""
        self._stop.set()
        for follower in (self._log, self._trades, self._file):
            if follower is not None:
                follower.close()

    @property
    def in_doubt(self) -> bool:
        """Another version was named a moment ago: the next look will tell."""
        return self._wrong_since_s is not None

    # -- before the rollback

    def errors_before(self) -> dict[str, float] | None:
        """How many errors the bot logged before it was stopped, over as long as it is watched now; None when that
        cannot be read. Reads files: to be run in a thread."""
        world, facts = self._world, self._incident.facts
        end = messages.parse_time(facts.get("stopped_at") or self._incident.opened_at.isoformat())
        begin = end - world.settings.rollback.monitor_for
        if facts.get("deployed_at") is not None:
            begin = max(begin, messages.parse_time(facts["deployed_at"]))
        wanted = Wanted(str(self._incident.from_version), begin, end)
        reader = Reader(world.settings, (), lambda at: at - world.clock.offset, self._stop)
        try:
            reader.read_log(wanted)
        except CutShort:
            return None
        if reader.unread or end <= begin:
            return None
        return {"errors": wanted.errors, "hours": (end - begin).total_seconds() / 3600}

    # -- one look

    async def look(self) -> str | None:
        """Looks at everything once, keeps and tells what is seen; why it is a relapse, or None."""
        seen = self._known_names()
        if seen is None:
            return None
        self._read(seen)
        process = await self._uptime.look()
        await self._ask_health()
        now = self._world.now()
        looks = [process, *self._looks(seen, now)]
        self._keep(looks)
        self._tell(seen, looks)
        relapse = self._wrong_version(seen) or self._uptime.relapse(now)
        if relapse is None or not self._world.paused():
            return relapse
        self._say("paused", after_words.would_halt(self._incident, relapse), "critical")
        return None

    def _known_names(self) -> Seen | None:
        """None while the registry, which names the versions, cannot be read: nothing is lost by waiting."""
        now_s = self._world.clock.monotonic()
        if self._seen is None and now_s >= self._names_at_s:
            self._names_at_s = now_s + NAMES_EVERY_S
            try:
                names = loading.names(self._world, str(self._incident.target))
            except RegistryError:
                return None
            self._seen = Seen(self._world.settings, *names)
        return self._seen

    def _read(self, seen: Seen) -> None:
        raw = self._log.read()
        lines = self._parser.feed(raw)
        if self._log.caught_up:
            lines += self._parser.flush()
        for line in lines:
            seen.line(line)
        trades = self._trades.read()
        for trade in trades:
            if (decoded := self._trade_lines.decode(trade)) is not None:
                seen.trade(decoded.record)
        told = [] if self._file is None else self._file.read()
        for line_of_file in told:
            if (prediction := self._predictions.decode(line_of_file)) is not None:
                seen.prediction(prediction.at)
        if raw or trades or told:
            self._written_s = self._world.clock.monotonic()

    async def _ask_health(self) -> None:
        now_s = self._world.clock.monotonic()
        if self._world.health is None:
            return
        if self._health_asked_s is not None and now_s - self._health_asked_s < HEALTH_EVERY_S:
            return
        self._health, self._health_asked_s = await self._world.health(), now_s
        if self._health.state == "well":
            self._unwell_since_s = None
        elif self._unwell_since_s is None:
            self._unwell_since_s = now_s

    # -- what is seen

    def _looks(self, seen: Seen, now: datetime) -> list[Look]:
        facts = self._incident.facts
        since = messages.parse_time(facts.get("started_at") or facts["monitor_from"])
        kept = facts.get("errors_before")
        before = None if kept is None else Before(kept["errors"], kept["hours"])
        hours = max(0.0, (now - since).total_seconds() / 3600)
        looks = [
            seen.version(now),
            seen.predicts(),
            seen.risk(),
            seen.no_errors(before, hours),
            seen.trades(),
        ]
        return looks if self._world.health is None else [*looks, self._health_look()]

    def _health_look(self) -> Look:
        health = self._health
        if health is None or health.state == "silent":
            said = "was not asked yet" if health is None else health.said
            return Look("health", "not yet", "health no answer", f"{self._world.settings.bot.health} {said}")
        named = f" and names {health.version}" if health.version else ""
        text = f"{self._world.settings.bot.health} {health.said}{named}"
        if health.state == "unwell":
            return Look("health", "bad", "health bad", text)
        return Look("health", "ok", "health ok", text)

    def _keep(self, looks: Sequence[Look]) -> None:
        """For status, the report and the summary: on disk when something turned, and now and then."""
        self._incident.facts["looks"] = [look.as_dict() for look in looks]
        states = [look.state for look in looks]
        now_s = self._world.clock.monotonic()
        if states != self._states or now_s - self._saved_s >= SAVE_EVERY_S:
            self._states, self._saved_s = states, now_s
            self._save()

    def _save(self) -> None:
        """A disk that refuses ends no watching: it is written with the step's end."""
        try:
            self._world.journal.save(self._incident)
        except sqlite3.Error as error:
            log.error("the journal cannot be written (%s): the watching goes on", error)

    # -- telling

    def _tell(self, seen: Seen, looks: Sequence[Look]) -> None:
        incident, now_s = self._incident, self._world.clock.monotonic()
        for look in looks:
            told_elsewhere = look.name in {"process", "version"}
            early = (
                look.name == "health"
                and self._unwell_since_s is not None
                and now_s - self._unwell_since_s < UNWELL_S
            )
            if look.state == "bad" and not told_elsewhere and not early:
                self._say(look.name, after_words.look_is_bad(incident, look.name, look.text), "warning")
        error = seen.load_error(self._world.now())
        if (
            error is not None and not self._world.settings.triggers.load_error.enabled
        ):  # else the rule judges it
            self._say("load error", after_words.look_is_bad(incident, "version", error), "critical")
        quiet_s = now_s - self._written_s
        limit = max(self._world.settings.rollback.monitor_for / 2, SILENT_AT_LEAST)
        if quiet_s >= limit.total_seconds():
            quiet = messages.span(timedelta(seconds=quiet_s))
            self._say("silence", after_words.silent(incident, quiet), "warning")

    def _say(self, name: str, text: str, severity: Severity) -> None:
        self._world.teller.step(self._incident, f"monitor, {name}", text, severity)

    # -- a relapse

    def _wrong_version(self, seen: Seen) -> str | None:
        """By its log, or by its health endpoint; seen for longer than a moment."""
        wrong = seen.wrong if self._log.caught_up else None
        health = self._health
        if (
            wrong is None
            and health is not None
            and health.state == "well"
            and health.version in seen.other_versions
        ):
            wrong = f"its health endpoint names {health.version}, not {self._incident.target}"
        now_s = self._world.clock.monotonic()
        if wrong is None:
            self._wrong_since_s = None
            return None
        self._wrong_since_s = now_s if self._wrong_since_s is None else self._wrong_since_s
        if now_s - self._wrong_since_s < WRONG_S:
            return None
        return f"The restored bot runs another model: {wrong}"
