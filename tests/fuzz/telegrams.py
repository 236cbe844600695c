"""Targets: what a Bot API answers, over a real socket; and the texts that are sent to it."""

import asyncio
import atexit
import json
from datetime import UTC, datetime
from functools import cache

from notifier import TransportError
from notifier.alert import Pending
from notifier.bot_api import MAX_WAIT_S, BotApi
from notifier.errors import ChatMoved
from notifier.text import MAX_TEXT, MESSAGE_UNITS, clean, parts, to_html, to_plain, utf16_len
from notifier.timeouts import Timeouts
from tests.fakes.telegram_html import parse_html
from tests.fuzz.target import Target
from tests.harmless import is_harmless

TOKEN = "123456:TEST-token_of-the-fuzzed-server-000"
STATUSES = (200, 200, 200, 201, 302, 400, 400, 401, 403, 404, 409, 429, 429, 500, 502, 503)
RAW = 255
"""The first byte: an index into STATUSES, or this, and the rest is the whole answer with its status line."""


class Server:
    """One event loop with a Bot API in it that answers as it is told, and a client of ours."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.answer = b""
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = self.server.sockets[0].getsockname()[1]
        self.api = BotApi(TOKEN, f"http://127.0.0.1:{port}", Timeouts(5.0, 5.0, 20.0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            writer.write(self.answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    def send(self, answer: bytes) -> None:
        self.answer = answer
        self.loop.run_until_complete(self.api.send(-100123, "a text", as_html=True, silent=False))

    def me(self, answer: bytes) -> str:
        self.answer = answer
        return self.loop.run_until_complete(self.api.me())

    def close(self) -> None:
        self.loop.run_until_complete(self.api.aclose())
        self.server.close()
        self.loop.run_until_complete(self.server.wait_closed())
        self.loop.close()


@cache
def server() -> Server:
    found = Server()
    atexit.register(found.close)
    return found


def bot_api(data: bytes) -> None:
    """Sent, or a TransportError that says what to do in bounded words, without token or URL, alone or in its chain."""
    code, body = (data[:1] or b"\0")[0], data[1:]
    answer = body
    if code != RAW:
        status, length = STATUSES[code % len(STATUSES)], len(body)
        head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        answer = head.encode() + body
    for call in (server().send, server().me):
        try:
            said = call(answer)
        except TransportError as error:
            _sound(error)
        else:
            assert said is None or len(said) < 1000


def _sound(error: TransportError) -> None:
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert TOKEN.partition(":")[2] not in str(error)
    assert is_harmless(str(error))
    assert len(str(error)) < 300
    assert error.retry_after_s is None or 0 <= error.retry_after_s <= MAX_WAIT_S
    if isinstance(error, ChatMoved):
        assert isinstance(error.new_chat_id, int)


def alert_text(data: bytes) -> None:
    """Whatever an alert says, it becomes messages that Telegram takes, and whose text it is."""
    text = clean(data.decode("utf-8", "surrogatepass" if data[:1] < b"\x80" else "replace"))
    assert len(text) > MAX_TEXT or clean(text) == text
    at = datetime(2026, 3, 1, tzinfo=UTC)
    messages = parts(Pending(12, "kind", "critical", text, 3, at, at), "!")
    assert is_harmless("".join(part.text for part in messages), "\n\t")
    for part in messages:
        assert utf16_len(to_html(part)) <= MESSAGE_UNITS
        assert parse_html(to_html(part)) == to_plain(part)
    assert messages[-1].text.endswith(
        "#12" if len(messages) == 1 else f"#12 ({len(messages)}/{len(messages)})"
    )


def _ok(result: object) -> bytes:
    return b"\0" + json.dumps({"ok": True, "result": result}).encode()


def _error(code: int, description: str, **parameters: object) -> bytes:
    body = {"ok": False, "error_code": code, "description": description, "parameters": parameters}
    return bytes([STATUSES.index(code)]) + json.dumps(body).encode()


SEEDS = (
    _ok(
        {
            "message_id": 1,
            "date": 1772000000,
            "chat": {"id": -100123, "type": "supergroup", "title": "x"},
            "text": "x",
        }
    ),
    _ok({"id": 123456, "is_bot": True, "first_name": "W", "username": "model_watchdog_bot"}),
    _error(400, "Bad Request: chat not found"),
    _error(400, "Bad Request: can't parse entities"),
    _error(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1009),
    _error(401, "Unauthorized"),
    _error(403, "Forbidden: bot was kicked"),
    _error(409, "Conflict"),
    _error(429, "Too Many Requests", retry_after=3),
    bytes([STATUSES.index(502)]) + b"<html>502 Bad Gateway</html>",
    bytes([RAW]) + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    bytes([RAW]) + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    bytes([RAW]) + b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
)
WORDS = (
    b'"ok": ',
    b'"result": ', b'"description": ', b'"parameters": ', b'"retry_after": ', b'"migrate_to_chat_id": ',
    b"true", b"false", b"null", b"NaN", b"1e999", b"-1", b"9" * 500, b'"x"', b"[]", b"{}", b"[" * 100,
    b'"\\ud800"', b"\xff", b"\0", b"\r\n", b"\r\n\r\n", b"HTTP/1.1 999 X\r\n", b"HTTP/2 200\r\n",
    b"Content-Length: -1\r\n", b"Content-Length: 999999\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n", b"Location: file:///etc\r\n", b"ffffffff\r\n", b"\x1b[2J", b"<html>",
    b'"username": ',
)  # fmt: skip
TEXTS = (
    b"sol-perp: rolling back v2.1.0 to v2.0.0\nWhy: drawdown 26.1 % is above 25 %\n`model-watchdog halt` <now> &",
    ("a `code` and an open ` one\n" * 300).encode(),
    ("\U0001f600" * 3000).encode(),
    b"x" * 20000,
)
TEXT_WORDS = (
    b"`", b"``", b"\n", b"<b>", b"</code>", b"&lt;", b"&", b"<a href='tg://x'>", b"\r",
    b"\0", b"\x1b[2J", "\U0001f600".encode(), b"\xed\xa0\x80", "\u202e".encode(), "\u2028".encode(),
    b"\xc2\x85", b" " * 5000, b"x" * 5000, b"`" * 5000, b"#12",
)  # fmt: skip
TELEGRAMS = (
    Target("bot_api", bot_api, SEEDS, WORDS),
    Target("alert_text", alert_text, TEXTS, TEXT_WORDS, errors=(UnicodeDecodeError,)),
)
