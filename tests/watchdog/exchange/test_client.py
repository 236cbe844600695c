"""The client: every API at base_url, its own clock, strict answers, and not a secret in what goes wrong."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import SecretStr

from tests.fakes.binance import KEY, SECRET, BinanceServer
from tests.fakes.binance.faults import Kind
from tests.watchdog.fakes import ManualClock
from tests.watchdog.house import settings_in
from watchdog.exchange.access import Access
from watchdog.exchange.client import Client
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.line import Limits


@pytest.fixture
async def server() -> AsyncIterator[BinanceServer]:
    async with BinanceServer() as found:
        yield found


@pytest.fixture
async def client(server: BinanceServer) -> AsyncIterator[Client]:
    found = Client(KEY, SECRET, server.base_url, 0.3)
    yield found
    await found.close_connection()


async def test_every_api_is_at_the_base_url(server: BinanceServer, client: Client) -> None:
    await client.futures_time()
    await client.get_server_time()
    await client.get_account_api_permissions()
    await client.spot_rules("SOLUSDT")
    assert [entry["path"] for entry in server.desk.journal()] == [
        "/fapi/v1/time", "/api/v3/time", "/sapi/v1/account/apiRestrictions", "/api/v3/exchangeInfo",
    ]  # fmt: skip


async def test_without_a_base_url_it_is_binance() -> None:
    client = Client(KEY, SECRET, None, 0.3)
    try:
        urls = (client.API_URL, client.MARGIN_API_URL, client.FUTURES_URL)
    finally:
        await client.close_connection()
    assert urls == (
        "https://api.binance.com/api",
        "https://api.binance.com/sapi",
        "https://fapi.binance.com/fapi",
    )


@pytest.mark.parametrize("market", ["usdm", "spot"])
async def test_the_exchanges_clock_is_taken_over(server: BinanceServer, client: Client, market: str) -> None:
    server.desk.shift_clock(-3600)
    with pytest.raises(ExchangeError) as caught:
        await client.futures_position_information()
    assert caught.value.kind == "clock"
    assert await client.set_clock(market) == pytest.approx(-3_600_000, abs=5000)
    assert await client.futures_position_information() == []
    (*_, entry) = server.desk.journal()
    assert entry["params"]["recvWindow"] == "5000"


@pytest.mark.parametrize(
    "kind", [k for k in get_args(Kind) if k not in {"moves", "partial", "spare", "stale"}]
)
async def test_no_failure_tells_a_secret(
    server: BinanceServer, client: Client, kind: Kind, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    server.desk.fault("*", kind, seconds=1) if kind in {"hang", "slow"} else server.desk.fault("*", kind)
    text = ""
    try:
        await client.futures_create_order(symbol="SOLUSDT", side="BUY", type="MARKET", quantity="1")
    except ExchangeError as error:
        text = "".join(traceback.format_exception(error)) + repr(error)
    assert ("ExchangeError: POST fapi/v1/order: " in text) == (kind not in {"nothing", "wrong_type"})
    for secret in (KEY, SECRET, "signature", "timestamp="):
        assert secret not in text + caplog.text


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("html", "garbled"),
        ("empty", "garbled"),
        ("truncated", "garbled"),
        ("half", "unreachable"),
        ("drop", "unreachable"),
    ],
)
async def test_what_is_no_answer_is_none(
    server: BinanceServer, client: Client, fault: Kind, kind: str
) -> None:
    server.desk.fault("POST *", fault)
    with pytest.raises(ExchangeError) as caught:
        await client.futures_create_order(symbol="SOLUSDT", side="BUY", type="MARKET", quantity="1")
    assert (caught.value.kind, caught.value.lost) == (kind, True)


@pytest.mark.parametrize(
    ("status", "call"), [(302, "futures_get_open_orders"), (307, "futures_create_order")]
)
async def test_a_redirect_is_followed_nowhere(status: int, call: str) -> None:
    met: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(await reader.readuntil(b"\r\n\r\n"))
        if b"/elsewhere" in met[-1]:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]")
        else:
            head = f"HTTP/1.1 {status} Found\r\nLocation: http://localhost:{port}/elsewhere\r\n"
            writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(KEY, SECRET, f"http://127.0.0.1:{port}", 1.0)
    try:
        with pytest.raises(ExchangeError) as caught:
            await getattr(client, call)(symbol="SOLUSDT")
    finally:
        await client.close_connection()
        server.close()
        await server.wait_closed()
    assert (caught.value.kind, caught.value.status, caught.value.lost) == ("failed", status, True)
    assert len(met) == 1  # the key went nowhere else, and no empty list came from there


@pytest.mark.parametrize("body", [b"[]", b'"no"', b'{"code": "x"}', b"", b"<html>"])
async def test_an_error_without_a_code_is_told_by_its_status(body: bytes) -> None:
    class Answer:
        status, headers = 429, {"Retry-After": "7"}

        async def read(self) -> bytes:
            return body

    client = Client(KEY, SECRET, "http://127.0.0.1:1", 0.3)
    try:
        with pytest.raises(ExchangeError) as caught:
            await client._handle_response(Answer())
    finally:
        await client.close_connection()
    assert (caught.value.kind, caught.value.wait_s, caught.value.code) == ("limited", 7.0, None)


class TestAccess:
    @staticmethod
    def access(
        tmp_path: Path, server: BinanceServer, machine: ManualClock, limits: Limits | None = None
    ) -> Access:
        section = {"kind": "binance_usdm", "api_key": KEY, "api_secret": SECRET, "symbols": ["SOLUSDT"]}
        settings = settings_in(tmp_path, {"exchange": {**section, "base_url": server.base_url}})
        assert settings.exchange is not None
        return Access(settings.exchange, machine.clock(), limits)

    async def test_it_is_closed_whatever_happens(self, tmp_path: Path, server: BinanceServer) -> None:
        machine = ManualClock()
        access = self.access(tmp_path, server, machine)
        with pytest.raises(ZeroDivisionError):
            async with access.open(machine.sleep, 10) as session:
                raise ZeroDivisionError
        assert session.client.session.closed
        assert session.ahead_ms == pytest.approx(0, abs=2000)

    async def test_a_ban_is_not_probed_by_the_next_client(
        self, tmp_path: Path, server: BinanceServer
    ) -> None:
        machine, kept = ManualClock(), list[datetime]()
        clock = machine.clock()
        access = self.access(tmp_path, server, machine, Limits(clock, keep=kept.append))
        server.desk.fault("*", "ban", retry_after_s=60)
        async with access.open(machine.sleep, 10) as session:
            assert session.ahead_ms is None
        later = self.access(tmp_path, server, machine, Limits(clock, kept[-1]))
        async with later.open(machine.sleep, 10) as session:
            with pytest.raises(
                ExchangeError, match="does not want to be asked, not before 2026-03-01 10:01:00 UTC"
            ):
                await session.market.open_orders("SOLUSDT")
        assert (len(server.desk.journal()), server.desk.too_early()) == (1, 0)
        machine.go(61)
        server.desk.heal()
        async with later.open(machine.sleep, 10) as session:
            assert await session.market.open_orders("SOLUSDT") == []

    async def test_a_secret_that_this_shell_does_not_have_is_named(
        self, tmp_path: Path, server: BinanceServer
    ) -> None:
        machine = ManualClock()
        access = self.access(tmp_path, server, machine)
        unset = SecretStr("0:BINANCE_API_KEY-is-not-set")
        section = access.settings.model_copy(update={"api_key": unset})
        with pytest.raises(ExchangeError, match="exchange: BINANCE_API_KEY is not set in this shell"):
            async with Access(section, access.clock).open(machine.sleep, 10):
                pass
        assert server.desk.journal() == []
