"""Watches a bot that was just started load its model: the process, and what it logs from its start on."""

from triggers import LogLine
from watchdog import messages
from watchdog.bot_log import BotLogParser
from watchdog.bots.base import Running
from watchdog.follow import Follower
from watchdog.incident import Incident
from watchdog.place import Place
from watchdog.proof import LoadProof, Names, names_of_all
from watchdog.rules import load_error_rule
from watchdog.world import World

ASK_EVERY_S = 1.0

BY_OTHERS = frozenset({0, *(sign for number in (1, 2, 9, 15) for sign in (-number, 128 + number))})
"""How a bot ends that somebody stopped: well, or by SIGHUP, SIGINT, SIGKILL or SIGTERM. A model that fails exits with a
code of its own; one that takes too much memory is killed again after its next start."""


def names(world: World, target: str) -> tuple[Names, list[Names]]:
    """How the log may name the target, and the other versions of the registry."""
    links = world.settings.registry.links
    found = names_of_all({target: {}, **world.registry.files()}, links, linked=target)
    return found.pop(target), list(found.values())


class Watcher:
    """Follows the bot and its log since the start."""

    def __init__(self, world: World, incident: Incident, running: Running) -> None:
        target, others = names(world, str(incident.target))
        self._proof = LoadProof(
            target,
            others,
            load_error_rule(world.settings),
            world.settings.bot.stays_up_for.total_seconds(),
            says_when_loaded=bool(incident.facts.get("loads_end")),
        )
        self._world, self._running = world, running
        self._ask_at_s = world.clock.monotonic()
        place = incident.facts.get("log_place")
        self._follower = Follower(world.settings.bot.log, Place.restore(place) if place else None)
        self._parser = BotLogParser(world.settings.bot.tz)

    async def look(self) -> tuple[str, str]:
        """The proof's state now. A bot that ended by itself is as wrong as one that loaded the wrong version; one that
        may have been ended by somebody has `ended`."""
        world = self._world
        alive = await self._is_alive()
        lines: list[LogLine] = []
        while True:
            lines += self._parser.feed(self._follower.read())
            if self._follower.caught_up:
                break
        for line in [*lines, *self._parser.flush()]:
            self._proof.observe(line, world.now())
        if alive:
            await self._ask_health()
        state, why = self._proof.state(world.now())
        if not alive and state != "wrong":
            code, trouble = world.bot.exit_code(self._running), world.bot.trouble
            by_others = code in BY_OTHERS or (code is None and trouble is None)
            return "ended" if by_others else "wrong", messages.ended(code, world.bot.output_tail(3), trouble)
        return state, why

    async def _ask_health(self) -> None:
        """For a bot whose log does not say what it loads."""
        now_s = self._world.clock.monotonic()
        if self._world.health is None or now_s < self._ask_at_s:
            return
        self._ask_at_s = now_s + ASK_EVERY_S
        health = await self._world.health()
        if health.state == "well":
            self._proof.hear(health.version, self._world.now())

    async def _is_alive(self) -> bool:
        """Whether the process that was started runs. One that ended well and left another in its place (it put itself
        into the background) is followed there, unless an owner that restarts it is what put it there."""
        found = await self._world.bot.find()
        if any((b.pid, b.started_ticks) == (self._running.pid, self._running.started_ticks) for b in found):
            return True
        if (
            not found
            or self._world.bot.supervised
            or self._world.bot.exit_code(self._running) not in (0, None)
        ):
            return False
        self._running = found[0]
        self._world.remember_bot()
        return True
