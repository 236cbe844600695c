"""The dry run before a start, and the daily rehearsal: what fails, what is told, and what is never touched."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.fake_runs import FakeRuns
from tests.watchdog.fakes import Killed
from tests.watchdog.house import House
from tests.watchdog.test_watch import living, tick
from watchdog import procedure, rehearsal, scratch
from watchdog.dry_run import Ran
from watchdog.interrupts import HaltAsked, HandOver
from watchdog.procedure import Done, OlderVersion, Run

Build = Callable[..., House]
COMMAND: dict[str, Any] = {"bot": {"dry_run": ["python", "main.py", "--dry-run", "{version}"]}}
BAD = Ran(1, 2.0, ("Traceback", "ModuleNotFoundError: No module named 'xgboost'"))


def with_runs(house: House) -> FakeRuns:
    """The house's dry runs, in memory; the bot's folder has its program."""
    (house.top / "main.py").write_text("print('a bot')\n", encoding="utf-8")
    runs = FakeRuns(house.switch)
    house.world.runs = runs
    return runs


# -- before a start


async def switched(house: House) -> Run:
    """v2.0.0 is current, the bot is stopped, and the next step is start_bot."""
    incident = house.open()
    run = Run(incident, house.world)
    for step in procedure.ROLLBACK[:4]:
        assert isinstance(await step(run), Done), step
    incident.step = "start_bot"
    return run


@pytest.fixture
def house(build: Build) -> House:
    house = build(**COMMAND)
    house.bot.begin(by_hand=True)
    return house


async def test_the_target_is_tried_where_the_bot_runs_before_the_bot_is_started(house: House) -> None:
    runs = with_runs(house)
    seen: list[object] = []
    runs.during = lambda: seen.extend([house.current, len(house.bot.starts), house.bot.pid])
    run = await switched(house)
    assert isinstance(await procedure.start_bot(run), Done)
    assert seen == ["v2.0.0", 0, None]
    (asked,) = runs.asked
    assert asked.command == ("python", "main.py", "--dry-run", "v2.0.0")
    assert (asked.directory, asked.gently) == (house.top, False)
    assert run.incident.facts["dry_run"]["ok"] is True
    assert len(house.bot.starts) == 1


async def test_a_version_whose_dry_run_fails_is_never_started(house: House) -> None:
    with_runs(house).ends["v2.0.0"] = BAD
    outcome = await procedure.start_bot(await switched(house))
    assert isinstance(outcome, OlderVersion)
    assert outcome.why.startswith("its dry run failed: it ended with exit code 1")
    assert "No module named 'xgboost'" in outcome.why
    assert house.bot.starts == []


async def test_the_next_older_version_is_tried_in_its_place(house: House) -> None:
    runs = with_runs(house)
    runs.ends["v2.0.0"] = BAD
    house.condemn()
    await house.finish()
    assert [asked.command[-1] for asked in runs.asked] == ["v2.0.0", "v1.9.0"]
    assert [start.version for start in house.bot.starts] == ["v1.9.0"]
    (incident,) = house.world.journal.incidents()
    assert incident.outcome == "rolled_back"
    report = (house.settings.state_dir / "incidents" / "0001" / "report.md").read_text(encoding="utf-8")
    assert "### Dry run of v1.9.0" in report
    assert "    dry run ok: v1.9.0" in report


async def test_when_neither_can_be_loaded_the_bot_is_halted_and_was_never_started(house: House) -> None:
    with_runs(house).ends.update({"v2.0.0": BAD, "v1.9.0": BAD})
    house.condemn()
    await house.finish()
    assert house.bot.starts == []
    assert house.halted is not None


async def test_a_load_error_in_what_it_says_fails_it_whatever_its_exit_code(house: House) -> None:
    said = "Error loading model: invalid load key. Using dummy model."
    with_runs(house).ends["v2.0.0"] = Ran(0, 1.0, (said, "dry run ok: v2.0.0"))
    outcome = await procedure.start_bot(await switched(house))
    assert isinstance(outcome, OlderVersion)
    assert "Using dummy model" in outcome.why


async def test_one_that_does_not_end_in_time_fails(house: House) -> None:
    with_runs(house).ends["v2.0.0"] = Ran(None, 5.0, ("loading ...",))
    outcome = await procedure.start_bot(await switched(house))
    assert isinstance(outcome, OlderVersion)
    assert "did not end within 5 s" in outcome.why


async def test_one_that_trades_is_told_as_such_and_says_nothing_of_the_version(house: House) -> None:
    runs = with_runs(house)
    runs.takes_s = 100.0
    runs.during = lambda: add_trade(house.settings.trade_log.path, house)
    run = await switched(house)
    slept = house.machine.slept
    assert isinstance(await procedure.start_bot(run), Done)
    assert house.machine.slept - slept < 30  # it was ended at its first trade
    assert len(house.bot.starts) == 1
    (alert,) = [alert for alert in house.told.alerts if "the dry run of v2.0.0 trades" in alert.text]
    assert (alert.severity, "look at the exchange now" in alert.text) == ("critical", True)
    assert rehearsal.is_no_dry_run(kept(house), house.settings)


async def test_one_that_is_known_to_trade_or_not_to_end_is_not_run_in_a_rollback(house: House) -> None:
    runs = with_runs(house)
    run = await switched(house)
    house.world.keep(rehearsal.KEPT, {**begun(house), "told": True, "no_dry_run": house.settings.bot.dry_run})
    assert isinstance(await procedure.start_bot(run), Done)
    assert (runs.asked, len(house.bot.starts)) == ([], 1)
    assert house.told.said("the dry run of v2.0.0 could not be executed; it is started without")
    assert house.told.said("bot.dry_run traded, or did not end")


async def test_a_command_that_cannot_be_executed_says_nothing_of_the_version(house: House) -> None:
    with_runs(house).ends["v2.0.0"] = Ran(None, 0.0, (), "`pyhton` cannot be run in /srv/bot: No such file")
    assert isinstance(await procedure.start_bot(await switched(house)), Done)
    assert len(house.bot.starts) == 1
    assert house.told.said("the dry run of v2.0.0 could not be executed; it is started without")
    assert house.told.said("`pyhton` cannot be run")


async def test_a_dry_run_that_went_well_is_not_run_again_after_a_crash(house: House) -> None:
    runs = with_runs(house)
    run = await switched(house)
    house.bot.cannot_start = 1
    await procedure.start_bot(run)
    house.wake()
    runs = with_runs(house)
    kept = house.world.journal.open_one()
    assert kept is not None
    assert isinstance(await procedure.start_bot(Run(kept, house.world)), Done)
    assert runs.asked == []


@pytest.mark.parametrize("ask", ["halt", "hand over"])
async def test_a_halt_and_a_hand_over_do_not_wait_for_it(house: House, ask: str) -> None:
    runs, interrupts = with_runs(house), house.world.interrupts
    runs.takes_s = 100.0
    runs.during = (
        interrupts.ask_hand_over
        if ask == "hand over"
        else lambda: interrupts.ask_halt("looks wrong", "alice")
    )
    run = await switched(house)
    slept = house.machine.slept
    with pytest.raises(HandOver if ask == "hand over" else HaltAsked):
        await procedure.start_bot(run)
    assert house.machine.slept - slept < 1
    assert house.bot.starts == []


async def test_who_brings_the_bot_back_meanwhile_is_noticed(house: House) -> None:
    runs = with_runs(house)
    runs.takes_s = 100.0

    def bring_back() -> None:
        house.bot.begin(by_hand=True)

    runs.during = bring_back
    run = await switched(house)
    slept = house.machine.slept
    outcome = await procedure.start_bot(run)
    assert isinstance(outcome, Done)
    assert outcome.skip_to == "stop_bot"
    assert house.machine.slept - slept < 105
    assert house.told.said("something started the bot in the middle of the rollback")


# -- daily


def add_trade(trade_log: Path, house: House) -> None:
    with trade_log.open("a", encoding="utf-8") as file:
        file.write(
            json.dumps({"type": "equity", "timestamp": house.world.now().isoformat(), "equity": 2000.0})
            + "\n"
        )
        file.write(
            json.dumps({"type": "entry", "timestamp": house.world.now().isoformat(), "size": 1.3}) + "\n"
        )


async def ready(build: Build, **changes: Any) -> tuple[House, FakeRuns]:
    """v2.1.0 runs, the ticks know that v2.0.0 would be the target, and nothing is left to tidy up."""
    house = living(build, **{**COMMAND, **changes})
    runs = with_runs(house)
    for _ in range(500):
        await tick(house)
        if house.collector.target is not None:
            break
        await asyncio.sleep(0.01)
    house.chores.look()
    await house.chores.finish()
    return house, runs


async def chore(house: House) -> None:
    """One look, and what comes of it."""
    house.chores.look()
    await house.chores.finish()
    house.chores.look()
    await house.chores.finish()


def kept(house: House) -> Any:
    return house.world.journal.get(rehearsal.KEPT)


async def test_it_is_rehearsed_once_a_day_in_a_copy_and_known_in_the_sentence(build: Build) -> None:
    house, runs = await ready(build)
    before = house.data
    await chore(house)
    (asked,) = runs.asked
    assert asked.gently
    assert asked.directory == scratch.place(house.settings) / "bot"
    assert not scratch.place(house.settings).exists()
    assert house.data == before
    assert house.told.alerts == []
    assert (kept(house)["ok"], kept(house)["version"], kept(house)["seconds"]) == (True, "v2.0.0", 38.2)
    house.machine.go(3 * 3600)
    sentence = await tick(house)
    assert sentence.endswith("ready to roll back to v2.0.0 (rehearsed 3 h ago, 38.2 s)")
    await chore(house)
    assert len(runs.asked) == 1
    house.machine.go(21 * 3600)
    await chore(house)
    assert len(runs.asked) == 2


async def test_a_new_target_is_rehearsed_at_once(build: Build) -> None:
    house, runs = await ready(build)
    await chore(house)
    house.promote("v2.2.0")
    for _ in range(500):
        await tick(house)
        if house.collector.target == "v2.1.0":
            break
        await asyncio.sleep(0.01)
    await chore(house)
    assert [asked.command[-1] for asked in runs.asked] == ["v2.0.0", "v2.1.0"]


async def test_a_failure_is_told_once_and_the_recovery_too(build: Build) -> None:
    house, runs = await ready(build)
    runs.ends["v2.0.0"] = BAD
    for _ in range(3):
        await chore(house)
        house.machine.go(7 * 3600)
    (alert,) = house.told.alerts
    assert alert.severity == "warning"
    assert "the rehearsal of a rollback to v2.0.0 failed" in alert.text
    assert "No module named 'xgboost'" in alert.text
    assert len(runs.asked) == 3
    assert "not ready to roll back to v2.0.0" in await tick(house)
    del runs.ends["v2.0.0"]
    await chore(house)
    assert "ready to roll back to v2.0.0 again" in house.told.texts[-1]
    house.machine.go(25 * 3600)
    await chore(house)
    assert len(house.told.alerts) == 2


async def test_another_target_that_fails_is_news(build: Build) -> None:
    house, runs = await ready(build)
    runs.ends.update({"v2.0.0": BAD, "v1.9.0": BAD})
    await rehearsal.rehearse(house.world, "v2.0.0", house.world.sleep)
    await rehearsal.rehearse(house.world, "v1.9.0", house.world.sleep)
    assert len(house.told.alerts) == 2


async def test_what_could_not_be_rehearsed_is_neither_ready_nor_failed(build: Build) -> None:
    house, runs = await ready(build)
    (house.top / "config.yaml").write_text(f"logs: {house.top}/logs\n", encoding="utf-8")
    await chore(house)
    assert runs.asked == []
    assert kept(house)["ok"] is None
    assert "could not be done" in house.told.texts[-1]
    assert "by its absolute path" in house.told.texts[-1]
    assert "could not be rehearsed" in await tick(house)


async def test_an_incident_that_opens_cuts_it_short_and_nothing_is_kept(build: Build) -> None:
    house, runs = await ready(build)
    runs.takes_s = 1000.0
    runs.during = house.condemn
    slept = house.machine.slept
    await chore(house)
    assert house.machine.slept - slept < 60
    assert kept(house) is None
    assert not scratch.place(house.settings).exists()
    runs.during, runs.takes_s = None, 0.1
    await house.finish()
    assert house.told.said("is closed: v2.0.0")


@pytest.mark.parametrize("why", ["halted", "paused", "incident", "no target", "not set", "outside"])
async def test_it_is_not_begun(build: Build, why: str) -> None:
    changes: dict[str, Any] = {}
    if why == "not set":
        changes = {"bot": {}}
    elif why == "outside":
        changes = {"bot": {**COMMAND["bot"], "log": str(Path("/var/log/bot.log"))}}
    house, runs = await ready(build, **changes)
    if why == "halted":
        house.world.keep("halted", {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "bob"})
    elif why == "paused":
        house.flag("PAUSE")
    elif why == "incident":
        house.incidents.open("rollback", "looks wrong", "alice", automatic=False)
    elif why == "no target":
        house.collector._files.target = None
    house.chores.look()
    assert not house.chores.busy
    if why == "incident":
        await house.finish()
    assert kept(house) is None
    assert [asked for asked in runs.asked if asked.gently] == []


async def test_the_end_of_the_daemon_cuts_it_short(build: Build) -> None:
    house, runs = await ready(build)
    runs.takes_s = 1000.0
    house.chores.look()
    for _ in range(1000):
        if runs.asked:
            break
        await asyncio.sleep(0.005)
    await house.chores.settle()
    assert kept(house) is None
    assert not scratch.place(house.settings).exists()


async def test_one_that_took_its_watchdog_down_is_not_begun_again_at_once(build: Build) -> None:
    house, runs = await ready(build)
    runs.during = house.switch.kill
    with pytest.raises(Killed):
        await rehearsal.rehearse(house.world, "v2.0.0", house.world.sleep)
    house.wake()
    runs = with_runs(house)
    await tick(house, 3)
    await chore(house)
    assert runs.asked == []
    assert kept(house)["said"] == "it was cut short"
    house.machine.go(7 * 3600)
    await tick(house, 3)
    await chore(house)
    assert len(runs.asked) == 1


def begun(house: House) -> dict[str, Any]:
    what = rehearsal.fingerprint(house.settings, house.world, "v2.0.0")
    at = house.world.now().isoformat()
    return {
        "version": "v2.0.0",
        "what": what,
        "at": at,
        "ok": False,
        "seconds": None,
        "said": "it was cut short",
    }


async def test_a_dry_run_that_logs_into_the_live_log_is_found_out_and_not_repeated(build: Build) -> None:
    house, runs = await ready(build)
    runs.during = lambda: house.bot.log("Loading ensemble model from ./models_saved/ensemble_v2.0.0.pkl")
    await chore(house)
    assert kept(house)["leaks"]
    assert "logs into the live log" in house.told.texts[-1]
    house.machine.go(48 * 3600)
    await chore(house)
    assert len(runs.asked) == 1


async def test_what_it_logs_in_its_copy_counts(build: Build) -> None:
    house, runs = await ready(build)

    def log_there() -> None:
        path = scratch.place(house.settings) / "bot" / "logs" / "trading_bot.log"
        path.write_text(
            "2026-03-01 10:00:00,000 - models - ERROR - Error loading model: gone. Using dummy model.\n"
        )

    runs.during = log_there
    await chore(house)
    assert kept(house)["ok"] is False
    assert "Using dummy model" in kept(house)["said"]


@pytest.mark.parametrize("how", ["trades", "says so", "does not end"])
async def test_a_bot_that_ignores_the_option_is_found_out_told_and_not_run_again(
    build: Build, how: str
) -> None:
    house, runs = await ready(build)
    if how == "trades":
        runs.takes_s = 100.0
        runs.during = lambda: add_trade(
            scratch.place(house.settings) / "bot" / "logs" / "trades.jsonl", house
        )
    elif how == "says so":
        runs.ends["v2.0.0"] = Ran(0, 3.0, ("Order placed: BUY 1.3 SOLUSDT",))
    else:
        runs.ends["v2.0.0"] = Ran(None, 120.0, ("waiting for the next bar",))
    slept = house.machine.slept
    await chore(house)
    assert house.machine.slept - slept < 30
    (alert,) = house.told.alerts
    assert alert.severity == ("warning" if how == "does not end" else "critical")
    assert ("did not end by itself" if how == "does not end" else "look at the exchange now") in alert.text
    assert "It is run no more" in alert.text
    assert "bot.dry_run is no dry run" in await tick(house)
    house.machine.go(48 * 3600)
    await chore(house)
    assert (len(runs.asked), len(house.told.alerts)) == (1, 1)


async def test_after_a_restart_it_is_rehearsed_again_in_its_time(build: Build) -> None:
    house, runs = await ready(build)
    runs.ends["v2.0.0"] = Ran(None, 120.0, ())
    await chore(house)
    house.wake()
    runs = with_runs(house)
    await tick(house, 3)
    house.chores.look()
    await house.chores.finish()
    assert not rehearsal.is_no_dry_run(kept(house), house.settings)
    await chore(house)
    assert runs.asked == []
    house.machine.go(7 * 3600)
    await tick(house, 3)
    await chore(house)
    assert len(runs.asked) == 1
    assert kept(house)["ok"]


async def test_another_target_does_not_bring_it_back(build: Build) -> None:
    house, runs = await ready(build)
    runs.ends["v2.0.0"] = Ran(None, 120.0, ())
    await chore(house)
    house.promote("v2.2.0")
    for _ in range(500):
        await tick(house)
        if house.collector.target == "v2.1.0":
            break
        await asyncio.sleep(0.01)
    await chore(house)
    assert len(runs.asked) == 1


async def test_the_keys_of_the_exchange_are_named_to_it(build: Build) -> None:
    account = {"kind": "binance_usdm", "api_key": "k" * 64, "api_secret": "s" * 64, "symbols": ["SOLUSDT"]}
    house, runs = await ready(build, exchange=account)
    await chore(house)
    assert runs.asked[0].keys == ("k" * 64, "s" * 64)


# -- words


@pytest.mark.parametrize(
    ("hours", "ago"),
    [(0, "less than 1 h ago"), (3, "3 h ago"), (47, "47 h ago"), (72, "3 d ago"), (-5, "less than 1 h ago")],
)
def test_how_long_ago(build: Build, hours: int, ago: str) -> None:
    house = build(**COMMAND)
    found = {**begun(house), "ok": True, "seconds": 38.0}
    said = rehearsal.in_short(found, "v2.0.0", house.world.now() + timedelta(hours=hours))
    assert said == f"ready to roll back to v2.0.0 (rehearsed {ago}, 38 s)"
    assert rehearsal.in_short(found, "v1.9.0", house.world.now()) is None
    assert rehearsal.in_short(None, "v1.9.0", house.world.now()) is None
