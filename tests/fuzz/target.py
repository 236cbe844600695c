"""What a fuzz target is: one parser, fed with whatever an attacker, a crash or another program may have written."""

import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
MOST_CPU_S = 5.0
"""Of processor time for one input of some kilobytes; what takes longer could hold up a tick. Generous, since it must
hold on a slow machine under load, too."""


class TooSlow(AssertionError):
    """An input costs more time than any may."""


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes. It raises one of `errors`, or nothing; all else, AssertionErrors of the invariants that
    it checks among them, is a find.

    `seeds` are valid inputs and `words` pieces of their grammar: what mutation begins with.
    """

    name: str
    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()
    errors: tuple[type[Exception], ...] = ()
    most_cpu_s: float = MOST_CPU_S

    def __call__(self, data: bytes) -> None:
        """One input."""
        began = time.process_time()
        with suppress(*self.errors):
            self.run(data)
        spent = time.process_time() - began
        if spent > self.most_cpu_s:
            raise TooSlow(f"{self.name}: {spent:.1f} s for {len(data)} bytes")

    @property
    def corpus(self) -> list[Path]:
        """Inputs that were a find once."""
        folder = CORPUS / self.name
        return sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []


@cache
def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory, where there is one, that goes with the process."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory if memory.is_dir() else None)


def fresh(name: str) -> Path:
    """An empty folder of this name in `scratch`."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=scratch().name))
