"""A rollback with a dry run, and a restored bot that restarts, killed and handed over at every point."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.fake_runs import FakeRuns
from tests.watchdog.fakes import Killed
from tests.watchdog.house import House
from tests.watchdog.test_interruptions import distinct
from watchdog.dry_run import Ran

SETTINGS: dict[str, Any] = {
    "bot": {
        "stays_up_for": "0.4s",
        "start_timeout": "2s",
        "dry_run": ["python", "main.py", "--dry-run", "{version}"],
    },
    "rollback": {"monitor_for": "6s", "validate_for": "7s"},
}


class DryHouse(House):
    """A house whose dry runs are in memory, in every process of the watchdog."""

    runs: FakeRuns | None = None

    def _assemble(self) -> None:
        super()._assemble()
        self.runs = self.runs or FakeRuns(self.switch)
        self.world.runs = self.runs


Scenario = Callable[[DryHouse], None]


def good(house: DryHouse) -> None:
    """The dry run of the target goes well; the bot restarts once while it is watched."""
    house.bot.supervised = True

    def again() -> None:
        incident = house.world.journal.open_one()
        facts = {} if incident is None else incident.facts
        if facts.get("process", [0])[0] == house.bot.pid and not facts.get("restarts"):
            house.bot.die(1)
            house.bot.begin()

    house.machine.at_sleep.append(again)


def first_fails(house: DryHouse) -> None:
    """The dry run of the first target fails."""
    assert house.runs is not None
    house.runs.ends["v2.0.0"] = Ran(1, 1.0, ("no module named xgboost",))


ENDS: dict[Scenario, str] = {good: "v2.0.0", first_fails: "v1.9.0"}
NUMBERS = iter(range(10**6))


@contextmanager
def house_of(top: Path, scenario: Scenario) -> Iterator[DryHouse]:
    house = DryHouse(top / f"house{next(NUMBERS)}", **SETTINGS)
    house.bot.begin(by_hand=True)
    scenario(house)
    try:
        yield house
    finally:
        house.close()


async def live(house: DryHouse) -> None:
    """One process of the watchdog, from its start to its end."""
    with suppress(Killed):
        house.incidents.resume()
        if not house.world.journal.incidents() and house.incidents.current is None:
            house.condemn()
        await house.finish()


def undisturbed(top: Path, scenario: Scenario) -> tuple[set[str], list[str]]:
    """The alerts' keys and the points of a life without interruption."""
    with house_of(top, scenario) as house:
        house.switch.reset()
        asyncio.run(live(house))
        ended(house, scenario, "undisturbed")
        return set(house.told.keys), list(house.switch.points)


def ended(house: DryHouse, scenario: Scenario, story: object) -> None:
    (incident,) = house.world.journal.incidents()
    assert (incident.open, incident.outcome) == (False, "rolled_back"), story
    started = {start.version for start in house.bot.starts}
    assert started == {ENDS[scenario]}, (story, started)  # never one whose dry run failed
    assert house.current == ENDS[scenario], story
    assert house.bot.pid is not None, story
    assert incident.facts["dry_run"]["ok"] is True, story


@pytest.mark.parametrize("scenario", ENDS)
def test_killed_at_any_point_it_comes_to_the_same_end_and_tells_it_once(
    tmp_path: Path, scenario: Scenario
) -> None:
    keys, points = undisturbed(tmp_path, scenario)
    assert {"dry run", "dry run ended"} <= set(points)
    for number in distinct(points)[::2]:
        with house_of(tmp_path, scenario) as house:
            house.switch.reset()
            house.switch.kill_at(number)
            asyncio.run(live(house))
            assert house.switch.dead
            house.wake()
            asyncio.run(live(house))
            story = (number, points[number])
            ended(house, scenario, story)
            assert set(house.told.keys) == keys, story
            assert len(house.told.alerts) == len(keys), story


def test_handed_over_at_any_point_it_comes_to_the_same_end(tmp_path: Path) -> None:
    keys, points = undisturbed(tmp_path, good)
    for number in distinct(points)[::3]:
        with house_of(tmp_path, good) as house:
            house.switch.reset()
            house.switch.do_at(number, house.world.interrupts.ask_hand_over)
            asyncio.run(live(house))
            house.wake()
            asyncio.run(live(house))
            ended(house, good, (number, points[number]))
            assert set(house.told.keys) == keys
