"""Two methods of Telegram's Bot API through python-telegram-bot, with its failures told apart.

Importing this module imports `telegram` (about half a second, 30 MiB); `notifier.telegram` does so when
needed.

`Bot` is used by itself and never initialised: that would ask Telegram at start-up and fail without it. No
exception of the library leaves this module and none is chained: their texts and causes hold URLs, and those
hold the token.
"""

import asyncio
import json
import math
from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlsplit

from telegram import Bot, LinkPreviewOptions
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    TelegramError,
    TimedOut,
)
from telegram.request import HTTPXRequest, RequestData

from .errors import ChatMoved, MessageRejected, TransportError
from .timeouts import Timeouts

MAX_WAIT_S = 3600.0  # a longer retry_after is asked again after an hour
_NOT_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "InvalidURL",
}
_BAD_MARKUP = ("can't parse entities", "can't find end of the entity")
_BAD_CHAT = (  # what a 400 says when no text at all would reach the chat
    ("chat not found", "the bot does not know the chat: add it to the group, and check chat_id"),
    ("chat_id is empty", "chat_id is empty"),
    ("peer_id_invalid", "chat_id does not name a chat"),
    ("not enough rights", "the bot may not write in the chat: give it the right to send messages"),
    ("have no rights", "the bot may not write in the chat: give it the right to send messages"),
    ("need administrator rights", "the bot may not write in the channel: make it an administrator"),
    ("chat_write_forbidden", "the bot may not write in the chat: give it the right to send messages"),
    ("chat_restricted", "the bot may not write in the chat: give it the right to send messages"),
    ("deactivated", "the chat is deactivated: make a new one and put its chat_id into the configuration"),
    ("topic_closed", "the group's topic is closed: open it"),
)  # fmt: skip


class BotApi:
    """getMe and sendMessage for one token. Every failure is a `TransportError` without a cause."""

    def __init__(self, token: str, base_url: str, timeouts: Timeouts) -> None:
        self._total_s = timeouts.total_s
        self._request = _Request(base_url, timeouts)
        # The same request object for updates, which are never asked for: a second one costs a TLS context.
        self._bot = Bot(
            token, base_url=f"{base_url}/bot", request=self._request, get_updates_request=self._request
        )

    async def me(self) -> str:
        """The bot's user name (`@name`)."""
        await self._call(self._bot.get_me())
        result = self._request.result
        name = result.get("username") if isinstance(result, dict) else None
        return f"@{name}" if name else "a bot without a user name"

    async def send(self, chat_id: int | str, text: str, *, as_html: bool, silent: bool) -> None:
        """Send one message; returns once Telegram has accepted it."""
        await self._call(
            self._bot.send_message(
                chat_id,
                text,
                parse_mode="HTML" if as_html else None,
                disable_notification=silent,
                # File names such as trading_bot.py look like links to Telegram.
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )
        )

    async def aclose(self) -> None:
        await self._request.shutdown()

    async def _call(self, call: Awaitable[Any]) -> None:
        self._request.forget()
        try:
            async with asyncio.timeout(self._total_s):  # httpx's own limits are per read, not per answer
                await call
                return
        except TimeoutError:
            problem = TransportError(f"no answer within {self._total_s:g} s", sent_maybe=True)
        except TelegramError as error:
            problem = _translate(error, self._request.status)
        except Exception as error:  # noqa: BLE001 - whatever the library meets in an answer that it did not expect
            if self._request.accepted:  # done, in an answer of another shape
                return
            problem = TransportError(
                f"an answer that makes no sense ({type(error).__name__})", sent_maybe=True
            )
        raise problem from None


class _Flood(TelegramError):
    """429. The library's own `RetryAfter` warns of a deprecation when it is made, which is an error under
    `-W error`, and carries an int or a timedelta depending on the environment; this one carries seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("flood")
        self.wait_s = wait_s


class _Request(HTTPXRequest):
    """Remembers status and result of the last answer, and takes out the answers that the library
    mishandles."""

    def __init__(self, base_url: str, timeouts: Timeouts) -> None:
        local = urlsplit(base_url).hostname in ("127.0.0.1", "::1", "localhost")
        super().__init__(
            connection_pool_size=4,
            connect_timeout=timeouts.connect_s,
            pool_timeout=timeouts.connect_s,
            read_timeout=timeouts.read_s,
            write_timeout=timeouts.read_s,
            httpx_kwargs={"trust_env": not local},  # a proxy from the environment cannot reach our loopback
        )
        self.forget()

    def forget(self) -> None:
        """Before a call: nothing is known of it yet."""
        self.status: int | None = None
        self.accepted = False
        self.result: object = None

    async def do_request(
        self, url: str, method: str, request_data: RequestData | None = None, *args: Any, **kwargs: Any
    ) -> tuple[int, bytes]:
        status, body = await super().do_request(url, method, request_data, *args, **kwargs)
        self.status = status
        answer = _decode(body)
        if 200 <= status <= 299:
            self.accepted = answer.get("ok") is True
            self.result = answer.get("result")
            return status, body
        parameters = answer.get("parameters")
        parameters = parameters if isinstance(parameters, dict) else {}
        if (wait_s := _seconds(parameters.get("retry_after"))) is not None:
            raise _Flood(wait_s)
        return status, _untrapped(answer, parameters)

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """As the library's, without logging the body, which may hold the URL."""
        if not (answer := _decode(payload)):
            raise TelegramError("not JSON")
        return answer


def _untrapped(answer: dict[str, Any], parameters: dict[str, Any]) -> bytes:
    """An error's answer, reduced to what the library handles well. It would log the HTML page of a proxy
    (502) with its whole body, and fail on a retry_after that is no number."""
    kept: dict[str, Any] = {"description": str(answer.get("description") or "")}
    if isinstance(moved_to := parameters.get("migrate_to_chat_id"), int):
        kept["parameters"] = {"migrate_to_chat_id": moved_to}
    return json.dumps(kept).encode()


def _decode(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _seconds(value: object) -> float | None:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_WAIT_S) if math.isfinite(seconds) else None


def _translate(error: TelegramError, status: int | None) -> TransportError:
    """What a failure means for the message; BadRequest and TimedOut are NetworkErrors and must come before
    it."""
    if isinstance(error, _Flood):
        return TransportError(
            f"too many messages ({status}): wait {error.wait_s:g} s", retry_after_s=error.wait_s
        )
    if isinstance(error, BadRequest):
        return _bad_request(str(error).lower())
    if isinstance(error, ChatMigrated):
        return ChatMoved(error.new_chat_id)
    if isinstance(error, Forbidden):
        return TransportError(
            f"Telegram forbids it ({status}): the bot was blocked or removed from the chat; add it again",
            misconfigured=True,
        )
    if isinstance(error, InvalidToken):
        return TransportError(
            f"Telegram does not know the token ({status}): check telegram.token (and base_url, if set)",
            misconfigured=True,
        )
    if isinstance(error, Conflict):
        return TransportError(f"another program uses the same token ({status})")
    if status is not None:
        return TransportError(f"Telegram answered {status}", sent_maybe=status < 300 or status >= 500)
    cause = type(error.__cause__).__name__ if error.__cause__ else type(error).__name__
    what = "no answer in time" if isinstance(error, TimedOut) else "no connection"
    return TransportError(f"{what} ({cause})", sent_maybe=cause not in _NOT_SENT)


def _bad_request(description: str) -> TransportError:
    for said, remedy in _BAD_CHAT:
        if said in description:
            return TransportError(f"{remedy} (400)", misconfigured=True)
    if any(said in description for said in _BAD_MARKUP):
        return MessageRejected("Telegram cannot parse the message's markup (400)")
    return MessageRejected("Telegram rejects the message (400)")
