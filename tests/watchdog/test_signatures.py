"""Signatures that are asked for: switching the option on causes no storm, and an entry that was tampered with does not
pass. Ticks with the real collector, rules and procedure, and a bot in memory."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from registry import ModelRegistry
from tests.registry.keys import key
from tests.watchdog.house import House

PEM, PUBLIC = key()
VERSIONS = ("v1.9.0", "v2.0.0", "v2.1.0")
TRIGGERS: dict[str, Any] = {"loss_streak": {"at_least": 3}, "checksum": {"for": "0s"}}

Build = Callable[..., House]


def running(build: Build, *signed: str) -> House:
    """v2.1.0 runs; signatures are asked for, and these versions bear one."""
    registry = {"path": "models_saved", "signing_key": PUBLIC}
    house = build(*VERSIONS, triggers=TRIGGERS, registry=registry)
    for version in signed:
        sign(house, version)
    house.world.evidence = house.collector.evidence
    house.world.before_start, house.world.after_start = (
        house.collector.before_start,
        house.collector.after_start,
    )
    trades(house, 5.0)
    house.bot.begin(by_hand=True)
    return house


def sign(house: House, version: str) -> None:
    ModelRegistry(house.models, signing_key=PEM).sign(version)


def trades(house: House, *pnl: float) -> None:
    path = house.settings.trade_log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for amount in pnl:
            house.machine.go(1)
            at = house.machine.wall.replace(tzinfo=None).isoformat()
            file.write(json.dumps({"type": "exit", "timestamp": at, "pnl": amount}) + "\n")


async def tick(house: House, times: int = 3) -> None:
    for _ in range(times):
        house.machine.go(10)
        await house.watch.tick()
        files = house.collector._files
        for task in (files._target_task, files._leisure_task):
            if task is not None:
                await asyncio.wait({task})


def edited(house: House, version: str, change: Callable[[dict[str, Any]], object]) -> None:
    """By hand."""
    data = house.data
    change(data["models"][version])
    house.write(data)


def another_file(house: House, version: str) -> None:
    """A file of somebody else's, with the checksum that fits."""
    made = house._entry(f"{version}-evil", "archived", "")
    edited(house, version, lambda entry: entry.update(path=made["path"], checksum=made["checksum"]))


def strip(house: House, version: str) -> None:
    edited(house, version, lambda entry: entry.pop("signatures"))


def told(house: House, part: str) -> list[str]:
    return [alert.text for alert in house.told.alerts if part in alert.text]


# --- switching it on


async def test_switching_it_on_over_unsigned_versions_leaves_the_bot_alone_and_says_what_to_do(
    build: Build,
) -> None:
    house = running(build)
    pid = house.bot.pid
    await tick(house, 12)
    assert (house.bot.pid, house.bot.stops, house.current) == (pid, 0, "v2.1.0")
    assert house.world.journal.incidents() == []
    assert house.halted is None
    (alert,) = [alert for alert in house.told.alerts if alert.kind == "condition-unsigned"]
    assert alert.severity == "critical"
    assert "v2.1.0 bears no signature by the key" in alert.text
    assert f"-P -m registry sign v2.1.0 --registry-path {house.models} --key KEY_FILE" in alert.text
    (targets,) = told(house, "v2.0.0, v1.9.0: not gone back to")
    assert "-P -m registry sign v2.0.0 v1.9.0" in targets
    assert told(house, "there is no version to roll back to")
    assert "checksum" not in await house.watch.tick(), "no rule fires, and none is about to"


async def test_once_signed_it_is_over_and_a_rollback_is_as_ever(build: Build) -> None:
    house = running(build)
    await tick(house)
    for version in VERSIONS:
        sign(house, version)
    await tick(house, 5)
    assert len(told(house, "over after")) == 3
    house.condemn()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


async def test_the_bot_is_not_started_on_an_unsigned_version_and_is_as_soon_as_it_is_signed(
    build: Build,
) -> None:
    house = running(build)
    await tick(house)
    house.bot.die(1)
    await tick(house)
    assert house.bot.starts == []
    assert told(house, "the bot is down and is not started on v2.1.0: v2.1.0 bears no signature by the key")
    sign(house, "v2.1.0")
    await tick(house)
    assert [start.version for start in house.bot.starts] == ["v2.1.0"]


async def test_a_rule_that_fires_finds_no_unsigned_version_to_go_back_to_and_halts(build: Build) -> None:
    house = running(build)
    await tick(house)
    house.condemn()
    await house.finish()
    assert (house.rollbacks, house.bot.pid) == ([], None)
    assert house.halted is not None


async def test_a_person_s_order_to_go_back_to_an_unsigned_version_is_refused_with_the_remedy(
    build: Build,
) -> None:
    house = running(build, "v2.1.0", "v2.0.0")
    pid = house.bot.pid
    house.incidents.open("rollback", "why not", "alice", automatic=False, wanted="v1.9.0")
    await house.finish()
    assert (house.rollbacks, house.bot.pid) == ([], pid)
    (refused,) = told(house, "was refused")
    assert "v1.9.0 bears no signature by the key" in refused
    assert "-P -m registry sign v1.9.0" in refused


async def test_an_unsigned_version_that_is_promoted_is_told_and_not_rolled_back(build: Build) -> None:
    """By a pipeline that does not sign yet, or by somebody without the key: nobody can tell which."""
    house = running(build, *VERSIONS)
    await tick(house)
    house.promote("v2.2.0")
    await tick(house, 6)
    assert house.rollbacks == []
    assert told(house, "v2.2.0 bears no signature by the key")
    house.bot.die(1)
    await tick(house)
    assert house.bot.starts == []


async def test_a_new_key_is_told_and_rolls_nothing_back(build: Build) -> None:
    house = running(build, *VERSIONS)
    await tick(house)
    theirs = {"path": "models_saved", "signing_key": key("theirs")[1]}
    other = build(*VERSIONS, triggers=TRIGGERS, registry=theirs)
    other.write(house.data)
    other.bot.begin(by_hand=True)
    await tick(other, 6)
    assert (other.rollbacks, other.halted) == ([], None)
    assert told(other, "(by ")


# --- tampering


@pytest.mark.parametrize("how", [another_file, strip])
async def test_a_current_version_that_is_tampered_with_is_rolled_back(
    build: Build, how: Callable[[House, str], None]
) -> None:
    house = running(build, *VERSIONS)
    await tick(house)
    how(house, "v2.1.0")
    await tick(house)
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]
    assert house.data["models"]["v2.1.0"]["status"] == "quarantined"
    assert told(house, "nobody vouches for")
    assert [start.version for start in house.bot.starts] == ["v2.0.0"]


async def test_a_signature_that_is_taken_away_while_no_watchdog_runs_is_noticed_by_the_next(
    build: Build,
) -> None:
    house = running(build, *VERSIONS)
    await tick(house)
    strip(house, "v2.1.0")
    house.wake()
    await tick(house)
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0")]


@pytest.mark.parametrize("how", [another_file, strip])
async def test_a_target_that_was_tampered_with_is_passed_over(
    build: Build, how: Callable[[House, str], None]
) -> None:
    house = running(build, *VERSIONS)
    how(house, "v2.0.0")
    house.condemn()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v1.9.0")]
    assert [start.version for start in house.bot.starts] == ["v1.9.0"]


async def test_a_target_that_is_tampered_with_while_the_bot_is_being_stopped_is_not_switched_to(
    build: Build,
) -> None:
    house = running(build, *VERSIONS)

    def tamper() -> None:
        house.bot.at_stop = None
        another_file(house, "v2.0.0")

    house.bot.at_stop = tamper
    house.condemn()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v1.9.0")]
    assert [start.version for start in house.bot.starts] == ["v1.9.0"]


async def test_a_target_that_is_tampered_with_after_the_switch_is_not_started(build: Build) -> None:
    house = running(build, *VERSIONS)
    tell = house.told.put

    def tamper(alert: Any) -> None:
        tell(alert)
        if "Registry switched" in alert.text and house.current == "v2.0.0":
            strip(house, "v2.0.0")

    house.world.teller._put = tamper
    house.condemn()
    await house.finish()
    assert house.rollbacks == [("v2.1.0", "v2.0.0"), ("v2.0.0", "v1.9.0")]
    assert [start.version for start in house.bot.starts] == ["v1.9.0"]
