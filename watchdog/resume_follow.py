"""What `resume` says while the bot is brought back: until it is proved what it loaded, or why it is not.

The proof is the procedure's (`proof.LoadProof`). The command makes it by itself, of what the bot's log says from the
order on; nothing is touched, and the watchdog goes on whether somebody looks or not.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

from rich.console import Console

from config import Settings
from registry import RegistryError
from triggers import LogLine
from watchdog import health
from watchdog.bot_log import BotLogParser
from watchdog.bots import proc
from watchdog.bots.base import BotError, Running, look_at
from watchdog.clock import utc_now
from watchdog.controls import make_bot
from watchdog.follow import Follower, end_of
from watchdog.journal import Journal, JournalError
from watchdog.messages import how_it_ended, parse_time, span
from watchdog.open_registry import open_registry
from watchdog.proof import LoadProof, names_of_all
from watchdog.reading import open_journal
from watchdog.rules import load_error_rule
from watchdog.screen import say

LOOK_EVERY_S = 1.0
"""A look at the bot may ask systemd or a container engine."""


class Comeback:
    """To be made before the order is given: what the bot's log says until then is of no start that is waited for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = Follower(settings.bot.log, end_of(settings.bot.log))
        self._parser = BotLogParser(settings.bot.tz)
        self._tail = self._last_words(None)
        self._loads_end = False
        try:
            if (journal := open_journal(settings)) is not None:
                self._loads_end = bool((journal.get("checkpoint") or {}).get("loads_end"))
                journal.close()
        except JournalError:
            pass  # told by whoever reads the answer there
        self._running: Running | None = None
        self._proof: LoadProof | None = None
        self._version = ""
        self._said = ""

    def wait(
        self, journal: Journal, ordered_at: datetime, rest: Callable[[], None], out: Console, *, paused: bool
    ) -> int:
        """Until the bot is back, or cannot be; the exit code. `ordered_at`: when the order was taken, steady UTC.
        `paused`: only a pause was ended, so that a bot that runs has run all the time."""
        bot = self._settings.bot
        within = bot.start_timeout + bot.stays_up_for
        until_s = time.monotonic() + within.total_seconds()
        look_at_s, why = 0.0, "it was not started yet"
        try:
            self._version = self._current()
            while time.monotonic() < until_s:
                if (turned := self._turned(journal, ordered_at)) is not None:
                    return say(out, f"the bot was not brought back: {turned}", "red", 1)
                if time.monotonic() >= look_at_s:
                    look_at_s = time.monotonic() + LOOK_EVERY_S
                    state, why = self._look(journal, ordered_at, paused=paused)
                    if state == "back":
                        return say(out, why, "green")
                    if state == "wrong":
                        where = "the watchdog goes by its rules: see model-watchdog status"
                        return say(out, f"the bot was started, and {why}; {where}", "red", 1)
                    self._say(out, why)
                rest()
        except (RegistryError, BotError) as error:
            why = str(error)
        finally:
            self._log.close()
        what = f"the bot was not proved to run {self._version or 'the current version'} within {span(within)}"
        return say(out, f"{what}: {why}; the watchdog goes on: see model-watchdog status", "red", 1)

    def _say(self, out: Console, why: str) -> None:
        if why != self._said:
            self._said = why
            say(out, why, "dim")

    def _turned(self, journal: Journal, ordered_at: datetime) -> str | None:
        """What came instead: another halt, or an incident."""
        incident = journal.open_one()
        if incident is not None and incident.opened_at >= ordered_at:
            return f"incident {incident.id} began ({incident.reason}); see model-watchdog incidents {incident.id}"
        halted = journal.get("halted")
        return None if halted is None else f"it is halted again, by {halted['by']}: {halted['why']}"

    def _look(self, journal: Journal, ordered_at: datetime, *, paused: bool) -> tuple[str, str]:
        """`back`, `wrong` or `waiting`, and why."""
        found = look_at(make_bot(self._settings, journal))
        now = utc_now()
        if found and paused and self._proof is None:
            return "back", f"the bot runs, pid {found[0].pid}"
        if not found:
            self._lines()  # of processes that ended
            self._running = None
            return "waiting", self._why_down(journal, ordered_at)
        if self._proof is None or self._running is None or self._running.pid != found[0].pid:
            self._running, self._proof = found[0], self._new_proof()
        for line in self._lines():
            self._proof.observe(line, now)
        if self._settings.bot.health is not None:
            heard = asyncio.run(health.ask(self._settings.bot.health))
            if heard.state == "well":
                self._proof.hear(heard.version, now)
        return self._judged(found[0], *self._proof.state(now))

    def _judged(self, running: Running, state: str, why: str) -> tuple[str, str]:
        if state == "wrong":
            return "wrong", why
        if state != "proven":
            return "waiting", f"started, pid {running.pid}: {why}"
        if proc.age_s(running.started_ticks) < self._settings.bot.stays_up_for.total_seconds():
            return "waiting", f"started, pid {running.pid}: {why}; now whether it stays up"
        return "back", f"the bot runs on {self._version}, pid {running.pid}: {why}"

    def _why_down(self, journal: Journal, ordered_at: datetime) -> str:
        trouble = (journal.get("conditions") or {}).get("bot-down")
        if trouble is not None and trouble.get("text"):
            return str(trouble["text"])
        again = [at for at in (journal.get("restarts") or {"at": []})["at"] if parse_time(at) >= ordered_at]
        if not again and self._proof is None:
            return "it was not started yet"
        times = f", started again {len(again)} time{'' if len(again) == 1 else 's'}" if again else ""
        return f"it ended by itself{self._last_words(self._tail)}{times}"

    def _last_words(self, before: str | None) -> str:
        """What the bot wrote to its output, in brackets; nothing when that was there `before`."""
        try:
            said = how_it_ended(None, make_bot(self._settings, None).output_tail(1))
        except BotError:
            return ""
        return "" if said == before else said

    def _current(self) -> str:
        deployment = open_registry(self._settings).deployment()
        if deployment is None:
            raise RegistryError(f"{self._settings.registry.path}: the registry names no current version")
        return deployment.version

    def _new_proof(self) -> LoadProof:
        target = self._version
        files = {target: {}, **open_registry(self._settings).files()}
        names = names_of_all(files, self._settings.registry.links, linked=target)
        return LoadProof(
            names.pop(target),
            list(names.values()),
            load_error_rule(self._settings),
            self._settings.bot.stays_up_for.total_seconds(),
            says_when_loaded=self._loads_end,
        )

    def _lines(self) -> list[LogLine]:
        lines: list[LogLine] = []
        while True:
            lines += self._parser.feed(self._log.read())
            if self._log.caught_up:
                return [*lines, *self._parser.flush()]
