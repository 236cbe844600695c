"""A rollback among files that take long to hash: a hand-over or a halt does not wait for them, and leaves nothing half
done. The files are small; what happens while they are hashed is a function."""

import asyncio
import gc
import logging
from collections.abc import Callable

import pytest

from registry import HashMemory
from tests.watchdog.house import House
from watchdog.incident import Incident

Build = Callable[..., House]


def hashing(house: House, meanwhile: Callable[[], object]) -> None:
    """As `assemble` wires it: whatever the procedure hashes looks at the interrupts, once `meanwhile` has happened."""

    def look() -> None:
        meanwhile()
        house.world.interrupts.look()

    house.world.registry = house.world.registry.looking(look)


async def worked(house: House, incident: Incident) -> None:
    await house.work(incident)
    for _ in range(3):  # what nobody waits for any more ends by itself
        await asyncio.to_thread(gc.collect)


@pytest.mark.parametrize("step", ["assess", "roll_back"])
async def test_a_hand_over_cuts_the_hashing_short_and_the_next_start_does_it_again(
    house: House, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    incident = house.open()
    before = house.data
    hashing(house, lambda: house.world.interrupts.ask_hand_over() if incident.step == step else None)
    await worked(house, incident)
    assert (house.data, incident.open, incident.step) == (before, True, step)
    assert house.steps(incident)[-1] == (step, "handed over")
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    house.wake()
    house.incidents.resume()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert [start.version for start in house.bot.starts] == ["v2.0.0"]


async def test_a_hand_over_while_the_switch_is_being_read_back_switches_once(house: House) -> None:
    incident = house.open()

    def switched() -> None:
        if house.current == "v2.0.0":
            house.world.interrupts.ask_hand_over()

    hashing(house, switched)
    await worked(house, incident)
    assert (house.rollbacks, incident.step) == ([("v2.1.0", "v2.0.0")], "roll_back")
    house.wake()
    house.incidents.resume()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert [start.version for start in house.bot.starts] == ["v2.0.0"]
    (closed,) = house.world.journal.incidents()
    assert closed.facts["switched_to"] == "v2.0.0"


@pytest.mark.parametrize("step", ["assess", "roll_back", "start_bot"])
async def test_a_halt_does_not_wait_for_the_hashing_either(house: House, step: str) -> None:
    incident = house.open()
    hashing(
        house, lambda: house.world.interrupts.ask_halt("stop it", "bob") if incident.step == step else None
    )
    await worked(house, incident)
    assert incident.plan == "halt"
    assert house.halted["why"].endswith("then: stop it")
    assert (house.bot.pid, house.bot.starts) == (None, [])


async def test_what_is_remembered_is_not_hashed_during_the_rollback(house: House) -> None:
    """From the decision to the start of the bot nothing is read but stats."""
    ahead = max(path.stat().st_ctime for path in house.models.iterdir()) + 7200
    memory = HashMemory(wall=lambda: ahead)
    house.world.registry = house.world.registry.looking(house.world.interrupts.look, memory)
    for version in ("v2.0.0", "v2.1.0"):
        assert house.world.registry.verify_checksum(version)
    incident = house.open()
    await worked(house, incident)
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert memory.hashed_files == 2
