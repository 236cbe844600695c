"""What goes wrong at the exchange: one root, `ExchangeError`.

The text is built from the call's name, types, status and code alone. The exceptions of python-binance and aiohttp hold
signed URLs, headers with the key, and whatever a server wrote: none of them is quoted or chained.
"""

import os
from collections.abc import Sequence
from typing import Literal

from watchdog.exchange.known import OpenOrder

Kind = Literal["unreachable", "failed", "garbled", "limited", "clock", "refused", "late"]

MEANINGS = {
    -1002: "the key may not do this",
    -1022: "the signature does not fit: exchange.api_secret is not the one of this key",
    -1121: "there is no such symbol in this market",
    -2010: "the order was rejected",
    -2011: "there is no such open order",
    -2013: "there is no such order",
    -2014: "exchange.api_key is not a key",
    -2015: "the key is unknown, or its IP list or permissions do not allow this",
    -2019: "the margin does not suffice",
    -2022: "nothing is left to reduce",
}
"""Codes of the API that an operator can do something about."""

NO_SUCH_ORDER = (-2011, -2013)
CLOCK = -1021
TOO_MANY = (-1003, -1015)
UNSURE = (-1000, -1001, -1006, -1007, -1008, -1016)
"""Codes of an exchange in trouble: the same call may pass a moment later, and an order may have been executed."""

_BROKEN = {
    "gaierror": "its address cannot be found (DNS)",
    "ClientConnectorDNSError": "its address cannot be found (DNS)",
    "ClientConnectorCertificateError": "its certificate is not to be trusted",
    "ClientSSLError": "no secure connection could be made",
    "SSLError": "no secure connection could be made",
    "ServerDisconnectedError": "the connection broke off",
    "ConnectionResetError": "the connection broke off",
    "ClientPayloadError": "the answer broke off",
}
"""What people are told of a connection, by the name of the exception."""

NO_SUCH_CALL = 404
WAIT_429_S = 10.0
WAIT_418_S = 120.0
"""Where the answer does not say how long."""


class ExchangeError(Exception):
    """A call that did not bring what was asked for.

    kind: `unreachable` (no whole answer came), `failed` (the exchange is in trouble), `garbled` (an answer that makes
        no sense), `limited` (too many requests: not done, not before `wait_s`), `clock` (the timestamp was not
        accepted: not done), `refused` (a definite no), `late` (not asked any more: the time for it is over).
    """

    def __init__(
        self,
        call: str,
        why: str,
        kind: Kind,
        *,
        status: int | None = None,
        code: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(f"{call}: {why}")
        self.call, self.why, self.kind = call, why, kind
        self.status, self.code, self.wait_s = status, code, wait_s
        self.found: Sequence[OpenOrder] = ()
        """Of a list of open orders that failed in part: those that were read."""

    @property
    def lost(self) -> bool:
        """What was asked for may have been done all the same."""
        return self.kind in {"unreachable", "failed", "garbled"}


def answered(call: str, status: int, code: int | None, retry_after: str | None) -> ExchangeError:
    """The error that an answer other than 2xx stands for. `retry_after`: the header as it came."""
    said = f"HTTP {status}" if code is None else f"HTTP {status}, code {code}"
    if status in (418, 429) or code in TOO_MANY:
        wait_s = _seconds(retry_after, WAIT_418_S if status == 418 else WAIT_429_S)
        what = "this address is banned" if status == 418 else "too many requests from this address"
        return ExchangeError(
            call,
            f"{said}: {what}, to be asked again after {wait_s:.0f} s",
            "limited",
            status=status,
            code=code,
            wait_s=wait_s,
        )
    if status == 403:
        why = f"{said}: turned away before the exchange, for too many requests or from this place"
        return ExchangeError(call, why, "limited", status=status, code=code, wait_s=WAIT_429_S)
    if code == CLOCK:
        why = f"{said}: this machine's clock differs from the exchange's"
        return ExchangeError(call, why, "clock", status=status, code=code)
    if status < 400 or status >= 500 or status == 408 or code in UNSURE:  # below 400: sent elsewhere
        return ExchangeError(call, said, "failed", status=status, code=code)
    meaning = MEANINGS.get(code or 0)
    return ExchangeError(call, f"{said}: {meaning}" if meaning else said, "refused", status=status, code=code)


def _seconds(text: str | None, default: float) -> float:
    try:
        found = float(text or "")
    except ValueError:
        return default
    return found if 0 <= found < 1e9 else default


def broken(call: str, error: Exception) -> ExchangeError:
    """No whole answer came: a time-out, or a connection that failed or broke."""
    if isinstance(error, TimeoutError):
        return ExchangeError(call, "no answer in time", "unreachable")
    return ExchangeError(call, _how(error), "unreachable")


def _how(error: Exception) -> str:
    """By the names of its types alone: aiohttp is not imported here, and what it says is not to be quoted."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if words := next((words for name, words in _BROKEN.items() if name in names), None):
        return words
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    if isinstance(number, int) and number > 0:
        return f"no connection: {os.strerror(number)}"
    if names & {"OSError", "ClientError"}:
        return "the connection failed"
    return f"the call failed within the library ({type(error).__name__})"  # a mistake, theirs or ours


def garbled(call: str, what: str) -> ExchangeError:
    """An answer with status 2xx that cannot be what was asked for. `what`: in our own words."""
    return ExchangeError(call, f"the answer makes no sense: {what}", "garbled")
