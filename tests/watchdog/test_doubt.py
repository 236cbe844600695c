"""Starting with a journal that is damaged, lost, or older than what the reports and the registry tell."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.watchdog.damage import thorough
from tests.watchdog.fakes import START
from tests.watchdog.house import House
from watchdog import doubt
from watchdog.bots.base import BotError, Running
from watchdog.doubt import BACKUP, DOUBT
from watchdog.interrupts import HandOver
from watchdog.report import folder

Build = Callable[..., House]


def look(house: House, damage: str = "") -> Any:
    """The look at a start; what it wrote."""
    world = house.world
    doubt.look(world.journal, damage, house.settings.state_dir, world.registry, world.now())
    return world.journal.get(DOUBT)


def in_doubt(house: House) -> None:
    why = "the journal ends with incident 3, and yet there was an incident 7: it is an older copy"
    house.world.journal.put(DOUBT, {"since": house.world.now().isoformat(), "why": why, "settled": False})


async def begin(house: House) -> None:
    """A start, up to the first tick, as the daemon does it."""
    await doubt.settle(house.world, house.incidents)
    house.incidents.resume()
    await house.finish()


def rolled_back(house: House, number: int) -> None:
    """Somebody, with this very watchdog, rolled back since: only the registry tells."""
    house.world.registry.rollback(reason=f"incident {number}: drawdown")


# -- why


def test_a_journal_that_knows_all_is_in_no_doubt(house: House) -> None:
    incident = house.open()
    folder(house.settings.state_dir, incident.id).mkdir(parents=True)
    rolled_back(house, incident.id)
    before = house.faults.writes
    assert look(house) is None
    assert house.faults.writes == before, "nothing is written at an ordinary start"


def test_the_first_start_of_all_is_in_no_doubt(house: House) -> None:
    house.world.journal.is_new = True
    assert look(house) is None


def test_a_lost_journal_is_known_by_the_reports(house: House) -> None:
    house.world.journal.is_new = True
    folder(house.settings.state_dir, 7).mkdir(parents=True)
    assert "incident 7 left a report: it was lost" in look(house)["why"]
    assert house.open().id == 8, "no report is ever written over"


def test_a_new_state_folder_beside_a_registry_with_a_past_is_in_no_doubt(house: House) -> None:
    house.world.journal.is_new = True
    rolled_back(house, 12)
    assert look(house) is None
    assert house.open().id == 13, "the registry's reasons name each incident once"
    house.world.journal.is_new = False
    assert look(house) is None


def test_an_older_journal_is_known_by_a_report_that_it_does_not_know(house: House) -> None:
    house.open()
    folder(house.settings.state_dir, 2).mkdir(parents=True)
    assert "ends with incident 1, and yet there was an incident 2" in look(house)["why"]
    assert house.open().id == 3
    house.world.journal.put(DOUBT, None)
    assert look(house) is None, "it is in doubt once"


def test_an_older_journal_is_known_by_a_rollback_that_it_does_not_know(house: House) -> None:
    house.open()
    rolled_back(house, 5)
    assert "an incident 5" in look(house)["why"]


def test_reasons_that_people_give_prove_nothing(house: House) -> None:
    house.open()
    for reason in ("like incident 5: drawdown", "incident 5", "incident 99999999999: x", "", None):
        data = house.data
        data["history"].append(
            {"action": "rollback", "version": "v2.1.0", "from": "v2.0.0", "reason": reason}
        )
        data["history"] += [None, 7, {"reason": 7}]
        house.write(data)
    assert look(house) is None


def test_a_registry_that_cannot_be_read_proves_nothing(house: House) -> None:
    (house.models / "registry.json").write_text("{", encoding="utf-8")
    assert look(house) is None


def test_a_copy_that_was_made_as_a_backup_is_known_by_its_mark_once(house: House) -> None:
    house.world.journal.put(BACKUP, START.isoformat())
    assert "the backup of 2026-03-01T10:00:00 UTC" in look(house)["why"]
    assert house.world.journal.get(BACKUP) is None


def test_damage_at_the_start_is_a_doubt(house: House) -> None:
    assert look(house, "was damaged (malformed)")["why"] == "the journal was damaged (malformed)"


def test_a_doubt_that_is_not_settled_is_still_there_after_a_kill(house: House) -> None:
    look(house, "was damaged")
    house.wake()
    assert look(house)["settled"] is False


# -- what is done about it


async def test_a_running_bot_goes_on_running_and_people_are_told(house: House) -> None:
    in_doubt(house)
    await begin(house)
    await house.watch.tick()
    assert house.bot.pid == 4711
    assert house.bot.stops == 0
    assert house.halted is None
    assert house.told.said("it is an older copy")
    assert house.told.said("The bot runs, and goes on running")
    assert house.told.alerts[0].severity == "critical"


async def test_a_bot_that_is_down_is_halted_and_not_started(house: House) -> None:
    house.bot.die()
    in_doubt(house)
    await begin(house)
    for _ in range(5):
        await house.watch.tick()
        house.machine.go(60)
    assert house.bot.starts == []
    assert "nobody knows whether a halt was in force" in house.halted["why"]
    assert house.told.said("it is not started")
    house.flag("RESUME")
    house.look()
    await house.watch.tick()
    assert [start.version for start in house.bot.starts] == ["v2.1.0"]


async def test_it_is_settled_once(house: House) -> None:
    in_doubt(house)
    await begin(house)
    house.bot.die()
    house.wake()
    await begin(house)
    await house.watch.tick()
    assert house.halted is None
    assert len(house.bot.starts) == 1, "from then on the journal knows all again"


async def test_an_open_rollback_is_closed_when_the_bot_runs(house: House) -> None:
    """It may be long over: stopping a bot that runs well would make things worse."""
    incident = house.open()
    incident.step, incident.target = "stop_bot", "v2.0.0"
    house.world.journal.save(incident)
    house.promote("v3.0.0")
    in_doubt(house)
    await begin(house)
    kept = house.world.journal.incident(incident.id)
    assert kept is not None
    assert (kept.outcome, kept.closed_at) == ("superseded", house.world.now())
    assert (house.bot.stops, house.current) == (0, "v3.0.0")
    assert house.told.said(f"Incident {incident.id} was open in it, at stop_bot: it is closed")


@pytest.mark.parametrize(
    "step", ["assess", "stop_bot", "roll_back", "start_bot", "confirm_loaded", "monitor"]
)
async def test_an_open_rollback_ends_in_a_halt_when_the_bot_is_down(house: House, step: str) -> None:
    incident = house.open()
    incident.step, incident.target = step, "v2.0.0"
    incident.facts["monitor_from"] = START.isoformat()
    house.world.journal.save(incident)
    house.bot.die()
    in_doubt(house)
    await begin(house)
    await house.watch.tick()
    assert house.bot.starts == []
    assert house.halted is not None
    kept = house.world.journal.incident(incident.id)
    assert kept is not None
    assert (kept.plan, kept.outcome) == ("halt", "halted")
    assert house.current == "v2.1.0", "nothing was switched"


async def test_a_halt_in_it_is_in_force_even_if_the_bot_runs(house: House) -> None:
    house.world.journal.put("halted", {"since": START.isoformat(), "why": "relapse", "by": "alice"})
    in_doubt(house)
    await begin(house)
    await house.watch.tick()
    assert house.bot.pid is None
    assert house.told.said(
        "The halt of 2026-03-01 10:00:00 UTC by alice is in force, as it was then (relapse)"
    )


async def test_the_rollbacks_of_a_day_are_taken_for_used_up(build: Build) -> None:
    house = build(rollback={"max_per_day": 2, "cooldown": "0"})
    house.bot.begin(by_hand=True)
    in_doubt(house)
    await begin(house)
    house.break_file("v2.1.0")
    house.machine.go(60)
    for _ in range(3):
        await house.watch.tick()
        house.machine.go(31)
    await house.finish()
    assert "2 of 2 automatic rollbacks a day are used up" in house.halted["why"]


async def test_a_day_later_there_are_rollbacks_again(house: House) -> None:
    in_doubt(house)
    await begin(house)
    house.machine.go(25 * 3600)
    house.wake()
    house.break_file("v2.1.0")
    for _ in range(3):
        await house.watch.tick()
        house.machine.go(31)
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_an_observing_watchdog_only_tells(build: Build) -> None:
    house = build(mode="observe")
    in_doubt(house)
    await begin(house)
    assert house.halted is None
    assert house.told.said("it is not started")
    assert house.world.journal.get(DOUBT)["settled"]


async def test_a_disk_that_refuses_leaves_the_bot_down_all_the_same(house: House) -> None:
    house.bot.die()
    incident = house.open()
    in_doubt(house)
    house.faults.refuse = lambda number: True
    await doubt.settle(house.world, house.incidents)
    assert house.world.halted is not None
    assert house.world.journal.get(DOUBT)["settled"] is False
    assert incident.open


@pytest.mark.parametrize("open_one", [False, pytest.param(True, marks=thorough)])
async def test_a_kill_at_any_point_never_starts_the_bot(build: Build, open_one: bool) -> None:
    number = 0
    while True:
        house = build()
        if open_one:
            house.open()
        in_doubt(house)
        house.switch.reset()
        house.switch.kill_at(number)
        with suppress(BaseException):
            await begin(house)
        if not house.switch.dead:
            break
        house.wake()
        await begin(house)
        await house.watch.tick()
        assert house.bot.starts == [], number
        assert house.halted is not None, number
        number += 1
    assert number > 8


async def test_whether_it_runs_cannot_be_known(house: House) -> None:
    class Mute:
        def __getattr__(self, name: str) -> Any:
            return getattr(house.bot, name)

        async def find(self) -> list[Running]:
            raise BotError("the engine does not answer")

    house.world.bot = Mute()
    in_doubt(house)
    await doubt.settle(house.world, house.incidents)
    with suppress(HandOver):
        house.world.interrupts.ask_hand_over()
        await house.incidents.settle()
    assert house.world.journal.get(DOUBT)["settled"]
    assert house.world.journal.open_one() is not None, "a halt, which tries to stop it and pages"


# -- a registry that is older than the journal


async def forgetful(house: House) -> None:
    """v2.1.0 was rolled back to v2.0.0, and then registry.json was restored from before."""
    before = house.data
    house.condemn()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    house.machine.go(7200)
    house.write(before)


async def test_a_registry_from_before_a_rollback_is_told_at_the_start(house: House) -> None:
    await forgetful(house)
    house.wake()
    await begin(house)
    assert house.told.said("does not know of the rollback from v2.1.0 (incident 1)")
    assert house.world.journal.get(DOUBT) is None, "the journal itself is in no doubt"


async def test_a_version_whose_quarantine_was_forgotten_is_not_gone_back_to(house: House) -> None:
    await forgetful(house)
    house.promote("v2.2.0")
    house.bot.die()
    house.bot.begin(by_hand=True)
    house.condemn()
    await house.finish()
    assert house.current == "v2.0.0"
    assert house.bot.starts[-1].version == "v2.0.0"


async def test_a_version_that_a_person_promoted_again_is_forgotten_by_nobody(house: House) -> None:
    await forgetful(house)
    house.promote("v2.1.0")
    house.wake()
    await begin(house)
    assert not house.told.said("does not know of the rollback")
    house.machine.go(60)
    house.promote("v2.2.0")
    house.condemn()
    await house.finish()
    assert house.current == "v2.1.0"


async def test_a_person_who_promoted_another_version_in_the_midst_of_it_forgot_nothing(house: House) -> None:
    incident = house.open()
    incident.facts["switched_to"] = "v3.0.0"
    incident.closed_at = house.world.now()
    house.world.journal.save(incident)
    house.machine.go(60)
    house.promote("v3.0.0")
    assert doubt.forgotten(house.world.journal, house.world.registry, house.settings.bot.tz) == {}


async def test_a_history_of_odd_shapes_and_times_forgets_and_raises_nothing(house: House) -> None:
    await forgetful(house)
    data = house.data
    data["history"].append(None)
    for stamp in (7, None, "", "yesterday", "0001-01-01T00:00:00"):
        data["history"].append({"action": "promoted", "version": "v2.1.0", "timestamp": stamp})
    house.write(data)
    found = doubt.forgotten(house.world.journal, house.world.registry, house.settings.bot.tz)
    assert found == {"v2.1.0": 1}
