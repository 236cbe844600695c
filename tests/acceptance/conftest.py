"""Houses and Telegram servers that end with the test."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import Bot, House
from tests.fakes.telegram import TelegramServer

MakeHouse = Callable[..., House]


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
