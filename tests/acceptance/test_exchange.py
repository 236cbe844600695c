"""A real daemon, a real bot and a local Binance: the account is settled before the bot is started again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import make_hostile
from tests.acceptance.house import House
from tests.fakes.binance import KEY, SECRET, BinanceServer


@pytest.fixture
def exchange() -> Iterator[BinanceServer]:
    """What a bot leaves behind."""
    with BinanceServer() as server:
        server.desk.set_position("SOLUSDT", "1.3", "152")
        server.desk.add_order("SOLUSDT", "BUY", "1", "140")
        server.desk.add_algo_order("SOLUSDT", "SELL", "139", close_position=True)
        yield server


def house_of(make_house: MakeHouse, tmp_path: Path, exchange: BinanceServer, **changes: Any) -> House:
    bot = make_hostile(tmp_path / "bot", unloadable=["v2.1.0"])
    section = {
        "kind": "binance_usdm",
        "api_key": "${HOUSE_KEY}",
        "api_secret": "${HOUSE_SECRET}",
        "symbols": ["SOLUSDT"],
        "base_url": exchange.base_url,
        **changes,
    }
    house = make_house(bot, None, exchange=section)
    house.environ |= {"HOUSE_KEY": KEY, "HOUSE_SECRET": SECRET}
    return house


def test_a_rollback_closes_what_the_bad_version_left(
    tmp_path: Path, make_house: MakeHouse, exchange: BinanceServer
) -> None:
    house = house_of(make_house, tmp_path, exchange, positions="close")
    house.start()
    incident = house.wait_closed()
    assert incident.outcome == "rolled_back", house.story()
    desk = exchange.desk
    assert (desk.positions(), desk.open_orders(), desk.open_algo_orders()) == ({}, [], []), house.story()
    assert len(desk.journal("POST /fapi/v1/order")) == 1
    assert house.alerted("SOLUSDT: flat; long 1.3 was closed by 1 market order")
    said = house.cli("positions", "--json")
    assert (said.returncode, '"positions": []' in said.stdout) == (0, True), said.stdout + said.stderr


def test_a_kill_while_the_order_is_on_its_way_closes_the_position_once(
    tmp_path: Path, make_house: MakeHouse, exchange: BinanceServer
) -> None:
    house = house_of(make_house, tmp_path, exchange, positions="close")
    exchange.desk.fault("POST /fapi/v1/order", "hang", done=True, seconds=5)
    house.start(ready=False)
    house.wait(lambda: exchange.desk.journal("POST *"), "the order is sent")
    house.kill()
    house.start(ready=False)
    house.wait_closed()
    desk = exchange.desk
    assert (desk.positions(), desk.open_orders(), desk.open_algo_orders()) == ({}, [], []), house.story()
    assert len(desk.journal("POST /fapi/v1/order")) == 1


def test_an_exchange_that_bans_this_address_is_left_alone_and_the_bot_comes_back(
    tmp_path: Path, make_house: MakeHouse, exchange: BinanceServer
) -> None:
    exchange.desk.fault("*", "ban", retry_after_s=500)
    house = house_of(make_house, tmp_path, exchange)
    house.start()
    assert house.wait_closed().outcome == "rolled_back", house.story()
    assert len(exchange.desk.journal()) == 1
    assert house.alerted("orders and positions on the exchange are unknown")
    said = house.cli("positions")
    assert (said.returncode, len(exchange.desk.journal())) == (1, 1), said.stdout
