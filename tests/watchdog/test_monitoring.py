"""The looks at a restored bot: what is counted, what is told once, and the little that halts."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.house import House
from watchdog import procedure
from watchdog.health import Health
from watchdog.interrupts import HandOver
from watchdog.procedure import Done, Halt, Run

Build = Callable[..., House]
HALF_A_MINUTE: dict[str, Any] = {"rollback": {"monitor_for": "30s", "validate_for": "2m"}}


async def monitored(house: House) -> Run:
    """v2.1.0 was rolled back, v2.0.0 runs and has proved itself; nothing was looked at since."""
    incident = house.open()
    run = Run(incident, house.world)
    for step in procedure.ROLLBACK[:6]:
        assert isinstance(await step(run), Done), step
    incident.step = "monitor"
    house.world.journal.save(incident)
    return run


def at(house: House, seconds: float, act: Callable[[], Any]) -> None:
    """Does it once, so long from now."""
    due, done = house.machine.monotonic_s + seconds, False

    def look() -> None:
        nonlocal done
        if not done and house.machine.monotonic_s >= due:
            done = True
            act()

    house.machine.at_sleep.append(look)


def trade(house: House, **fields: Any) -> None:
    path = house.settings.trade_log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        stamp = house.machine.wall.replace(tzinfo=None).isoformat()
        file.write(json.dumps({"timestamp": stamp, **fields}) + "\n")


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def looks(run: Run) -> dict[str, tuple[str, str]]:
    """name -> (state, text), as the journal has them."""
    kept = run.world.journal.incident(run.incident.id)
    assert kept is not None
    return {look["name"]: (look["state"], look["text"]) for look in kept.facts["looks"]}


def told(house: House, part: str) -> int:
    return sum(part in text for text in house.told.texts)


@pytest.fixture
def long(build: Build) -> House:
    """Monitored for half a minute."""
    house = build(**HALF_A_MINUTE)
    house.bot.begin(by_hand=True)
    return house


# -- what is seen


async def test_all_that_the_playbook_lists_is_looked_at_and_summed_up(long: House) -> None:
    run = await monitored(long)
    for number in range(1, 20):
        at(long, 1.0 * number, lambda: long.bot.log("Prediction: 1 (confidence 0.7)"))
    at(long, 10, lambda: trade(long, type="entry", direction=1))
    at(long, 15, lambda: trade(long, type="exit", pnl=5.0))
    outcome = await procedure.monitor(run)
    assert isinstance(outcome, Done)
    long.world.journal.save(run.incident)
    seen = looks(run)
    assert {name: state for name, (state, _) in seen.items()} == dict.fromkeys(
        ("process", "version", "predictions", "risk checks", "errors", "trades"), "ok"
    )
    assert seen["predictions"][1].startswith("19 since the restart")
    assert seen["version"][1].startswith("its last load names v2.0.0")
    assert (
        "not restarted, v2.0.0 loaded, predictions 19, risk checks 0 failed, errors 0, trades 2"
        in outcome.detail
    )
    assert long.told.alerts[-1].text.startswith("sol-perp: Bot restarted")  # nothing was told meanwhile
    run.incident.step = "close"
    await procedure.close(run)
    assert told(long, "Seen since the restart: not restarted, v2.0.0 loaded, predictions 19") == 1
    report = (long.settings.state_dir / "incidents" / "0001" / "report.md").read_text(encoding="utf-8")
    assert "### Post-Rollback" in report
    assert "- [x] Trades: 1 entries, 1 exits, 0 equity points" in report


async def test_what_was_not_seen_is_left_to_people_and_halts_nothing(house: House) -> None:
    run = await monitored(house)
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["predictions"][0] == looks(run)["trades"][0] == "not yet"
    await procedure.close(run)
    assert told(house, "Look yourself: predictions: no prediction was seen since the restart; trades:") == 1


async def test_what_was_written_before_the_start_is_of_another_version(house: House) -> None:
    house.bot.log("Prediction: 1")
    house.bot.log("Error loading model: gone. Using dummy model.", "ERROR")
    trade(house, type="exit", pnl=-5.0)
    run = await monitored(house)
    await procedure.monitor(run)
    seen = looks(run)
    assert seen["predictions"][0] == seen["trades"][0] == "not yet"
    assert seen["errors"] == ("ok", "none")
    assert seen["version"][0] == "ok"


async def test_a_restart_of_the_watchdog_counts_nothing_twice(long: House) -> None:
    run = await monitored(long)
    for second in (2, 4, 20):
        at(long, second, lambda: long.bot.log("Prediction: 1"))
        at(long, second, lambda: long.bot.log("no connection", "ERROR"))
    at(long, 12.5, long.world.interrupts.ask_hand_over)
    with pytest.raises(HandOver):
        await procedure.monitor(run)
    pid = long.bot.pid
    long.wake()
    kept = long.world.journal.open_one()
    assert kept is not None
    run = Run(kept, long.world)
    await procedure.monitor(run)
    assert looks(run)["predictions"][1].startswith("3 since the restart")
    assert looks(run)["process"] == ("ok", f"pid {pid}, not restarted")
    assert run.incident.facts["looks"][4]["short"] == "errors 3"


async def test_a_predictions_file_is_read_in_place_of_guessing(build: Build) -> None:
    house = build(**HALF_A_MINUTE, monitor={"predictions": "predictions.jsonl"})
    house.bot.begin(by_hand=True)
    file = house.top / "predictions.jsonl"
    file.write_text('{"timestamp": "2026-03-01T09:59:00"}\n', encoding="utf-8")
    run = await monitored(house)
    at(house, 10, lambda: append(file, '{"timestamp": "2026-03-01T10:01:00"}\n'))
    await procedure.monitor(run)
    assert looks(run)["predictions"][1].startswith("1 since the restart")


async def test_while_the_registry_cannot_be_read_the_looks_wait_and_lose_nothing(long: House) -> None:
    run = await monitored(long)
    sound = (long.models / "registry.json").read_bytes()
    (long.models / "registry.json").write_bytes(b"{")
    at(long, 0.5, lambda: long.bot.log("Prediction: 1"))
    at(long, 0.5, lambda: (long.models / "registry.json").write_bytes(sound))
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["predictions"][1].startswith("1 since the restart")


async def test_an_incident_that_another_build_began_is_looked_at_from_here_on(long: House) -> None:
    run = await monitored(long)
    for name in ("trades_place", "started_at"):
        del run.incident.facts[name]
    run.incident.facts["log_place"] = {"of": "a newer build"}
    trade(long, type="exit", pnl=-5.0)
    at(long, 10, lambda: long.bot.log("Prediction: 1"))
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["predictions"][1].startswith("1 since the restart")
    assert looks(run)["trades"][0] == "not yet"


async def test_a_journal_that_cannot_be_written_ends_no_watching(long: House) -> None:
    run = await monitored(long)
    long.faults.refuse = lambda number: True
    assert isinstance(await procedure.monitor(run), Done)
    assert run.incident.facts["looks"]


# -- what is told once, and does not halt


async def test_risk_checks_that_fail_are_told_once(long: House) -> None:
    run = await monitored(long)
    for number in range(1, 10):
        at(long, 1.0 * number, lambda: long.bot.log("Risk check failed: exposure", "WARNING"))
    assert isinstance(await procedure.monitor(run), Done)
    assert told(long, "v2.0.0 runs, but: risk checks fail (incident 1)") == 1
    assert looks(run)["risk checks"] == ("bad", "9 failed; the last: Risk check failed: exposure")


async def test_errors_that_were_there_before_are_no_news_and_new_ones_are_told_once(long: House) -> None:
    long.machine.wall -= timedelta(seconds=20)
    for _ in range(12):
        long.bot.log("no connection", "ERROR")
    long.machine.wall += timedelta(seconds=20)
    run = await monitored(long)
    for number in range(1, 9):
        at(long, 2.0 * number, lambda: long.bot.log("no connection", "ERROR"))
    for _ in range(30):
        at(long, 25, lambda: long.bot.log("KeyError: 'close'", "ERROR"))
    assert isinstance(await procedure.monitor(run), Done)
    assert run.incident.facts["errors_before"] == {"errors": 12, "hours": 1 / 120}
    (alert,) = [text for text in long.told.texts if "more errors than before" in text]
    assert "1.44e+03 an hour before" in alert
    assert "KeyError: 'close'" in alert


async def test_errors_of_an_earlier_version_are_not_what_is_usual(long: House) -> None:
    """The version that was rolled back had been deployed five seconds ago."""
    long.machine.wall -= timedelta(seconds=20)
    for _ in range(12):
        long.bot.log("no connection", "ERROR")
    long.machine.wall += timedelta(seconds=20)
    since = long.machine.wall - timedelta(seconds=5)
    long.world.journal.put("deployment", {"key": "v2.1.0 x None", "since": since.isoformat()})
    run = await monitored(long)
    await procedure.monitor(run)
    assert run.incident.facts["errors_before"]["errors"] == 0


async def test_a_bot_that_writes_nothing_for_half_the_time_is_told_as_silent(build: Build) -> None:
    house = build(rollback={"monitor_for": "30m"})
    house.bot.begin(by_hand=True)
    run = await monitored(house)
    for second in (880, 1700):
        at(house, second, lambda: house.bot.log("bar closed"))
    for second in (5, 885):
        at(house, second, lambda: house.machine.go(810))
    assert isinstance(await procedure.monitor(run), Done)
    assert told(house, "has written nothing") == 0
    run.incident.facts["monitor_from"] = house.world.now().isoformat()
    at(house, 1, lambda: house.machine.go(900))
    at(house, 905, lambda: house.machine.go(880))
    assert isinstance(await procedure.monitor(run), Done)
    assert told(house, "v2.0.0 runs, and has written nothing for 15 min (incident 1)") == 1


async def test_a_short_watching_knows_no_silence(house: House) -> None:
    assert isinstance(await procedure.monitor(await monitored(house)), Done)
    assert told(house, "has written nothing") == 0


async def test_a_load_error_that_no_rule_judges_is_told(build: Build) -> None:
    house = build(**HALF_A_MINUTE, triggers={"load_error": {"enabled": False}})
    house.bot.begin(by_hand=True)
    run = await monitored(house)
    said = "Error loading RL agent: bad magic number. Using dummy agent."
    at(house, 10, lambda: house.bot.log(said, "ERROR"))
    assert isinstance(await procedure.monitor(run), Done)
    assert told(house, "v2.0.0 runs, but: a load error") == 1
    assert looks(run)["version"][0] == "bad"


async def test_a_load_error_that_the_rule_judges_is_not_told_twice(long: House) -> None:
    run = await monitored(long)
    at(long, 10, lambda: long.bot.log("Error loading model: gone. Using dummy model.", "ERROR"))
    assert isinstance(await procedure.monitor(run), Done)  # the ticks would have halted it
    assert told(long, "a load error") == 0
    assert looks(run)["version"][0] == "bad"


async def test_an_owner_that_does_not_answer_is_not_known_and_no_restart(long: House) -> None:
    run = await monitored(long)
    at(long, 10, lambda: setattr(long.bot, "silent", 10))
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["process"][0] == "ok"
    assert told(long, "restarted by itself") == 0


# -- health


def answering(house: House, *answers: Health) -> None:
    """The endpoint's answers, the last one for ever."""
    left = list(answers)

    async def ask() -> Health:
        return left.pop(0) if len(left) > 1 else left[0]

    house.world.health = ask


WELL = Health("well", "v2.0.0", "answers 200")
UNWELL = Health("unwell", None, "answers 503")


async def test_an_endpoint_that_is_well_is_one_more_look(long: House) -> None:
    answering(long, WELL)
    run = await monitored(long)
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["health"][0] == "ok"
    assert "answers 200 and names v2.0.0" in looks(run)["health"][1]


async def test_an_endpoint_that_is_unwell_for_a_moment_is_nothing(long: House) -> None:
    answering(long, WELL, UNWELL, WELL)
    assert isinstance(await procedure.monitor(await monitored(long)), Done)
    assert told(long, "its health endpoint is not content") == 0


async def test_an_endpoint_that_is_unwell_for_long_is_told_once(build: Build) -> None:
    house = build(rollback={"monitor_for": "2m"})
    house.bot.begin(by_hand=True)
    answering(house, UNWELL)
    run = await monitored(house)
    at(house, 5, lambda: house.machine.go(90))
    assert isinstance(await procedure.monitor(run), Done)
    assert told(house, "its health endpoint is not content") == 1
    assert looks(run)["health"][0] == "bad"


async def test_an_endpoint_that_is_silent_proves_nothing(long: House) -> None:
    answering(long, Health("silent", None, "does not answer (no connection)"))
    run = await monitored(long)
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["health"][0] == "not yet"
    assert told(long, "health endpoint") == 0


async def test_a_bot_whose_log_says_nothing_is_proved_by_its_endpoint(house: House) -> None:
    house.bot.loads["v2.0.0"] = "nothing"
    answering(house, Health("well", None, "answers 200"), Health("well", None, "answers 200"), WELL)
    await monitored(house)
    assert told(house, "Proof: its health endpoint names v2.0.0") == 1


async def test_an_endpoint_that_is_unwell_proves_nothing(house: House) -> None:
    house.bot.loads["v2.0.0"] = "nothing"
    answering(house, Health("unwell", "v2.0.0", "answers 503"))
    with pytest.raises(AssertionError):
        await monitored(house)


async def test_an_endpoint_that_names_another_version_after_the_start_is_no_proof(house: House) -> None:
    house.bot.loads["v2.0.0"] = "nothing"
    answering(house, Health("well", "v2.1.0", "answers 200"))
    with pytest.raises(AssertionError):
        await monitored(house)


# -- a relapse


async def test_another_version_loaded_halts(long: House) -> None:
    run = await monitored(long)
    at(long, 10, lambda: long.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl"))
    outcome = await procedure.monitor(run)
    assert isinstance(outcome, Halt)
    assert outcome.why.startswith(
        "The restored bot runs another model: its log names v2.1.0 in its last load"
    )


async def test_the_right_version_loaded_again_is_no_relapse(long: House) -> None:
    run = await monitored(long)
    at(long, 10, lambda: long.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl"))
    assert isinstance(await procedure.monitor(run), Done)


async def test_a_version_that_was_named_for_a_moment_alone_is_no_relapse(long: House) -> None:
    run = await monitored(long)
    loading = "Loading ensemble model from ./models_saved/ensemble"
    at(long, 10, lambda: long.bot.log(f"{loading}_v1.9.0.pkl"))
    at(long, 10, lambda: long.bot.log(f"{loading}_v2.0.0.pkl"))
    assert isinstance(await procedure.monitor(run), Done)


async def test_a_bot_that_loads_what_a_person_promoted_is_no_relapse(long: House) -> None:
    run = await monitored(long)

    def promote() -> None:
        long.promote("v2.2.0")
        long.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.2.0.pkl")

    at(long, 10, promote)
    assert isinstance(await procedure.monitor(run), Done)
    assert run.incident.outcome == "superseded"


async def test_an_endpoint_that_goes_on_naming_another_version_halts(long: House) -> None:
    run = await monitored(long)
    answering(long, WELL, WELL, Health("well", "v2.1.0", "answers 200"))
    outcome = await procedure.monitor(run)
    assert isinstance(outcome, Halt)
    assert "its health endpoint names v2.1.0, not v2.0.0" in outcome.why


async def test_an_endpoint_that_names_what_is_no_version_of_the_registry_says_nothing(long: House) -> None:
    run = await monitored(long)
    answering(long, Health("well", "3.1.4", "answers 200"))
    assert isinstance(await procedure.monitor(run), Done)


@pytest.fixture
def supervised(build: Build) -> House:
    """A unit, say: looked at by the ticks' pace."""
    house = build(**HALF_A_MINUTE, poll_interval="1s")
    house.bot.supervised = True
    house.bot.begin(by_hand=True)
    return house


def restarting(house: House, *seconds: float) -> None:
    """Its owner brings it back each time, at once."""

    def again() -> None:
        house.bot.die(1)
        house.bot.begin()

    for second in seconds:
        at(house, second, again)


async def test_restarts_are_told_and_beyond_the_limit_halt(supervised: House) -> None:
    run = await monitored(supervised)
    restarting(supervised, 5, 10, 15, 20)
    outcome = await procedure.monitor(run)
    assert isinstance(outcome, Halt)
    assert "restarted 4 times in 10 min (bot.max_restarts is 3)" in outcome.why
    assert [told(supervised, f"for the {nth} time") for nth in ("1st", "2nd", "3rd", "4th")] == [1, 1, 1, 1]


async def test_a_few_restarts_are_bad_news_and_no_relapse(long: House) -> None:
    run = await monitored(long)
    restarting(long, 5, 10)
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["process"][0] == "bad"
    assert "it restarted 2 times" in looks(run)["process"][1]
    assert told(long, "restarted by itself") == 0  # who starts it again tells it


async def test_restarts_that_lie_long_apart_are_no_crash_loop(supervised: House) -> None:
    run = await monitored(supervised)
    restarting(supervised, 1, 6, 11, 16, 21)
    for second in (3, 8, 13, 18):
        at(supervised, second, lambda: supervised.machine.go(300))
    assert isinstance(await procedure.monitor(run), Done)


async def test_restarts_are_not_forgotten_by_a_restart_of_the_watchdog(supervised: House) -> None:
    run = await monitored(supervised)
    restarting(supervised, 5, 10, 15, 22.5)
    at(supervised, 17.5, supervised.world.interrupts.ask_hand_over)
    with pytest.raises(HandOver):
        await procedure.monitor(run)
    supervised.wake()
    kept = supervised.world.journal.open_one()
    assert kept is not None
    assert isinstance(await procedure.monitor(Run(kept, supervised.world)), Halt)


async def test_a_bot_whose_owner_gave_it_up_halts_after_the_time_to_start(supervised: House) -> None:
    run = await monitored(supervised)

    def fail() -> None:
        supervised.bot.die(1)
        supervised.bot.trouble = "trading-bot.service failed (start-limit-hit)"

    at(supervised, 10, fail)
    began = supervised.machine.monotonic_s
    outcome = await procedure.monitor(run)
    assert isinstance(outcome, Halt)
    assert "does not stay up: trading-bot.service failed (start-limit-hit)" in outcome.why
    limit_s = supervised.settings.bot.start_timeout.total_seconds()
    assert supervised.machine.monotonic_s - began == pytest.approx(10 + limit_s, abs=3)


async def test_a_unit_that_was_down_while_the_watchdog_was_frozen_has_its_time_all_the_same(
    supervised: House,
) -> None:
    run = await monitored(supervised)

    def fail() -> None:
        supervised.bot.die(1)
        supervised.bot.trouble = "its process ended (exit code 1) and systemd is about to start it again"

    def back() -> None:
        supervised.bot.begin()
        supervised.bot.trouble = None

    at(supervised, 10, fail)
    at(supervised, 12, lambda: supervised.machine.go(60))
    at(supervised, 73, back)
    assert isinstance(await procedure.monitor(run), Done)


async def test_a_bot_that_is_only_down_is_left_to_who_starts_it(long: House) -> None:
    run = await monitored(long)
    at(long, 10, lambda: long.bot.die(1))
    at(long, 35, long.bot.begin)
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["process"][0] == "bad"


async def test_while_paused_a_relapse_is_told_and_nothing_is_done_until_the_pause_ends(long: House) -> None:
    run = await monitored(long)
    long.flag("PAUSE", "deploying")
    at(long, 10, lambda: long.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl"))
    at(long, 20, (long.settings.control_dir / "PAUSE").unlink)
    began = long.machine.monotonic_s
    assert isinstance(await procedure.monitor(run), Halt)
    assert long.machine.monotonic_s - began >= 20
    assert told(long, "v2.0.0 would be halted, but the watchdog is paused (incident 1)") == 1


async def test_restarts_by_a_person_while_paused_do_not_count(long: House) -> None:
    run = await monitored(long)
    long.flag("PAUSE")
    restarting(long, 5, 10, 15, 20, 25)
    assert isinstance(await procedure.monitor(run), Done)
    assert looks(run)["process"][0] == "ok"


async def test_a_relapse_ends_with_the_bot_halted_and_people_paged(long: House) -> None:
    long.condemn()
    incident = long.incidents.current
    assert incident is not None
    at(long, 10, lambda: long.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.1.0.pkl"))
    await long.finish()
    assert long.bot.pid is None
    assert long.halted is not None
    assert (incident.plan, incident.outcome) == ("halt", "halted")
    assert told(long, "HALT: the bot is being stopped") == 1
    assert "The restored bot runs another model" in incident.reason
    assert len(long.rollbacks) == 1
