"""Telegram as a channel: HTML with a plain text to fall back on, quiet for news, paced, following a moved
chat."""

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .alert import Pending, Severity
from .errors import ChatMoved, MessageRejected, TransportError
from .pace import GROUP_MESSAGES, PRIVATE_MESSAGES, Pace
from .text import Part, parts, to_html, to_plain
from .timeouts import Timeouts

if TYPE_CHECKING:
    from .bot_api import BotApi

OFFICIAL_URL = "https://api.telegram.org"
ICONS: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🚨"}
_MAX_MOVES = 3


class TelegramChannel:
    """Sends to one chat.

    chat_id: a number, or "@name" of a public group or channel.
    base_url: in place of scheme and host of the Bot API; `/bot<token>/<method>` follows.
    pace: limits messages a minute; by default 20 in groups and channels, 60 in a private chat.
    on_problem: told in a sentence what a person should mend although sending goes on.
    """

    name = "telegram"

    def __init__(
        self,
        token: str,
        chat_id: int | str,
        base_url: str | None = None,
        *,
        timeouts: Timeouts | None = None,
        pace: Pace | None = None,
        on_problem: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._token = token.strip()
        self._chat_id = chat_id
        self._base_url = (base_url or OFFICIAL_URL).rstrip("/")
        self._timeouts = timeouts or Timeouts()
        self._pace = pace or Pace(PRIVATE_MESSAGES if _is_private(chat_id) else GROUP_MESSAGES)
        self._on_problem = on_problem
        self._client: BotApi | None = None

    def __repr__(self) -> str:
        return f"TelegramChannel(chat_id={self._chat_id!r})"

    @staticmethod
    def preload() -> None:
        """Import the library now (half a second), rather than at the first alert."""
        importlib.import_module("notifier.bot_api")

    def parts(self, alert: Pending) -> Sequence[Part]:
        return parts(alert, ICONS[alert.severity])

    async def send(self, part: Part) -> None:
        """Send one message, info without a sound.

        Telegram may refuse a text for its markup, or for a reason of its own: then its plain form is sent,
        then a note that the alert cannot be shown. If it does not take the note either, the chat is at
        fault, not the text. Raises TransportError.
        """
        silent = part.severity == "info"
        try:
            await self._send(to_html(part), as_html=True, silent=silent)
        except MessageRejected:
            try:
                await self._send(to_plain(part), as_html=False, silent=silent)
            except MessageRejected as error:
                problem = await self._send_note(part, error, silent)
            else:
                return
        else:
            return
        raise problem from None

    async def me(self) -> str:
        """The bot's user name, asked with getMe: proves address and token. Raises TransportError."""
        return await self._api().me()

    async def aclose(self) -> None:
        """Close the connections; a later send opens them again."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _send_note(self, part: Part, refused: MessageRejected, silent: bool) -> TransportError:
        tag = part.text.rpartition("\n")[2]
        note = f"An alert came that Telegram does not accept; the watchdog's log has it.\n{tag}"
        try:
            await self._send(note, as_html=False, silent=silent)
        except MessageRejected:
            return TransportError("Telegram rejects every message to the chat (400)", misconfigured=True)
        return TransportError(f"{refused}; a note was sent in its place", permanent=True)

    async def _send(self, text: str, *, as_html: bool, silent: bool) -> None:
        for _ in range(_MAX_MOVES):
            await self._pace.wait()
            try:
                await self._api().send(self._chat_id, text, as_html=as_html, silent=silent)
                return
            except ChatMoved as moved:
                self._chat_id = moved.new_chat_id
                self._on_problem(
                    f"the Telegram group has become a supergroup: set telegram.chat_id to {moved.new_chat_id}"
                )
        raise TransportError("the chat keeps moving", misconfigured=True)

    def _api(self) -> "BotApi":
        if self._client is None:
            if not self._token or any(sign.isspace() or sign in "/?#%" for sign in self._token):
                raise TransportError(
                    "telegram.token is not a token: it is empty or holds a space or one of / ? # %",
                    misconfigured=True,
                )
            self._client = self._connect()
        return self._client

    def _connect(self) -> "BotApi":
        try:
            from .bot_api import BotApi

            return BotApi(self._token, self._base_url, self._timeouts)
        except (ValueError, RuntimeError, OSError, ImportError) as error:  # a proxy or address that is none
            problem = type(error).__name__
        raise TransportError(
            f"the Telegram client cannot be set up ({problem}): check telegram.base_url and HTTPS_PROXY",
            misconfigured=True,
        )


def _is_private(chat_id: int | str) -> bool:
    return not str(chat_id).startswith(("-", "@"))
