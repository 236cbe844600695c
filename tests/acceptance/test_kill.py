"""kill -9 of the daemon, at any moment of a rollback and of a halt: the next start brings both to the same end.

MODEL_WATCHDOG_THOROUGH=1 runs many more lives.
"""

import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import THOROUGH, House, in_order
from tests.fakes.telegram import TelegramServer

LASTS_S = 3.5
"""About how long the rollback of these tests takes."""
HABITS: tuple[dict[str, Any], ...] = (
    {},
    {"sigterm": "flatten", "flatten_s": 0.6},
    {"load_s": 0.7},
    {"sigterm": "ignore"},
)


def one_good_end(house: House, bot: HostileBot, server: TelegramServer) -> None:
    """One bot on the verified target, one rollback, one incident, every alert at Telegram, in order."""
    incident = house.wait_closed()
    assert len(house.incidents()) == 1, house.story()
    assert (incident.outcome, incident.target) == ("rolled_back", "v2.0.0"), house.story()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    last = bot.ran("loaded")[-1]
    assert (last["version"], last["pid"]) == ("v2.0.0", house.bot_pid())
    assert len(bot.loaded("v2.0.0")) == 1, "the good version was started more than once"
    house.wait(lambda: house.lock_holder() == house.daemon.pid, "the last daemon is up")
    house.wait(lambda: house.cli("status").returncode == 0, "status is content")
    house.assert_report(incident)
    every_alert_arrived(house, server)
    steps = ("rolling back v2.1.0 to v2.0.0", "Bot ", "Registry switched", "Bot restarted on v2.0.0")
    told = house.alerts()
    assert in_order([*steps, "incident 1 is closed"], told), told
    for text in (*steps[:1], *steps[2:], "incident 1 is closed"):
        assert sum(text in alert for alert in told) == 1, f"{text!r} is told twice\n{house.story()}"


def every_alert_arrived(house: House, server: TelegramServer) -> None:
    """All of the outbox is at Telegram, at least once, and first in the order of the ids."""
    house.wait(lambda: house.status()["outbox"]["waiting"] == 0, "all alerts are sent")
    ids = [int(found) for text in server.texts for found in re.findall(r"#(\d+)$", text.strip())]
    first = list(dict.fromkeys(ids))
    assert first == sorted(first), first
    assert len(first) == len(house.alerts()), (first, house.alerts())


def live(house: House, bot: HostileBot, server: TelegramServer, rng: random.Random, kills: int) -> list[str]:
    """A rollback in which the daemon is killed so many times; returns the steps in which it died."""
    died_in = []
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bad bot runs")
    Trades(bot.trade_log).lose(10)
    for _ in range(kills):
        time.sleep(rng.uniform(0, LASTS_S))
        house.kill()
        incidents = house.incidents()
        died_in.append(incidents[-1].step if incidents and incidents[-1].open else "none open")
        house.start(ready=False)
    print("killed in", ", ".join(died_in))
    one_good_end(house, bot, server)
    assert house.stop() == 0
    return died_in


@pytest.mark.parametrize("seed", range(30 if THOROUGH else 1))
def test_killed_at_random_moments_of_a_rollback(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, seed: int
) -> None:
    bot = make_hostile(tmp_path / "bot", paths="container", **HABITS[seed % len(HABITS)])
    house = make_house(bot, telegram, bot={"stop_timeout": "1s"}, rollback={"monitor_for": "1s"})
    live(house, bot, telegram, random.Random(seed), kills=2)


def test_killed_once_in_every_step_that_takes_time(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer
) -> None:
    bot = make_hostile(tmp_path / "bot", sigterm="flatten", flatten_s=0.5, load_s=1.0)
    house = make_house(bot, telegram, bot={"stays_up_for": "0.7s"}, rollback={"monitor_for": "1s"})
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bad bot runs")
    Trades(bot.trade_log).lose(10)
    for step in ("stop_bot", "start_bot", "confirm_loaded", "monitor"):
        house.wait_at(step)
        house.kill()
        assert house.step() == step
        assert house.cli("status").returncode == 1
        assert house.status()["state"] == ("monitoring" if step == "monitor" else "rolling_back")
        house.start(ready=False)
    one_good_end(house, bot, telegram)


@pytest.mark.parametrize("seed", range(12 if THOROUGH else 1))
def test_killed_at_random_moments_of_a_halt(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, seed: int
) -> None:
    rng = random.Random(seed)
    bot = make_hostile(tmp_path / "bot", sigterm="flatten", flatten_s=0.8)
    house = make_house(bot, telegram)
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    house.flag("HALT", "it looks odd")
    for _ in range(2):
        time.sleep(rng.uniform(0.2, 1.6))
        house.kill()
        house.start(ready=False)
    incident = house.wait_closed()
    house.ticks(3)
    assert [i.outcome for i in house.incidents()] == ["halted"], house.story()
    assert "it looks odd" in incident.reason
    assert house.bots() == []
    assert len(bot.ran("began")) == 1, "a halted bot was started"
    assert house.status()["state"] == "halted"
    assert house.current() == "v2.1.0"
    every_alert_arrived(house, telegram)


@pytest.mark.parametrize("seed", range(8 if THOROUGH else 1))
def test_killed_right_after_a_flag_was_laid(tmp_path: Path, make_house: MakeHouse, seed: int) -> None:
    rng = random.Random(seed)
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    house.start()
    house.flag("ROLLBACK", "v1.9.0 risk said so")
    time.sleep(rng.uniform(0.2, 0.7))
    house.kill()
    house.start(ready=False)
    incident = house.wait_closed()
    assert [(i.target, i.outcome, i.automatic) for i in house.incidents()] == [
        ("v1.9.0", "rolled_back", False)
    ], house.story()
    assert "risk said so" in incident.reason
    house.assert_rolled_back("v2.1.0", "v1.9.0")
    assert [order.what for order in house.orders()] == ["rollback"]


def test_an_order_that_was_accepted_and_not_yet_obeyed_is_obeyed_at_the_next_start(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    """What a kill -9 leaves between the order's own row and its incident: made here by hand."""
    import sqlite3

    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    house.kill()
    with sqlite3.connect(house.state / "watchdog.db") as db:
        db.execute(
            "INSERT INTO orders (ident, at, what, who, why) VALUES "
            "('1:2:3', '2026-03-01T03:00:00+00:00', 'rollback', 'alice', 'risk said so')"
        )
    db.close()
    house.start(ready=False)
    incident = house.wait_closed()
    assert (incident.from_version, incident.target, incident.by) == ("v2.1.0", "v2.0.0", "alice")
    house.assert_rolled_back("v2.1.0", "v2.0.0")
