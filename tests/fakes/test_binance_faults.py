"""What goes wrong on demand, as the real python-binance meets it."""

import asyncio
from typing import Any

import aiohttp
import pytest

from .binance import BinanceServer
from .binance.client import BinanceAPIException, BinanceRequestException, arrival, connected, refusal

ORDER = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1.3"}
POST, LIST = "POST /fapi/v1/order", "GET /fapi/v1/openOrders"


async def failure(call: Any) -> BaseException:
    """Whatever a call ends in."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await call
    return caught.value


@pytest.mark.parametrize("kind", ["hang", "drop", "half"])
@pytest.mark.parametrize("done", [False, True])
async def test_an_answer_is_lost_before_or_after_the_deed(
    server: BinanceServer, client: Any, kind: Any, done: bool
) -> None:
    server.desk.fault(POST, kind, done=done, seconds=0.01)
    broken = await failure(client.futures_create_order(**ORDER, newClientOrderId="mine"))
    assert isinstance(broken, aiohttp.ClientError)
    [entry] = server.desk.journal(POST)
    assert (entry["fault"], entry["done"]) == (kind, done)
    assert server.desk.positions() == ({"SOLUSDT": "1.3"} if done else {})
    asked = client.futures_get_order(symbol="SOLUSDT", origClientOrderId="mine")
    if done:
        assert (await asked)["status"] == "FILLED"
    else:
        assert await refusal(asked) == (400, -2013)


async def test_a_client_that_waits_for_less_runs_out_of_time(server: BinanceServer) -> None:
    server.desk.fault(LIST, "hang", seconds=60)
    async with connected(server.base_url, timeout_s=0.2) as client:
        assert isinstance(await failure(client.futures_get_open_orders()), TimeoutError)


async def test_a_slow_order_is_carried_out_after_the_client_has_gone(
    server: BinanceServer, client: Any
) -> None:
    server.desk.fault(POST, "slow", seconds=0.5)
    async with connected(server.base_url) as hasty:
        order = asyncio.create_task(hasty.futures_create_order(**ORDER))
        await arrival(server.desk, POST)
        assert server.desk.positions() == {}
        order.cancel()
    server.desk.fault("GET /fapi/v1/ping", "slow", seconds=0.6)
    await client.futures_ping()
    assert server.desk.positions() == {"SOLUSDT": "1.3"}


async def test_a_dropped_question_is_repeated_by_aiohttp_and_a_dropped_order_is_not(
    server: BinanceServer, client: Any
) -> None:
    """On a connection that is kept: what a client counts as one call may be two."""
    await client.futures_ping()
    server.desk.fault(LIST, "drop")
    assert await client.futures_get_open_orders() == []
    assert [entry["status"] for entry in server.desk.journal(LIST)] == [None, 200]
    server.desk.fault(POST, "drop")
    assert isinstance(await failure(client.futures_create_order(**ORDER)), aiohttp.ClientError)
    assert len(server.desk.journal(POST)) == 1


async def test_the_market_moves_between_a_look_and_a_deed(server: BinanceServer, client: Any) -> None:
    number = server.desk.add_order("SOLUSDT", "BUY", "1", "140")
    server.desk.fault("DELETE *", "moves", symbol="SOLUSDT", price="139")
    assert len(await client.futures_get_open_orders()) == 1
    assert await refusal(client.futures_cancel_order(symbol="SOLUSDT", orderId=number)) == (400, -2011)
    assert server.desk.positions() == {"SOLUSDT": "1"}


@pytest.mark.parametrize(
    ("kind", "options", "status", "code"),
    [
        ("unknown", {}, 503, -1000),
        ("unavailable", {}, 503, -1016),
        ("error", {}, 400, -1000),
        ("error", {"code": -1021}, 400, -1021),
        ("error", {"code": -1003, "status": 429}, 429, -1003),
        ("error", {"code": -1008, "status": 503}, 503, -1008),
        ("server_error", {}, 500, 0),
        ("html", {"status": 403}, 403, 0),
        ("html", {"status": 502}, 502, 0),
    ],
)
async def test_errors_come_once_and_do_nothing(
    server: BinanceServer, client: Any, kind: Any, options: dict[str, Any], status: int, code: int
) -> None:
    server.desk.fault(POST, kind, **options)
    error = await failure(client.futures_create_order(**ORDER))
    assert isinstance(error, BinanceAPIException)
    assert (error.status_code, error.code) == (status, code)
    assert server.desk.positions() == {}
    await client.futures_create_order(**ORDER)
    assert server.desk.positions() == {"SOLUSDT": "1.3"}
    assert [entry["status"] for entry in server.desk.journal(POST)] == [status, 200]


async def test_an_unknown_outcome_may_have_been_a_success(server: BinanceServer, client: Any) -> None:
    server.desk.fault(POST, "unknown", done=True)
    assert await refusal(client.futures_create_order(**ORDER)) == (503, -1000)
    assert server.desk.positions() == {"SOLUSDT": "1.3"}


async def test_bodies_come_in_the_wrong_form(server: BinanceServer, client: Any) -> None:
    server.desk.add_order("SOLUSDT", "BUY", "1", "140")
    server.desk.fault(LIST, "html")
    assert isinstance(await failure(client.futures_get_open_orders()), aiohttp.ContentTypeError)
    server.desk.fault(LIST, "truncated")
    assert isinstance(await failure(client.futures_get_open_orders()), BinanceRequestException)
    server.desk.fault(LIST, "empty")
    assert await client.futures_get_open_orders() == {}
    server.desk.fault(LIST, "wrong_type")
    assert (await client.futures_get_open_orders())["origQty"] == "1.00"
    server.desk.fault("GET /fapi/v1/positionSide/dual", "wrong_type")
    assert await client.futures_get_position_mode() == [{"dualSidePosition": False}]


async def test_positions_are_hidden_once(server: BinanceServer, client: Any) -> None:
    server.desk.set_position("SOLUSDT", "1.3")
    server.desk.fault("GET /fapi/v3/positionRisk", "nothing")
    assert await client.futures_position_information() == []
    assert len(await client.futures_position_information()) == 1


async def test_what_was_just_cancelled_is_still_listed_for_some_reads(
    server: BinanceServer, client: Any
) -> None:
    """Although something else has changed since."""
    server.desk.add_order("SOLUSDT", "BUY", "1", "140")
    await client.futures_cancel_all_open_orders(symbol="SOLUSDT")
    await client.futures_cancel_all_open_orders(symbol="SOLUSDT", conditional=True)
    server.desk.fault(LIST, "stale", times=2)
    seen = [len(await client.futures_get_open_orders()) for _ in range(3)]
    assert seen == [1, 1, 0]


@pytest.mark.parametrize("conditional", [False, True])
async def test_cancelling_all_leaves_one_behind(
    server: BinanceServer, client: Any, conditional: bool
) -> None:
    for price in ("140", "141"):
        server.desk.add_order("SOLUSDT", "BUY", "1", price)
        server.desk.add_algo_order("SOLUSDT", "SELL", price, "1")
    server.desk.fault("DELETE *", "spare")
    answer = await client.futures_cancel_all_open_orders(symbol="SOLUSDT", conditional=conditional)
    assert answer["code"] == 200
    assert len(await client.futures_get_open_orders(conditional=conditional)) == 1
    await client.futures_cancel_all_open_orders(symbol="SOLUSDT", conditional=conditional)
    assert await client.futures_get_open_orders(conditional=conditional) == []


async def test_an_order_is_filled_in_part_and_expires(server: BinanceServer, client: Any) -> None:
    server.desk.fault(POST, "partial", share="0.5")
    await client.futures_create_order(**ORDER, newClientOrderId="mine")
    found = await client.futures_get_order(symbol="SOLUSDT", origClientOrderId="mine")
    assert (found["status"], found["executedQty"]) == ("EXPIRED", "0.65")
    assert server.desk.positions() == {"SOLUSDT": "0.65"}


async def test_a_fault_meets_the_nth_call_of_its_endpoint(server: BinanceServer, client: Any) -> None:
    server.desk.fault("GET /fapi/*", "error", nth=2, times=2)
    outcomes = []
    for _ in range(4):
        await client.get_server_time()
        try:
            await client.futures_ping()
        except BinanceAPIException:
            outcomes.append("error")
        else:
            outcomes.append("ok")
    assert outcomes == ["ok", "error", "error", "ok"]


async def test_faults_at_random_are_the_same_for_a_seed(server: BinanceServer, client: Any) -> None:
    async def outcomes(seed: int) -> list[int]:
        server.desk.heal()
        server.desk.fault("*", "error", times=None, probability=0.5, seed=seed)
        before = len(server.desk.journal())
        for _ in range(20):
            try:
                await client.futures_ping()
            except BinanceAPIException:
                continue
        return [entry["status"] for entry in server.desk.journal()[before:]]

    first = await outcomes(1)
    assert set(first) == {200, 400}
    assert await outcomes(1) == first
    assert await outcomes(2) != first


async def test_a_fault_that_does_not_exist_is_refused(server: BinanceServer) -> None:
    with pytest.raises(ValueError, match="none of hang"):
        server.desk.fault("*", "plague")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="wants symbol"):
        server.desk.fault("*", "moves")


# -- limits, with a clock by hand


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


async def retry_after(call: Any) -> tuple[int, int]:
    """Status and Retry-After."""
    error = await failure(call)
    assert isinstance(error, BinanceAPIException)
    assert error.code == -1003
    return error.status_code, int(error.response.headers["Retry-After"])


async def test_a_rate_limit_holds_for_as_long_as_it_said() -> None:
    clock = Clock()
    async with BinanceServer(clock=clock) as server, connected(server.base_url) as client:
        server.desk.fault("*", "rate_limit", retry_after_s=10)
        assert await retry_after(client.futures_ping()) == (429, 10)
        clock.now += 4
        assert await retry_after(client.futures_ping()) == (429, 6)
        assert server.desk.too_early() == 1
        clock.now += 6
        await client.futures_ping()
        assert server.desk.too_early() == 1
        assert [entry["limited"] for entry in server.desk.journal()] == [False, True, False]


async def test_calls_that_ignore_a_rate_limit_bring_a_ban() -> None:
    clock = Clock()
    async with BinanceServer(clock=clock) as server, connected(server.base_url) as client:
        server.desk.fault("*", "rate_limit", retry_after_s=10)
        seen = [await retry_after(client.futures_ping()) for _ in range(4)]
        assert seen == [(429, 10), (429, 10), (429, 10), (418, 20)]


async def test_every_call_during_a_ban_is_counted_and_lengthens_it() -> None:
    clock = Clock()
    async with BinanceServer(clock=clock) as server, connected(server.base_url) as client:
        server.desk.fault(LIST, "ban", retry_after_s=5)
        assert await retry_after(client.futures_get_open_orders()) == (418, 5)
        assert await retry_after(client.futures_ping()) == (418, 10)
        clock.now += 9
        assert await retry_after(client.get_server_time()) == (418, 6)
        assert server.desk.too_early() == 2
        clock.now += 6
        await client.futures_ping()
        server.desk.fault("*", "ban")
        await retry_after(client.futures_ping())
        server.desk.heal()
        await client.futures_ping()
