"""Each step by itself: what it does, what it answers when that fails, and what it leaves behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from registry import ModelRegistry, RegistryError
from registry.lock import locked
from tests.watchdog.fakes import Loads
from tests.watchdog.house import House
from watchdog import procedure
from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.incident import Incident
from watchdog.interrupts import HaltAsked, HandOver
from watchdog.procedure import Done, Halt, OlderVersion, Run

Build = Callable[..., House]
LINKS = {"path": "models_saved", "links": {"ensemble_model.pkl": "main"}}


def run(house: House, incident: Incident) -> Run:
    return Run(incident, house.world)


def chosen(house: House, target: str = "v2.0.0", **facts: Any) -> Run:
    """An incident whose target is chosen, with the bot stopped."""
    incident = house.open()
    incident.target = target
    incident.facts.update(facts)
    house.bot.die(-15)
    return run(house, incident)


async def switched(house: House, **facts: Any) -> Run:
    """An incident whose version was switched."""
    found = chosen(house, **facts)
    assert isinstance(await procedure.roll_back(found), Done)
    return found


async def started(house: House) -> Run:
    """An incident whose bot was started."""
    found = await switched(house)
    outcome = await procedure.start_bot(found)
    assert isinstance(outcome, Done), outcome
    return found


def refused(outcome: procedure.Outcome, kind: type[OlderVersion] | type[Halt], part: str) -> None:
    assert isinstance(outcome, kind), outcome
    assert isinstance(outcome, OlderVersion | Halt)
    assert part in outcome.why


# -- assess


async def test_assess_chooses_the_newest_good_version_saves_the_evidence_and_touches_nothing(
    house: House,
) -> None:
    before, pid, incident = house.data, house.bot.pid, house.open()
    outcome = await procedure.assess(run(house, incident))
    assert isinstance(outcome, Done)
    assert incident.target == "v2.0.0"
    evidence = house.settings.state_dir / "incidents" / "0001" / "evidence.json"
    assert json.loads(evidence.read_text(encoding="utf-8"))["note"] == "***"  # without the secret
    assert (house.data, house.bot.pid) == (before, pid)
    (alert,) = house.told.alerts
    assert alert.severity == "critical"
    assert "rolling back v2.1.0 to v2.0.0 (incident 1)" in alert.text
    assert "drawdown 26.1 % is above 25 %" in alert.text


async def test_assess_passes_over_versions_that_do_not_verify(house: House) -> None:
    house.break_file("v2.0.0")
    incident = house.open()
    await procedure.assess(run(house, incident))
    assert incident.target == "v1.9.0"


async def test_assess_passes_over_versions_that_were_rolled_back_from(build: Build) -> None:
    house = build("v2.0.0", "v2.1.0")
    ModelRegistry(house.models).rollback()
    house.promote("v2.2.0")
    incident = house.open()
    await procedure.assess(run(house, incident))
    assert incident.target == "v2.0.0"
    assert house.data["models"]["v2.1.0"]["status"] == "quarantined"


async def test_assess_without_a_target_halts(build: Build) -> None:
    house = build("v2.1.0")
    house.bot.begin(by_hand=True)
    outcome = await procedure.assess(run(house, house.open()))
    refused(outcome, Halt, "No previous version found that was current before v2.1.0")
    assert house.told.alerts == []  # the halt is what is told
    assert house.bot.pid is not None


@pytest.mark.parametrize("content", [None, b"", b'{"models": ', b"[]"])
async def test_assess_with_a_registry_that_cannot_be_read_halts(house: House, content: bytes | None) -> None:
    incident = house.open()
    path = house.models / "registry.json"
    path.unlink() if content is None else path.write_bytes(content)
    outcome = await procedure.assess(run(house, incident))
    refused(outcome, Halt, "without a registry that can be read there is nothing to roll back to")


async def test_assess_lets_a_version_alone_that_was_not_the_one_judged(house: House) -> None:
    incident = house.open()
    house.promote("v2.2.0")
    outcome = await procedure.assess(run(house, incident))
    assert isinstance(outcome, Done)
    assert (outcome.skip_to, incident.outcome) == ("close", "superseded")
    assert house.rollbacks == []
    assert house.bot.pid is not None


async def test_a_person_may_roll_back_what_was_just_promoted(house: House) -> None:
    incident = house.open(automatic=False)
    house.promote("v2.2.0")
    outcome = await procedure.assess(run(house, incident))
    assert isinstance(outcome, Done)
    assert outcome.skip_to is None
    assert incident.target == "v2.0.0"  # never the one that the person wanted to leave


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("v2.1.0", "v2.1.0 is current already"),
        ("v9.9.9", "v9.9.9 is not registered"),
        ("v1.9.0", "v1.9.0 cannot be rolled back to"),
        ("v1.8.0", "quarantine"),
    ],
)
async def test_a_persons_order_that_cannot_be_followed_is_refused_and_touches_nothing(
    house: House, wanted: str, part: str
) -> None:
    house.break_file("v1.9.0")
    data = house.data
    data["models"]["v1.8.0"]["status"] = "quarantined"
    house.write(data)
    pid, incident = house.bot.pid, house.open(automatic=False, wanted=wanted)
    outcome = await procedure.assess(run(house, incident))
    assert isinstance(outcome, Done)
    assert (outcome.skip_to, incident.outcome) == ("close", "refused")
    assert part in outcome.detail
    assert (house.data, house.bot.pid) == (data, pid)
    assert house.told.said("the rollback that alice ordered was refused")
    assert house.told.said("Nothing was touched")


async def test_a_persons_order_may_name_any_good_version(house: House) -> None:
    incident = house.open(automatic=False, wanted="v1.8.0")
    await procedure.assess(run(house, incident))
    assert incident.target == "v1.8.0"
    assert house.told.alerts[0].severity == "warning"
    assert "ordered by alice" in house.told.texts[0]


async def test_an_order_given_while_the_registry_could_not_be_read_still_leaves_the_current_version(
    house: House,
) -> None:
    """Not knowing what is left would make the current version look like one promoted meanwhile."""
    incident = house.open(automatic=False)
    incident.from_version = None
    await procedure.assess(run(house, incident))
    assert [incident.from_version, incident.target] == ["v2.1.0", "v2.0.0"]


async def test_evidence_that_cannot_be_saved_does_not_hold_up_the_rollback(house: House) -> None:
    (house.settings.state_dir / "incidents").write_text("in the way", encoding="utf-8")
    outcome = await procedure.assess(run(house, house.open()))
    assert isinstance(outcome, Done)
    assert "the evidence could not be saved" in outcome.detail


@pytest.mark.parametrize("evidence", [lambda: 1 / 0, lambda: {("no", "key"): 1}])
async def test_evidence_that_cannot_be_gathered_does_not_hold_up_the_rollback(
    house: House, evidence: Callable[[], Any]
) -> None:
    house.world.evidence = evidence
    outcome = await procedure.assess(run(house, house.open()))
    assert isinstance(outcome, Done)
    assert "the evidence could not be" in outcome.detail


# -- hold_down, stop_bot, settle_orders


async def test_hold_down_puts_the_halt_in_force_on_disk(house: House) -> None:
    incident = house.open(plan="halt", automatic=False)
    assert isinstance(await procedure.hold_down(run(house, incident)), Done)
    assert house.halted == {
        "since": house.world.now().isoformat(),
        "why": incident.reason,
        "by": "alice",
        "incident": 1,
        "condemned": None,
    }
    assert house.told.said("HALT: the bot is being stopped and stays stopped (incident 1)")


async def test_stop_bot_leaves_no_process_and_says_how_it_ended(house: House) -> None:
    house.world.remember_bot()
    assert house.world.journal.get("bot") is not None
    incident = house.open()
    outcome = await procedure.stop_bot(run(house, incident))
    assert isinstance(outcome, Done)
    assert outcome.detail == "Bot stopped with SIGTERM in 0.3 s (pid 4711)"
    assert house.bot.pid is None
    assert house.world.journal.get("bot") is None
    assert "stopped_at" in incident.facts
    assert house.told.said("Open orders and positions on the exchange were not looked at")


async def test_stop_bot_run_again_keeps_when_the_bot_was_stopped(house: House) -> None:
    incident = house.open()
    await procedure.stop_bot(run(house, incident))
    first = incident.facts["stopped_at"]
    house.machine.go(60)
    outcome = await procedure.stop_bot(run(house, incident))
    assert isinstance(outcome, Done)
    assert outcome.detail == "Bot was not running"
    assert incident.facts["stopped_at"] == first
    assert len(house.told.alerts) == 1  # told once


async def test_a_stop_that_a_watchdog_began_before_it_ended_is_told_as_what_it_was(house: House) -> None:
    incident = house.open()
    incident.step = "stop_bot"
    began = house.world.now()
    house.world.journal.begin(incident, began)
    house.bot.die(-15)
    house.wake()
    kept = house.world.journal.open_one()
    assert kept is not None
    await house.work(kept)
    assert kept.facts["stopped_at"] == began.isoformat()
    assert house.told.said(
        "Bot is down: its stop was begun at 10:00:00 UTC, before the watchdog itself ended"
    )


async def test_a_bot_that_was_down_before_its_stop_was_not_stopped_by_us(house: House) -> None:
    house.bot.die(1)
    incident = await house.work(house.open())
    assert "stopped_at" not in incident.facts
    assert house.told.said("Bot was not running")


async def test_a_bot_that_cannot_be_stopped_leaves_the_registry_untouched(house: House) -> None:
    before, incident = house.data, house.open()
    house.bot.ignores_stop = 1
    with pytest.raises(BotError, match="does not end"):
        await procedure.stop_bot(run(house, incident))
    assert (house.data, house.told.alerts, house.bot.pid) == (before, [], 4711)


@pytest.mark.parametrize("plan", ["halt", "rollback"])
async def test_a_halt_goes_past_an_owner_that_does_not_stop_the_bot_and_a_rollback_waits(
    house: House, plan: str
) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:  # noqa: ASYNC220
        try:
            found = proc.stat(process.pid)
            assert found is not None
            house.bot.known, house.bot.ignores_stop = (process.pid, found.started_ticks, proc.boot_id()), 1
            with pytest.raises(BotError):
                await procedure.stop_bot(run(house, house.open(plan=plan)))
            ended = process.wait(10) if plan == "halt" else process.poll()
        finally:
            process.kill()
    assert ended == (-9 if plan == "halt" else None)
    assert house.told.said(f"process {process.pid} was killed directly") == (plan == "halt")


async def test_settle_orders_says_that_nothing_was_looked_at(house: House) -> None:
    outcome = await procedure.settle_orders(run(house, house.open()))
    assert isinstance(outcome, Done)
    assert "were not looked at" in outcome.detail


# -- roll_back


async def test_roll_back_switches_the_registry_once_and_quarantines_what_it_left(house: House) -> None:
    found = await switched(house)
    assert house.current == "v2.0.0"
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert house.data["models"]["v2.1.0"]["status"] == "quarantined"
    assert house.data["history"][-1]["reason"] == "incident 1: drawdown 26.1 % is above 25 %"
    assert found.incident.facts["switched_to"] == "v2.0.0"
    assert house.world.journal.automatic_rollbacks(house.world.now().replace(year=2000)) != []
    assert house.told.said("Registry switched from v2.1.0 to v2.0.0, checksum")


async def test_roll_back_run_again_after_its_switch_does_not_go_a_second_version_back(house: House) -> None:
    found = await switched(house)
    again = await procedure.roll_back(found)
    assert isinstance(again, Done)
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_roll_back_takes_the_next_older_version_when_the_target_broke_meanwhile(house: House) -> None:
    found = chosen(house)
    house.break_file("v2.0.0")
    assert isinstance(await procedure.roll_back(found), Done)
    assert house.rollbacks == [("v2.1.0", "v1.9.0")]
    assert (found.incident.target, found.incident.tried) == ("v1.9.0", ["v2.0.0"])


async def test_roll_back_without_any_good_version_left_halts_and_switches_nothing(house: House) -> None:
    found, before = chosen(house), house.data
    for version in ("v2.0.0", "v1.9.0", "v1.8.0"):
        house.break_file(version)
    refused(await procedure.roll_back(found), Halt, "No previous version found")
    assert house.data == before


async def test_a_registry_lock_that_is_held_condemns_no_version(house: House) -> None:
    found = chosen(house)
    with (
        locked(house.models / "registry.json.lock", 1.0),
        pytest.raises(RegistryError),
    ):
        await procedure.roll_back(found)
    assert (found.incident.target, found.incident.tried) == ("v2.0.0", [])
    assert isinstance(await procedure.roll_back(found), Done)
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


class TroubledRegistry(ModelRegistry):
    """Switches, and then fails at reading back, as the real one does when a link cannot be read."""

    fails = 1

    def rollback(self, *args: Any, **kwargs: Any) -> str | None:
        chosen = super().rollback(*args, **kwargs)
        if self.fails:
            self.fails -= 1
            raise RegistryError("switched, but reading it back failed")
        return chosen


async def test_an_error_after_the_switch_does_not_condemn_the_version_that_was_switched_to(
    house: House,
) -> None:
    found = chosen(house)
    house.world.registry = TroubledRegistry(house.models)
    assert isinstance(await procedure.roll_back(found), Done)
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert found.incident.tried == []


async def test_a_sound_version_that_a_person_promoted_meanwhile_is_taken(house: House) -> None:
    found = chosen(house)
    house.promote("v2.2.0")
    assert isinstance(await procedure.roll_back(found), Done)
    assert (found.incident.target, house.current, house.rollbacks) == ("v2.2.0", "v2.2.0", [])


async def test_a_version_in_quarantine_that_somebody_made_current_is_rolled_back_from(house: House) -> None:
    found = chosen(house)
    data = house.data
    data["current_version"], data["models"]["v1.8.0"]["status"] = "v1.8.0", "quarantined"
    house.write(data)
    assert isinstance(await procedure.roll_back(found), Done)
    assert house.current == "v2.0.0"


async def test_a_promoted_version_that_does_not_verify_never_leads_back_to_the_condemned_one(
    house: House,
) -> None:
    found = chosen(house)
    house.promote("v2.2.0")
    house.break_file("v2.2.0")
    refused(await procedure.roll_back(found), OlderVersion, "v2.2.0 does not verify")
    incident = found.incident
    incident.tried, incident.target, incident.attempt = ["v2.2.0"], None, 2
    assert isinstance(await procedure.roll_back(found), Done)
    assert house.current == "v2.0.0"
    assert ("v2.2.0", "v2.1.0") not in house.rollbacks


async def test_links_that_somebody_broke_are_set_right_before_the_start(build: Build) -> None:
    house = build(registry=LINKS)
    found = await switched(house)
    link = house.models / "ensemble_model.pkl"
    assert link.resolve().name == "ensemble_v2.0.0.pkl"
    link.unlink()
    link.symlink_to("ensemble_v2.1.0.pkl")
    assert isinstance(await procedure.roll_back(found), Done)
    assert link.resolve().name == "ensemble_v2.0.0.pkl"
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_a_rollback_while_halted_switches_and_does_not_start(house: House) -> None:
    house.world.keep("halted", {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "alice"})
    outcome = await procedure.roll_back(chosen(house))
    assert isinstance(outcome, Done)
    assert outcome.skip_to == "close"
    assert (house.current, house.bot.starts) == ("v2.0.0", [])


# -- start_bot


async def test_start_bot_starts_once_on_verified_files_and_watches_it_stay_up(house: House) -> None:
    found = await started(house)
    assert [(s.version, s.verified, s.quarantined) for s in house.bot.starts] == [("v2.0.0", True, False)]
    assert found.incident.facts["pid"] == house.bot.pid
    assert house.world.journal.get("bot") == [house.bot.pid, house.bot.processes[0].started_ticks, "boot"]
    assert house.machine.slept >= house.settings.bot.stays_up_for.total_seconds()


async def test_start_bot_never_starts_while_a_halt_is_in_force(house: House) -> None:
    found = await switched(house)
    house.world.keep("halted", {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "alice"})
    outcome = await procedure.start_bot(found)
    assert isinstance(outcome, Done)
    assert (outcome.skip_to, house.bot.starts) == ("close", [])


async def test_a_halt_that_comes_while_the_files_are_verified_starts_nothing(house: House) -> None:
    found = await switched(house)
    house.world.interrupts.ask_halt("looks wrong", "alice")
    with pytest.raises(HaltAsked):
        await procedure.start_bot(found)
    assert house.bot.starts == []


async def test_start_bot_never_starts_on_files_that_no_longer_verify(house: House) -> None:
    found = await switched(house)
    house.break_file("v2.0.0")
    refused(await procedure.start_bot(found), OlderVersion, "v2.0.0 does not verify")
    assert house.bot.starts == []


async def test_start_bot_never_starts_on_a_version_in_quarantine(house: House) -> None:
    found = await switched(house)
    data = house.data
    data["models"]["v2.0.0"]["status"] = "quarantined"
    house.write(data)
    refused(await procedure.start_bot(found), OlderVersion, "v2.0.0 is quarantined")
    assert house.bot.starts == []


async def test_a_version_that_something_made_current_again_is_switched_away_again_but_not_for_ever(
    house: House,
) -> None:
    found = await switched(house)
    for _ in range(procedure.SWITCH_AGAIN):
        house.promote("v2.1.0")
        outcome = await procedure.start_bot(found)
        assert isinstance(outcome, Done)
        assert outcome.skip_to == "roll_back"
        assert isinstance(await procedure.roll_back(found), Done)
    house.promote("v2.1.0")
    refused(await procedure.start_bot(found), Halt, "made v2.1.0 current again, 4 times; stop whatever")
    assert house.bot.starts == []


async def test_a_bot_that_cannot_be_executed_halts_for_no_other_version_would_mend_it(house: House) -> None:
    found = await switched(house)
    house.bot.cannot_start = 1
    refused(await procedure.start_bot(found), Halt, "python: no such program")


async def test_an_owner_that_does_not_answer_at_the_start_is_asked_again_and_halts_nothing(
    house: House,
) -> None:
    house.bot.no_answer = 2
    incident = house.open()
    house.bot.die(-15)
    await house.work(incident)
    assert (incident.outcome, incident.target, len(house.bot.starts)) == ("rolled_back", "v2.0.0", 1)
    assert house.world.halted is None
    assert any("the engine does not answer" in alert.text for alert in house.told.alerts)


async def test_a_bot_that_ends_within_the_time_to_stay_up_is_no_good(house: House) -> None:
    house.bot.loads["v2.0.0"] = "exits late"
    refused(await procedure.start_bot(await switched(house)), OlderVersion, "the bot ended (exit code 1)")


async def test_the_last_words_of_a_bot_that_ended_are_told(house: House) -> None:
    house.bot.loads["v2.0.0"] = "exits"
    outcome = await procedure.start_bot(await switched(house))
    refused(outcome, OlderVersion, "exit code 1; its last words: Traceback")


async def test_a_bot_that_somebody_started_meanwhile_is_stopped_first(house: House) -> None:
    found = await switched(house)
    theirs = house.bot.begin(by_hand=True)
    outcome = await procedure.start_bot(found)
    assert isinstance(outcome, Done)
    assert outcome.skip_to == "stop_bot"  # and its orders are looked after again
    assert house.told.said(
        f"something started the bot in the middle of the rollback (incident {found.incident.id})"
    )
    assert house.told.said(f"pid {theirs.pid}")


async def test_a_bot_that_was_brought_back_is_stopped_and_settled_and_then_the_rollback_goes_on(
    house: House,
) -> None:
    found = await switched(house)
    found.incident.step = "start_bot"
    house.bot.begin(by_hand=True)
    await house.work(found.incident)
    steps = [step for step, _ in house.steps(found.incident)]
    assert steps[:6] == ["start_bot", "stop_bot", "settle_orders", "roll_back", "start_bot", "confirm_loaded"]
    assert [start.version for start in house.bot.starts] == ["v2.0.0"]


async def test_something_that_brings_the_bot_back_again_and_again_ends_in_a_halt(house: House) -> None:
    found = await switched(house)
    for _ in range(procedure.MOST_BROUGHT_BACK):
        house.bot.begin(by_hand=True)
        assert isinstance(await procedure.start_bot(found), Done)
        await procedure.stop_bot(found)
        await procedure.settle_orders(found)
    house.bot.begin(by_hand=True)
    assert isinstance(await procedure.start_bot(found), Halt)


async def test_a_bot_that_ended_before_a_process_was_seen_means_one_version_further_back(
    house: House,
) -> None:
    found = await switched(house)
    house.bot.ends_at_once = 1
    outcome = await procedure.start_bot(found)
    assert isinstance(outcome, OlderVersion)
    assert "exit code 203" in outcome.why


async def test_a_bot_that_this_step_had_started_before_a_crash_is_not_started_again(house: House) -> None:
    found = await started(house)
    pid = house.bot.pid
    assert isinstance(await procedure.start_bot(found), Done)
    assert (house.bot.pid, len(house.bot.starts)) == (pid, 1)


async def test_a_hand_over_leaves_the_started_bot_alone(house: House) -> None:
    found = await switched(house)
    house.bot.at_start = house.world.interrupts.ask_hand_over
    with pytest.raises(HandOver):
        await procedure.start_bot(found)
    assert house.bot.pid is not None


# -- confirm_loaded


async def test_confirm_loaded_tells_the_proof_from_the_bots_own_log(house: House) -> None:
    found = await started(house)
    outcome = await procedure.confirm_loaded(found)
    assert isinstance(outcome, Done)
    assert "Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl" in outcome.detail
    assert house.told.said("Bot restarted on v2.0.0 after")
    assert "monitor_from" in found.incident.facts


@pytest.mark.parametrize(
    ("loads", "part"),
    [
        ("nothing", "not proved within 5 s: the bot's log says nothing of a model yet"),
        ("another", "the bot loaded v1.8.0"),
        ("dummy", "Using dummy model"),
        ("error", "Error loading ML models"),
    ],
)
async def test_a_bot_that_does_not_prove_the_right_model_is_no_good(
    house: House, loads: Loads, part: str
) -> None:
    house.bot.loads["v2.0.0"] = loads
    found = await switched(house)
    outcome = await procedure.start_bot(found)
    if isinstance(outcome, Done):
        outcome = await procedure.confirm_loaded(found)
    refused(outcome, OlderVersion, part)
    assert "monitor_from" not in found.incident.facts


async def test_a_watchdog_that_was_frozen_does_not_blame_the_bot_that_loads_meanwhile(house: House) -> None:
    house.bot.loads["v2.0.0"] = "nothing"
    found = await started(house)
    begun, frozen = house.machine.monotonic_s, False

    def freeze() -> None:
        nonlocal frozen
        if not frozen and house.machine.monotonic_s >= begun + 2.0:
            frozen = True
            house.machine.go(600)
        elif house.machine.monotonic_s >= begun + 601.0 and house.bot.loads["v2.0.0"] == "nothing":
            house.bot.loads["v2.0.0"] = "well"
            house.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
            house.bot.log("Ensemble model loaded successfully")

    house.machine.at_sleep.append(freeze)
    assert isinstance(await procedure.confirm_loaded(found), Done)


async def test_the_time_to_stay_up_is_time_in_which_somebody_looked(build: Build) -> None:
    house = build(bot={"stays_up_for": "4s"})
    house.bot.begin(by_hand=True)
    found = await switched(house)
    begun: list[float] = []

    def freeze() -> None:
        now_s = house.machine.monotonic_s
        if not begun and house.bot.starts:
            begun.append(now_s)
            house.machine.go(60)
        elif begun and now_s >= begun[0] + 61.0:
            house.bot.die(1)

    house.machine.at_sleep.append(freeze)
    refused(await procedure.start_bot(found), OlderVersion, "the bot ended (exit code 1)")


async def test_what_the_log_said_before_the_start_proves_nothing(house: House) -> None:
    house.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
    house.bot.log("Ensemble model loaded successfully")
    house.bot.loads["v2.0.0"] = "nothing"
    refused(await procedure.confirm_loaded(await started(house)), OlderVersion, "says nothing of a model")


async def test_what_the_log_said_before_the_start_condemns_nothing(house: House) -> None:
    house.bot.log("Error loading model: invalid load key. Using dummy model.", "ERROR")
    assert isinstance(await procedure.confirm_loaded(await started(house)), Done)


async def test_a_bot_that_ended_before_its_proof_is_no_good(house: House) -> None:
    found = await started(house)
    house.bot.die(1)
    refused(
        await procedure.confirm_loaded(found),
        OlderVersion,
        "the bot ended (exit code 1) before it had proved",
    )


@pytest.mark.parametrize("code", [-15, -9, -2, 0, 143, 137, None])
async def test_a_bot_that_somebody_ended_before_its_proof_is_started_once_more(
    house: House, code: int | None
) -> None:
    """`kill`, `systemctl stop`, `docker rm -f`; None: nobody knows, for the watchdog itself was restarted."""
    found = await started(house)
    house.bot.die(code or 0)
    if code is None:
        house.bot.codes.clear()
    outcome = await procedure.confirm_loaded(found)
    assert isinstance(outcome, Done)
    assert outcome.skip_to == "stop_bot"
    assert house.told.said("v2.0.0 is started once more (incident 1)")
    assert found.incident.tried == []


async def test_a_bot_that_its_owner_restarts_for_somebody_is_stopped_settled_and_started_once_more(
    build: Build,
) -> None:
    house = build()
    house.bot.supervised = True
    house.bot.loads = {"v2.0.0": "nothing"}
    found = await switched(house)
    found.incident.step = "start_bot"

    def restart_once() -> None:
        if len(house.bot.starts) == 1 and house.bot.pid is not None:
            house.bot.die(-15)
            house.bot.loads = {}
            house.bot.begin(by_hand=True)
            house.machine.at_sleep.remove(restart_once)

    house.machine.at_sleep.append(restart_once)
    await house.work(found.incident)
    steps = [step for step, _ in house.steps(found.incident)]
    assert steps[:6] == ["start_bot", "stop_bot", "settle_orders", "roll_back", "start_bot", "confirm_loaded"]
    assert (found.incident.outcome, found.incident.target) == ("rolled_back", "v2.0.0")
    assert [start.version for start in house.bot.starts] == ["v2.0.0", "v2.0.0"]
    assert found.incident.facts["settled"] == 1


async def test_a_bot_that_is_killed_at_each_start_has_used_up_its_second_one(house: House) -> None:
    """Memory that runs out, say."""
    found = await switched(house)
    found.incident.step = "start_bot"
    house.bot.loads["v2.0.0"] = "nothing"

    def kill() -> None:
        if house.bot.pid is not None and house.bot.starts[-1].version == "v2.0.0":
            house.bot.die(-9)

    house.machine.at_sleep.append(kill)
    await house.work(found.incident)
    assert [start.version for start in house.bot.starts] == ["v2.0.0", "v2.0.0", "v1.9.0"]
    assert found.incident.tried == ["v2.0.0"]
    assert house.told.said(
        "killed by signal 9) before it had proved what it loaded; it had been started once more"
    )


async def test_a_bot_that_its_owner_restarts_while_it_should_prove_itself_has_not_stayed_up(
    build: Build,
) -> None:
    house = build()
    house.bot.loads = {"v2.0.0": "never done"}
    house.bot.supervised = True
    found = await started(house)
    pid = house.bot.pid

    def restart_once() -> None:
        if house.bot.pid == pid:
            house.bot.die(0)
            house.bot.codes.clear()  # systemd forgets how the one before the last ended
            house.bot.begin(by_hand=True)
            house.bot.trouble = "systemd restarts it again and again (2 restarts until now)"

    house.machine.at_sleep.append(restart_once)
    refused(await procedure.confirm_loaded(found), OlderVersion, "systemd restarts it again and again")


async def test_the_proof_is_found_again_after_a_crash(house: House) -> None:
    found = await started(house)
    house.wake()
    incident = house.world.journal.incident(found.incident.id)
    assert incident is not None
    assert isinstance(await procedure.confirm_loaded(run(house, incident)), Done)


async def test_an_entry_of_another_version_that_nobody_can_read_does_not_hold_up_the_proof(
    house: House,
) -> None:
    data = house.data
    data["models"]["v0.1.0"] = {"status": "archived"}
    data["models"]["v0.2.0"] = "v0.2.0.pkl"
    house.write(data)
    assert isinstance(await procedure.confirm_loaded(await started(house)), Done)


# -- monitor and close


async def test_monitor_watches_for_its_time_from_the_proof_on_also_after_a_restart(house: House) -> None:
    found = await started(house)
    await procedure.confirm_loaded(found)
    house.machine.go(1.5)
    slept = house.machine.slept
    outcome = await procedure.monitor(found)
    assert isinstance(outcome, Done)
    assert house.machine.slept - slept == pytest.approx(0.5)


async def test_monitor_ends_when_a_person_promotes_another_version(house: House) -> None:
    """The rules must judge the new version at once, not when the time for the old one is over."""
    found = await started(house)
    await procedure.confirm_loaded(found)
    house.promote("v2.2.0")
    outcome = await procedure.monitor(found)
    assert isinstance(outcome, Done)
    assert found.incident.outcome == "superseded"
    assert house.told.said("v2.2.0 was made current while v2.0.0 was being watched")


async def test_monitor_goes_on_while_the_registry_cannot_be_read(house: House) -> None:
    found = await started(house)
    await procedure.confirm_loaded(found)
    (house.models / "registry.json").write_text("{", encoding="utf-8")
    assert isinstance(await procedure.monitor(found), Done)
    assert found.incident.outcome is None


async def test_close_writes_the_report_and_the_summary_without_secrets(house: House) -> None:
    incident = house.open()
    incident.target, incident.reason = "v2.0.0", "drawdown; the key is hunter2"
    assert isinstance(await procedure.close(run(house, incident)), Done)
    report = (house.settings.state_dir / "incidents" / "0001" / "report.md").read_text(encoding="utf-8")
    assert "the key is ***" in report
    assert (incident.outcome, incident.open) == ("rolled_back", False)
    assert house.told.said("incident 1 is closed: v2.0.0 has run without a rule firing")


async def test_a_report_that_cannot_be_written_is_said_and_keeps_no_incident_open(house: House) -> None:
    (house.settings.state_dir / "incidents").write_text("in the way", encoding="utf-8")
    incident = house.open()
    outcome = await procedure.close(run(house, incident))
    assert isinstance(outcome, Done)
    assert "could not be written" in outcome.detail
    assert not incident.open
    assert house.told.said("report.md could not be written")
    assert house.told.said("`model-watchdog incidents 1`")


@pytest.mark.parametrize("outcome", ["refused", "superseded"])
async def test_what_was_never_done_has_no_summary(house: House, outcome: Any) -> None:
    incident = house.open()
    incident.outcome = outcome
    await procedure.close(run(house, incident))
    assert (house.told.alerts, incident.outcome) == ([], outcome)


async def test_the_plans_are_the_playbook() -> None:
    names = {plan: [step.__name__ for step in steps] for plan, steps in procedure.STEPS.items()}
    assert names == {
        "rollback": [
            "assess",
            "stop_bot",
            "settle_orders",
            "roll_back",
            "start_bot",
            "confirm_loaded",
            "monitor",
            "close",
        ],
        "halt": ["hold_down", "stop_bot", "settle_orders", "close"],
    }
    for step in {*procedure.ROLLBACK, *procedure.HALT}:
        assert step.__doc__ is not None
        assert "Proves:" in step.__doc__
        assert "eaves behind" in step.__doc__


async def test_a_bot_that_says_when_it_has_loaded_and_hangs_in_its_load_is_not_believed(house: House) -> None:
    house.bot.loads["v2.0.0"] = "never done"
    found = await started(house)
    found.incident.facts["loads_end"] = True
    refused(await procedure.confirm_loaded(found), OlderVersion, "the bot began to load v2.0.0")


async def test_assess_notes_whether_the_bot_says_when_it_has_loaded(house: House) -> None:
    await house.watch.tick()
    house.bot.die(1)
    house.bot.begin()
    house.machine.go(10)
    await house.watch.tick()
    found = run(house, house.open())
    assert isinstance(await procedure.assess(found), Done)
    assert found.incident.facts["loads_end"] is True
