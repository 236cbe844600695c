"""Telegram down, slow, broken, or with a wrong token: no step waits for it, and nothing is lost."""

import re
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import THOROUGH, House, in_order
from tests.fakes.telegram import TelegramServer

STEPS = ("rolling back v2.1.0 to v2.0.0", "Bot stopped", "Registry switched", "Bot restarted on v2.0.0")


def rolled_back_in_time(house: House, bot: HostileBot) -> None:
    """A rollback, from the cause to the good version, not held up by anything."""
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    Trades(bot.trade_log).lose(10)
    caused_at = time.time()
    house.wait(lambda: bot.loaded("v2.0.0"), "the good version runs")
    took = bot.loaded("v2.0.0")[0] - caused_at
    print(f"from the cause to v2.0.0: {took:.2f} s")
    assert took < 3.0 + 10.0
    incident = house.wait_closed()
    assert (incident.closed_at or incident.opened_at) - incident.opened_at < house.settings.bot.start_timeout


def everything_came_in_order(house: House, server: TelegramServer) -> None:
    house.wait(lambda: house.status()["outbox"]["waiting"] == 0, "all is delivered")
    ids = [int(found) for text in server.texts for found in re.findall(r"#(\d+)$", text.strip())]
    first = list(dict.fromkeys(ids))
    assert first == sorted(first)
    assert len(first) == len(house.alerts())
    assert in_order([*STEPS, "incident 1 is closed"], server.texts), server.texts


@pytest.mark.parametrize(
    "fault", ["down", "hang", *(["flood", "server_error", "slow", "bad_gateway"] * THOROUGH)]
)
def test_an_outage_delays_no_step_and_loses_no_alert(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, fault: str
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, telegram)
    if fault == "down":
        telegram.stop()
    elif fault == "slow":
        telegram.fail_always("slow", delay_s=1.0)
    elif fault == "flood":
        telegram.fail_next("flood", times=2, retry_after=1)
    else:
        telegram.fail_always(fault)  # type: ignore[arg-type]
    house.start()
    rolled_back_in_time(house, bot)
    waiting = house.status()["outbox"]
    if fault not in ("slow", "flood"):
        assert waiting["waiting"] >= len(STEPS)
        assert waiting["oldest_s"] > 0
        began = time.monotonic()
        assert house.stop() == 0
        assert time.monotonic() - began < 15, "the hand-over waits for Telegram"
        if fault == "down":
            telegram.start()
        telegram.heal()
        house.start()
    everything_came_in_order(house, telegram)


def test_a_wrong_token_is_said_and_the_rollback_is_done(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, telegram)
    wrong = "123456:WRONG-token-of-nobody-at-all-0000000"
    house.environ["HOUSE_TELEGRAM_TOKEN"] = wrong
    house.start()
    rolled_back_in_time(house, bot)
    assert telegram.texts == []
    assert house.stop() == 0
    log = house.logs()
    assert "telegram" in log.lower()
    assert "token" in log.lower()
    assert "WRONG-token" not in log
    assert house.cli("check").returncode == 1
    assert all(step in log for step in STEPS), "the console does not have every alert"
    del house.environ["HOUSE_TELEGRAM_TOKEN"]
    house.configure()
    house.start()
    everything_came_in_order(house, telegram)
