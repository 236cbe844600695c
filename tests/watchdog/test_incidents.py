"""One incident at a time: opened, superseded, halted, taken up again."""

import asyncio
import sqlite3
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.watchdog.house import House
from watchdog.incident import Incident
from watchdog.incidents import MOST_CRASHES

Build = Callable[..., House]


async def until_monitoring(house: House) -> Incident:
    """A rollback that has come to be watched."""
    house.condemn()
    for _ in range(10_000):
        if house.incidents.monitoring:
            assert house.incidents.current is not None
            return house.incidents.current
        await asyncio.sleep(0)
    raise AssertionError("never monitored")


def refuse_all(house: House) -> None:
    house.faults.refuse = lambda write: True


async def test_an_incident_is_on_disk_before_anything_is_done(house: House) -> None:
    house.condemn()
    (incident,) = house.world.journal.incidents()
    assert (incident.step, incident.by, incident.automatic, incident.from_version) == (
        "assess",
        "rule drawdown",
        True,
        "v2.1.0",
    )
    assert house.incidents.busy
    assert not house.incidents.monitoring
    await house.finish()
    assert not house.incidents.busy
    assert house.incidents.current is None


async def test_while_it_is_monitored_it_is_not_busy(build: Build) -> None:
    house = build(rollback={"monitor_for": "30m"})
    house.bot.begin(by_hand=True)
    incident = await until_monitoring(house)
    assert not house.incidents.busy
    assert incident.bot_is_back
    house.world.interrupts.ask_hand_over()
    await house.incidents.settle()
    assert incident.open


async def test_a_persons_order_supersedes_what_is_only_monitored(build: Build) -> None:
    house = build(rollback={"monitor_for": "30m"})
    house.bot.begin(by_hand=True)
    first = await until_monitoring(house)
    second = house.incidents.open("rollback", "still odd", "alice", automatic=False)
    await house.incidents.settle()
    assert (first.outcome, first.open) == ("superseded", False)
    kept = house.world.journal.incident(first.id)
    assert kept is not None
    assert kept.outcome == "superseded"
    assert (house.settings.state_dir / "incidents" / "0001" / "report.md").exists()
    assert house.rollbacks == [("v2.1.0", "v2.0.0"), ("v2.0.0", "v1.9.0")]
    assert (second.outcome, house.incidents.current) == ("rolled_back", None)
    assert house.bot.pid is not None


async def test_a_report_that_cannot_be_written_holds_up_no_further_incident(build: Build) -> None:
    house = build(rollback={"monitor_for": "30m"})
    house.bot.begin(by_hand=True)
    first = await until_monitoring(house)
    folder = house.settings.state_dir / "incidents" / "0001"
    (folder / "report.part").mkdir()
    house.incidents.halt("looks wrong", "alice", automatic=False)
    house.incidents.open("rollback", "still odd", "alice", automatic=False)
    assert first.outcome == "superseded"
    await house.incidents.settle()


async def test_without_a_registry_an_incident_is_opened_all_the_same(house: House) -> None:
    (house.models / "registry.json").unlink()
    incident = house.incidents.open("rollback", "looks wrong", "alice", automatic=False)
    assert incident.from_version is None
    await house.finish()
    assert (incident.outcome, house.bot.pid) == ("halted", None)


# -- halting


async def test_a_halt_without_an_incident_opens_one(house: House) -> None:
    incident = house.incidents.halt("looks wrong", "alice", automatic=False)
    assert (incident.plan, incident.by) == ("halt", "alice")
    await house.finish()
    assert (house.bot.pid, incident.outcome) == (None, "halted")


async def test_a_halt_turns_the_open_incident_into_one_and_is_on_disk_at_once(build: Build) -> None:
    house = build(rollback={"monitor_for": "30m"})
    house.bot.begin(by_hand=True)
    incident = await until_monitoring(house)
    assert house.incidents.halt("relapse", "rule drawdown", automatic=True) is incident
    kept = house.world.journal.incident(incident.id)
    assert kept is not None
    assert kept.facts["halt_asked"] == {"why": "relapse", "who": "rule drawdown"}
    await house.finish()
    assert (incident.plan, incident.outcome) == ("halt", "halted")
    assert incident.reason == "drawdown 26.1 % is above 25 % (v2.1.0); then on v2.0.0: relapse"
    assert (house.bot.pid, house.rollbacks) == (None, [("v2.1.0", "v2.0.0")])
    assert len(house.world.journal.incidents()) == 1


async def test_a_second_halt_changes_nothing(house: House) -> None:
    first = house.incidents.halt("looks wrong", "alice", automatic=False)
    assert house.incidents.halt("me too", "bob", automatic=False) is first
    await house.finish()
    assert (first.by, len(house.world.journal.incidents())) == ("alice", 1)


async def test_a_halt_that_the_last_process_could_not_obey_is_obeyed_by_the_next(house: House) -> None:
    house.condemn()
    await asyncio.sleep(0)
    house.incidents.halt("looks wrong", "alice", automatic=False)
    house.world.interrupts.ask_hand_over()
    await house.incidents.settle()
    house.wake()
    house.incidents.resume()
    await house.finish()
    assert (house.bot.pid, house.rollbacks) == (None, [])
    assert house.halted is not None
    assert house.halted["by"] == "alice"


def closed_with_halt_asked(house: House) -> Incident:
    """A rollback that was closed at the moment somebody ordered a halt."""
    incident = house.open()
    incident.facts["halt_asked"] = {"why": "looks wrong", "who": "alice"}
    incident.outcome, incident.closed_at = "rolled_back", house.world.now()
    house.world.journal.save(incident)
    return incident


async def test_a_halt_that_came_while_the_incident_was_closed_is_obeyed_at_the_next_start_once(
    house: House,
) -> None:
    closed = closed_with_halt_asked(house)
    house.incidents.resume()
    await house.finish()
    assert house.bot.pid is None
    assert [i.plan for i in house.world.journal.incidents()] == ["halt", "rollback"]
    kept = house.world.journal.incident(closed.id)
    assert kept is not None
    assert kept.facts["halt_done"]
    house.world.keep("halted", None)  # a person resumes
    house.bot.begin(by_hand=True)
    for _ in range(2):
        house.wake()
        house.incidents.resume()
        await house.finish()
    assert house.bot.pid is not None


async def test_a_halt_that_came_late_while_one_was_in_force_does_not_outlive_it(house: House) -> None:
    closed_with_halt_asked(house)
    house.world.keep("halted", {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "bob"})
    house.world.interrupts.ask_halt("looks wrong", "alice")
    house.incidents.resume()
    await house.finish()
    assert len(house.world.journal.incidents()) == 1
    house.world.interrupts.look()  # nothing is left of it that could halt the next incident
    house.world.keep("halted", None)
    house.wake()
    house.incidents.resume()
    assert house.incidents.current is None
    assert len(house.world.journal.incidents()) == 1


async def test_that_a_late_halt_was_seen_to_may_be_unwritten(house: House) -> None:
    closed_with_halt_asked(house)
    house.world.keep("halted", {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "bob"})
    refuse_all(house)
    house.incidents.resume()
    assert house.incidents.current is None


# -- the next start


async def test_the_next_start_goes_on_where_the_last_one_ended(house: House) -> None:
    incident = house.open()
    incident.step, incident.target = "roll_back", "v2.0.0"
    house.world.journal.save(incident)
    house.bot.die(-15)
    house.wake()
    house.incidents.resume()
    await house.finish()
    (found,) = house.world.journal.incidents()
    assert [step for step, _ in house.steps(found)] == [
        "roll_back",
        "start_bot",
        "confirm_loaded",
        "monitor",
        "close",
    ]


async def test_with_nothing_open_the_next_start_does_nothing(house: House) -> None:
    house.incidents.resume()
    assert house.incidents.current is None
    await house.incidents.settle()
    assert house.incidents.crashed() is None
    assert house.told.alerts == []


async def test_a_watchdog_that_only_observes_carries_nothing_on_and_says_so(build: Build) -> None:
    house = build(mode="observe")
    house.open()
    house.wake()
    house.incidents.resume()
    assert house.incidents.current is None
    assert house.told.said("incident 1 is open at assess, and mode is observe: it is not carried on")


# -- mistakes of ours


async def test_a_step_that_fails_unexpectedly_is_tried_again(house: House) -> None:
    house.told.fails = 1
    house.condemn()
    await house.incidents.settle()
    error = house.incidents.crashed()
    assert isinstance(error, ZeroDivisionError)
    assert house.incidents.crashed() is None  # it is being worked on again
    await house.incidents.settle()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert house.halted is None


async def test_a_procedure_that_fails_unexpectedly_again_and_again_halts_the_bot(house: House) -> None:
    """A condemned version must not run on because of a mistake of ours."""
    house.told.fails = MOST_CRASHES
    house.condemn()
    for _ in range(MOST_CRASHES):
        await house.incidents.settle()
        assert isinstance(house.incidents.crashed(), ZeroDivisionError)
    await house.finish()
    assert house.bot.pid is None
    assert house.halted is not None
    assert "The procedure failed 3 times (ZeroDivisionError" in house.halted["why"]
    assert "drawdown 26.1 %" in house.halted["why"]


async def test_a_halt_that_fails_unexpectedly_is_tried_until_it_is_done(house: House) -> None:
    house.told.fails = 3 * MOST_CRASHES
    house.incidents.halt("looks wrong", "alice", automatic=False)
    await house.finish()
    assert house.bot.pid is None
    assert house.halted is not None
    assert house.halted["why"] == "looks wrong"


async def test_crashes_of_one_incident_do_not_count_for_the_next(house: House) -> None:
    house.told.fails = MOST_CRASHES - 1
    house.condemn()
    await house.finish()
    house.told.fails = 1
    house.condemn()
    await house.finish()
    assert house.halted is None
    assert house.current == "v1.9.0"


# -- a disk that refuses


async def test_what_cannot_be_written_is_halted_in_memory(house: House) -> None:
    refuse_all(house)
    seen: list[Incident] = []
    incident = house.incidents.open(
        "rollback", "drawdown", "rule drawdown", automatic=True, along=seen.append
    )
    assert (incident.id, incident.plan, seen) == (0, "halt", [])
    assert "The journal cannot be written" in incident.reason
    for _ in range(1000):
        await asyncio.sleep(0)
        if house.bot.pid is None:
            break
    assert house.bot.pid is None
    house.faults.refuse = lambda write: False
    await house.finish()
    house.world.save_kept()
    assert house.halted is not None
    assert incident.outcome == "halted"


async def test_two_incidents_that_could_not_be_written_are_both_told(house: House) -> None:
    for hour in range(2):
        refuse_all(house)
        house.incidents.open("halt", f"cause {hour}", "rule drawdown", automatic=True)
        await asyncio.sleep(0)
        house.faults.refuse = lambda write: False
        await house.finish()
        house.machine.go(3600)
        house.world.keep("halted", None)
        house.bot.begin(by_hand=True)
    assert house.told.said("cause 0")
    assert house.told.said("cause 1")


async def test_what_is_written_along_is_there_with_the_incident_or_not_at_all(house: House) -> None:
    def fail(incident: Incident) -> None:
        house.world.journal.put("along", incident.id)
        raise sqlite3.OperationalError("database or disk is full")

    incident = house.incidents.open("rollback", "odd", "alice", automatic=False, along=fail)
    assert (incident.id, incident.plan) == (0, "halt")
    assert house.world.journal.get("along") is None
    assert house.world.journal.incidents() == []
    await house.finish()


async def test_the_day_is_counted_from_the_journal_also_after_a_restart(house: House) -> None:
    house.condemn()
    await house.finish()
    house.wake()
    found = house.world.journal.automatic_rollbacks(house.world.now() - timedelta(days=1))
    assert len(found) == 1


@pytest.mark.parametrize("plan", ["rollback", "halt"])
async def test_a_halt_that_cannot_be_written_into_the_open_incident_is_obeyed(
    house: House, plan: str
) -> None:
    if plan == "rollback":
        house.condemn()
    else:
        house.incidents.open("halt", "looks wrong", "alice", automatic=False)
    refuse_all(house)
    house.incidents.halt("now", "bob", automatic=False)
    for _ in range(2000):
        await asyncio.sleep(0)
        if house.bot.pid is None and house.world.halted:
            break
    assert house.bot.pid is None
    assert house.world.halted is not None
    house.faults.refuse = lambda write: False
    await house.finish()


async def test_a_halt_that_leaves_the_condemned_version_current_says_to_go_back_before_the_resume(
    house: House,
) -> None:
    house.bot.begin(by_hand=True)
    house.incidents.halt(
        "drawdown (2 of 2 used up)", "rule drawdown", automatic=True, condemned=house.current
    )
    await house.finish()
    assert house.halted["condemned"] == house.current == "v2.1.0"
    assert house.told.said(
        "v2.1.0 is STILL current. First `model-watchdog rollback` (to v2.0.0, verified), then `model-watchdog resume"
    )
    assert not house.told.said("mend the cause")
    house.incidents.open("rollback", "go back", "alice", automatic=False)
    await house.finish()
    assert (house.current, house.bot.pid) == ("v2.0.0", None)
    assert house.told.said("v2.0.0 is current now; still halted")
    assert house.told.said("`model-watchdog resume --reason ...` starts the bot on v2.0.0")


async def test_a_halt_that_a_person_ordered_condemns_no_version(house: House) -> None:
    house.incidents.halt("enough", "alice", automatic=False)
    await house.finish()
    assert house.halted["condemned"] is None
    assert house.told.said("mend the cause")
    assert not house.told.said("STILL current")
