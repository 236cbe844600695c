"""Which containers are the bot, of all that carry the name of its service."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.compose_client import Service
from watchdog.bots.container import Container, processes_of

Argv = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """One look. `ours`: the service's own containers by number, then one-off ones that run the same; `elsewhere`: up,
    and made from the same file under another project's name; `processes`: of each of `ours`, oldest first."""

    ours: tuple[Container, ...]
    elsewhere: tuple[Container, ...]
    processes: Mapping[str, Sequence[proc.Stat]]

    @property
    def up(self) -> list[Container]:
        """With processes, by the engine's word."""
        return [c for c in self.ours if c.up]

    @property
    def resting(self) -> list[Container]:
        """Dead, and about to be started again by the engine."""
        return [c for c in self.ours if c.resting]

    @property
    def regular(self) -> list[Container]:
        """The service's own, in whatever state."""
        return [c for c in self.ours if not c.oneoff]

    @property
    def left(self) -> dict[str, Sequence[proc.Stat]]:
        """Processes of containers that the engine calls down: of one that lost track of them."""
        return {c.id: found for c in self.ours if not c.up and (found := self.processes[c.id])}

    @property
    def down(self) -> bool:
        """Nothing runs, nothing is left, and the engine is not about to start anything."""
        return not (self.up or self.resting or self.left)


def sort_out(
    containers: Sequence[Container], service: Service, project: str, commands: Collection[Argv]
) -> Found:
    """`commands`: what the service's own containers were seen to run until now.

    A container of `compose run` (a one-off) is the bot if it runs what the service runs, or if nobody knows what that
    is; one with a command of its own (a shell, a dry run) is not. BotError when the bot may run under another project.
    """
    mine = [c for c in containers if c.project == project]
    own = sorted((c for c in mine if not c.oneoff), key=lambda c: (c.number, c.created))
    known = {*commands, *(c.argv for c in own)}
    oneoffs = [c for c in mine if c.oneoff and (not known or c.argv in known)]
    elsewhere: list[Container] = []
    if (
        service.project is None
    ):  # one file may well be several bots, where each has a project's name of its own
        elsewhere = [c for c in containers if c.project != project and c.up and service.made(c)]
    if elsewhere and not own:
        raise BotError(
            f"service {service.name} of {service.file} runs in the compose project {elsewhere[0].project} (container "
            f"{elsewhere[0].name}), and not in {project}: set bot.compose.project to the one that is meant."
        )
    ours = (*own, *oneoffs)
    return Found(ours, tuple(elsewhere), processes_of([c.id for c in ours]))
