"""python-binance's own AsyncClient, pointed at a local server."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .server import KEY, SECRET

with warnings.catch_warnings():  # python-binance 1.0.37 imports a name that websockets is about to drop
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient
    from binance.exceptions import BinanceAPIException, BinanceRequestException

__all__ = ["BinanceAPIException", "BinanceRequestException", "connected"]


@asynccontextmanager
async def connected(base_url: str, key: str = KEY, secret: str = SECRET) -> AsyncIterator[Any]:
    """The client, closed at the end; it asks nothing by itself, not even the time."""

    class Local(AsyncClient):  # type: ignore[misc]
        API_URL = f"{base_url}/api"
        MARGIN_API_URL = f"{base_url}/sapi"
        FUTURES_URL = f"{base_url}/fapi"

    client = Local(key, secret)
    try:
        yield client
    finally:
        await client.close_connection()
