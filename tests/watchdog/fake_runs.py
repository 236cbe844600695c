"""Dry runs in memory: how each version ends, and what was asked for."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.watchdog.fakes import Switch
from watchdog.dry_run import Ran, Wait


@dataclass(frozen=True)
class Asked:
    """One dry run that was asked for."""

    command: tuple[str, ...]
    directory: Path
    gently: bool
    keys: tuple[str, ...] = ()


class FakeRuns:
    """Implements `Runs`. `ends`: by version (of the last argument); default: well, naming the version."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self.ends: dict[str, Ran] = {}
        self.takes_s = 0.3
        self.asked: list[Asked] = []
        self.during: Callable[[], None] | None = None

    async def __call__(
        self,
        command: Sequence[str],
        directory: Path,
        mark: str,
        timeout_s: float,
        wait: Wait,
        *,
        gently: bool,
        keys: Collection[str],
    ) -> Ran:
        self._switch.point("dry run")
        self.asked.append(Asked(tuple(command), directory, gently, tuple(keys)))
        if self.during is not None:
            self.during()
        rest_s = self.takes_s
        while rest_s > 0:
            await wait(min(1.0, rest_s))
            rest_s -= 1.0
        self._switch.point("dry run ended")
        version = command[-1]
        return self.ends.get(version, Ran(0, 38.2, (f"dry run ok: {version}",)))
