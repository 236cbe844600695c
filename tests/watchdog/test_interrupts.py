"""What ends a wait of the procedure early, on a manual clock."""

import pytest

from tests.watchdog.fakes import ManualClock
from watchdog.interrupts import SLICE_S, HaltAsked, HandOver, Interrupts


@pytest.fixture
def machine() -> ManualClock:
    return ManualClock()


@pytest.fixture
def interrupts(machine: ManualClock) -> Interrupts:
    return Interrupts(machine.clock(), machine.sleep)


async def test_a_wait_that_nobody_ends_takes_its_time(machine: ManualClock, interrupts: Interrupts) -> None:
    await interrupts.wait(1.25)
    assert machine.slept == pytest.approx(1.25)


async def test_a_wait_of_no_time_only_looks(machine: ManualClock, interrupts: Interrupts) -> None:
    await interrupts.wait(0.0)
    await interrupts.wait(-5.0)
    assert machine.slept == 0
    interrupts.ask_hand_over()
    with pytest.raises(HandOver):
        await interrupts.wait(0.0)


async def test_a_halt_ends_a_wait_within_one_slice(machine: ManualClock, interrupts: Interrupts) -> None:
    def ask_later() -> None:
        if machine.slept > 3:
            interrupts.ask_halt("relapse", "rule drawdown")

    machine.at_sleep.append(ask_later)
    with pytest.raises(HaltAsked) as asked:
        await interrupts.wait(1800)
    assert (str(asked.value), asked.value.why, asked.value.who) == ("relapse", "relapse", "rule drawdown")
    assert machine.slept <= 3 + 2 * SLICE_S


async def test_a_stepped_wall_clock_neither_ends_nor_prolongs_a_wait(
    machine: ManualClock, interrupts: Interrupts
) -> None:
    steps = iter([3600.0, -86400.0])
    machine.at_sleep.append(lambda: machine.step(next(steps, 0.0)))
    await interrupts.wait(2.0)
    assert machine.slept == pytest.approx(2.0)


def test_the_first_who_asks_for_a_halt_is_kept_until_it_is_obeyed(interrupts: Interrupts) -> None:
    interrupts.ask_halt("first", "alice")
    interrupts.ask_halt("second", "bob")
    for _ in range(2):
        with pytest.raises(HaltAsked, match="first"):
            interrupts.look()
    interrupts.obeyed()
    interrupts.look()


def test_a_halt_is_not_interrupted_by_another_one_but_by_a_hand_over(interrupts: Interrupts) -> None:
    interrupts.ask_halt("again", "alice")
    interrupts.look(halting=True)
    interrupts.ask_hand_over()
    assert interrupts.handing_over
    with pytest.raises(HandOver):
        interrupts.look(halting=True)


def test_a_hand_over_goes_before_a_halt_which_the_next_start_finds(interrupts: Interrupts) -> None:
    interrupts.ask_halt("relapse", "rule drawdown")
    interrupts.ask_hand_over()
    with pytest.raises(HandOver):
        interrupts.look()
