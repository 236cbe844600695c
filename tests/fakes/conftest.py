"""A local Binance in the test's own loop, and the real python-binance that calls it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from .binance import BinanceServer
from .binance.client import connected


@pytest.fixture
async def server() -> AsyncIterator[BinanceServer]:
    async with BinanceServer() as running:
        yield running


@pytest.fixture
async def client(server: BinanceServer) -> AsyncIterator[Any]:
    async with connected(server.base_url) as found:
        yield found
