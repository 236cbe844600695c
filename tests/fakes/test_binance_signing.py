"""Whom the local Binance lets in: key, clock, signature."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from .binance import KEY, SECRET, BinanceServer
from .binance.client import connected, refusal

PATH = "/fapi/v1/openOrders"


def signed(text: str, secret: str = SECRET) -> str:
    return f"{text}&signature={hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()}"


async def ask(
    server: BinanceServer,
    query: str,
    *,
    method: str = "GET",
    path: str = PATH,
    body: str = "",
    headers: Mapping[str, str] = {"X-MBX-APIKEY": KEY},
) -> tuple[int, Any]:
    """Status and code of what an HTTP client gets that sends exactly this."""
    url = f"{server.base_url}{path}?{query}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=body, headers=form | dict(headers)) as answer,
    ):
        found = await answer.json()
        return answer.status, found.get("code") if isinstance(found, dict) else found


def now_ms(server: BinanceServer) -> int:
    return server.gate.exchange.now_ms()


async def test_a_signed_request_is_let_in(server: BinanceServer) -> None:
    assert await ask(server, signed(f"timestamp={now_ms(server)}&recvWindow=5000")) == (200, [])


async def test_query_and_body_are_signed_together_in_that_order(server: BinanceServer) -> None:
    query, body = "symbol=SOLUSDT", f"timestamp={now_ms(server)}"
    both = signed(query + body).removeprefix(query)
    where: dict[str, Any] = {"method": "DELETE", "path": "/fapi/v1/allOpenOrders"}
    assert await ask(server, query, body=both, **where) == (200, 200)
    swapped = signed(body + query).removeprefix(body + query)
    assert await ask(server, query, body=body + swapped, **where) == (400, -1022)


async def test_what_was_signed_otherwise_than_it_was_sent_is_refused(server: BinanceServer) -> None:
    text = f"symbol=SOLUSDT&timestamp={now_ms(server)}"
    assert await ask(server, signed(text).replace("SOLUSDT", "BTCUSDT")) == (400, -1022)
    assert await ask(server, signed(text, "another secret")) == (400, -1022)
    assert await ask(server, text) == (400, -1102)
    assert await ask(server, f"{signed(text)}&symbol=SOLUSDT") == (400, -1101)


@pytest.mark.parametrize(
    ("headers", "code"), [({}, -2014), ({"X-MBX-APIKEY": "a b"}, -2014), ({"X-MBX-APIKEY": "A" * 64}, -2015)]
)
async def test_a_key_that_is_missing_malformed_or_unknown_is_unauthorised(
    server: BinanceServer, headers: dict[str, str], code: int
) -> None:
    assert await ask(server, signed(f"timestamp={now_ms(server)}"), headers=headers) == (401, code)


@pytest.mark.parametrize(
    ("off_ms", "window", "answer"),
    [
        (-4900, None, (200, [])),
        (-6000, None, (400, -1021)),
        (-6000, 10000, (200, [])),
        (500, None, (200, [])),
        (1500, None, (400, -1021)),
        (1500, 60000, (400, -1021)),
        (0, 60001, (400, -1131)),
    ],
)
async def test_a_timestamp_is_late_by_the_window_and_early_by_a_second(
    server: BinanceServer, off_ms: int, window: int | None, answer: tuple[int, Any]
) -> None:
    fields = {"timestamp": now_ms(server) + off_ms} | ({} if window is None else {"recvWindow": window})
    assert await ask(server, signed(urlencode(fields))) == answer


async def test_a_timestamp_is_mandatory_and_a_number(server: BinanceServer) -> None:
    assert await ask(server, signed("symbol=SOLUSDT")) == (400, -1102)
    assert await ask(server, signed("timestamp=yesterday")) == (400, -1100)


@pytest.mark.parametrize("shift_s", [-3600, 3600])
async def test_a_shifted_clock_refuses_until_the_client_takes_the_new_time(
    server: BinanceServer, client: Any, shift_s: float
) -> None:
    await client.futures_get_open_orders()
    before = (await client.futures_time())["serverTime"]
    server.desk.shift_clock(shift_s)
    assert await refusal(client.futures_get_open_orders()) == (400, -1021)
    client.timestamp_offset += (await client.futures_time())["serverTime"] - before
    assert await client.futures_get_open_orders() == []


async def test_nothing_is_done_for_a_request_that_is_not_let_in(server: BinanceServer) -> None:
    server.desk.set_position("SOLUSDT", "1.3")
    async with connected(server.base_url, secret="wrong") as stranger:
        order = stranger.futures_create_order(symbol="SOLUSDT", side="SELL", type="MARKET", quantity="1.3")
        assert await refusal(order) == (400, -1022)
    assert server.desk.positions() == {"SOLUSDT": "1.3"}
    [entry] = server.desk.journal("POST *")
    assert (entry["done"], entry["status"], entry["code"]) == (False, 400, -1022)


async def test_the_journal_keeps_no_key_and_no_signature(server: BinanceServer, client: Any) -> None:
    await client.futures_get_open_orders(symbol="SOLUSDT")
    [entry] = server.desk.journal()
    assert set(entry["params"]) == {"symbol", "timestamp", "recvWindow"}
    assert KEY not in str(entry)


async def test_market_data_needs_no_key(server: BinanceServer) -> None:
    assert await ask(server, "", path="/fapi/v1/ping", headers={}) == (200, None)
    assert await ask(server, "", path="/fapi/v9/ping", headers={}) == (404, -5000)
