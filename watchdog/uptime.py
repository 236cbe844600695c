"""Whether a restored bot stays up while it is watched: the same process, or restarts, how many and how soon."""

from collections.abc import Callable
from datetime import datetime

from watchdog import after_words, keep_alive
from watchdog.bots.base import BotError, Running
from watchdog.checklist import Look
from watchdog.clock import Budget
from watchdog.incident import Incident
from watchdog.tell import Severity
from watchdog.world import World


class Uptime:
    """Which process it was and when it restarted stands in the incident's facts; `kept` is called when they change."""

    def __init__(
        self,
        world: World,
        incident: Incident,
        say: Callable[[str, str, Severity], None],
        kept: Callable[[], None],
    ) -> None:
        self._world, self._incident = world, incident
        self._say, self._kept = say, kept
        # An owner (systemd, a container engine) is asked by running its client: no more often than by the ticks.
        self._every_s = world.settings.poll_interval.total_seconds() if world.bot.supervised else 0.0
        self._next_s = world.clock.monotonic()
        self._down: Budget | None = None
        self._seen = Look("process", "not yet", "process not seen", "it was not looked at yet")

    async def look(self) -> Look:
        """Looks when it is time to, and says how it stands."""
        now_s = self._world.clock.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + self._every_s
            self._seen = await self._look()
        return self._seen

    async def _look(self) -> Look:
        try:
            found = await self._world.bot.find()
        except BotError as error:
            return Look("process", "not yet", "process not known", f"it cannot be known: {error}")
        if not found:
            patience_s = self._world.settings.bot.start_timeout.total_seconds()
            self._down = self._down or Budget(self._world.clock.monotonic, patience_s)
            trouble = f": {self._world.bot.trouble}" if self._world.bot.trouble else ""
            return Look("process", "bad", "process down", f"the bot is down{trouble}")
        self._down = None
        facts, pid = self._incident.facts, found[0].pid
        if facts.get("process") not in [[bot.pid, bot.started_ticks] for bot in found]:
            self._another(found[0])
        times = len(facts.get("restarts", ()))
        if times == 0:
            return Look("process", "ok", "not restarted", f"pid {pid}, not restarted")
        text = f"it restarted {times} time{'' if times == 1 else 's'}; now pid {pid}"
        return Look("process", "bad", f"restarted {times}", text)

    def _another(self, found: Running) -> None:
        """The first one that is seen, or one in the place of another: unless a person is at work, a restart."""
        facts = self._incident.facts
        known, facts["process"] = facts.get("process"), [found.pid, found.started_ticks]
        if known is not None and not self._world.paused():
            facts["restarts"] = [*facts.get("restarts", ()), self._world.now().isoformat()]
            times = len(facts["restarts"])
            if self._world.bot.supervised:  # else the watchdog itself started it, and told so
                text = after_words.restarted_by_itself(self._incident, found, times)
                self._say(f"restarted {times}", text, "warning")
        self._kept()

    def relapse(self, now: datetime) -> str | None:
        """Why it does not stay up, or None: too many restarts, or given up by its owner."""
        bot = self._world.settings.bot
        times = [datetime.fromisoformat(at) for at in self._incident.facts.get("restarts", ())]
        count = len(keep_alive.recent(times, now))
        if count > bot.max_restarts:
            minutes = keep_alive.WITHIN.total_seconds() / 60
            allowed = f"bot.max_restarts is {bot.max_restarts}"
            return f"The restored bot restarted {count} times in {minutes:.0f} min ({allowed})"
        over = self._down is not None and self._down.over()
        trouble = self._world.bot.trouble
        if self._world.bot.supervised and trouble and over:
            limit_s = bot.start_timeout.total_seconds()
            return f"The restored bot does not stay up: {trouble}, down for more than {limit_s:.0f} s"
        return None
