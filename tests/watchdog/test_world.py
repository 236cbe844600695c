"""What is kept while the journal cannot be written, and what reaches the disk later."""

from tests.watchdog.house import House

HALT = {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "bob"}


def refuse(house: House, *, always: bool) -> None:
    house.faults.refuse = lambda write: always


def test_a_named_value_is_on_disk_at_once(house: House) -> None:
    house.world.keep("halted", HALT)
    assert house.halted == HALT
    assert house.world.halted == HALT


def test_a_halt_that_the_disk_refuses_is_in_force_and_on_disk_later(house: House) -> None:
    refuse(house, always=True)
    house.world.keep("halted", HALT)
    assert house.halted is None
    assert house.world.halted == HALT
    house.world.save_kept()
    assert house.halted is None
    refuse(house, always=False)
    house.world.save_kept()
    assert house.halted == HALT


def test_the_end_of_a_halt_that_the_disk_refuses_is_its_end(house: House) -> None:
    house.world.keep("halted", HALT)
    refuse(house, always=True)
    house.world.keep("halted", None)
    assert house.world.halted is None
    refuse(house, always=False)
    house.wake()
    assert house.world.halted == HALT  # the next process knows only what is on disk


def test_a_halt_in_memory_is_known_though_the_disk_cannot_be_read_either(house: House) -> None:
    refuse(house, always=True)
    house.world.keep("halted", HALT)
    house.world.journal.close()
    assert house.world.halted == HALT


def test_a_halt_on_a_disk_that_cannot_be_read_any_more_stays_in_force(house: House) -> None:
    house.world.keep("halted", HALT)
    assert house.world.halted == HALT
    house.world.journal.close()
    assert house.world.halted == HALT


def test_the_bot_is_remembered_for_the_next_process(house: House) -> None:
    house.world.remember_bot()
    house.wake()
    assert house.world.journal.get("bot") == [4711, 471100, "boot"]


def test_time_is_the_steady_one(house: House) -> None:
    before = house.world.now()
    house.machine.step(86400)
    assert house.world.now() == before
