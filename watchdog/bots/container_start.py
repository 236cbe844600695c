"""Starting the bot's container, and why it could not be started."""

import logging
from collections.abc import Sequence

from watchdog.bots.base import BotError, EndedAtOnceError
from watchdog.bots.compose_client import Compose
from watchdog.bots.container import NEVER, NOT_EXECUTED, Container
from watchdog.bots.engine import Engine, Said
from watchdog.bots.found import Found

log = logging.getLogger(__name__)


class Beginning:
    """One start. `before`: how things stood. `answer_s`: what compose and the engine may take."""

    def __init__(self, engine: Engine, compose: Compose, answer_s: float, before: Found) -> None:
        self._engine, self._compose, self._answer_s, self._before = engine, compose, answer_s, before

    async def ask(self) -> Said:
        """Starts the container that is there; where there is none, compose makes one. BotError.

        Of several (a service that was scaled) one alone is started: two bots would trade twice.
        """
        regular = self._before.regular
        if not regular:
            await self._find_image()
            return await self._compose.up(self._answer_s)
        if len(regular) == 1:
            try:
                # It starts what the service depends on, too, and may wait for that; one that hangs leaves the engine
                # the other half.
                said = await self._compose.start(self._answer_s / 2)
            except BotError as error:
                log.warning("compose could not start the bot, so the engine itself is told: %s", error)
            else:
                if said.code == 0:
                    return said
                log.warning("compose could not start the bot, so the engine itself is told: %s", said.why)
        else:
            log.warning(
                "%d containers of the service are there; %s alone is started", len(regular), regular[0].name
            )
        return await self._engine.ask("start", regular[0].id, answer_s=self._answer_s)

    async def _find_image(self) -> None:
        """Nothing is pulled or built at night: what would come is not what was tested."""
        names = self._compose.image(await self._compose.config())
        if unset := self._compose.unset:
            log.warning(
                "nothing gives the compose file its %s: they are empty in the new container", ", ".join(unset)
            )
        for name in names:
            if (await self._engine.ask("image", "inspect", "--format", "{{.Id}}", name)).code == 0:
                return
        raise BotError(
            f"the bot has no container, and its image {' or '.join(names)} is not on this machine. Pull or build it "
            "(`docker compose pull`, `docker compose build`), then order the start again."
        )

    def why_not(self, now: Found, said: Said, tail: Sequence[str]) -> BotError:
        """Its own fault (EndedAtOnceError), or something that no other version of the model would mend."""
        container = self._started(now)
        last = " / ".join(line.strip() for line in tail if line.strip())[-300:]
        words = f"; its last words: {last}" if last else ""
        if container is None or container.error or not self._ran(container):
            why = said.why if said.code else container.how_it_ended() if container else "it is gone"
            return BotError(
                f"the bot's container could not be started: {why}. Mend that, and try `docker compose up -d` by hand: "
                "it makes the container anew where the old one fits no more."
            )
        if container.exit_code in NOT_EXECUTED:
            return BotError(
                f"the program of container {container.name} could not be executed ({container.how_it_ended()}{words}). "
                "Mend `command:` in the compose file, or the image."
            )
        return EndedAtOnceError(
            f"container {container.name} ended at once: {container.how_it_ended()}{words}"
        )

    def too_slow(self) -> BotError:
        """No container came up in time."""
        return BotError(
            f"the bot's container has not come up within {self._answer_s:g} s, and the engine says nothing against it. "
            "See `docker ps -a` and `journalctl -u docker -n 50`, or raise bot.start_timeout."
        )

    def _started(self, now: Found) -> Container | None:
        wanted = {c.id for c in self._before.regular[:1]}
        return next((c for c in now.regular if c.id in wanted or not wanted), None)

    def _ran(self, container: Container) -> bool:
        before = next((c.started for c in self._before.ours if c.id == container.id), NEVER)
        return container.started not in (before, NEVER)
