"""The house that most tests of the core live in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.house import House


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Callable[..., House]]:
    """Builds houses, each in a folder of its own, with changes to the settings by section."""
    houses: list[House] = []

    def one(*versions: str, **changes: Any) -> House:
        top = tmp_path / f"house-{len(houses)}"
        houses.append(House(top, versions, **changes) if versions else House(top, **changes))
        return houses[-1]

    yield one
    for house in houses:
        house.close()


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    """v2.1.0 is current and its bot runs; v2.0.0, v1.9.0 and v1.8.0 were before."""
    found = build()
    found.bot.begin(by_hand=True)
    return found
