"""The spot and wallet side of the local Binance, driven by the real python-binance."""

from typing import Any

import pytest

from .binance import BinanceServer
from .binance.client import refusal

DAY_MS = 24 * 3_600_000
BUY = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "2"}
REST = {"symbol": "SOLUSDT", "side": "BUY", "type": "LIMIT", "quantity": "2", "timeInForce": "GTC"}


async def test_what_is_bought_is_less_the_fee_and_can_be_sold(server: BinanceServer, client: Any) -> None:
    bought = await client.create_order(**BUY)
    assert (bought["status"], bought["executedQty"]) == ("FILLED", "2.00000000")
    assert (await client.get_asset_balance(asset="SOL"))["free"] == "1.99800000"
    all_of_it = client.create_order(**BUY | {"side": "SELL"})
    assert await refusal(all_of_it) == (400, -2010)
    await client.create_order(**BUY | {"side": "SELL", "quantity": "1.998"})
    assert (await client.get_asset_balance(asset="SOL"))["free"] == "0.00000000"
    [usdt] = (await client.get_account(omitZeroBalances="true"))["balances"]
    assert usdt == {"asset": "USDT", "free": "1999.40030000", "locked": "0.00000000"}


async def test_a_resting_order_locks_what_it_may_spend(server: BinanceServer, client: Any) -> None:
    placed = await client.create_order(**REST, price="140")
    assert server.desk.balances() == {"USDT": ("1720", "280")}
    cancelled = await client.cancel_order(symbol="SOLUSDT", orderId=placed["orderId"])
    assert (cancelled["status"], cancelled["origClientOrderId"]) == ("CANCELED", placed["clientOrderId"])
    assert server.desk.balances() == {"USDT": ("2000", "0")}
    assert await refusal(client.cancel_order(symbol="SOLUSDT", orderId=placed["orderId"])) == (400, -2011)
    found = await client.get_order(symbol="SOLUSDT", orderId=placed["orderId"])
    assert found["status"] == "CANCELED"
    assert await refusal(client.get_order(symbol="SOLUSDT", orderId=1)) == (400, -2013)


async def test_cancelling_all_where_there_is_nothing_is_an_error(server: BinanceServer, client: Any) -> None:
    assert await refusal(client.cancel_all_open_orders(symbol="SOLUSDT")) == (400, -2011)


async def test_cancelling_all_takes_single_orders_and_lists(server: BinanceServer, client: Any) -> None:
    server.desk.set_balance("SOL", 5)
    server.desk.add_spot_order("SOLUSDT", "BUY", "1", "140")
    server.desk.add_oco("SOLUSDT", "SELL", "2", "160", "140", "139")
    assert server.desk.balances() == {"SOL": ("3", "2"), "USDT": ("1860", "140")}
    assert len(await client.get_open_orders(symbol="SOLUSDT")) == 3
    [listed] = await client.get_open_oco_orders()
    assert len(listed["orders"]) == 2
    single, oco = await client.cancel_all_open_orders(symbol="SOLUSDT")
    assert single["status"] == "CANCELED"
    assert [report["status"] for report in oco["orderReports"]] == ["CANCELED", "CANCELED"]
    assert server.desk.open_spot_orders() == await client.get_open_oco_orders() == []
    assert server.desk.balances() == {"SOL": ("5", "0"), "USDT": ("2000", "0")}


async def test_a_leg_takes_its_whole_list_with_it(server: BinanceServer, client: Any) -> None:
    server.desk.set_balance("SOL", 5)
    server.desk.add_oco("SOLUSDT", "SELL", "2", "160", "140", "139")
    leg = server.desk.open_spot_orders()[0]
    answer = await client.cancel_order(symbol="SOLUSDT", orderId=leg["orderId"])
    assert answer["listOrderStatus"] == "ALL_DONE"
    assert server.desk.open_spot_orders() == []
    number = server.desk.add_oco("SOLUSDT", "SELL", "2", "160", "140", "139")
    await client.v3_delete_order_list(symbol="SOLUSDT", orderListId=number)
    assert server.desk.balances()["SOL"] == ("5", "0")
    again = client.v3_delete_order_list(symbol="SOLUSDT", orderListId=number)
    assert await refusal(again) == (400, -2011)


@pytest.mark.parametrize(("price", "got"), [("161", "319.68"), ("139", "277.722")])
async def test_of_a_list_one_leg_is_filled_and_the_other_expires(
    server: BinanceServer, client: Any, price: str, got: str
) -> None:
    server.desk.set_balance("SOL", 2)
    server.desk.set_balance("USDT", 0)
    server.desk.add_oco("SOLUSDT", "SELL", "2", "160", "140", "139")
    server.desk.set_price("SOLUSDT", price)
    assert server.desk.balances() == {"USDT": (got, "0")}
    assert server.desk.open_spot_orders() == await client.get_open_oco_orders() == []


async def test_one_order_is_left_behind_on_demand(server: BinanceServer, client: Any) -> None:
    for price in ("140", "141"):
        server.desk.add_spot_order("SOLUSDT", "BUY", "1", price)
    server.desk.fault("DELETE *", "spare")
    assert len(await client.cancel_all_open_orders(symbol="SOLUSDT")) == 1
    assert len(await client.get_open_orders()) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": 1e-05}, -1100),
        ({"quantity": "1.0005"}, -1013),
        ({"quantity": "0"}, -1013),
        ({"quantity": "0.001"}, -1013),
        ({"quantity": "0.123456789"}, -1111),
        ({"quantity": "100"}, -2010),
        ({"quantity": None}, -1102),
        ({"type": "LIMIT", "price": "140"}, -1102),
        ({"type": "LIMIT", "price": "140.001", "timeInForce": "GTC"}, -1013),
        ({"type": "LIMIT_MAKER", "price": "151"}, -2010),
        ({"type": "STOP_LOSS", "stopPrice": "149"}, -2010),
        ({"timeInForce": "GTC"}, -1106),
        ({"symbol": "NOSUCH"}, -1121),
        ({"newClientOrderId": "a" * 37}, -1100),
    ],
    ids=str,
)
async def test_a_malformed_order_is_refused_with_the_code_of_the_real_exchange(
    server: BinanceServer, client: Any, change: dict[str, Any], code: int
) -> None:
    assert await refusal(client.create_order(**BUY | change)) == (400, code)
    assert server.desk.balances() == {"USDT": ("2000", "0")}


async def test_a_client_id_is_unique_among_open_orders(client: Any) -> None:
    await client.create_order(**REST, price="140", newClientOrderId="mine")
    assert await refusal(client.create_order(**REST, price="140", newClientOrderId="mine")) == (400, -2010)
    await client.cancel_order(symbol="SOLUSDT", origClientOrderId="mine")
    await client.create_order(**REST, price="140", newClientOrderId="mine")


async def test_quote_can_be_spent_and_stops_wait_for_their_price(server: BinanceServer, client: Any) -> None:
    await client.create_order(symbol="SOLUSDT", side="BUY", type="MARKET", quoteOrderQty="301")
    assert server.desk.balances()["SOL"] == ("2.003994", "0")
    stop = {"symbol": "SOLUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "2", "stopPrice": "140"}
    await client.create_order(**stop)
    server.desk.set_price("SOLUSDT", "141")
    [waiting] = await client.get_open_orders()
    assert waiting["isWorking"] is False
    server.desk.set_price("SOLUSDT", "138")
    assert await client.get_open_orders() == []
    assert server.desk.balances()["SOL"] == ("0.003994", "0")


async def test_a_stop_that_cannot_be_paid_any_more_expires(server: BinanceServer, client: Any) -> None:
    stop = {"symbol": "SOLUSDT", "side": "BUY", "type": "STOP_LOSS", "quantity": "10", "stopPrice": "160"}
    placed = await client.create_order(**stop)
    server.desk.set_balance("USDT", 50)
    server.desk.set_price("SOLUSDT", "170")
    found = await client.get_order(symbol="SOLUSDT", orderId=placed["orderId"])
    assert found["status"] == "EXPIRED"
    assert server.desk.balances() == {"USDT": ("1650", "0")}


async def test_an_order_for_at_once_or_never_does_not_rest(server: BinanceServer, client: Any) -> None:
    placed = await client.create_order(**REST | {"timeInForce": "IOC"}, price="140")
    assert placed["status"] == "EXPIRED"
    assert server.desk.balances() == {"USDT": ("2000", "0")}


async def test_the_key_tells_what_it_may_do(server: BinanceServer, client: Any) -> None:
    assert (await client.get_account_api_permissions())["enableWithdrawals"] is False
    server.desk.set_key(enableWithdrawals=True, ipRestrict=False)
    found = await client.get_account_api_permissions()
    assert (found["enableWithdrawals"], found["ipRestrict"], found["enableFutures"]) == (True, False, True)
    with pytest.raises(ValueError, match="no enableTheft"):
        server.desk.set_key(enableTheft=True)


async def test_transfers_are_told_of_the_last_ninety_days(server: BinanceServer, client: Any) -> None:
    now = server.gate.exchange.now_ms()
    server.desk.add_deposit("USDT", "500", now - DAY_MS)
    server.desk.add_deposit("USDT", "1", now - 91 * DAY_MS)
    server.desk.add_withdrawal("USDT", "100")
    [deposit] = await client.get_deposit_history()
    assert (deposit["amount"], deposit["status"]) == ("500.00000000", 1)
    assert await client.get_deposit_history(coin="SOL") == []
    [withdrawal] = await client.get_withdraw_history(startTime=now - DAY_MS)
    assert (withdrawal["amount"], withdrawal["status"]) == ("100.00000000", 6)
    assert server.desk.balances() == {"USDT": ("2401", "0")}


async def test_filters_prices_and_times_are_told(client: Any) -> None:
    symbol = await client.get_symbol_info("BTCUSDT")
    filters = {found["filterType"]: found for found in symbol["filters"]}
    assert filters["LOT_SIZE"]["stepSize"] == "0.00001000"
    assert filters["MARKET_LOT_SIZE"]["stepSize"] == "0.00000000"
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert {"symbol": "PEPEUSDT", "price": "0.00000950"} in await client.get_all_tickers()
    assert (await client.get_symbol_ticker(symbol="SOLUSDT"))["price"] == "150.00000000"
    assert (await client.get_server_time())["serverTime"] > 0
    assert await client.ping() == {}
