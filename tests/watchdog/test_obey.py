"""Orders of people, from the flag to what became of them, with real flags and the real procedure."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.house import House
from watchdog.incident import Order
from watchdog.rights import user_name

Build = Callable[..., House]
ME = user_name(os.geteuid())
HALT: dict[str, Any] = {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "bob"}


def handled(house: House) -> list[str]:
    return sorted(p.name.split("-")[1] for p in (house.settings.control_dir / "handled").iterdir())


def refuse_all(house: House) -> None:
    house.faults.refuse = lambda write: True


# -- rollback


async def test_a_rollback_is_written_down_consumed_obeyed_and_answered(house: House) -> None:
    house.flag("ROLLBACK", '{"to": "v1.9.0", "reason": "looks wrong", "by": "alice"}')
    house.look()
    assert handled(house) == ["ROLLBACK"]
    assert house.answers == [("rollback", "incident 1")]
    await house.finish()
    (incident,) = house.world.journal.incidents()
    assert (incident.by, incident.reason, incident.automatic, incident.wanted) == (
        f"alice (flag file of {ME})",
        "looks wrong",
        False,
        "v1.9.0",
    )
    assert house.rollbacks == [("v2.1.0", "v1.9.0")]
    assert house.bot.pid is not None


async def test_an_empty_flag_rolls_back_with_no_reason_given(house: House) -> None:
    house.flag("ROLLBACK")
    house.look()
    await house.finish()
    assert house.world.journal.incidents()[0].reason == "no reason given"
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("to V1.9.0: it was sound", "v1.9.0"),
        ("the same bug as v1.8.0 had", "v2.0.0"),
        ('{"reason": "v1.8.0 was no better"}', "v2.0.0"),
    ],
)
async def test_a_text_that_begins_with_a_version_asks_for_it(house: House, text: str, target: str) -> None:
    house.flag("ROLLBACK", text)
    house.look()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", target)]


async def test_a_version_that_is_not_there_is_refused_not_passed_over(house: House) -> None:
    house.flag("ROLLBACK", "v9.9.9 was better")
    house.look()
    await house.finish()
    assert house.rollbacks == []
    assert house.told.said("v9.9.9 is not registered")


async def test_a_text_is_a_reason_while_the_registry_cannot_be_read(house: House) -> None:
    (house.models / "registry.json").write_text("{", encoding="utf-8")
    house.flag("ROLLBACK", "v1.9.0 was better")
    house.look()
    await house.finish()
    assert house.bot.pid is None
    assert house.halted is not None


async def test_a_rollback_while_one_is_being_worked_on_is_refused_with_what_is_going_on(house: House) -> None:
    house.condemn()
    house.flag("ROLLBACK")
    house.look()
    assert house.answers == [("rollback", "refused: incident 1 is being worked on (assess)")]
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert house.told.said("refused: incident 1 is being worked on")


async def test_a_rollback_while_halted_switches_and_does_not_start(house: House) -> None:
    house.bot.die(-15)
    house.world.keep("halted", HALT)
    house.flag("ROLLBACK")
    house.look()
    await house.finish()
    assert (house.current, house.bot.pid) == ("v2.0.0", None)
    assert house.halted == HALT


async def test_a_rollback_is_obeyed_while_paused(house: House) -> None:
    house.flag("PAUSE")
    house.flag("ROLLBACK")
    house.look()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


@pytest.mark.parametrize("name", ["ROLLBACK", "HALT"])
async def test_a_watchdog_that_only_observes_refuses_to_touch_the_bot(build: Build, name: str) -> None:
    house = build(mode="observe")
    house.bot.begin(by_hand=True)
    house.flag(name)
    house.look()
    ((_, answer),) = house.answers
    assert answer is not None
    assert answer.startswith(
        f"refused: mode is observe in {house.settings.path}, the watchdog does not touch"
    )
    assert {"HALT": "stop it yourself", "ROLLBACK": "rollback_model.py --execute --config "}[name] in answer
    assert f"set mode: act there, reload the watchdog (`kill -HUP {os.getpid()}`)" in answer
    assert house.bot.pid == 4711
    assert house.incidents.current is None
    assert handled(house) == [name]


async def test_a_mistyped_order_is_told_once_over_a_restart_too_and_does_nothing(house: House) -> None:
    house.flag("HALT.txt", "stop it")
    house.flag("notes")
    for _ in range(3):
        house.look()
    house.wake()
    for _ in range(3):
        house.look()
    told = [text for text in house.told.texts if "is no order" in text]
    assert len(told) == 2
    assert any(
        "HALT.txt in the control folder is no order" in text and "Did you mean HALT?" in text for text in told
    )
    assert (house.answers, house.incidents.current) == ([], None)


# -- halt and resume


async def test_a_halt_stops_the_bot(house: House) -> None:
    house.flag("HALT", "bad feeling")
    house.look()
    assert house.answers == [("halt", "incident 1")]
    await house.finish()
    assert house.bot.pid is None
    assert house.halted is not None
    assert house.halted["why"] == "bad feeling"


async def test_a_halt_while_halted_is_answered_and_changes_nothing(house: House) -> None:
    house.world.keep("halted", HALT)
    house.flag("HALT")
    house.look()
    assert house.answers == [("halt", "the bot is halted already")]
    assert house.incidents.current is None
    assert house.halted == HALT


async def test_a_halt_during_a_rollback_goes_before_it(house: House) -> None:
    house.condemn()
    house.flag("HALT")
    house.look()
    await house.finish()
    assert (house.bot.pid, house.rollbacks, house.answers) == (None, [], [("halt", "incident 1")])


async def monitored(house: House) -> None:
    """A rollback that was ordered has brought the bot back, and it is watched."""
    house.flag("ROLLBACK", "looks wrong")
    house.look()
    for _ in range(100_000):
        incident = house.incidents.current
        if incident is not None and "looks" in incident.facts:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"never monitored: {house.incidents.current}")


@pytest.mark.parametrize("orders", [("HALT", "ROLLBACK"), ("ROLLBACK", "HALT")])
async def test_a_halt_beside_a_rollback_holds_also_while_a_version_is_monitored(
    build: Build, orders: tuple[str, str]
) -> None:
    """The one that was laid first is taken first, and the other right after it."""
    house = build(rollback={"monitor_for": "1h"})
    house.bot.begin(by_hand=True)
    await monitored(house)
    began = house.machine.monotonic_s
    for name in orders:
        house.orders.take(Order("halt" if name == "HALT" else "rollback", "alice", "looks wrong"))
    await house.finish()
    assert house.halted["by"] == "alice"
    assert house.bot.pid is None
    assert len(house.bot.starts) == 1
    assert house.machine.monotonic_s - began < 5


async def test_a_rollback_right_after_a_halt_is_refused_with_what_is_going_on(build: Build) -> None:
    house = build(rollback={"monitor_for": "1h"})
    house.bot.begin(by_hand=True)
    await monitored(house)
    house.orders.take(Order("halt", "alice", "looks wrong"))
    house.orders.take(Order("rollback", "bob"))
    assert house.answers[-1] == ("rollback", "refused: incident 1 is being worked on (monitor)")
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_a_resume_ends_the_halt_and_gives_the_rules_a_new_deployment(house: House) -> None:
    house.world.keep("halted", HALT)
    house.bot.die(-15)
    house.flag("RESUME", "model was mended")
    house.look()
    assert house.halted is None
    assert house.world.journal.get("resumed_at") is not None
    assert house.told.said(f"resume ordered by {ME} (flag file): model was mended")
    assert house.told.said("the halt is over")


async def test_a_resume_ends_a_pause_and_keeps_the_deployment(house: House) -> None:
    house.flag("PAUSE")
    house.look()
    house.flag("RESUME")
    house.look()
    assert house.control.paused() is None
    assert house.world.journal.get("resumed_at") is None
    assert handled(house) == ["PAUSE", "RESUME"]
    assert house.told.said("the pause is over: the watchdog acts again")


async def test_a_resume_of_nothing_is_answered(house: House) -> None:
    house.flag("RESUME")
    house.look()
    assert house.answers == [("resume", "nothing to resume: neither halted nor paused")]


async def test_a_resume_while_the_halt_is_still_being_obeyed_is_refused(house: House) -> None:
    house.incidents.halt("looks wrong", "alice", automatic=False)
    house.flag("RESUME")
    house.look()
    assert house.answers == [("resume", "refused: incident 1 is still being worked on (hold_down)")]
    await house.finish()
    assert house.halted is not None


# -- pause


async def test_a_pause_is_told_once_when_it_begins_and_when_it_ends(house: House) -> None:
    house.flag("PAUSE", "maintenance")
    for _ in range(3):
        house.orders.look()
    house.wake()
    house.orders.look()
    assert [text for text in house.told.texts if "paused by" in text] == [
        f"sol-perp: paused by {ME} (flag file): maintenance\n"
        "The watchdog looks and tells, and does not act, until `model-watchdog resume`."
    ]
    (house.settings.control_dir / "PAUSE").unlink()
    for _ in range(3):
        house.orders.look()
    assert house.told.texts[-1] == "sol-perp: the pause is over: the watchdog acts again"
    assert len(house.told.alerts) == 2
    assert [what for what, _ in house.answers] == ["pause", "unpause"]


async def test_a_pause_of_the_past_is_not_looked_into_at_every_start(house: House) -> None:
    house.flag("PAUSE")
    house.orders.look()
    (house.settings.control_dir / "PAUSE").unlink()
    house.orders.look()
    assert house.world.journal.unanswered() == []


async def test_what_an_older_watchdog_left_unanswered_is_noted(house: House) -> None:
    house.world.journal.accept(Order("unpause", "PAUSE was removed"), house.world.now())
    house.orders.catch_up()
    assert house.answers == [("unpause", "noted")]


async def test_a_pause_that_is_replaced_by_another_is_told(house: House) -> None:
    house.flag("PAUSE", "one")
    house.orders.look()
    house.flag("PAUSE", "two")
    os.utime(house.settings.control_dir / "PAUSE", ns=(1, 1))
    house.orders.look()
    assert [text.splitlines()[0] for text in house.told.texts] == [
        f"sol-perp: paused by {ME} (flag file): one",
        f"sol-perp: paused by {ME} (flag file): two",
    ]


# -- signals


async def test_the_signals_roll_back_and_toggle_the_pause(house: House) -> None:
    house.orders.signalled("pause")
    paused = house.control.paused()
    assert paused is not None
    assert "signal SIGUSR2" in paused.who
    house.orders.signalled("pause")
    assert house.control.paused() is None
    house.orders.signalled("rollback")
    await house.finish()
    assert house.world.journal.incidents()[0].by == "signal SIGUSR1"
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_two_signals_are_two_orders(house: House) -> None:
    for _ in range(2):
        house.orders.signalled("rollback")
        await house.finish()
    assert [answer for _, answer in house.answers] == ["incident 1", "incident 2"]
    assert house.current == "v1.9.0"


async def test_a_signal_whose_flag_cannot_be_written_is_told_and_raises_nothing(house: House) -> None:
    house.settings.control_dir.chmod(0o777)
    house.orders.signalled("pause")
    assert house.told.said("chmod o-w")


# -- crashes


async def test_an_order_that_was_accepted_and_not_answered_is_obeyed_at_the_next_start_once(
    house: House,
) -> None:
    house.flag("HALT", "bad feeling")
    house.control.pending()
    (order,) = house.control.pending()
    house.world.journal.accept(order, house.world.now())  # and then kill -9
    house.wake()
    house.orders.catch_up()
    await house.finish()
    assert house.bot.pid is None
    house.world.keep("halted", None)
    house.bot.begin(by_hand=True)
    house.look()  # the flag is still there
    assert house.bot.pid == 4712
    assert house.incidents.current is None
    assert handled(house) == ["HALT"]


async def test_an_order_that_was_answered_is_not_obeyed_again(house: House) -> None:
    house.flag("ROLLBACK")
    house.look()
    await house.finish()
    house.wake()
    house.orders.catch_up()
    house.look()
    assert house.incidents.current is None
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_killed_at_any_point_of_an_order_it_is_obeyed_exactly_once(build: Build) -> None:
    for number in range(0, 100):
        house = build()
        house.bot.begin(by_hand=True)
        house.flag("ROLLBACK", "looks wrong")
        house.orders.look()
        house.switch.reset()
        house.switch.kill_at(number)
        await _until_killed(house)
        done = not house.switch.dead
        house.wake()
        house.incidents.resume()
        house.orders.catch_up()
        house.look()
        await house.finish()
        assert house.rollbacks == [("v2.1.0", "v2.0.0")], number
        assert [answer for _, answer in house.answers] == ["incident 1"], number
        if done:
            return
    raise AssertionError("there is no end to the points")


async def _until_killed(house: House) -> None:
    try:
        house.orders.look()
        if house.incidents.current is not None:
            house.world.interrupts.ask_hand_over()
            await house.incidents.settle()
    except BaseException as killed:
        if not house.switch.dead:
            raise killed


# -- a folder that others can write to, a disk that refuses


async def test_orders_from_a_folder_that_others_can_write_to_are_not_obeyed_and_told_once(
    house: House,
) -> None:
    house.flag("HALT")
    house.settings.control_dir.chmod(0o777)
    for _ in range(5):
        house.orders.look()
    assert (house.incidents.current, house.answers) == (None, [])
    (alert,) = house.told.alerts
    assert alert.severity == "critical"
    assert f"chmod o-w {house.settings.control_dir}" in alert.text
    house.settings.control_dir.chmod(0o700)
    house.look()
    assert house.answers == [("halt", "incident 1")]
    await house.finish()
    house.settings.control_dir.chmod(0o777)
    house.orders.look()
    assert len([text for text in house.told.texts if "chmod" in text]) == 2  # it came back


async def test_a_halt_is_obeyed_while_the_disk_refuses(house: House) -> None:
    refuse_all(house)
    house.flag("HALT", "bad feeling")
    house.look()
    assert handled(house) == ["HALT"]
    await _stopped(house)
    assert house.world.halted is not None
    house.faults.refuse = lambda write: False
    await house.finish()
    assert house.told.said("HALT: the bot is being stopped")


async def test_a_rollback_while_the_disk_refuses_stops_the_bot(house: House) -> None:
    refuse_all(house)
    house.flag("ROLLBACK")
    house.look()
    await _stopped(house)
    assert house.rollbacks == []
    house.faults.refuse = lambda write: False
    await house.finish()
    assert house.world.halted is not None


async def _stopped(house: House) -> None:
    for _ in range(3000):
        await asyncio.sleep(0)
        if house.bot.pid is None and house.world.halted:
            return
    raise AssertionError("the bot runs on")


async def test_a_halt_whose_flag_can_neither_be_written_down_nor_moved_is_obeyed_once(house: House) -> None:
    """A file system that has turned read-only."""
    refuse_all(house)
    _blocked(house)
    house.flag("HALT")
    house.look()
    await _stopped(house)
    told = len(house.told.alerts)
    for _ in range(10):
        house.orders.look()
    assert len(house.told.alerts) == told
    assert house.told.said("cannot be moved to handled/")
    house.faults.refuse = lambda write: False
    await house.finish()


def _blocked(house: House) -> Path:
    """Nothing can be moved to handled/: a file is in its place."""
    folder = house.settings.control_dir / "handled"
    folder.rmdir()
    folder.write_text("", encoding="utf-8")
    return folder


async def test_a_resume_waits_in_its_flag_until_the_disk_takes_it(house: House) -> None:
    house.world.keep("halted", HALT)
    refuse_all(house)
    house.flag("RESUME")
    for _ in range(4):
        house.orders.look()
    assert (house.halted, handled(house)) == (HALT, [])
    assert len([text for text in house.told.texts if "disk I/O error" in text]) == 1
    house.faults.refuse = lambda write: False
    house.look()
    assert (house.halted, handled(house)) == (None, ["RESUME"])


async def test_a_resume_that_was_accepted_and_then_refused_by_the_disk_is_done_later(house: House) -> None:
    house.world.keep("halted", HALT)
    house.faults.writes = 0
    house.faults.refuse = lambda write: write == 2  # the first is the acceptance
    house.flag("RESUME")
    house.look()
    assert (house.halted, handled(house)) == (HALT, ["RESUME"])
    assert house.told.said("disk I/O error")
    house.orders.look()
    assert house.halted is None
    ((_, answer),) = house.answers
    assert answer is not None
    assert answer.startswith("the halt is over")


async def test_an_answer_that_cannot_be_written_is_told_all_the_same(house: House) -> None:
    house.faults.writes = 0
    house.faults.refuse = lambda write: write >= 2
    house.flag("RESUME")
    house.look()
    assert house.told.said("nothing to resume")


async def test_catching_up_survives_a_journal_that_cannot_be_read(house: House) -> None:
    house.world.journal.close()
    house.orders.catch_up()
    assert house.told.said("orders from the control folder are not obeyed")
    with pytest.raises(sqlite3.ProgrammingError):
        house.world.journal.unanswered()


async def test_a_resume_of_a_watchdog_that_observes_does_not_promise_to_act(build: Build) -> None:
    house = build(mode="observe")
    house.flag("PAUSE")
    house.look()
    house.flag("RESUME")
    house.look()
    assert house.told.said("mode is observe: the watchdog looks and tells, and does not act")
    assert not house.told.said("acts again")
