"""The USD-M side of the local Binance, driven by the real python-binance."""

from typing import Any

import pytest

from .binance import BinanceServer
from .binance.client import refusal

MARKET = {"symbol": "SOLUSDT", "side": "SELL", "type": "MARKET", "quantity": "1.3"}


async def test_a_market_order_changes_the_position_at_the_mark_price(
    server: BinanceServer, client: Any
) -> None:
    await client.futures_create_order(symbol="SOLUSDT", side="BUY", type="MARKET", quantity="1.3")
    [held] = await client.futures_position_information(symbol="SOLUSDT")
    assert (held["positionAmt"], held["entryPrice"]) == ("1.30", "150.00000")
    server.desk.set_mark("SOLUSDT", 160)
    [held] = await client.futures_position_information()
    assert held["unRealizedProfit"] == "13.00000000"
    await client.futures_create_order(**MARKET, reduceOnly="true")
    assert await client.futures_position_information() == []
    assert server.desk.positions() == {}


async def test_an_order_of_the_market_is_acknowledged_before_it_is_filled(
    server: BinanceServer, client: Any
) -> None:
    server.desk.set_position("SOLUSDT", "1.3")
    acknowledged = await client.futures_create_order(**MARKET)
    assert (acknowledged["status"], acknowledged["executedQty"]) == ("NEW", "0.00")
    found = await client.futures_get_order(symbol="SOLUSDT", orderId=acknowledged["orderId"])
    assert (found["status"], found["executedQty"], found["avgPrice"]) == ("FILLED", "1.30", "150.00000")
    at_once = await client.futures_create_order(**MARKET, newOrderRespType="RESULT")
    assert at_once["status"] == "FILLED"


async def test_cancelling_all_basic_orders_leaves_the_conditional_ones(
    server: BinanceServer, client: Any
) -> None:
    server.desk.add_order("SOLUSDT", "BUY", "1", "140")
    server.desk.add_algo_order("SOLUSDT", "SELL", "140", close_position=True)
    assert (await client.futures_cancel_all_open_orders(symbol="SOLUSDT"))["code"] == 200
    assert await client.futures_get_open_orders() == []
    [stop] = await client.futures_get_open_orders(conditional=True)
    assert (stop["orderType"], stop["closePosition"], stop["triggerPrice"]) == ("STOP_MARKET", True, "140.00")
    await client.futures_cancel_all_open_orders(symbol="SOLUSDT", conditional=True)
    assert await client.futures_get_open_orders(conditional=True) == []


async def test_orders_can_be_asked_after_and_cancelled_one_by_one(server: BinanceServer, client: Any) -> None:
    order = {"symbol": "SOLUSDT", "orderId": server.desk.add_order("SOLUSDT", "BUY", "1", "140")}
    assert (await client.futures_v1_get_open_order(**order))["status"] == "NEW"
    assert (await client.futures_cancel_order(**order))["status"] == "CANCELED"
    assert (await client.futures_get_order(**order))["status"] == "CANCELED"
    assert await refusal(client.futures_cancel_order(**order)) == (400, -2011)
    assert await refusal(client.futures_v1_get_open_order(**order)) == (400, -2013)
    assert await refusal(client.futures_get_order(symbol="SOLUSDT", orderId=1)) == (400, -2013)
    assert await refusal(client.futures_get_order(symbol="SOLUSDT")) == (400, -1102)


async def test_stops_are_taken_by_the_algo_endpoint_alone(server: BinanceServer, client: Any) -> None:
    stop = {"symbol": "SOLUSDT", "side": "SELL", "type": "STOP_MARKET", "closePosition": "true"}
    old = client._request_futures_api("post", "order", True, data=stop | {"stopPrice": "140"})
    assert await refusal(old) == (400, -4120)
    placed = await client.futures_create_order(**stop, stopPrice="140", clientAlgoId="mine")
    assert (await client.futures_get_order(clientAlgoId="mine"))["algoId"] == placed["algoId"]
    again = client.futures_create_order(**stop, stopPrice="140", clientAlgoId="mine")
    assert await refusal(again) == (400, -4116)
    above = client.futures_create_order(**stop, stopPrice="151")
    assert await refusal(above) == (400, -2021)
    cancelled = await client.futures_cancel_order(algoId=placed["algoId"])
    assert cancelled == {
        "algoId": placed["algoId"],
        "clientAlgoId": "mine",
        "code": "200",
        "msg": "success",
    }
    assert await refusal(client.futures_cancel_order(algoId=placed["algoId"])) == (400, -2011)


async def test_a_stop_that_the_price_reaches_closes_the_position(server: BinanceServer, client: Any) -> None:
    server.desk.set_position("SOLUSDT", "1.3")
    server.desk.add_algo_order("SOLUSDT", "SELL", "140", close_position=True)
    server.desk.set_mark("SOLUSDT", "139")
    assert server.desk.positions() == {}
    assert await client.futures_get_open_orders(conditional=True) == []
    [trade] = await client.futures_account_trades(symbol="SOLUSDT")
    assert (trade["qty"], trade["realizedPnl"]) == ("1.30", "-14.30000000")


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "before", "reached"),
    [
        ("STOP_MARKET", "SELL", "140", "141", "140"),
        ("STOP_MARKET", "BUY", "160", "159", "160"),
        ("TAKE_PROFIT_MARKET", "SELL", "160", "159", "160"),
        ("TAKE_PROFIT_MARKET", "BUY", "140", "141", "140"),
    ],
)
async def test_a_conditional_order_waits_for_its_price(
    server: BinanceServer, client: Any, kind: str, side: str, trigger: str, before: str, reached: str
) -> None:
    await client.futures_create_order(
        symbol="SOLUSDT", side=side, type=kind, stopPrice=trigger, quantity="1", clientAlgoId="mine"
    )
    server.desk.set_mark("SOLUSDT", before)
    assert server.desk.positions() == {}
    server.desk.set_mark("SOLUSDT", reached)
    assert server.desk.positions() == {"SOLUSDT": "1" if side == "BUY" else "-1"}
    found = await client.futures_get_order(clientAlgoId="mine")
    assert found["algoStatus"] == "FINISHED"
    placed = await client.futures_get_order(symbol="SOLUSDT", orderId=found["actualOrderId"])
    assert placed["status"] == "FILLED"


async def test_orders_that_have_nothing_left_to_close_expire(server: BinanceServer, client: Any) -> None:
    server.desk.set_position("SOLUSDT", "1.3")
    profit = server.desk.add_order("SOLUSDT", "SELL", "1", "160", reduce_only=True)
    stop = server.desk.add_algo_order("SOLUSDT", "SELL", "140", close_position=True)
    await client.futures_create_order(**MARKET, reduceOnly="true")
    assert (await client.futures_get_order(symbol="SOLUSDT", orderId=profit))["status"] == "EXPIRED"
    assert len(server.desk.open_algo_orders()) == 1
    server.desk.set_mark("SOLUSDT", "139")
    assert (await client.futures_get_order(algoId=stop))["algoStatus"] == "EXPIRED"
    assert server.desk.positions() == {}


async def test_the_entry_price_is_the_mean_of_what_opened_and_new_after_a_turn(
    server: BinanceServer, client: Any
) -> None:
    async def entry(side: str, quantity: str, mark: str) -> str:
        server.desk.set_mark("SOLUSDT", mark)
        await client.futures_create_order(symbol="SOLUSDT", side=side, type="MARKET", quantity=quantity)
        held = await client.futures_position_information(version=2, symbol="SOLUSDT")
        return str(held[0]["entryPrice"])

    assert await entry("BUY", "1", "100") == "100.00000"
    assert await entry("BUY", "3", "200") == "175.00000"
    assert await entry("SELL", "1", "300") == "175.00000"
    assert await entry("SELL", "4", "150") == "150.00000"
    assert await entry("BUY", "1", "160") == "0.00000"
    [balance] = await client.futures_account_balance()
    gained, fees = 125 - 75 - 10, 1760 * 0.0004
    assert float(balance["balance"]) == pytest.approx(2000 + gained - fees)


async def test_limit_orders_obey_their_time_in_force(server: BinanceServer, client: Any) -> None:
    limit = {"symbol": "SOLUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1"}
    at_once = await client.futures_create_order(**limit, price="140", timeInForce="IOC")
    found = await client.futures_get_order(symbol="SOLUSDT", orderId=at_once["orderId"])
    assert found["status"] == "EXPIRED"
    assert await refusal(client.futures_create_order(**limit, price="151", timeInForce="GTX")) == (400, -5022)
    await client.futures_create_order(**limit, price="140", timeInForce="GTX")
    assert len(server.desk.open_orders()) == 1


async def test_a_resting_order_that_the_price_reaches_is_filled(server: BinanceServer, client: Any) -> None:
    placed = await client.futures_create_order(
        symbol="SOLUSDT", side="BUY", type="LIMIT", quantity="1", price="140", timeInForce="GTC"
    )
    assert [o["orderId"] for o in server.desk.open_orders()] == [placed["orderId"]]
    server.desk.set_mark("SOLUSDT", "139")
    assert server.desk.positions() == {"SOLUSDT": "1"}
    assert server.desk.open_orders() == []


async def test_reduce_only_never_opens(server: BinanceServer, client: Any) -> None:
    assert await refusal(client.futures_create_order(**MARKET, reduceOnly="true")) == (400, -2022)
    server.desk.set_position("SOLUSDT", "-1.3")
    assert await refusal(client.futures_create_order(**MARKET, reduceOnly="true")) == (400, -2022)
    server.desk.set_position("SOLUSDT", "0.5")
    await client.futures_create_order(**MARKET, reduceOnly="true")
    assert server.desk.positions() == {}


async def test_hedge_mode_takes_sides_and_no_reduce_only(server: BinanceServer, client: Any) -> None:
    server.desk.set_hedge_mode(True)
    server.desk.set_position("SOLUSDT", "1.3", side="LONG")
    server.desk.set_position("SOLUSDT", "-2", side="SHORT")
    assert (await client.futures_get_position_mode())["dualSidePosition"] is True
    assert await refusal(client.futures_create_order(**MARKET)) == (400, -4061)
    long = MARKET | {"positionSide": "LONG"}
    assert await refusal(client.futures_create_order(**long, reduceOnly="true")) == (400, -1106)
    too_much = client.futures_create_order(**long | {"quantity": "1.4"})
    assert await refusal(too_much) == (400, -2022)
    await client.futures_create_order(**long)
    assert server.desk.positions() == {"SOLUSDT SHORT": "-2"}
    held = await client.futures_position_information()
    assert [(p["positionSide"], p["positionAmt"]) for p in held] == [("SHORT", "-2.00")]


async def test_sides_are_refused_in_one_way_mode(client: Any) -> None:
    assert await refusal(client.futures_create_order(**MARKET, positionSide="LONG")) == (400, -4061)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": "1e-05"}, -1100),
        ({"quantity": 1e-05}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "1.305"}, -1111),
        ({"quantity": "60000"}, -4005),
        ({"quantity": "0.01"}, -4164),
        ({"quantity": None}, -1102),
        ({"side": None}, -1102),
        ({"side": "sell"}, -1117),
        ({"type": "CARRY"}, -1116),
        ({"symbol": "NOSUCH"}, -1121),
        ({"type": "LIMIT", "price": "140"}, -1102),
        ({"type": "LIMIT", "price": "140.001", "timeInForce": "GTC"}, -1111),
        ({"reduceOnly": True}, -1130),
        ({"closePosition": "true", "quantity": None}, -4136),
        ({"newClientOrderId": "a" * 37}, -4015),
    ],
    ids=str,
)
async def test_a_malformed_order_is_refused_with_the_code_of_the_real_exchange(
    server: BinanceServer, client: Any, change: dict[str, Any], code: int
) -> None:
    assert await refusal(client.futures_create_order(**MARKET | change)) == (400, code)
    assert server.desk.state()["usdm"]["orders"] == []


async def test_a_client_id_is_unique_among_open_orders_and_no_further(
    server: BinanceServer, client: Any
) -> None:
    """So that a market order that is sent twice is executed twice."""
    resting = {
        "side": "BUY",
        "type": "LIMIT",
        "price": "140",
        "timeInForce": "GTC",
        "newClientOrderId": "mine",
    }
    await client.futures_create_order(**MARKET | resting)
    assert await refusal(client.futures_create_order(**MARKET | resting)) == (400, -4116)
    for _ in range(2):
        await client.futures_create_order(**MARKET, newClientOrderId="close")
    assert server.desk.positions() == {"SOLUSDT": "-2.6"}


async def test_a_dust_price_is_written_without_an_exponent(server: BinanceServer, client: Any) -> None:
    server.desk.add_order("1000PEPEUSDT", "BUY", "1000", "0.0000007")
    [order] = await client.futures_get_open_orders(symbol="1000PEPEUSDT")
    assert (order["price"], order["origQty"]) == ("0.0000007", "1000")


async def test_a_flat_symbol_with_an_open_order_is_listed_by_v3_and_every_symbol_by_v2(
    server: BinanceServer, client: Any
) -> None:
    server.desk.add_order("SOLUSDT", "BUY", "1", "140")
    [row] = await client.futures_position_information()
    assert (row["symbol"], row["positionAmt"]) == ("SOLUSDT", "0.00")
    assert "leverage" not in row
    rows = await client.futures_position_information(version=2)
    assert {row["symbol"] for row in rows} >= {"SOLUSDT", "BTCUSDT"}
    assert rows[0]["leverage"] == "5"


async def test_transfers_are_told_from_other_income(server: BinanceServer, client: Any) -> None:
    now = server.gate.exchange.now_ms()
    server.desk.add_income("-500", now - 1000)
    server.desk.add_income("-1", now - 8 * 24 * 3_600_000)
    server.desk.set_position("SOLUSDT", "1.3")
    await client.futures_create_order(**MARKET)
    transfers = await client.futures_income_history(incomeType="TRANSFER")
    assert [row["income"] for row in transfers] == ["-500.00000000"]
    assert len(await client.futures_income_history(incomeType="TRANSFER", startTime=1)) == 2
    assert {row["incomeType"] for row in await client.futures_income_history()} == {"TRANSFER", "COMMISSION"}


async def test_the_account_adds_up(server: BinanceServer, client: Any) -> None:
    server.desk.set_position("SOLUSDT", "10", "140")
    account = await client.futures_account()
    assert (account["totalWalletBalance"], account["totalUnrealizedProfit"]) == (
        "2000.00000000",
        "100.00000000",
    )
    [held] = (await client.futures_account(version=3))["positions"]
    assert held["positionAmt"] == "10.00"
    [balance] = await client.futures_account_balance()
    assert balance["availableBalance"] == "1800.00000000"


async def test_the_filters_of_a_symbol_are_told(client: Any) -> None:
    symbols = {s["symbol"]: s for s in (await client.futures_exchange_info())["symbols"]}
    filters = {f["filterType"]: f for f in symbols["SOLUSDT"]["filters"]}
    assert filters["LOT_SIZE"]["stepSize"] == "0.01"
    assert filters["MARKET_LOT_SIZE"]["maxQty"] == "50000.00"
    assert filters["PRICE_FILTER"]["tickSize"] == "0.01"
    assert filters["MIN_NOTIONAL"]["notional"] == "5"
    assert (await client.futures_mark_price(symbol="SOLUSDT"))["markPrice"] == "150.00000000"
