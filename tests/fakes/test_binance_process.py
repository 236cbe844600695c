"""The local Binance in a thread and as a process of its own."""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from .binance import BinanceServer, RemoteDesk
from .binance.client import arrival, connected, refusal

TOP = Path(__file__).parents[2]


@contextmanager
def process(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server of its own with its state and its log in `folder`, and its port; killed at the end."""
    command = [sys.executable, "-m", "tests.fakes.binance", "--port", str(port)]
    command += ["--state", str(folder / "state.json"), "--log", str(folder / "log.jsonl")]
    running = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        assert select.select([running.stdout], [], [], 60)[0], "the server did not come up"
        yield running, int(running.stdout.readline())
    finally:
        running.kill()
        running.wait()
        assert running.stdout is not None
        running.stdout.close()


async def test_a_server_of_its_own_keeps_its_state_through_a_kill(tmp_path: Path) -> None:
    with process(tmp_path) as (running, port):
        base_url = f"http://127.0.0.1:{port}"
        desk = RemoteDesk(base_url)
        desk.set_position("SOLUSDT", "1.3", entry_price="140")
        desk.add_order("SOLUSDT", "BUY", "1", "145")
        desk.fault("POST *", "drop", done=True)
        async with connected(base_url) as client:
            with pytest.raises(aiohttp.ClientError):
                await client.futures_create_order(symbol="SOLUSDT", side="SELL", type="MARKET", quantity="1")
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
    with process(tmp_path, port) as (_, again):
        assert again == port
        desk = RemoteDesk(base_url)
        assert desk.positions() == {"SOLUSDT": "0.3"}
        assert [order["price"] for order in desk.open_orders()] == ["145.00"]
        assert desk.journal() == []
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["path"], line["fault"], line["done"]) for line in log] == [("/fapi/v1/order", "drop", True)]


def test_a_server_of_its_own_ends_when_told_so(tmp_path: Path) -> None:
    with process(tmp_path) as (running, _):
        running.terminate()
        assert running.wait(30) == 0


def test_the_desk_is_the_same_from_afar() -> None:
    with BinanceServer() as server:
        desk = RemoteDesk(server.base_url)
        number = desk.add_algo_order("SOLUSDT", "SELL", "140", close_position=True)
        assert [order["algoId"] for order in server.desk.open_algo_orders()] == [number]
        desk.set_key(enableWithdrawals=True)
        assert desk.state()["spot"]["restrictions"] == {"enableWithdrawals": True}
        desk.fault("GET *", "hang", seconds=2, times=None)
        assert server.gate.faults[0].options == {"seconds": 2}
        desk.heal()
        assert server.gate.faults == []
        with pytest.raises(RuntimeError, match="Invalid symbol"):
            desk.set_position("NOSUCH", 1)
        with pytest.raises(RuntimeError, match="none of hang"):
            desk.fault("*", "plague")  # type: ignore[arg-type]
        with pytest.raises(AttributeError):
            desk.set_weather("fine")
        assert desk.journal() == []


async def test_a_server_in_a_thread_goes_away_and_comes_back_on_its_port() -> None:
    with BinanceServer() as server:
        async with connected(server.base_url) as client:
            server.desk.set_position("SOLUSDT", "1.3")
            server.stop()
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.futures_position_information()
            server.start()
            [held] = await client.futures_position_information()
            assert held["positionAmt"] == "1.30"


async def test_stopping_does_not_wait_for_those_that_hang() -> None:
    async with BinanceServer() as server, connected(server.base_url) as client:
        server.desk.fault("*", "hang", seconds=100)
        waiting = asyncio.create_task(client.futures_ping())
        await arrival(server.desk, "GET *")
        await server.close()
        with pytest.raises(aiohttp.ClientError):
            await waiting


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="address already in use"):
            BinanceServer(port=taken.getsockname()[1]).start()


async def test_only_this_machine_is_served() -> None:
    async with BinanceServer() as server:
        with socket.socket() as other:  # would be answered if all addresses were served
            assert other.connect_ex(("127.0.0.2", server.port)) != 0


async def test_another_key_can_be_agreed_on() -> None:
    async with BinanceServer(key="k" * 64, secret="s" * 64) as server:
        async with connected(server.base_url, "k" * 64, "s" * 64) as client:
            assert await client.futures_get_open_orders() == []
        async with connected(server.base_url) as client:
            assert await refusal(client.futures_get_open_orders()) == (401, -2015)
