"""How failures are told apart, and that their text is of our own making."""

import errno

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from watchdog.exchange.errors import ExchangeError, answered, broken


@pytest.mark.parametrize(
    ("status", "code", "kind", "lost"),
    [
        (400, -2011, "refused", False),
        (400, -1121, "refused", False),
        (401, -2015, "refused", False),
        (404, None, "refused", False),
        (400, -1021, "clock", False),
        (400, -1000, "failed", True),
        (400, -1006, "failed", True),
        (408, -1007, "failed", True),
        (302, None, "failed", True),
        (500, None, "failed", True),
        (503, -1016, "failed", True),
        (429, -1003, "limited", False),
        (418, -1003, "limited", False),
        (400, -1003, "limited", False),
        (403, None, "limited", False),
    ],
)
def test_what_an_answer_stands_for(status: int, code: int | None, kind: str, lost: bool) -> None:
    error = answered("GET fapi/v1/order", status, code, None)
    assert (error.kind, error.lost) == (kind, lost)
    assert str(error).startswith(f"GET fapi/v1/order: HTTP {status}")


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("7", 7), ("0", 0), ("3600", 3600), (None, 120), ("", 120), ("soon", 120), ("-5", 120), ("nan", 120)],
)
def test_how_long_a_ban_lasts(header: str | None, wait_s: float) -> None:
    assert answered("x", 418, -1003, header).wait_s == wait_s


def test_a_code_that_people_can_mend_is_explained() -> None:
    assert "its IP list or permissions" in str(answered("x", 401, -2015, None))


def test_a_broken_connection_is_told_by_its_type_alone() -> None:
    error = broken("POST fapi/v1/order", ConnectionError("http://x/?signature=abc"))
    assert str(error) == "POST fapi/v1/order: the connection failed"
    assert error.lost
    assert str(broken("x", TimeoutError(""))) == "x: no answer in time"
    assert isinstance(error, ExchangeError)


KEY = ConnectionKey("127.0.0.1", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "x")),
            "no connection: Connection refused",
        ),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "x")), "its address cannot be found (DNS)"),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ValueError("x")),
            "its certificate is not to be trusted",
        ),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "x")), "no secure connection could be made"),
        (aiohttp.ServerDisconnectedError("http://x/?signature=abc"), "the connection broke off"),
        (aiohttp.ClientPayloadError("http://x/?signature=abc"), "the answer broke off"),
        (aiohttp.ClientOSError(errno.EPIPE, "x"), "no connection: Broken pipe"),
        (aiohttp.ClientConnectionError("http://x/?signature=abc"), "the connection failed"),
        (AttributeError("http://x/?signature=abc"), "the call failed within the library (AttributeError)"),
    ],
)
def test_what_kept_the_exchange_from_being_reached_is_said_in_words(error: Exception, words: str) -> None:
    assert str(broken("GET x", error)) == f"GET x: {words}"
