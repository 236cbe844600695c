"""Targets under atheris, in a process of their own: `python -m tests.fuzz.instrumented TARGET,... OPTIONS...`.

Apart from `tests.fuzz.__main__` so that nothing of the product is imported before it can be instrumented.
"""

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["config", "triggers", "registry", "notifier", "watchdog"]):
    from tests.fuzz.targets import BROKEN, TARGETS

from tests.fuzz.mutate import at_random
from tests.fuzz.target import Target

OWN_MUTATIONS = 2
"""Every second one knows the grammar; the others are libFuzzer's, which know what covered something new."""


class Together:
    """Several targets as one: the first byte says which, the rest is its input."""

    def __init__(self, names: list[str]) -> None:
        self.targets = [(TARGETS | {BROKEN.name: BROKEN})[name] for name in names]

    def __call__(self, data: bytes) -> None:
        """One input."""
        if data:
            self._chosen(data)(data[1:])

    def mutate(self, data: bytes, most: int, seed: int) -> bytes:
        """For libFuzzer, which asks for the next input."""
        if seed % OWN_MUTATIONS or not data:
            return bytes(atheris.Mutate(data, most))
        return data[:1] + at_random(data[1:], self._chosen(data).words, seed, most - 1)

    def seeds(self) -> list[bytes]:
        """What all of them begin with."""
        return [
            bytes([number]) + seed
            for number, target in enumerate(self.targets)
            for seed in (*target.seeds, *(path.read_bytes() for path in target.corpus))
        ]

    def _chosen(self, data: bytes) -> Target:
        return self.targets[data[0] % len(self.targets)]


def main() -> None:
    """The names, with commas between; then what libFuzzer is told, its corpus last."""
    logging.disable(logging.CRITICAL)
    names, *options = sys.argv[1:]
    together = Together(names.split(","))
    for number, seed in enumerate(together.seeds()):
        (Path(options[-1]) / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *options], together, custom_mutator=together.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
