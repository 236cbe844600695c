"""The watchdog over a journal that is damaged under it: ticks, orders and incidents, with and without a disk that takes
a new one."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from notifier import Outbox
from tests.watchdog.damage import UNDER_A_RUNNING_WATCHDOG, middle, some, zeros
from tests.watchdog.house import House
from watchdog.mending import RETRY_S, Mender
from watchdog.upkeep import fault

DAMAGES = pytest.mark.parametrize(
    "name", some(("middle", "header", "zeros", "cut", "all_deleted", "text"), ("zeros", "all_deleted"))
)


@pytest.fixture
def mended(house: House) -> Iterator[House]:
    """A house whose journal is mended, and shares its file with an outbox, as in life."""
    outbox = Outbox(house.world.journal.path)
    house.world.mend = Mender(house.world.journal, outbox, house.world.teller, house.world.clock).look
    yield house
    outbox.close()


@pytest.fixture
async def unmended(house: House) -> AsyncIterator[House]:
    """The disk takes no new file."""
    yield house
    house.world.interrupts.ask_hand_over()
    await house.incidents.settle()


async def tick(house: House, times: int = 1, seconds: float = 10.0) -> str:
    sentence = ""
    for _ in range(times):
        sentence = await house.watch.tick()
        house.machine.go(seconds)
    return sentence


def hit(house: House, name: str) -> None:
    """The damage, as it is met: SQLite's own cache hides it for a while, the hourly look does not."""
    journal = house.world.journal
    journal.checkpoint()
    UNDER_A_RUNNING_WATCHDOG[name](journal.path)
    if journal.path.exists():
        journal.damage = fault(journal.path)
        assert journal.damage


async def fires(house: House) -> None:
    """The checksum rule fires, after its 30 s, and what it leads to is done."""
    for _ in range(6):
        await house.watch.tick()
        house.machine.go(31)
        if house.incidents.current is not None:
            break
    await house.finish()
    await house.watch.tick()


async def down(house: House) -> None:
    """Lets the halt be worked on until the bot is stopped."""
    for _ in range(100_000):
        if house.bot.pid is None:
            return
        await asyncio.sleep(0)
    raise AssertionError("the bot was never stopped")


@DAMAGES
async def test_a_cause_after_the_damage_is_rolled_back_as_always(mended: House, name: str) -> None:
    await tick(mended)
    hit(mended, name)
    mended.break_file("v2.1.0")
    await fires(mended)
    assert mended.rollbacks == [("v2.1.0", "v2.0.0")]
    assert mended.bot.starts[-1].version == "v2.0.0"
    assert fault(mended.world.journal.path) == ""
    assert mended.told.said("the journal ")
    (incident,) = mended.world.journal.incidents()
    assert incident.outcome == "rolled_back"


@DAMAGES
async def test_counters_and_halts_outlive_the_damage_and_a_restart(mended: House, name: str) -> None:
    mended.condemn()
    await mended.finish()
    hit(mended, name)
    await tick(mended, 3)
    mended.break_file("v2.0.0")
    await fires(mended)
    assert "1 of 1 automatic rollbacks a day are used up" in mended.halted["why"]
    hit(mended, name)
    await tick(mended, 8)
    mended.wake()
    await tick(mended, 3)
    assert mended.halted is not None
    assert mended.bot.pid is None
    assert mended.rollbacks == [("v2.1.0", "v2.0.0")]


@DAMAGES
async def test_damage_in_the_midst_of_an_incident_ends_it_well(mended: House, name: str) -> None:
    def damage_it() -> None:
        hit(mended, name)

    mended.switch.do_at(30, damage_it)
    mended.condemn()
    await mended.finish()
    await tick(mended, 8)
    await mended.finish()
    assert mended.world.journal.open_one() is None
    ends_well = mended.halted is not None and mended.bot.pid is None
    ends_well = ends_well or (mended.current == "v2.0.0" and mended.bot.starts[-1].version == "v2.0.0")
    assert ends_well
    assert fault(mended.world.journal.path) == ""


async def test_without_a_disk_for_a_new_one_the_judging_goes_on(unmended: House) -> None:
    await tick(unmended)
    hit(unmended, "middle")
    assert (await tick(unmended, 3)).startswith("watching v2.1.0")
    unmended.promote("v2.2.0")
    assert (await tick(unmended, 2)).startswith("watching v2.2.0")


async def test_without_a_disk_for_a_new_one_a_rule_that_fires_halts(unmended: House) -> None:
    await tick(unmended)
    hit(unmended, "zeros")
    unmended.break_file("v2.1.0")
    await tick(unmended, 4, 31)
    await down(unmended)
    assert unmended.world.halted is not None
    assert unmended.rollbacks == []
    assert unmended.told.said("The journal cannot be written")
    assert unmended.bot.starts == []


async def test_without_a_disk_for_a_new_one_a_person_halts(unmended: House) -> None:
    await tick(unmended)
    hit(unmended, "zeros")
    unmended.flag("HALT")
    unmended.look()
    await down(unmended)
    await tick(unmended, 3)
    assert unmended.bot.starts == []
    assert unmended.told.said("HALT: the bot is being stopped")


async def test_a_bot_that_dies_meanwhile_is_started_again(unmended: House) -> None:
    await tick(unmended)
    hit(unmended, "zeros")
    unmended.bot.die()
    await tick(unmended, 2)
    assert [start.version for start in unmended.bot.starts] == ["v2.1.0"]


async def test_what_was_kept_in_memory_is_in_the_new_journal(mended: House) -> None:
    """A halt that was ordered while the disk took nothing."""
    journal = mended.world.journal
    await tick(mended)
    blocked = journal.path.with_name("watchdog.db.part")
    blocked.mkdir()
    zeros(journal.path)
    middle(journal.path)
    await tick(mended)
    mended.flag("HALT")
    mended.look()
    await down(mended)
    blocked.rmdir()
    await tick(mended, 3, RETRY_S)
    await mended.finish()
    mended.wake()
    await tick(mended)
    assert mended.halted is not None
    assert mended.bot.starts == []
