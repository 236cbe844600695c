"""Which process, and which version, a line of the bot's log or a trade belongs to."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.watchdog.house import House

DUMMY = "Error loading model: invalid load key. Using dummy model."


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.settings.bot.log.parent.mkdir(exist_ok=True)
    return house


def verdict(house: House, name: str) -> str:
    return next(v.state for v in house.watch.verdicts if v.name == name)


def write(
    house: House, at: datetime, message: str, *, level: str = "ERROR", whole_seconds: bool = False
) -> None:
    stamp = at.strftime("%Y-%m-%d %H:%M:%S") + ("" if whole_seconds else f",{at.microsecond // 1000:03d}")
    with house.settings.bot.log.open("a", encoding="utf-8") as log:
        log.write(f"{stamp} - models.ensemble - {level} - {message}\n")


def trade(house: House, pnl: float) -> None:
    stamp = house.machine.wall.replace(tzinfo=None).isoformat()
    with house.settings.trade_log.path.open("a", encoding="utf-8") as log:
        log.write(json.dumps({"type": "exit", "timestamp": stamp, "pnl": pnl}) + "\n")


async def test_what_an_earlier_process_wrote_is_not_laid_at_the_next_ones_door(house: House) -> None:
    await house.watch.look()
    write(house, house.machine.wall, DUMMY)
    house.collector.before_start()
    house.collector.after_start(house.bot.begin())
    await house.watch.look()
    assert verdict(house, "load_error") != "firing"


async def test_a_log_with_whole_seconds_hides_no_error_of_the_process_that_was_just_started(
    house: House,
) -> None:
    """Nor when the deployment began within the same second."""
    await house.watch.look()
    house.machine.go(0.6)
    house.world.registry.rollback(reason="test")
    await house.watch.look()
    house.machine.go(0.1)
    house.collector.before_start()
    house.collector.after_start(house.bot.begin())
    write(house, house.machine.wall, DUMMY, whole_seconds=True)
    await house.watch.look()
    assert verdict(house, "load_error") == "firing"


async def test_an_old_error_in_a_log_of_another_zone_condemns_no_later_deployment(tmp_path: Path) -> None:
    """Local time two hours ahead, taken for UTC: the error of 90 min before would seem to lie after the promotion."""
    house = House(tmp_path)
    house.settings.bot.log.parent.mkdir(exist_ok=True)
    zone = timedelta(hours=2)
    promoted = datetime.fromisoformat(house.world.registry.read()["history"][-1]["timestamp"])
    house.machine.wall = promoted + timedelta(minutes=30)
    write(house, promoted - timedelta(minutes=60) + zone, DUMMY)
    write(house, house.machine.wall + zone, "all well", level="INFO")
    os.utime(house.settings.bot.log, (house.machine.wall.timestamp(),) * 2)
    await house.watch.look()
    assert verdict(house, "load_error") != "firing"
    assert "bot-log-zone" in house.collector.troubles


async def test_trades_of_a_bot_that_still_runs_the_version_before_do_not_count(house: House) -> None:
    house.bot.begin(by_hand=True)
    write(
        house,
        house.machine.wall,
        "Loading ensemble model from models_saved/ensemble_v2.0.0.pkl",
        level="INFO",
    )
    write(house, house.machine.wall, "Ensemble model loaded successfully", level="INFO")
    await house.watch.look()
    house.machine.go(60)
    house.world.registry.promote_model("v1.9.0", {})
    house.machine.go(60)
    for _ in range(12):
        trade(house, -1.0)
    await house.watch.look()
    assert verdict(house, "loss_streak") == "no_data"
    assert "still runs" in house.collector.troubles["runs-another"]
    # Restarted, it is judged.
    house.bot.die()
    house.bot.begin()
    await house.watch.look()
    for _ in range(12):
        trade(house, -1.0)
    await house.watch.look()
    assert "runs-another" not in house.collector.troubles
    assert verdict(house, "loss_streak") == "firing"
