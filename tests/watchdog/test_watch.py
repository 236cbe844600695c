"""Ticks: what they see, decide and do, with the real collector and rules, files on disk, and a bot in memory."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest

from tests.watchdog.fakes import Loads
from tests.watchdog.house import House
from triggers import Verdict
from watchdog.incident import Incident

Build = Callable[..., House]

TRIGGERS: dict[str, Any] = {"loss_streak": {"at_least": 3}, "checksum": {"for": "0s"}}
HALT: dict[str, Any] = {"since": "2026-03-01T09:00:00+00:00", "why": "relapse", "by": "bob"}


@pytest.fixture
def house(build: Build) -> House:
    """v2.1.0 runs, its model loaded, nothing wrong."""
    return living(build)


def living(build: Build, loads: Loads = "well", **changes: Any) -> House:
    house = build(**{"triggers": TRIGGERS, **changes})
    house.bot.loads["v2.1.0"] = loads
    house.world.evidence = house.collector.evidence
    house.world.before_start, house.world.after_start = (
        house.collector.before_start,
        house.collector.after_start,
    )
    trades(house, *["win"])
    house.bot.begin(by_hand=True)
    return house


def trades(house: House, *results: str) -> None:
    """The bot closes positions, a second after one another."""
    path = house.settings.trade_log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for result in results:
            house.machine.go(1)
            pnl = {"win": 5.0, "loss": -5.0}[result]
            at = house.machine.wall.replace(tzinfo=None).isoformat()
            file.write(json.dumps({"type": "exit", "timestamp": at, "pnl": pnl}) + "\n")


async def tick(house: House, times: int = 1) -> str:
    sentence = ""
    for _ in range(times):
        house.machine.go(10)
        sentence = await house.watch.tick()
        await asyncio.sleep(0)  # the look for a target goes on beside the ticks
    return sentence


async def condemned(house: House) -> Incident:
    """Three losses in a row, and the tick that sees them."""
    trades(house, "loss", "loss", "loss")
    await tick(house)
    assert house.incidents.current is not None
    return house.incidents.current


async def until(predicate: Callable[[], bool]) -> None:
    """Lets the incident be worked on until it is true."""
    for _ in range(100_000):
        if predicate():
            return
        await asyncio.sleep(0)
    raise AssertionError("never true")


LOCKS = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[int]:
    """Somebody's shell, with a transaction that was forgotten; its pid."""
    shell = subprocess.Popen([sys.executable, "-c", LOCKS, str(path)], stdin=PIPE, stdout=PIPE)
    assert shell.stdout is not None
    assert shell.stdout.readline() == b"ready\n"
    try:
        yield shell.pid
    finally:
        shell.communicate()


def named(house: House, name: str) -> Verdict:
    return next(verdict for verdict in house.watch.verdicts if verdict.name == name)


def told_about(house: House, name: str) -> list[str]:
    """Texts of a condition."""
    return [alert.text for alert in house.told.alerts if alert.kind == f"condition-{name}"]


# -- looking


async def test_a_quiet_tick_says_how_things_stand_and_touches_nothing(house: House) -> None:
    ticks = 0
    while house.collector.target is None:  # its files are hashed in a thread, beside the ticks
        sentence = await tick(house)
        ticks += 1
        await asyncio.sleep(0.01)
        assert ticks < 500
    sentence = await tick(house)
    assert sentence.startswith("watching v2.1.0: ")
    assert "drawdown 0.0 %, 0 losses in a row" in sentence
    assert house.bot.pid == 4711
    assert house.told.alerts == []
    kept = house.world.journal.get("tick")
    assert kept["sentence"] == sentence
    assert kept["rollback_target"] == "v2.0.0"
    assert {t["name"] for t in kept["triggers"]} == set(house.engine.names)
    assert house.world.journal.get("checkpoint")["deployment"].startswith("v2.1.0")
    assert house.bot.trimmed == ticks + 1


async def test_a_look_alone_judges_and_does_nothing(house: House) -> None:
    trades(house, "loss", "loss", "loss")
    await house.watch.look()
    assert named(house, "loss_streak").state == "firing"
    assert house.incidents.current is None


async def test_while_the_logs_are_still_being_read_nothing_is_judged(house: House) -> None:
    (house.models / "registry.json").unlink()
    await tick(house)
    assert {v.state for v in house.watch.verdicts} == {"no_data"}
    assert named(house, "drawdown").reason == "the registry names no current version"
    assert told_about(house, "registry") != []
    assert house.bot.pid == 4711


async def test_trades_that_are_stale_are_judged_by_no_rule_of_trades(house: House) -> None:
    trades(house, "loss", "loss", "loss")
    house.machine.go(25 * 3600)
    await tick(house)
    assert named(house, "loss_streak").state == "no_data"
    assert "nothing new for" in named(house, "loss_streak").reason
    assert house.incidents.current is None
    assert told_about(house, "trade-log-stale") != []


async def test_a_stepped_clock_is_told_and_fires_nothing(house: House) -> None:
    await tick(house)
    house.machine.step(86400)
    await tick(house, 2)
    assert house.told.said("the wall clock was stepped by +86400 s")
    assert house.incidents.current is None
    assert named(house, "drawdown").state != "firing"


async def test_a_broken_rule_is_told_once_and_stops_no_other(house: House) -> None:
    await tick(house)
    rule: Any = house.engine.rule("drawdown")
    rule.evaluate = lambda now: 1 / 0
    await condemned(house)
    assert named(house, "drawdown").state == "no_data"
    assert len([text for text in house.told.texts if "the rule drawdown is broken" in text]) == 1
    await house.finish()
    assert house.current == "v2.0.0"


# -- deciding and doing


async def test_a_rule_that_fires_rolls_back(house: House) -> None:
    incident = await condemned(house)
    assert (incident.plan, incident.automatic, incident.by, incident.from_version) == (
        "rollback",
        True,
        "rule loss_streak",
        "v2.1.0",
    )
    assert "3 losses in a row" in incident.reason
    assert (await tick(house)).startswith("rolling back (")
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    evidence = house.settings.state_dir / "incidents" / "0001" / "evidence.json"
    assert "loss_streak" in evidence.read_text(encoding="utf-8")


async def test_after_the_rollback_old_losses_do_not_condemn_the_restored_version(house: House) -> None:
    await condemned(house)
    await house.finish()
    sentence = await tick(house, 3)
    assert sentence.startswith("watching v2.0.0: ")
    assert named(house, "loss_streak").state != "firing"
    assert len(house.world.journal.incidents()) == 1


async def test_a_damaged_file_rolls_back(house: House) -> None:
    await tick(house)
    house.machine.go(5)
    house.break_file("v2.1.0")
    await tick(house)
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert house.world.journal.incidents()[0].by == "rule checksum"


async def test_the_second_cause_of_a_day_halts(house: House) -> None:
    await condemned(house)
    await house.finish()
    await tick(house)
    house.machine.go(2 * 3600)
    incident = await condemned(house)
    await house.finish()
    assert (incident.plan, house.bot.pid) == ("halt", None)
    assert "1 of 1 automatic rollbacks a day are used up" in incident.reason
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    sentence = await tick(house)
    assert sentence.startswith("halted since 2026-03-01 1")


async def test_a_restart_forgets_no_rollback_of_the_day(house: House) -> None:
    await condemned(house)
    await house.finish()
    house.wake()
    await tick(house)
    assert (await condemned(house)).plan == "halt"
    await house.finish()


async def test_in_the_cooldown_people_are_told_and_it_waits(build: Build) -> None:
    house = living(build, rollback={"max_per_day": 3, "cooldown": "1h", "monitor_for": "2s"})
    await condemned(house)
    await house.finish()
    trades(house, "loss", "loss", "loss")
    await tick(house, 2)
    assert house.incidents.current is None
    (text,) = told_about(house, "rule-loss_streak")
    assert "the cooldown after the last rollback is not over" in text
    house.machine.go(3600)
    await tick(house)
    assert house.incidents.current is not None
    await house.finish()
    assert house.current == "v1.9.0"


async def test_a_relapse_while_it_is_monitored_halts(build: Build) -> None:
    house = living(build, rollback={"monitor_for": "30m", "max_per_day": 5, "cooldown": "0s"})
    incident = await condemned(house)
    await until(lambda: house.incidents.monitoring)
    assert (await tick(house)).startswith("monitoring v2.0.0, incident 1 (v2.1.0: ")
    trades(house, "loss", "loss", "loss")
    await tick(house)
    await house.finish()
    assert (incident.plan, incident.outcome) == ("halt", "halted")
    assert "it fired while the restored version was watched" in incident.reason
    assert (house.bot.pid, house.current) == (None, "v2.0.0")


async def unwatched(build: Build, *results: str) -> House:
    """v2.0.0 was restored, and its time went by while the watchdog was frozen or dead; `results`: what it traded."""
    house = living(build, rollback={"monitor_for": "2s", "max_per_day": 5})
    house.world.judged = house.watch.judged
    await condemned(house)
    await until(lambda: house.incidents.monitoring)
    trades(house, *results)
    house.machine.go(600)
    for _ in range(200):
        await asyncio.sleep(0)
    assert house.incidents.monitoring
    return house


async def test_what_nobody_judged_is_not_closed_as_good(build: Build) -> None:
    house = await unwatched(build, "loss", "loss", "loss")
    await tick(house)
    await house.finish()
    assert house.bot.pid is None
    assert (
        "3 losses in a row (limit 3) (it fired while the restored version was watched)" in house.halted["why"]
    )


async def test_a_good_version_is_closed_by_the_first_tick_that_judged_it(build: Build) -> None:
    house = await unwatched(build, "win")
    await tick(house)
    await house.finish()
    assert house.bot.pid is not None
    (incident,) = house.world.journal.incidents(9)
    assert incident.outcome == "rolled_back"


async def test_a_rule_that_is_about_to_fire_has_not_judged_yet(build: Build) -> None:
    house = living(build, triggers={**TRIGGERS, "loss_streak": {"at_least": 3, "for": "1m"}})
    await tick(house)
    house.machine.go(1)
    judged = house.world.now()
    assert house.watch.judged("v2.1.0", judged) is False  # what was written meanwhile was not read
    await tick(house)
    assert house.watch.judged("v2.1.0", judged) is True
    assert house.watch.judged("v2.0.0", judged) is False
    trades(house, "loss", "loss", "loss")
    judged = house.world.now()
    await tick(house)
    assert named(house, "loss_streak").state == "pending"
    assert house.watch.judged("v2.1.0", judged) is False


async def test_a_version_that_is_promoted_while_another_is_monitored_is_judged_at_once(build: Build) -> None:
    house = living(build, rollback={"monitor_for": "30m", "max_per_day": 5, "cooldown": "0s"})
    first = await condemned(house)
    await until(lambda: house.incidents.monitoring)
    house.promote("v2.2.0")
    house.bot.die(-15)
    await until(lambda: house.incidents.current is None)
    assert first.outcome == "superseded"
    await tick(house, 2)
    assert house.bot.starts[-1].version == "v2.2.0"
    second = await condemned(house)
    assert (second.plan, second.from_version) == ("rollback", "v2.2.0")
    await house.finish()
    assert house.current == "v2.0.0"


async def test_an_action_of_halt_halts(build: Build) -> None:
    house = living(build, triggers={**TRIGGERS, "loss_streak": {"at_least": 3, "action": "halt"}})
    incident = await condemned(house)
    await house.finish()
    assert (incident.plan, house.bot.pid, house.rollbacks) == ("halt", None, [])
    assert incident.reason.endswith("(the rule's action is halt)")


async def test_a_rule_that_only_alerts_is_told_each_time_that_it_begins(build: Build) -> None:
    house = living(build, triggers={**TRIGGERS, "loss_streak": {"at_least": 3, "action": "alert"}})
    trades(house, "loss", "loss", "loss")
    await tick(house, 3)
    assert house.incidents.current is None
    trades(house, "win")
    await tick(house, 2)
    trades(house, "loss", "loss", "loss")
    await tick(house, 2)
    first, second = told_about(house, "rule-loss_streak")
    assert "Nothing was done: the rule only alerts." in first
    assert "Nothing was done: the rule only alerts." in second


async def test_a_rule_that_only_alerts_is_not_told_as_over_because_another_fires(build: Build) -> None:
    triggers = {"loss_streak": {"at_least": 3, "action": "alert"}, "drawdown": {"above": "1%"}}
    house = living(
        build, triggers=triggers, rollback={"max_per_day": 3, "cooldown": "1h", "monitor_for": "2s"}
    )
    house.incidents.open("rollback", "earlier", "rule sharpe", automatic=True, version="v2.1.0")
    await house.finish()
    await tick(house)
    trades(house, "loss", "loss", "loss")
    await tick(house)
    assert len(told_about(house, "rule-loss_streak")) == 1
    trades(house, "loss", "loss")
    await tick(house, 2)  # now drawdown fires, too, and waits for the cooldown
    assert len(told_about(house, "rule-drawdown")) == 1
    assert len(told_about(house, "rule-loss_streak")) == 1
    assert "the rule only alerts" in told_about(house, "rule-loss_streak")[0]


@pytest.mark.parametrize(
    ("changes", "flag", "why"),
    [
        ({"mode": "observe"}, None, "mode is observe. It would have rolled back v2.1.0"),
        ({}, "PAUSE", "the watchdog is paused. It would have rolled back v2.1.0"),
    ],
)
async def test_observing_and_paused_it_tells_and_does_nothing(
    build: Build, changes: dict[str, Any], flag: str | None, why: str
) -> None:
    house = living(build, **changes)
    if flag:
        house.flag(flag)
    trades(house, "loss", "loss", "loss")
    sentence = await tick(house, 3)
    assert house.incidents.current is None
    assert (house.bot.pid, house.current) == (4711, "v2.1.0")
    (text,) = told_about(house, "rule-loss_streak")
    assert why in text
    assert "paused" in sentence or "observe" in sentence


async def test_halted_it_tells_of_no_rule(house: House) -> None:
    await tick(house)
    trades(house, "loss", "loss", "loss")
    house.world.keep("halted", HALT)
    house.bot.die(-15)
    await tick(house)
    assert named(house, "loss_streak").state == "firing"
    assert told_about(house, "rule-loss_streak") == []


# -- looking after the bot


async def test_a_bot_that_is_down_at_the_start_is_started_once_its_files_verify(build: Build) -> None:
    house = living(build)
    house.bot.die(-15)
    await tick(house)
    assert [(s.version, s.verified) for s in house.bot.starts] == [("v2.1.0", True)]
    (text,) = [text for text in house.told.texts if "was started on" in text]
    assert "the bot was down and was started on v2.1.0 (pid 4712)" in text
    assert house.world.journal.get("restarts") is None  # the first start is no restart
    assert house.world.journal.get("bot")[0] == 4712


async def test_a_bot_that_dies_is_started_again_with_back_off_and_told_how_it_ended(house: House) -> None:
    await tick(house)
    house.bot.output = ["MemoryError"]
    house.bot.die(137)
    await tick(house)
    assert house.bot.pid == 4712
    assert house.told.said(
        "the bot was down (exit code 137; its last words: MemoryError) and was started on v2.1.0 "
        "(pid 4712, restart 1 of 3 in 10 min)"
    )
    house.bot.die(1)
    house.machine.go(-9.5)  # the next tick comes half a second later
    await tick(house)
    assert house.bot.pid is None
    await tick(house)
    assert house.bot.pid == 4713


async def test_a_bot_that_dies_too_often_with_its_model_loaded_is_halted(house: House) -> None:
    await tick(house)
    for _ in range(4):
        house.bot.die(1)
        await tick(house, 2)
    await house.finish()
    assert house.halted is not None
    assert "ended by itself more than 3 times in 10 min, with its model loaded" in house.halted["why"]
    assert (house.bot.pid, len(house.bot.starts)) == (None, 3)


async def test_a_bot_that_dies_too_often_without_ever_loading_is_a_load_error(build: Build) -> None:
    house = living(build, loads="nothing")
    house.bot.die(1)
    for _ in range(6):
        await tick(house)
        house.bot.die(1)
        house.machine.go(5)
    await tick(house, 2)
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert house.world.journal.incidents()[0].by == "rule load_error"


async def test_a_load_error_that_only_alerts_halts_a_bot_that_never_loads(build: Build) -> None:
    house = living(build, triggers={**TRIGGERS, "load_error": {"action": "alert"}}, loads="nothing")
    house.bot.die(1)
    for _ in range(6):
        await tick(house)
        house.bot.die(1)
        house.machine.go(5)
    await tick(house)
    await house.finish()
    assert house.halted is not None
    assert "before it had loaded its model" in house.halted["why"]


async def test_a_promoted_version_that_the_bot_has_not_loaded_is_in_the_sentence(house: House) -> None:
    await tick(house)
    house.promote("v2.2.0")
    sentence = await tick(house)
    assert sentence.startswith("watching v2.2.0, but the bot still runs v2.1.0 (restart it): ")
    house.bot.die(-15)
    house.bot.begin(by_hand=True)
    assert "restart it" not in await tick(house)


async def test_a_bot_that_gives_up_again_in_the_cooldown_is_rolled_back_when_that_is_over(
    build: Build,
) -> None:
    """Giving up must condemn it each time: each new start lets the rule forget."""
    house = living(build, rollback={"max_per_day": 3, "cooldown": "30m", "monitor_for": "2s"})
    await condemned(house)
    await house.finish()
    house.promote("v2.2.0")
    house.bot.loads["v2.2.0"] = "nothing"
    house.bot.die(-15)
    for _ in range(300):
        await tick(house)
        house.bot.die(1)
        if house.incidents.current is not None:
            break
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0"), ("v2.2.0", "v2.0.0")]


async def test_a_restart_of_the_watchdog_resets_no_count_of_restarts(house: House) -> None:
    await tick(house)
    for _ in range(3):
        house.bot.die(1)
        await tick(house, 2)
    house.wake()
    house.bot.die(1)
    await tick(house, 3)
    await house.finish()
    assert house.halted is not None
    assert len(house.bot.starts) == 3


async def test_with_no_restart_allowed_the_first_start_is_made_all_the_same(build: Build) -> None:
    house = living(build, bot={"max_restarts": 0})
    house.bot.die(-15)
    await tick(house)
    assert house.bot.pid == 4712
    house.bot.die(1)
    await tick(house)
    await house.finish()
    assert house.halted is not None
    assert len(house.bot.starts) == 1


async def test_a_bot_that_cannot_be_executed_is_tried_at_every_tick_and_counts_for_nothing(
    house: House,
) -> None:
    await tick(house)
    house.bot.die(1)
    house.bot.cannot_start = 5
    await tick(house, 5)
    assert house.bot.pid is None
    (text,) = told_about(house, "bot-down")
    assert "could not be started: python: no such program" in text
    await tick(house)
    assert house.bot.pid is not None
    assert house.halted is None


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda house: house.break_file("v2.1.0"), "is mismatch"),
        (lambda house: (house.models / "ensemble_v2.1.0.pkl").unlink(), "is missing"),
        (lambda house: quarantine(house), "it is quarantined"),
        (lambda house: (house.models / "registry.json").unlink(), "the registry cannot be read"),
    ],
)
async def test_a_bot_is_never_started_on_files_that_do_not_verify(
    build: Build, spoil: Callable[[House], Any], part: str
) -> None:
    house = living(build, triggers={"checksum": {"action": "alert"}})
    await tick(house)
    house.bot.die(1)
    spoil(house)
    await tick(house, 3)
    assert house.bot.starts == []
    assert any(part in text for text in told_about(house, "bot-down"))


def quarantine(house: House) -> None:
    data = house.data
    data["models"]["v2.1.0"]["status"] = "quarantined"
    house.write(data)


async def test_a_file_that_is_being_hashed_again_is_not_taken_for_good(house: House) -> None:
    await tick(house)
    files = house.collector._files
    files._check_task = asyncio.get_running_loop().create_task(asyncio.sleep(60, []))  # a large file
    assert files.obstacle("v2.1.0") == "its files are being checked again"
    files.forget()


@pytest.mark.parametrize("flag", ["PAUSE"])
async def test_a_bot_that_is_down_is_not_started_while_paused(house: House, flag: str) -> None:
    await tick(house)
    house.flag(flag)
    house.bot.die(1)
    await tick(house, 2)
    assert house.bot.starts == []
    assert told_about(house, "bot-down") == ["sol-perp: the bot is down; paused, so it is not started"]


async def test_a_bot_that_is_down_is_not_started_by_who_only_observes(build: Build) -> None:
    house = living(build, mode="observe")
    house.bot.die(1)
    await tick(house, 2)
    assert house.bot.starts == []
    assert told_about(house, "bot-down") == [
        "sol-perp: the bot is down; mode is observe, so it is not started"
    ]


async def test_a_halted_bot_is_never_started_and_is_stopped_when_somebody_starts_it(house: House) -> None:
    await tick(house)
    house.world.keep("halted", HALT)
    house.bot.die(-15)
    await tick(house, 3)
    assert house.bot.starts == []
    found = house.bot.begin(by_hand=True)
    house.bot.processes = [replace(found, started_by="systemd unit bot.timer, which triggers it")]
    await tick(house)
    assert house.bot.pid is None
    assert house.told.said(
        "somebody started the halted bot (pid 4712, python main.py; started by systemd unit bot.timer, which triggers "
        "it); Bot stopped with SIGTERM"
    )
    for starter in ("cron (pid 812)", "cron (pid 813)", "systemd unit bot.timer, which triggers it"):
        found = house.bot.begin(by_hand=True)
        house.bot.processes = [replace(found, started_by=starter)]
        await tick(house)
    kinds = [alert.kind for alert in house.told.alerts if "started the halted bot" in alert.text]
    assert kinds[0] == kinds[3] != kinds[1] == kinds[2]  # those of one kind are told together


async def test_a_halted_bot_that_its_owner_starts_again_and_again_is_stopped_though_no_look_finds_it_up(
    house: House,
) -> None:
    house.bot.supervised = True
    await tick(house)
    house.world.keep("halted", HALT)
    house.bot.die(-15)
    await tick(house, 2)
    assert house.bot.stops == 0
    for stops in (1, 2):
        house.bot.trouble = "the engine restarts it again and again (5 restarts until now, last exit code 1)"
        await tick(house, 2)  # told at the first, and a trouble that lasts is stopped once
        assert house.bot.stops == stops
        house.bot.trouble = None
        await tick(house)
    assert house.told.said("restarts it again and again (5 restarts")


async def test_a_halted_bot_that_cannot_be_stopped_is_told(house: House) -> None:
    await tick(house)
    house.world.keep("halted", HALT)
    house.bot.ignores_stop = 2
    await tick(house, 2)
    assert len(told_about(house, "brought-back")) == 1
    await tick(house)
    assert house.bot.pid is None


async def test_a_halted_bot_is_held_down_also_while_the_halt_cannot_be_closed(house: House) -> None:
    """A disk that is full for hours keeps the incident open."""
    await tick(house)
    house.machine.most_s = float("inf")
    house.faults.refuse = lambda write: True
    incident = house.incidents.halt("looks wrong", "alice", automatic=False)
    await until(lambda: incident.step == "close")
    house.bot.begin(by_hand=True)
    await tick(house)
    assert house.bot.pid is None
    house.faults.refuse = lambda write: False
    await house.finish()


async def test_a_bot_that_is_brought_back_while_a_rollback_settles_orders_is_stopped_within_one_poll(
    house: House,
) -> None:
    await tick(house)
    incident = house.open()
    incident.step, house.incidents.current = "settle_orders", incident
    await tick(house)
    assert house.bot.pid is None
    theirs = house.bot.begin(by_hand=True)
    await tick(house)
    assert house.bot.pid is None
    assert house.told.said(f"It runs as pid {theirs.pid}")
    assert incident.facts["brought_back"] == 2  # the one that ran before this test's incident, and theirs


async def test_an_owner_that_does_not_answer_is_never_taken_for_a_bot_that_is_down(house: House) -> None:
    await tick(house)
    house.bot.silent = 3
    await tick(house, 3)
    assert len(house.bot.starts) <= 1
    assert house.told.said("whether the bot runs cannot be known")


async def test_a_supervised_bot_that_is_down_is_left_to_its_owner_and_paged_after_start_timeout(
    house: House,
) -> None:
    house.bot.supervised, house.bot.trouble = True, "systemd gave up: start-limit-hit"
    house.bot.die(1)
    await tick(house, 2)
    assert house.bot.pid is None
    limit_s = house.settings.bot.start_timeout.total_seconds()
    await tick(house, int(limit_s / 10) + 1)
    assert house.bot.pid is None
    assert house.told.said("start-limit-hit): start it yourself")


async def test_a_supervised_bot_is_started_after_a_halt_was_ended_by_a_person(house: House) -> None:
    house.bot.supervised = True
    house.bot.begin(by_hand=True)
    await tick(house)
    house.incidents.halt("looks wrong", "alice", automatic=False)
    await house.finish()
    await tick(house)
    assert house.bot.pid is None
    house.flag("RESUME")
    house.look()
    await tick(house)
    pid = house.bot.pid
    assert pid is not None
    house.bot.die(1)
    await tick(house, 3)
    assert house.bot.pid is None  # only once: from here on its owner looks after it


async def test_a_pause_that_was_ended_does_not_start_a_supervised_bot_that_a_person_stops_later(
    house: House,
) -> None:
    house.bot.supervised = True
    await tick(house)
    for flag in ("PAUSE", "RESUME"):
        house.flag(flag)
        house.look()
        await tick(house)
    assert ("resume", "the pause is over: the watchdog acts again") in house.answers
    house.bot.die(-15)  # weeks later, through its owner
    await tick(house, 3)
    assert house.bot.processes == []
    assert not house.bot.starts


async def test_a_start_that_takes_long_goes_on_beside_the_ticks(house: House) -> None:
    house.bot.slow_start, house.watch.hands_s, house.machine.most_s = asyncio.Event(), 0.0, float("inf")
    house.bot.die(1)
    await tick(house, 5)
    assert house.bot.pid is None
    assert house.world.hands.locked()
    house.bot.slow_start.set()
    await house.watch.settle()
    await tick(house)
    assert house.bot.pid is not None
    assert len(house.bot.starts) == 1


async def test_a_halt_does_not_wait_for_a_start_that_takes_long(house: House) -> None:
    house.bot.slow_start, house.watch.hands_s, house.machine.most_s = asyncio.Event(), 0.0, float("inf")
    house.bot.die(1)
    await tick(house, 2)
    incident = house.incidents.halt("looks wrong", "alice", automatic=False)
    await house.finish()
    assert incident.outcome == "halted"
    assert house.bot.starts == []
    await tick(house, 2)
    assert house.bot.pid is None


async def test_a_start_that_fails_beside_the_ticks_is_told(house: House) -> None:
    house.bot.slow_start, house.watch.hands_s, house.machine.most_s = asyncio.Event(), 0.0, float("inf")
    house.bot.cannot_start = 1
    house.bot.die(1)
    await tick(house, 2)
    house.bot.slow_start.set()
    await house.watch.settle()
    await tick(house)
    assert house.told.said("the bot is down and could not be started: python: no such program")


async def test_a_start_that_fails_while_a_tick_collects_is_told_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.bot.slow_start, house.watch.hands_s, house.machine.most_s = asyncio.Event(), 0.0, float("inf")
    house.bot.die(1)
    await tick(house, 2)
    collect, sleep = house.collector.collect, house.world.sleep

    async def fails(_: float) -> None:
        raise ArithmeticError("a mistake of ours")

    async def ends_meanwhile() -> None:
        monkeypatch.setattr(house.world, "sleep", fails)
        await house.watch.settle()
        monkeypatch.setattr(house.world, "sleep", sleep)
        await collect()

    monkeypatch.setattr(house.collector, "collect", ends_meanwhile)
    house.machine.go(3600)
    await tick(house)
    assert house.bot.starts == []
    with pytest.raises(ArithmeticError, match="a mistake of ours"):
        await tick(house)


async def test_while_hands_are_on_the_bot_nobody_else_looks_after_it(house: House) -> None:
    await tick(house)
    house.bot.die(1)
    async with house.world.hands:
        await tick(house)
    assert house.bot.starts == []


async def test_after_a_resume_the_bot_is_started_and_the_rules_begin_anew(house: House) -> None:
    incident = await condemned(house)
    house.incidents.halt("looks wrong", "alice", automatic=False)
    await house.finish()
    assert incident.outcome == "halted"
    house.flag("RESUME")
    house.look()
    await tick(house, 2)
    assert house.bot.starts[-1].version == house.current
    assert named(house, "loss_streak").state != "firing"
    assert house.halted is None


async def test_a_person_who_resumes_while_a_tick_still_collects_is_not_halted_again_for_the_old_losses(
    house: House,
) -> None:
    await tick(house)
    await condemned(house)
    house.incidents.halt("enough", "alice", automatic=False)
    await house.finish()
    assert house.halted is not None
    collecting = asyncio.create_task(house.watch.tick())
    await asyncio.sleep(0)
    house.flag("RESUME")
    house.look()
    assert house.halted is None
    assert not collecting.done(), "the resume came while it was collecting"
    await collecting
    assert house.incidents.current is None
    await tick(house, 2)
    assert house.halted is None
    assert house.bot.pid is not None


async def test_a_rollback_that_is_over_before_a_tick_has_collected_is_not_followed_by_a_halt(
    house: House,
) -> None:
    await tick(house)
    trades(house, "loss", "loss", "loss")
    collecting = asyncio.create_task(house.watch.tick())
    await asyncio.sleep(0)
    house.world.registry.rollback(reason="somebody was quicker")
    assert not collecting.done()
    await collecting
    assert house.incidents.current is None
    assert house.halted is None


# -- what goes wrong with the watchdog itself


async def test_a_disk_that_refuses_stops_neither_watching_nor_halting(house: House) -> None:
    await tick(house)
    house.faults.refuse = lambda write: True
    assert (await tick(house)).startswith("watching v2.1.0")
    incident = await condemned(house)
    assert incident.plan == "halt"
    await until(lambda: house.bot.pid is None)
    house.faults.refuse = lambda write: False
    await house.finish()


async def test_a_journal_that_cannot_be_written_is_told_when_it_lasts_and_when_it_is_over(
    house: House,
) -> None:
    await tick(house)
    house.faults.refuse = lambda write: True
    await tick(house, 3)
    assert told_about(house, "journal") == [], "a moment is nothing to wake people for"
    await tick(house, 3)
    (text,) = told_about(house, "journal")
    assert "the journal cannot be written (disk I/O error)" in text
    assert "a rule that fires now halts the bot" in text
    house.faults.refuse = lambda write: False
    await tick(house, 2)
    assert "over after" in told_about(house, "journal")[-1]


async def test_who_keeps_the_journal_locked_is_named(house: House) -> None:
    await tick(house)
    with locked_by_another_process(house.world.journal.path) as pid:
        await tick(house, 6)
    (text,) = told_about(house, "journal")
    assert f"database is locked, held by pid {pid}" in text


async def test_a_version_that_is_promoted_while_the_disk_refuses_is_watched(house: House) -> None:
    await tick(house)
    house.faults.refuse = lambda write: True
    house.promote("v2.2.0")
    assert (await tick(house)).startswith("watching v2.2.0")
    since = house.collector.deployment
    await tick(house)
    assert house.collector.deployment == since


async def test_a_journal_that_cannot_be_read_takes_the_day_for_used_up(house: House) -> None:
    await tick(house)
    assert house.world.halted is None
    trades(house, "loss", "loss", "loss")
    house.world.journal.close()
    await tick(house)
    incident = house.incidents.current
    assert incident is not None
    assert (incident.plan, incident.id) == ("halt", 0)
    await until(lambda: house.bot.pid is None)
    house.world.interrupts.ask_hand_over()
    await house.incidents.settle()
    with pytest.raises(sqlite3.ProgrammingError):
        house.world.journal.steps(incident)


async def test_a_step_that_failed_unexpectedly_is_told_and_tried_again(house: House) -> None:
    house.told.fails = 1
    house.condemn()
    await house.incidents.settle()
    await tick(house)
    (text,) = told_about(house, "incident")
    assert "a step failed in a way nobody expected (ZeroDivisionError" in text
    await house.finish()
    assert house.current == "v2.0.0"


async def test_what_failed_and_what_is_missing_is_told(house: House) -> None:
    house.watch.tick_failed(TimeoutError())
    house.watch.ticks_missing(95.3)
    house.watch.part_ended("courier", ValueError("odd"))
    assert house.told.said("a look at the bot failed: TimeoutError")
    assert house.told.said("the bot was not looked at for 95 s; the ticking was started anew")
    assert house.told.said("the watchdog's courier ended (ValueError('odd')) and was started anew")
    assert {alert.severity for alert in house.told.alerts} == {"critical"}


async def test_a_tick_that_was_outrun_by_a_rollback_decides_nothing(build: Build) -> None:
    house = living(build, rollback={"monitor_for": "30m"})
    incident = await condemned(house)
    await until(lambda: incident.monitoring)
    # This tick began to collect before the switch: what it has is of v2.1.0.
    house.watch.verdicts = house.watch._judge(house.world.now())
    assert named(house, "loss_streak").state == "firing"
    assert house.watch._situation(house.world.now()).busy
    house.world.interrupts.ask_hand_over()
    await house.incidents.settle()


async def test_a_journal_or_a_configuration_that_others_can_write_to_is_told_and_the_watching_goes_on(
    house: House,
) -> None:
    state, path = house.settings.state_dir, house.settings.path
    state.chmod(0o777)
    path.chmod(0o666)
    assert "watching v2.1.0" in await tick(house, 2)
    assert house.told.said(f"{state}: everybody on this machine can write to it, and so lift a halt")
    assert house.told.said("decide what is run as")
    assert house.told.said(f"chmod o-w {path}")
    state.chmod(0o700)
    path.chmod(0o644)
    await tick(house)
    assert sum("over after" in text for text in house.told.texts) == 2


async def test_a_restart_does_not_tell_as_over_what_it_has_not_looked_for_yet(build: Build) -> None:
    house = build("v2.1.0")
    house.bot.begin(by_hand=True)
    await tick(house, 4)
    assert house.told.said("there is no version to roll back to")
    before = len(house.told.texts)
    house.wake()
    await tick(house, 4)
    assert not any("no version to roll back to" in text for text in house.told.texts[before:])
