"""A whole incident, in the order of its steps: what it comes to, and what the journal tells of it."""

import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.watchdog.fakes import Loads, TooLong
from tests.watchdog.house import House
from watchdog.runner import RETRY_S

Build = Callable[..., House]

ALL_DONE = [
    (step, "done")
    for step in (
        "assess",
        "stop_bot",
        "settle_orders",
        "roll_back",
        "start_bot",
        "confirm_loaded",
        "monitor",
        "close",
    )
]
HALTED = [(step, "done") for step in ("hold_down", "stop_bot", "settle_orders", "close")]


async def test_a_condemned_version_is_rolled_back_once_and_the_bot_runs_on_the_target(house: House) -> None:
    incident = await house.work(house.open())
    assert house.steps(incident) == ALL_DONE
    assert (incident.outcome, incident.open, incident.target) == ("rolled_back", False, "v2.0.0")
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert [s.version for s in house.bot.starts] == ["v2.0.0"]
    assert house.bot.pid is not None
    assert house.halted is None
    headlines = [text.splitlines()[0] for text in house.told.texts]
    assert headlines == [
        "sol-perp: rolling back v2.1.0 to v2.0.0 (incident 1)",
        "sol-perp: Bot stopped with SIGTERM in 0.3 s (pid 4711) (incident 1)",
        f"sol-perp: Registry switched from v2.1.0 to v2.0.0, checksum {_checksum(house)}... valid (incident 1)",
        "sol-perp: Bot restarted on v2.0.0 after 2.4 s (incident 1)",
        "sol-perp: incident 1 is closed: v2.0.0 has run without a rule firing",
    ]


def _checksum(house: House) -> str:
    return str(house.data["models"]["v2.0.0"]["checksum"])[:8]


async def test_every_step_is_journalled_with_its_times(house: House) -> None:
    incident = await house.work(house.open())
    rows = house.world.journal.steps(incident)
    assert all(row.ended_at is not None and row.ended_at >= row.began_at for row in rows)
    assert all(later.began_at >= earlier.began_at for earlier, later in pairwise(rows))
    monitor = next(row for row in rows if row.step == "monitor")
    assert monitor.ended_at is not None
    assert monitor.ended_at - monitor.began_at >= timedelta(seconds=2)


async def test_the_next_incident_goes_a_second_good_version_back(house: House) -> None:
    await house.work(house.open())
    await house.work(house.open(automatic=False))
    assert house.rollbacks == [("v2.1.0", "v2.0.0"), ("v2.0.0", "v1.9.0")]
    assert [s.version for s in house.bot.starts] == ["v2.0.0", "v1.9.0"]


# -- the target turns out to be no good

NO_GOOD: list[Loads] = ["nothing", "another", "dummy", "error", "exits", "exits late"]


@pytest.mark.parametrize("loads", NO_GOOD)
async def test_a_target_that_cannot_be_proved_is_left_for_the_next_older_one(
    house: House, loads: Loads
) -> None:
    house.bot.loads["v2.0.0"] = loads
    incident = await house.work(house.open())
    assert (incident.outcome, incident.target, incident.tried) == ("rolled_back", "v1.9.0", ["v2.0.0"])
    assert house.rollbacks == [("v2.1.0", "v2.0.0"), ("v2.0.0", "v1.9.0")]
    assert [s.version for s in house.bot.starts] == ["v2.0.0", "v1.9.0"]
    assert house.bot.pid is not None
    assert house.told.said("v2.0.0 is no good either; going one version further back")
    assert house.told.said("Bot restarted on v1.9.0")
    assert "older version" in {row.result for row in house.world.journal.steps(incident)}


@pytest.mark.parametrize("loads", NO_GOOD)
async def test_two_targets_that_cannot_be_proved_halt_with_the_bot_stopped(
    house: House, loads: Loads
) -> None:
    house.bot.loads.update({"v2.0.0": loads, "v1.9.0": loads})
    incident = await house.work(house.open())
    assert (incident.plan, incident.outcome) == ("halt", "halted")
    assert [s.version for s in house.bot.starts] == ["v2.0.0", "v1.9.0"]  # and never a third
    assert house.bot.pid is None
    assert house.halted is not None
    assert "neither of v2.0.0 and v1.9.0 could be proved" in house.halted["why"]
    assert f"{sys.executable} -P -m registry release VERSION --registry-path" in house.halted["why"]
    assert "Did they fail alike? Then look for the cause in what they share" in house.halted["why"]
    assert "drawdown 26.1 %" in house.halted["why"]
    assert house.steps(incident)[-4:] == HALTED


async def test_a_target_that_cannot_be_proved_and_no_older_one_halts(build: Build) -> None:
    house = build("v2.0.0", "v2.1.0")
    house.bot.begin(by_hand=True)
    house.bot.loads["v2.0.0"] = "exits"
    incident = await house.work(house.open())
    assert incident.outcome == "halted"
    assert (house.bot.pid, house.rollbacks) == (None, [("v2.1.0", "v2.0.0")])
    assert house.halted is not None
    assert "No previous version found" in house.halted["why"]


async def test_a_rollback_that_switched_a_version_counts_also_when_it_ended_in_a_halt(house: House) -> None:
    house.bot.loads.update({"v2.0.0": "exits", "v1.9.0": "exits"})
    incident = await house.work(house.open())
    assert house.world.journal.automatic_rollbacks(incident.opened_at - timedelta(hours=1)) == [
        incident.opened_at
    ]


async def test_no_target_at_all_stops_the_bot_and_halts(build: Build) -> None:
    house = build("v2.1.0")
    house.bot.begin(by_hand=True)
    incident = await house.work(house.open())
    assert house.steps(incident) == [("assess", "halt"), *HALTED]
    assert (house.bot.pid, incident.outcome, house.rollbacks) == (None, "halted", [])
    assert house.told.said("Deploy a known-good model by hand")
    assert house.told.said("Asked of you: look at open orders and positions")


# -- persons


async def test_a_persons_rollback_counts_for_no_limit(house: House) -> None:
    incident = await house.work(house.open(automatic=False, wanted="v1.8.0"))
    assert house.rollbacks == [("v2.1.0", "v1.8.0")]
    assert house.world.journal.automatic_rollbacks(incident.opened_at - timedelta(days=1)) == []


async def test_a_refused_order_is_closed_with_nothing_done(house: House) -> None:
    pid, before = house.bot.pid, house.data
    incident = await house.work(house.open(automatic=False, wanted="v9.9.9"))
    assert house.steps(incident) == [("assess", "done"), ("close", "done")]
    assert (incident.outcome, house.bot.pid, house.data) == ("refused", pid, before)
    assert (house.bot.stops, house.halted) == (0, None)
    assert len(house.told.alerts) == 1


async def test_a_rollback_while_halted_switches_and_leaves_the_bot_stopped(house: House) -> None:
    await house.work(house.open(plan="halt", automatic=False))
    incident = await house.work(house.open(automatic=False))
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert (house.bot.pid, house.bot.starts, incident.outcome) == (None, [], "halted")
    assert house.halted is not None


async def test_a_halt_stops_the_bot_and_holds_it_down(house: House) -> None:
    incident = await house.work(house.open(plan="halt", automatic=False))
    assert house.steps(incident) == HALTED
    assert (house.bot.pid, incident.outcome) == (None, "halted")
    assert house.halted is not None
    assert house.halted["by"] == "alice"
    assert house.current == "v2.1.0"


# -- trouble that time or a person can mend


def since(house: House, slept_s: float, act: Callable[[], None]) -> None:
    """Calls `act` once so much was slept."""
    done: list[bool] = []

    def look() -> None:
        if not done and house.machine.slept >= slept_s:
            done.append(True)
            act()

    house.machine.at_sleep.append(look)


async def test_a_bot_that_does_not_end_is_paged_and_tried_again_with_the_registry_untouched(
    house: House,
) -> None:
    house.bot.ignores_stop = 3
    incident = await house.work(house.open())
    assert house.steps(incident)[:5] == [
        ("assess", "done"),
        *[("stop_bot", "stuck")] * 3,
        ("stop_bot", "done"),
    ]
    assert incident.outcome == "rolled_back"
    assert house.told.said("incident 1 is stuck at stop_bot and needs you")
    assert house.told.said("end it by hand")
    stuck = [alert for alert in house.told.alerts if "stuck" in alert.kind]
    assert {(a.kind, a.severity, a.coalesce) for a in stuck} == {
        ("incident-1-stuck-stop_bot", "critical", True)
    }


async def test_what_is_stuck_is_tried_again_at_growing_intervals_for_ever(house: House) -> None:
    house.bot.ignores_stop = 1000
    house.machine.most_s = 400
    incident = house.open()
    with pytest.raises(TooLong):
        await house.work(incident)
    rows = [row for row in house.world.journal.steps(incident) if row.step == "stop_bot" and row.ended_at]
    gaps = [(b.began_at - a.began_at).total_seconds() for a, b in pairwise(rows)]
    assert gaps[:6] == pytest.approx([0.3 + wait for wait in (*RETRY_S, RETRY_S[-1])], abs=0.01)
    assert (house.current, house.bot.starts, incident.step) == ("v2.1.0", [], "stop_bot")


async def test_a_registry_that_is_broken_after_the_bot_was_stopped_is_waited_for(house: House) -> None:
    path = house.models / "registry.json"
    whole = path.read_bytes()

    def write(content: bytes) -> Callable[[], None]:
        def act() -> None:
            path.write_bytes(content)

        return act

    house.bot.ignores_stop = 1
    since(house, 0.3, write(b"{"))
    since(house, 5.0, write(whole))
    incident = await house.work(house.open())
    assert ("roll_back", "stuck") in house.steps(incident)
    assert (incident.outcome, house.current) == ("rolled_back", "v2.0.0")
    assert house.bot.pid is not None


async def test_a_halt_while_stuck_is_obeyed(house: House) -> None:
    house.bot.ignores_stop = 2
    since(house, 0.4, lambda: house.world.interrupts.ask_halt("looks wrong", "alice"))
    incident = await house.work(house.open())
    assert (incident.plan, incident.outcome, incident.by) == ("halt", "halted", "alice")
    assert (house.bot.pid, house.rollbacks) == (None, [])
    assert house.halted is not None


async def test_a_hand_over_while_stuck_leaves_the_incident_to_the_next_start(house: House) -> None:
    house.bot.ignores_stop = 1
    since(house, 0.4, house.world.interrupts.ask_hand_over)
    incident = await house.work(house.open())
    assert (incident.step, incident.open) == ("stop_bot", True)
    house.wake()
    found = house.world.journal.open_one()
    assert found is not None
    await house.work(found)
    assert (found.outcome, house.rollbacks) == ("rolled_back", [("v2.1.0", "v2.0.0")])


async def test_a_mistake_of_ours_in_a_step_is_not_taken_for_its_answer(house: House) -> None:
    incident = house.open()
    house.world.redact = lambda text: str(1 / 0)
    incident.step = "close"
    with pytest.raises(ZeroDivisionError):
        await house.work(incident)
    assert incident.open
    assert house.steps(incident) == [("close", None)]


async def test_a_step_that_this_build_does_not_know_ends_in_a_halt(house: House) -> None:
    """Another build left the incident there: what it had done by then is not known."""
    incident = house.open()
    incident.step = "move_to_the_moon"
    await house.work(incident)
    assert house.halted
    assert house.bot.pid is None
    assert house.steps(incident) == HALTED
    assert house.told.said("This build knows no step move_to_the_moon")
