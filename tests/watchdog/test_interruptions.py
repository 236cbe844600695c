"""The procedure from every point at which it can be interrupted: killed, halted, handed over, its disk refusing.

The points are those of the fakes: before and after each write of the journal, each sleep, each act on the bot and on
the registry, each alert. A first run without interruption tells which points there are.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.fakes import Faults, Killed
from tests.watchdog.house import House

Scenario = Callable[[House], None]
QUICK: dict[str, Any] = {
    "bot": {"stays_up_for": "0.4s", "start_timeout": "2s"},
    "rollback": {"monitor_for": "0.4s", "validate_for": "1s"},
}


def plain(house: House) -> None:
    """The target is good at once."""


def second_target(house: House) -> None:
    """The first target cannot be loaded."""
    house.bot.loads["v2.0.0"] = "exits"


def no_target(house: House) -> None:
    """Neither target can be loaded: it ends in a halt."""
    house.bot.loads.update({"v2.0.0": "error", "v1.9.0": "dummy"})


def halted(house: House) -> None:
    """A halt is in force: the version is switched, the bot not started."""
    house.world.keep("halted", {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "alice"})
    house.bot.die(-15)


ENDS: dict[Scenario, tuple[str | None, list[tuple[str, str]], str]] = {
    plain: ("v2.0.0", [("v2.1.0", "v2.0.0")], "rolled_back"),
    second_target: ("v1.9.0", [("v2.1.0", "v2.0.0"), ("v2.0.0", "v1.9.0")], "rolled_back"),
    no_target: (None, [("v2.1.0", "v2.0.0"), ("v2.0.0", "v1.9.0")], "halted"),
    halted: (None, [("v2.1.0", "v2.0.0")], "halted"),
}
"""The version that the bot runs at the end, the rollbacks in the history, the incident's outcome."""


@contextmanager
def house_of(scenario: Scenario) -> Iterator[House]:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "house", **QUICK)
        house.bot.begin(by_hand=True)
        scenario(house)
        try:
            yield house
        finally:
            house.close()


def order(house: House) -> None:
    """What opens the incident, unless it is open or done already: a rule, or (while halted) a person."""
    if not house.world.journal.incidents() and house.incidents.current is None:
        if house.world.halted:
            house.incidents.open("rollback", "looks wrong", "alice", automatic=False)
        else:
            house.condemn()


async def live(house: House) -> None:
    """One process of the watchdog, from its start to its end."""
    with suppress(Killed):
        house.incidents.resume()
        order(house)
        await house.finish()


def points_of(scenario: Scenario) -> list[str]:
    """The points of an undisturbed life."""
    with house_of(scenario) as house:
        house.switch.reset()
        asyncio.run(live(house))
        return list(house.switch.points)


def distinct(points: list[str]) -> list[int]:
    """The numbers of the points that leave something different behind; of sleeps in a row the first."""
    same = {"journal.commit", "journal.written", "tell", "slept", "bot.start"}
    return [
        number
        for number, name in enumerate(points)
        if name not in same and (name != "sleep" or "sleep" not in points[max(0, number - 2) : number])
    ]


def assert_ended(house: House, scenario: Scenario, keys: set[str], story: object) -> None:
    """All as without an interruption."""
    version, rollbacks, outcome = ENDS[scenario]
    (incident,) = house.world.journal.incidents()
    assert (incident.open, incident.outcome) == (False, outcome), story
    assert house.rollbacks == rollbacks, story
    assert house.bot.pid is None if version is None else house.bot.pid is not None, story
    if version is not None:
        assert house.bot.starts[-1].version == house.current == version, story
    assert (house.halted is None) == (outcome != "halted"), story
    assert_safe(house, story)
    assert set(house.told.keys) == keys, story
    assert len(house.told.alerts) == len(keys), story


def assert_safe(house: House, story: object) -> None:
    """What holds whatever happens."""
    assert all(start.verified and not start.quarantined for start in house.bot.starts), story
    assert all(start.version != "v2.1.0" for start in house.bot.starts), story


def keys_of(scenario: Scenario) -> set[str]:
    """The keys of all alerts of an undisturbed life."""
    with house_of(scenario) as house:
        asyncio.run(live(house))
        assert_ended(house, scenario, set(house.told.keys), "undisturbed")
        return set(house.told.keys)


def test_the_points_are_before_and_after_everything_that_is_done() -> None:
    points = points_of(plain)
    assert {name: points.count(name) for name in set(points) - {"sleep", "slept"}} == {
        "journal.write": points.count("journal.written"),
        "journal.commit": points.count("journal.written"),
        "journal.written": points.count("journal.written"),
        "tell": 5,
        "told": 5,
        "bot.stop": 1,
        "bot.stopped": 1,
        "bot.start": 1,
        "bot.started": 1,
        "registry.rollback": 1,
        "registry.rolled back": 1,
    }
    assert points.count("journal.written") >= 2 * 8


# -- kill -9


@pytest.mark.parametrize("scenario", ENDS)
def test_killed_at_any_point_the_next_start_brings_it_to_the_same_end(scenario: Scenario) -> None:
    keys, points = keys_of(scenario), points_of(scenario)
    for number in distinct(points)[:: 2 if scenario is no_target else 1]:
        with house_of(scenario) as house:
            house.switch.reset()
            house.switch.kill_at(number)
            asyncio.run(live(house))
            assert house.switch.dead
            house.wake()
            asyncio.run(live(house))
            assert_ended(house, scenario, keys, (number, points[number]))


def test_killed_again_and_again_it_comes_to_the_same_end() -> None:
    """Each life is a little longer than the way to the next kill; the numbers are drawn once and for all."""
    draw = random.Random(7)
    for scenario in (plain, second_target):
        keys = keys_of(scenario)
        for _ in range(12):
            with house_of(scenario) as house:
                kills = [draw.randrange(2, 60) for _ in range(draw.randrange(2, 6))]
                house.switch.reset()
                for number in kills:
                    house.switch.kill_at(number)
                    asyncio.run(live(house))
                    house.wake()
                asyncio.run(live(house))
                assert_ended(house, scenario, keys, kills)


def test_after_its_end_a_further_start_does_nothing() -> None:
    for scenario in ENDS:
        with house_of(scenario) as house:
            asyncio.run(live(house))
            stops, starts, alerts = house.bot.stops, len(house.bot.starts), len(house.told.alerts)
            house.wake()
            asyncio.run(live(house))
            assert (house.bot.stops, len(house.bot.starts), len(house.told.alerts)) == (stops, starts, alerts)


# -- SIGTERM


@pytest.mark.parametrize("scenario", [plain, second_target])
def test_handed_over_at_any_point_the_next_start_brings_it_to_the_same_end(scenario: Scenario) -> None:
    keys, points = keys_of(scenario), points_of(scenario)
    for number in distinct(points)[:: 1 if scenario is plain else 2]:
        with house_of(scenario) as house:
            house.switch.reset()
            house.switch.do_at(number, house.world.interrupts.ask_hand_over)
            asyncio.run(live(house))
            assert not house.switch.dead
            house.wake()
            asyncio.run(live(house))
            assert_ended(house, scenario, keys, (number, points[number]))


def test_a_hand_over_finishes_the_running_step_and_no_further_one() -> None:
    points = points_of(plain)
    for number in distinct(points):
        with house_of(plain) as house:
            house.switch.reset()
            house.switch.do_at(number, house.world.interrupts.ask_hand_over)
            asyncio.run(live(house))
            (incident,) = house.world.journal.incidents()
            rows = house.world.journal.steps(incident)
            results = [row.result for row in rows]
            assert results[:-1] == ["done"] * (len(results) - 1)
            assert results[-1] in {"handed over", "done"}
            assert incident.open == (results[-1] == "handed over"), (number, points[number])


# -- a halt


def halt_at(house: House, number: int, loop: asyncio.AbstractEventLoop) -> None:
    """A person's order, which the loop sees at its next turn."""

    def obey() -> None:
        house.incidents.halt("looks wrong", "alice", automatic=False)

    def ask() -> None:
        loop.call_soon_threadsafe(obey)

    house.switch.do_at(number, ask)


async def live_and_halt(house: House, number: int) -> None:
    halt_at(house, number, asyncio.get_running_loop())
    await live(house)
    await asyncio.sleep(0)  # an order that came at the last moment is seen now
    await house.finish()


def assert_halted(house: House, story: object) -> None:
    assert house.bot.pid is None, story
    assert house.halted is not None, story
    assert all(not incident.open for incident in house.world.journal.incidents()), story
    assert len(house.rollbacks) <= 1, story
    assert len(house.bot.starts) <= 1, story
    assert_safe(house, story)


def test_a_halt_at_any_point_leaves_the_bot_stopped_for_good() -> None:
    points = points_of(plain)
    for number in distinct(points):
        with house_of(plain) as house:
            house.switch.reset()
            asyncio.run(live_and_halt(house, number))
            assert_halted(house, (number, points[number]))
            house.wake()
            asyncio.run(live(house))
            assert_halted(house, (number, points[number], "and started again"))
            assert house.told.said("HALT: the bot is being stopped and stays stopped")


def test_a_halt_after_the_bot_was_stopped_starts_it_no_more() -> None:
    points = points_of(plain)
    # From the last write before the start on, the start is on its way already.
    for number in range(points.index("bot.stopped"), points.index("bot.start") - 3, 2):
        with house_of(plain) as house:
            house.switch.reset()
            asyncio.run(live_and_halt(house, number))
            assert house.bot.starts == [], (number, points[number])


def test_killed_while_a_halt_is_being_obeyed_the_next_start_halts() -> None:
    points = points_of(plain)
    asked = [points.index(name) for name in ("bot.stop", "registry.rolled back", "bot.started")]
    for first in [*asked, len(points) - 12, len(points) - 3]:
        for later in range(2, 40, 6):
            with house_of(plain) as house:
                house.switch.reset()

                async def life(house: House = house, first: int = first, later: int = later) -> None:
                    loop = asyncio.get_running_loop()

                    def ask() -> None:
                        with suppress(Killed):
                            house.incidents.halt("looks wrong", "alice", automatic=False)

                    def act() -> None:
                        loop.call_soon_threadsafe(ask)
                        house.switch.kill_at(first + later)

                    house.switch.do_at(first, act)
                    await live(house)
                    await asyncio.sleep(0)
                    with suppress(Killed):
                        await house.finish()

                asyncio.run(life())
                asked_on_disk = any(
                    incident.plan == "halt" or "halt_asked" in incident.facts
                    for incident in house.world.journal.incidents()
                )
                house.wake()
                asyncio.run(live(house))
                if asked_on_disk:
                    assert_halted(house, (first, later))
                else:
                    assert house.rollbacks == [("v2.1.0", "v2.0.0")], (first, later)


# -- a disk that refuses


def refuse_from(faults: Faults, number: int, count: int | None, *, at_commit: bool) -> None:
    """Write `number` and those after it fail, `count` of them or all."""
    faults.writes, faults.at_commit = 0, at_commit
    faults.refuse = lambda write: write >= number and (count is None or write < number + count)


@contextmanager
def ending_after(house: House, seconds: float) -> Iterator[None]:
    """The process is asked to end after a while, whatever it is at."""
    until = house.machine.slept + seconds

    def look() -> None:
        if house.machine.slept > until:
            house.world.interrupts.ask_hand_over()

    house.machine.at_sleep.append(look)
    yield
    house.machine.at_sleep.remove(look)


async def live_for(house: House, seconds: float) -> None:
    with ending_after(house, seconds):
        await live(house)


def writes_of(scenario: Scenario) -> int:
    with house_of(scenario) as house:
        house.faults.writes = 0
        asyncio.run(live(house))
        return house.faults.writes


@pytest.mark.parametrize("at_commit", [False, True])
def test_a_disk_that_refuses_from_any_write_on_leaves_the_bot_stopped_or_on_the_verified_target(
    at_commit: bool,
) -> None:
    for number in range(1, writes_of(plain) + 1):
        with house_of(plain) as house:
            refuse_from(house.faults, number, None, at_commit=at_commit)
            asyncio.run(live_for(house, 60))
            if house.bot.pid is not None:
                assert house.bot.starts, (number, "the condemned version runs on")
                assert house.current == "v2.0.0", number
            assert_safe(house, number)
            assert len(house.rollbacks) <= 1
            house.faults.refuse = lambda write: False
            house.wake()
            asyncio.run(live(house))
            assert house.world.journal.open_one() is None, number
            assert house.rollbacks == [("v2.1.0", "v2.0.0")], number
            assert house.bot.pid is not None, number
            assert_safe(house, number)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_disk_that_refuses_for_a_while_is_outlived(count: int) -> None:
    """It ends rolled back or halted, and the registry, the bot and the journal say the same."""
    for number in range(1, writes_of(plain) + 1):
        with house_of(plain) as house:
            refuse_from(house.faults, number, count, at_commit=False)
            asyncio.run(live_for(house, 300))
            assert house.incidents.current is None, number
            assert house.world.journal.open_one() is None or number == 1, number
            assert_safe(house, number)
            if house.world.halted is not None:
                assert house.bot.pid is None, number
                house.world.save_kept()
                assert house.halted is not None, number
            else:
                assert house.rollbacks == [("v2.1.0", "v2.0.0")], number
                assert house.bot.starts[-1].version == house.current == "v2.0.0", number
                assert house.bot.pid is not None, number


def test_a_halt_on_a_disk_that_refuses_everything_stops_the_bot_all_the_same() -> None:
    with house_of(plain) as house:
        refuse_from(house.faults, 1, None, at_commit=False)

        async def halt() -> None:
            house.incidents.halt("looks wrong", "alice", automatic=False)
            with ending_after(house, 30):
                await house.finish()

        asyncio.run(halt())
        assert house.bot.pid is None
        assert house.world.halted is not None
        assert house.halted is None  # on disk it is not, and that was said
        assert house.told.said("HALT: the bot is being stopped")
