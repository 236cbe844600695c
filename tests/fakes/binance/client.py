"""python-binance's own AsyncClient, pointed at a local server."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from .desk import Desk
from .server import KEY, SECRET

with warnings.catch_warnings():  # python-binance 1.0.37 imports a name that websockets is about to drop
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient
    from binance.exceptions import BinanceAPIException, BinanceRequestException

__all__ = ["BinanceAPIException", "BinanceRequestException", "arrival", "connected", "refusal"]


@asynccontextmanager
async def connected(
    base_url: str, key: str = KEY, secret: str = SECRET, *, timeout_s: float = 10
) -> AsyncIterator[Any]:
    """The client, closed at the end; it asks nothing by itself, not even the time."""

    class Local(AsyncClient):  # type: ignore[misc]
        API_URL = f"{base_url}/api"
        MARGIN_API_URL = f"{base_url}/sapi"
        FUTURES_URL = f"{base_url}/fapi"
        REQUEST_TIMEOUT = timeout_s

    client = Local(key, secret)
    try:
        yield client
    finally:
        await client.close_connection()


async def refusal(call: Awaitable[Any]) -> tuple[int, int]:
    """The HTTP status and the code of the API error that a call ends in. AssertionError if it does not."""
    try:
        answer = await call
    except BinanceAPIException as error:
        return int(error.status_code), int(error.code)
    raise AssertionError(f"not refused: {answer}")


async def arrival(desk: Desk, endpoint: str) -> None:
    """Return once a call of this endpoint has come in, answered or not. AssertionError if none does."""
    for _ in range(10_000):
        if desk.journal(endpoint):
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"no call of {endpoint}")
