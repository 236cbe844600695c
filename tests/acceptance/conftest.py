"""Houses and Telegram servers that end with the test."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.house import Bot, House
from tests.fakes.telegram import TelegramServer

MakeHouse = Callable[..., House]

EVERYWHERE = frozenset(
    {
        "test_drawdown_with_the_status_telling_the_truth_at_each_stage",
        "test_loss_streak",
        "test_load_error[dummy]",
        "test_load_error[exit]",
        "test_checksum[damaged]",
        "test_killed_at_random_moments_of_a_rollback[0]",
        "test_an_order_that_was_accepted_and_not_yet_obeyed_is_obeyed_at_the_next_start",
        "test_halt_and_resume",
        "test_a_halt_in_the_middle_of_a_rollback[confirm_loaded]",
        "test_a_rollback_that_cannot_be_is_refused_and_touches_nothing[v9.9.9]",
        "test_a_storm_of_signals_kills_neither_the_daemon_nor_the_bot",
        "test_a_second_daemon_names_the_first_and_ends",
        "test_a_rollback_is_rehearsed_tried_looked_at_and_compared",
    }
)
"""What every run of the tests holds the daemon to; the others take minutes and run where CI=true."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI") == "true" or "MODEL_WATCHDOG_THOROUGH" in os.environ:
        return
    skip = pytest.mark.skip(reason="takes long: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1")
    for item in items:
        if item.path.parent == Path(__file__).parent and item.name not in EVERYWHERE:
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
