"""The comparison at `validate_for`: what it compares, and that it is neither lost nor told twice."""

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.fakes import Killed
from tests.watchdog.house import House
from watchdog import validation
from watchdog.incident import Incident

Build = Callable[..., House]
QUICK: dict[str, Any] = {
    "bot": {"stays_up_for": "0.4s", "start_timeout": "2s"},
    "rollback": {"monitor_for": "0.4s", "validate_for": "1h"},
}


def trade(house: House, when: datetime, pnl: float, **fields: Any) -> None:
    path = house.settings.trade_log.path
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"type": "exit", "timestamp": when.replace(tzinfo=None).isoformat(), "pnl": pnl, **fields}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


async def closed(house: House) -> Incident:
    """v2.1.0 lost for an hour, was rolled back, and the incident was closed; v2.0.0 wins from then on."""
    for minute in range(59, 1, -3):
        trade(house, house.machine.wall - timedelta(minutes=minute), -5.0 - minute % 2)
    house.bot.begin(by_hand=True)
    house.condemn()
    await house.finish()
    (incident,) = house.world.journal.incidents()
    assert incident.outcome == "rolled_back"
    for minute in range(2, 58, 3):
        trade(house, house.machine.wall + timedelta(minutes=minute), 5.0 + minute % 2)
    return incident


async def validated(house: House) -> None:
    """Ticks until nothing is due any more."""
    for _ in range(4):
        house.chores.look()
        await house.chores.finish()


def report(house: House) -> str:
    return (house.settings.state_dir / "incidents" / "0001" / "report.md").read_text(encoding="utf-8")


def compared(house: House) -> list[str]:
    return [text for text in house.told.texts if "compared with v2.1.0 before it" in text]


@pytest.fixture
def house(build: Build) -> House:
    return build(**QUICK)


async def test_before_its_time_nothing_is_compared(house: House) -> None:
    await closed(house)
    house.machine.go(3500)
    await validated(house)
    assert "### Before and after" not in report(house)
    assert compared(house) == []


async def test_at_its_time_the_report_has_the_comparison_and_it_is_told_once(house: House) -> None:
    await closed(house)
    house.machine.go(3700)
    await validated(house)
    text = report(house)
    assert "| | before (v2.1.0) | since (v2.0.0) |" in text
    assert "| exits | 20 | 19 |" in text
    assert "P&L per exit is better: +5." in text
    assert "**Status:** Resolved" in text
    (alert,) = compared(house)
    assert "v2.0.0 compared with v2.1.0 before it (incident 1)" in alert
    assert "P&L per exit is better" in alert
    assert "Report: " in alert
    await validated(house)
    house.wake()
    await validated(house)
    assert len(compared(house)) == 1


async def test_a_daemon_that_was_down_at_the_time_compares_the_same_span_later(house: House) -> None:
    await closed(house)
    for minute in range(2, 58, 3):
        trade(house, house.machine.wall + timedelta(minutes=90 + minute), -100.0)
    house.close()
    house.machine.go(48 * 3600)
    house.wake()
    await validated(house)
    assert "| exits | 20 | 19 |" in report(house)


async def test_a_version_promoted_meanwhile_ends_the_span(house: House) -> None:
    await closed(house)
    house.machine.go(1800)
    since = house.machine.wall.isoformat()
    house.world.journal.put("deployment", {"key": f"v2.2.0 {since} None", "since": since})
    house.machine.go(1900)
    await validated(house)
    assert "| exits | 10 | 10 |" in report(house)
    assert "| hours | 0.501 | 0.501 |" in report(house)


async def test_the_time_before_the_deployment_is_not_the_condemned_versions_doing(house: House) -> None:
    since = house.machine.wall - timedelta(minutes=30)
    house.world.journal.put("deployment", {"key": f"v2.1.0 {since} None", "since": since.isoformat()})
    await closed(house)
    house.machine.go(3700)
    await validated(house)
    assert "| exits | 10 | 19 |" in report(house)


async def test_an_incident_that_ended_in_a_halt_has_nothing_to_compare(build: Build) -> None:
    house = build(**QUICK)
    house.bot.loads.update({"v2.0.0": "error", "v1.9.0": "error"})
    house.bot.begin(by_hand=True)
    house.condemn()
    await house.finish()
    house.machine.go(4000)
    await validated(house)
    assert compared(house) == []


async def test_logs_that_cannot_be_read_are_said_in_the_report(house: House) -> None:
    await closed(house)
    house.settings.bot.log.unlink()
    house.settings.bot.log.mkdir()
    house.machine.go(3700)
    await validated(house)
    assert "| errors per hour | not known | not known |" in report(house)
    assert "is a directory" in report(house)


async def test_a_report_that_cannot_be_written_is_said_and_the_journal_has_it(house: House) -> None:
    await closed(house)
    folder = house.settings.state_dir / "incidents" / "0001"
    (folder / "report.part").mkdir()
    house.machine.go(3700)
    await validated(house)
    assert "could not be written" in compared(house)[0]
    assert "`model-watchdog incidents 1`" in compared(house)[0]
    kept = house.world.journal.incident(1)
    assert kept is not None
    assert kept.facts["comparison"]["reading"].startswith("P&L per exit is better")


async def test_it_waits_while_an_incident_is_open(house: House) -> None:
    await closed(house)
    house.machine.go(3700)
    house.incidents.open("rollback", "looks wrong", "alice", automatic=False)
    house.chores.look()
    assert not house.chores.busy
    await house.finish()
    await validated(house)
    assert len(compared(house)) == 1


async def test_cut_short_by_the_end_of_the_daemon_the_next_one_does_it(house: House) -> None:
    await closed(house)
    house.machine.go(3700)
    await validated_in_part(house)
    house.wake()
    await validated(house)
    assert len(compared(house)) == 1
    assert "### Before and after" in report(house)


async def validated_in_part(house: House) -> None:
    house.chores.look()  # tidies up first
    await house.chores.finish()
    house.chores.look()
    await asyncio.sleep(0)
    await house.chores.settle()


def test_killed_at_any_point_it_is_neither_lost_nor_told_twice(tmp_path: Path) -> None:
    points: list[str] = []
    for number in [-1, *range(20)]:
        if number >= len(points) > 0:
            break
        house = House(tmp_path / f"house{number}", **QUICK)
        asyncio.run(life(house, number))
        points = points or list(house.switch.points)
        assert house.switch.dead == (number >= 0), number
        house.wake()
        asyncio.run(validated(house))
        assert len(compared(house)) == 1, (number, points)
        assert "### Before and after" in report(house), (number, points)
        assert validation.due(house.world) is None
        house.close()
    assert len(points) >= 6


async def life(house: House, kill_at: int) -> None:
    await closed(house)
    house.machine.go(3700)
    house.switch.reset()
    if kill_at >= 0:
        house.switch.kill_at(kill_at)
    incident = validation.due(house.world)
    assert incident is not None
    with suppress(Killed):
        await validation.validate(house.world, incident.id)
