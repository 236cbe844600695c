"""Collecting: from files, processes and the registry to records, deployments and troubles."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.watchdog.fakes import START
from tests.watchdog.house import House
from triggers import BotExited, BotStarted, Exit, LogLine, Record
from watchdog.bots.base import Running

Build = Callable[..., House]


@pytest.fixture
def house(build: Build) -> House:
    found = build()
    found.bot.begin(by_hand=True)
    watched(found)
    return found


def watched(house: House) -> list[Record]:
    """What the rules are given from now on."""
    seen: list[Record] = []
    observe = house.engine.observe

    def keep(record: Record) -> None:
        seen.append(record)
        observe(record)

    house.engine.observe = keep  # type: ignore[method-assign]
    return seen


def trade(house: House, pnl: object = -5.0, at: datetime | None = None, **more: Any) -> None:
    path = house.settings.trade_log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    stamp = (at or house.machine.wall).astimezone(UTC).replace(tzinfo=None).isoformat()
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"type": "exit", "timestamp": stamp, "pnl": pnl, **more}) + "\n")


async def collect(house: House, times: int = 1) -> list[Record]:
    """The records of so many looks, ten seconds apart."""
    seen = watched(house)
    for _ in range(times):
        house.machine.go(10)
        await house.collector.collect()
        await asyncio.sleep(0)
    return seen


def of(records: list[Record], kind: type) -> list[Any]:
    return [record for record in records if isinstance(record, kind)]


# -- deployments


async def test_the_deployment_is_the_current_versions_since_its_promotion(house: House) -> None:
    await collect(house)
    deployment = house.collector.deployment
    assert deployment is not None
    assert (deployment.version, house.collector.version) == ("v2.1.0", "v2.1.0")
    written = house.data["history"][-1]["timestamp"]
    assert deployment.since == datetime.fromisoformat(written)
    assert house.collector.versions == {"v1.8.0", "v1.9.0", "v2.0.0", "v2.1.0"}


async def test_a_promotion_begins_a_new_one_and_the_rules_anew(house: House) -> None:
    trade(house)
    await collect(house)
    house.promote("v2.2.0")
    await collect(house)
    deployment = house.collector.deployment
    assert deployment is not None
    assert (deployment.version, deployment.since) == ("v2.2.0", house.machine.wall - timedelta(seconds=10))
    streak = next(v for v in house.engine.evaluate(house.world.now()) if v.name == "loss_streak")
    assert streak.value in {None, 0}


async def test_an_old_trade_never_counts_against_the_restored_version(house: House) -> None:
    for _ in range(20):
        trade(house)
    await collect(house)
    house.condemn()
    await house.finish()
    seen = await collect(house, 2)
    assert house.collector.version == "v2.0.0"
    assert of(seen, Exit) == []


async def test_a_time_without_an_offset_is_in_the_bots_zone(build: Build) -> None:
    house = build(bot={"timezone": "Europe/Berlin"})
    data = house.data
    data["history"][-1]["timestamp"] = "2026-02-28T10:00:00"
    house.write(data)
    await collect(house)
    deployment = house.collector.deployment
    assert deployment is not None
    assert deployment.since == datetime(2026, 2, 28, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "trouble"),
    [(None, False), ("yesterday", True), ("2026-03-01T18:00:00+00:00", False)],
)
async def test_a_start_that_cannot_be_is_now_and_stays_so_after_a_restart(
    house: House, written: str | None, trouble: bool
) -> None:
    """No time, garbage, or a time in the future."""
    data = house.data
    data["history"][-1]["timestamp"] = written
    house.write(data)
    await collect(house)
    first = house.collector.deployment
    assert first is not None
    assert first.since == house.machine.wall
    assert ("deployed-at" in house.collector.troubles) == trouble
    house.machine.go(3600)
    house.wake()
    await collect(house)
    assert house.collector.deployment == first


async def test_a_resume_begins_a_new_one_with_the_same_version(house: House) -> None:
    for _ in range(20):
        trade(house)
    await collect(house)
    house.collector.new_deployment_now()
    now = house.world.now()
    await collect(house)
    deployment = house.collector.deployment
    assert deployment is not None
    assert (deployment.version, deployment.since) == ("v2.1.0", now)


async def test_a_registry_that_cannot_be_read_is_a_trouble_and_changes_nothing(house: House) -> None:
    await collect(house)
    before, whole = house.collector.deployment, (house.models / "registry.json").read_bytes()
    (house.models / "registry.json").write_text("[]", encoding="utf-8")
    await collect(house)
    assert "cannot be read" in house.collector.troubles["registry"]
    assert house.collector.deployment == before
    assert house.collector.obstacle() == house.collector.troubles["registry"]
    (house.models / "registry.json").write_bytes(whole)
    await collect(house)
    assert "registry" not in house.collector.troubles


async def test_a_registry_without_a_current_version_is_a_trouble(house: House) -> None:
    data = house.data
    data["current_version"] = None
    house.write(data)
    await collect(house)
    assert house.collector.version is None
    assert not house.collector.caught_up
    assert "names no current version" in str(house.collector.obstacle())
    assert house.collector.checkpoint() is None


# -- checkpoints


def save(house: House) -> None:
    house.world.journal.put("checkpoint", house.collector.checkpoint())


async def test_a_restart_goes_on_with_the_next_line_and_the_rules_state(house: House) -> None:
    for _ in range(4):
        trade(house)
    await collect(house)
    save(house)
    house.wake()
    trade(house)
    seen = await collect(house)
    assert len(of(seen, Exit)) == 1
    streak = next(v for v in house.engine.evaluate(house.world.now()) if v.name == "loss_streak")
    assert streak.value == 5


async def test_a_restart_without_a_checkpoint_reads_again_from_the_deployments_start(house: House) -> None:
    for _ in range(4):
        trade(house)
    await collect(house)
    house.wake()
    seen = await collect(house)
    assert len(of(seen, Exit)) == 4


@pytest.mark.parametrize(
    "spoil",
    [
        lambda kept: kept.pop("engine"),
        lambda kept: kept.update(trades={"offset": "far"}),
        lambda kept: kept.update(engine={"fingerprint": "of others", "rules": {}}),
        lambda kept: kept.update(last_trade_at="yesterday"),
        lambda kept: kept.update(bot=5),
        lambda kept: kept.pop("log"),
    ],
)
async def test_a_checkpoint_that_does_not_fit_is_left_for_the_logs(
    house: House, spoil: Callable[[dict[str, Any]], Any]
) -> None:
    for _ in range(4):
        trade(house)
    await collect(house)
    kept = house.collector.checkpoint()
    assert kept is not None
    spoil(kept)
    house.world.journal.put("checkpoint", kept)
    house.wake()
    seen = await collect(house)
    assert len(of(seen, Exit)) == 4
    streak = next(v for v in house.engine.evaluate(house.world.now()) if v.name == "loss_streak")
    assert streak.value == 4


async def test_a_checkpoint_of_an_earlier_deployment_keeps_the_places_and_not_the_rules_state(
    house: House,
) -> None:
    for _ in range(4):
        trade(house)
    await collect(house)
    save(house)
    house.promote("v2.2.0")
    house.wake()
    seen = await collect(house)
    assert of(seen, Exit) == []
    streak = next(v for v in house.engine.evaluate(house.world.now()) if v.name == "loss_streak")
    assert streak.value in {None, 0}


async def test_before_the_registry_was_read_the_old_checkpoint_is_kept(house: House) -> None:
    await collect(house)
    save(house)
    before = house.world.journal.get("checkpoint")
    (house.models / "registry.json").rename(house.models / "aside.json")
    house.wake()
    await collect(house)
    assert house.collector.checkpoint() == before
    (house.models / "aside.json").rename(house.models / "registry.json")
    await collect(house)
    assert house.collector.caught_up


# -- the bot


async def test_starts_and_ends_of_the_bot_are_records(house: House) -> None:
    seen = await collect(house)
    (begun,) = of(seen, BotStarted)
    assert begun.at == START
    house.bot.die(3)
    seen = await collect(house)
    assert of(seen, BotExited) == [BotExited(house.machine.wall, 3)]
    assert (house.collector.exit_code, house.collector.running) == (3, [])
    again = house.bot.begin(by_hand=True)
    seen = await collect(house)
    assert of(seen, BotStarted) == [BotStarted(again.at)]


async def test_a_bot_that_was_replaced_between_two_looks_ended_before_the_next_began(house: House) -> None:
    await collect(house)
    house.bot.die(1)
    house.machine.go(2)
    again = house.bot.begin(by_hand=True)
    seen = await collect(house)
    ended, begun = (record for record in seen if isinstance(record, BotExited | BotStarted))
    assert ended == BotExited(again.at, 1)
    assert begun == BotStarted(again.at)


async def test_a_restart_of_the_watchdog_is_no_start_of_the_bot(house: House) -> None:
    await collect(house)
    save(house)
    house.wake()
    seen = await collect(house)
    assert of(seen, BotStarted) == of(seen, BotExited) == []


async def test_a_bot_that_ended_while_no_watchdog_ran_has_no_known_end(house: House) -> None:
    await collect(house)
    save(house)
    house.bot.die(1)
    house.wake()
    seen = await collect(house)
    assert of(seen, BotExited) == []


async def test_a_bot_that_the_watchdog_started_and_that_ended_before_the_next_look_is_noticed(
    house: House,
) -> None:
    await collect(house)
    house.bot.die(-15)
    await collect(house)
    house.collector.before_start()
    begun = house.bot.begin()
    house.collector.after_start(begun)
    house.bot.die(1)
    seen = await collect(house)
    assert of(seen, BotExited)[0].code == 1


async def test_two_bots_at_once_are_told_with_who_started_them(house: House) -> None:
    house.bot.begin(by_hand=True)
    await collect(house)
    said = house.collector.troubles["two-bots"]
    assert said.startswith("2 bots are running at once (pid 4711 started by ")
    assert "end pid 4712 (the watchdog looks after pid 4711)" in said
    del house.bot.processes[1]
    await collect(house)
    assert "two-bots" not in house.collector.troubles


# -- the bot's log


async def test_lines_of_the_log_are_records_and_the_newest_are_kept_as_evidence(house: House) -> None:
    for number in range(200):
        house.bot.log(f"line {number}")
    seen = await collect(house)
    assert len(of(seen, LogLine)) == 203
    kept = list(house.collector.last_lines)
    assert len(kept) == 80
    assert kept[-1].endswith("line 199")
    assert house.collector.loaded


async def test_lines_of_a_process_come_after_its_start(house: House) -> None:
    seen = await collect(house)
    order = [type(record).__name__ for record in seen if isinstance(record, BotStarted | LogLine)]
    assert order == ["BotStarted", "LogLine", "LogLine", "LogLine"]


@pytest.mark.parametrize("what", ["log", "trades"])
async def test_a_pipe_in_place_of_a_log_is_told_and_not_waited_for(house: House, what: str) -> None:
    path = house.settings.bot.log if what == "log" else house.settings.trade_log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    await collect(house, 2)
    assert f"{path} is a named pipe, not a file" in house.collector.troubles.values()


async def test_a_line_from_the_end_of_the_calendar_moves_no_other(house: House) -> None:
    """No time zone is so far away; and what it would move the first line to, no calendar has."""
    house.bot.log("Error loading model: bad magic number", "ERROR")
    with house.settings.bot.log.open("a") as file:
        file.write("0001-01-01 00:00:00,000 - a - INFO - x\n9999-12-31 23:59:59,999 - a - INFO - y\n")
    lines = of(await collect(house, 2), LogLine)
    (error,) = [line for line in lines if "bad magic" in line.message]
    assert abs(error.at - START) < timedelta(minutes=1)
    assert "bot-log-zone" not in house.collector.troubles


async def test_a_log_that_was_written_in_a_year_that_no_calendar_has_is_read(house: House) -> None:
    house.bot.log("hello")
    try:
        os.utime(house.settings.bot.log, (253_402_300_800, 253_402_300_800))
    except (OSError, OverflowError):
        pytest.skip("this file system has no such times")
    assert "hello" in [line.message for line in of(await collect(house, 2), LogLine)]


async def test_what_was_just_written_is_dated_now_whatever_the_zone_of_the_log(house: House) -> None:
    await collect(house)
    line = (house.machine.wall - timedelta(hours=5)).strftime("%Y-%m-%d %H:%M:%S,000")
    with house.settings.bot.log.open("a", encoding="utf-8") as file:
        file.write(f"{line} - main - INFO - from another zone\n")
    seen = await collect(house)
    (found,) = of(seen, LogLine)
    assert abs(found.at - house.machine.wall) < timedelta(minutes=1)


async def test_a_log_that_is_missing_is_a_trouble(build: Build) -> None:
    house = build()
    await collect(house)
    assert str(house.settings.bot.log) in house.collector.troubles["bot-log"]
    assert str(house.settings.trade_log.path) in house.collector.troubles["trade-log"]


async def test_what_stood_in_the_log_before_a_start_is_not_the_new_process(house: House) -> None:
    await collect(house)
    house.bot.die(1)
    house.bot.log("Error loading model: invalid load key. Using dummy model.", "ERROR")
    house.collector.before_start()
    house.machine.go(1)
    begun = house.bot.begin()
    house.collector.after_start(begun)
    await collect(house)
    load_error = next(v for v in house.engine.evaluate(house.world.now()) if v.name == "load_error")
    assert load_error.state == "ok"
    assert any("invalid load key" in line for line in house.collector.last_lines)  # but it is evidence


async def test_a_bot_that_still_runs_another_version_than_was_promoted_is_not_judged_by_its_trades(
    house: House,
) -> None:
    await collect(house)
    house.promote("v2.2.0")
    await collect(house)
    assert "v2.2.0 was promoted, but the bot (pid 4711) still runs v2.1.0" in str(house.collector.untrusted)
    assert "end it (`kill 4711`), and the watchdog starts it again" in str(house.collector.untrusted)
    assert house.collector.still_runs == "v2.1.0"
    house.bot.die(-15)
    house.bot.begin(by_hand=True)
    await collect(house)
    assert house.collector.untrusted is None


async def test_a_bot_that_never_comes_to_the_end_of_its_loading_is_told(house: House) -> None:
    await collect(house)
    house.bot.die(-15)
    house.bot.loads["v2.1.0"] = "never done"
    house.bot.begin(by_hand=True)
    await house.collector.collect()
    assert "still-loading" not in house.collector.troubles
    await collect(house)
    told = house.collector.troubles["still-loading"]
    assert told.startswith(
        "the bot (pid 4712) began to load v2.1.0 and has not said that it is loaded, 10 s after"
    )
    house.bot.log("Ensemble model loaded successfully")
    await collect(house)
    assert "still-loading" not in house.collector.troubles


async def test_of_a_bot_that_never_says_when_it_has_loaded_nothing_is_told(house: House) -> None:
    house.bot.loads["v2.1.0"] = "never done"
    house.bot.die(-15)
    house.settings.bot.log.unlink()
    house.bot.begin(by_hand=True)
    await collect(house, 14)
    assert "still-loading" not in house.collector.troubles


# -- the trade log


async def test_records_that_name_another_version_do_not_count(house: House) -> None:
    trade(house, model_version="v2.0.0")
    trade(house, model_version="v2.1.0")
    trade(house, model_version="whatever")  # no version of the registry: the bot's own numbering
    seen = await collect(house)
    assert len(of(seen, Exit)) == 2


async def test_garbage_is_left_out_and_told_with_the_first_example(house: House) -> None:
    trade(house)
    with house.settings.trade_log.path.open("a", encoding="utf-8") as file:
        file.write("not json\n")
    trade(house, pnl="much")
    seen = await collect(house)
    assert of(seen, Exit)[0].pnl == -5.0
    assert "lines that could not be used were left out (the first: line 2" in str(
        house.collector.troubles["trade-log-lines"]
    )


async def test_records_from_the_future_are_not_judged_until_they_stop(house: House) -> None:
    await collect(house)
    for _ in range(3):
        trade(house, at=house.machine.wall + timedelta(hours=2))
    seen = await collect(house)
    assert of(seen, Exit) == []
    assert "ahead of the clock" in str(house.collector.untrusted)
    assert "check `bot.timezone` (UTC)" in str(house.collector.untrusted)
    trade(house)
    await collect(house)
    assert house.collector.untrusted is None


async def test_records_that_were_just_written_and_are_dated_long_ago_are_told(house: House) -> None:
    await collect(house)
    for _ in range(3):
        trade(house, at=house.machine.wall - timedelta(hours=2))
    await collect(house)
    assert "records that were just written are dated 2 h ago" in house.collector.troubles["trade-log-past"]


async def test_silence_is_told_after_its_time_from_the_last_record_or_the_deployment(house: House) -> None:
    await collect(house)
    house.machine.go(24 * 3600)
    await collect(house)
    assert "nothing new for" in str(house.collector.untrusted)
    trade(house)
    await collect(house)
    assert house.collector.untrusted is None
    save(house)
    house.machine.go(23 * 3600)
    house.wake()
    await collect(house)
    assert house.collector.untrusted is None  # counted from the last record, also after a restart


async def test_a_stepped_clock_moves_records_along(house: House) -> None:
    await collect(house)
    house.machine.step(-7200)
    trade(house)
    seen = await collect(house)
    (found,) = of(seen, Exit)
    assert abs(found.at - house.world.now()) < timedelta(minutes=1)
    assert house.collector.checkpoint()["offset_s"] == pytest.approx(-7200, abs=1)  # type: ignore[index]


# -- files and targets


async def until(house: House, predicate: Callable[[], bool]) -> None:
    """Looks until it is true: files of other versions are hashed beside the looks."""
    async with asyncio.timeout(20):
        while not predicate():
            await collect(house)
            await asyncio.sleep(0.02)


async def test_the_target_is_the_newest_older_version_whose_files_verify(house: House) -> None:
    await until(house, lambda: house.collector.target == "v2.0.0")
    house.machine.go(5)
    house.break_file("v2.0.0")
    await until(house, lambda: house.collector.target == "v1.9.0")


async def test_that_there_is_no_target_is_told_once_it_is_known(build: Build) -> None:
    house = build("v2.1.0")
    await collect(house)
    assert "no-target" not in house.collector.troubles
    await until(house, lambda: "no-target" in house.collector.troubles)
    assert "there is no version to roll back to from v2.1.0" in house.collector.troubles["no-target"]


async def test_before_the_files_were_looked_at_nothing_may_be_started(house: House) -> None:
    assert house.collector.obstacle() == "the registry was not read yet"
    await collect(house)
    assert house.collector.obstacle() is None


async def test_an_entry_of_another_shape_is_told_and_fires_nothing(house: House) -> None:
    data = house.data
    data["models"]["v2.1.0"]["path"] = 5
    house.write(data)
    await collect(house, 2)
    assert "the registry's entry of v2.1.0 cannot be used" in house.collector.troubles["registry-entry"]
    assert all(v.state != "firing" for v in house.engine.evaluate(house.world.now()))
    assert house.collector.obstacle() is not None


async def test_a_file_that_proves_nothing_is_told_and_keeps_the_bot_down(house: House) -> None:
    data = house.data
    data["models"]["v2.1.0"]["checksum"] = "none"
    house.write(data)
    await collect(house)
    assert "a model file cannot be checked" in house.collector.troubles["artifact"]
    assert "is unreadable" in str(house.collector.obstacle())


async def test_links_that_somebody_broke_are_set_right_before_a_start(build: Build) -> None:
    house = build(registry={"path": "models_saved", "links": {"ensemble_model.pkl": "main"}})
    await collect(house)
    assert house.collector.obstacle() is None
    link = house.models / "ensemble_model.pkl"
    assert link.resolve().name == "ensemble_v2.1.0.pkl"


# -- evidence


async def test_the_evidence_holds_what_was_seen(house: House) -> None:
    trade(house, pnl=-1.25)
    house.bot.output = ["Traceback"]
    await collect(house)
    evidence = house.collector.evidence()
    assert (evidence["version"], evidence["bot_output"]) == ("v2.1.0", ["Traceback"])
    assert "-1.25" in evidence["last_trades"][0]
    assert {v["name"] for v in evidence["verdicts"]} == set(house.engine.names)
    assert any("Ensemble model loaded" in line for line in evidence["bot_log"])
    json.dumps(evidence)


async def test_there_is_evidence_before_anything_was_seen(house: House) -> None:
    evidence = house.collector.evidence()
    assert (evidence["version"], evidence["last_trades"]) == (None, [])


async def test_the_fake_bot_is_a_bot(house: House) -> None:
    assert isinstance((await house.bot.find())[0], Running)
    assert house.settings.bot.log.is_file()
