"""Houses and Telegram servers that end with the test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import Bot, House
from tests.fakes.telegram import TelegramServer

MakeHouse = Callable[..., House]

EVERYWHERE = frozenset({"test_after_restart", "test_causes", "test_kill", "test_orders"})
"""What every run of the tests holds the daemon to; the other files take minutes and run where CI=true."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI") == "true" or "MODEL_WATCHDOG_THOROUGH" in os.environ:
        return
    skip = pytest.mark.skip(reason="takes long: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1")
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem not in EVERYWHERE:
            item.add_marker(skip)


@pytest.fixture
def telegram() -> Iterator[TelegramServer]:
    with TelegramServer() as server:
        yield server


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[MakeHouse]:
    """Called with a bot and changes of the configuration; whatever was started is ended with the test."""
    houses: list[House] = []

    def make(bot: Bot, telegram: TelegramServer | None = None, /, **changes: Any) -> House:
        houses.append(House(tmp_path, bot, changes, telegram))
        return houses[-1]

    yield make
    for house in houses:
        house.leave()
