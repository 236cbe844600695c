"""python-binance's AsyncClient for one account. Importing this module imports `binance` (a second, 41 MiB).

Construct it inside the running loop, and close it: `await client.close_connection()`. It asks nothing by itself.
"""

import json
import logging
import time
import warnings
from typing import Any

from watchdog.exchange.errors import ExchangeError, answered, broken, garbled

with warnings.catch_warnings():  # python-binance 1.0.37 imports names that websockets is about to drop
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance import AsyncClient

RECV_WINDOW_MS = 5000
"""A request that reaches the exchange later than this is not obeyed."""

SERVER_TIME = {"usdm": "fapi/v1/time", "spot": "api/v3/time"}

for _name in ("binance", "aiohttp", "websockets"):  # they write down requests, with keys and signatures
    logging.getLogger(_name).setLevel(logging.WARNING)


class Client(AsyncClient):  # type: ignore[misc]
    """Every API at `base_url` (scheme and host), where one is given. Raises ExchangeError alone."""

    REQUEST_RECVWINDOW = RECV_WINDOW_MS

    def __init__(self, key: str, secret: str, base_url: str | None, timeout_s: float) -> None:
        self.REQUEST_TIMEOUT = timeout_s
        if base_url is not None:  # `testnet` would pass over these
            self.API_URL = f"{base_url}/api"
            self.MARGIN_API_URL = f"{base_url}/sapi"
            self.FUTURES_URL = f"{base_url}/fapi"
        super().__init__(key, secret)

    async def set_clock(self, market: str) -> int:
        """Takes the exchange's time for the timestamps to come; by how much it is ahead of this machine's, in ms."""
        began = time.time()
        if market == "usdm":
            answer = await self.futures_time()
        else:
            answer = await self.get_server_time()
        there = answer.get("serverTime") if isinstance(answer, dict) else None
        if not isinstance(there, int) or isinstance(there, bool) or there <= 0:
            raise garbled(SERVER_TIME[market], "no time in it")
        self.timestamp_offset = there - int((began + time.time()) / 2 * 1000)
        return int(self.timestamp_offset)

    async def spot_rules(self, symbol: str) -> Any:
        """exchangeInfo of one spot symbol; the library's own call asks for all of them, which are megabytes."""
        return await self._get("exchangeInfo", data={"symbol": symbol})

    async def _request(
        self, method: str, uri: str, signed: bool, force_params: bool = False, **kwargs: Any
    ) -> Any:
        call = _call(method, uri)
        try:
            return await super()._request(method, uri, signed, force_params, **kwargs)
        except ExchangeError as error:
            raise ExchangeError(
                call, error.why, error.kind, status=error.status, code=error.code, wait_s=error.wait_s
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, its text may hold the signed URL
            raise broken(call, error) from None

    def _get_request_kwargs(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """A redirect is not followed: the key would go to another host, whose empty list would be an answer."""
        return {**super()._get_request_kwargs(*args, **kwargs), "allow_redirects": False}

    async def _handle_response(self, response: Any) -> Any:
        """In place of the library's, whose errors hold the request, and which takes an empty body for an answer."""
        body = await response.read()
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not 200 <= response.status < 300:
            code = answer.get("code") if isinstance(answer, dict) else None
            raise answered("", response.status, _integer(code), response.headers.get("Retry-After"))
        if answer is None:
            raise garbled("", f"{len(body)} bytes that are no JSON" if body else "it is empty")
        return answer


def _call(method: str, uri: str) -> str:
    """`GET fapi/v1/order`: without host, and without the query that holds the signature."""
    path = uri.split("?", 1)[0].split("://", 1)[-1].split("/", 1)[-1]
    return f"{method.upper()} {'/'.join(path.split('/')[-4:])}"


def _integer(code: object) -> int | None:
    try:
        return int(code) if isinstance(code, int | str) else None
    except ValueError:
        return None
