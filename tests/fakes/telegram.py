"""A Bot API server on 127.0.0.1 that behaves as Telegram's does, as far as a sender can notice.

    with TelegramServer(token="123:abc") as server:
        ...  # send to server.base_url
        server.fail_next("flood", retry_after=3)
        server.wait_for(2)
        assert server.texts == ["one", "two"]

It parses HTML mode as strictly as Telegram (an unknown, unclosed or unmatched tag is a 400), counts lengths
in UTF-16 units after parsing, refuses wrong tokens and unknown chats, and fails on demand in the ways of
`Fault`. `stop()` and `start()` take it away and bring it back on the same port.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, Self

from .telegram_answers import Answer, Call, Fault, Scripted, error, ok, under_fault
from .telegram_html import CannotParse, parse_html
from .telegram_http import Http

MAX_UNITS = 4096
TOKEN = "123456:TEST-token_of-the-fake-server-00000"


class TelegramServer:
    """Collects what is sent. Everything may be used from any thread.

    messages: the accepted messages in order: dicts with `text` (as sent), `plain` (as people see it),
        `chat_id` (int, or str for a name), `parse_mode` (None or "HTML"), `silent`, `message_id`, and `at`
        (time.time()).
    calls: (method, outcome) of every request in order; the outcome is "ok", a fault, or an HTTP status.
    """

    def __init__(self, token: str = TOKEN, chats: Collection[int | str] | None = None) -> None:
        self.token = token
        self.username = "model_watchdog_bot"
        self.messages: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        self._chats = None if chats is None else {str(chat) for chat in chats}
        self._moved: dict[str, int] = {}
        self._script: deque[Scripted] = deque()
        self._changed = threading.Condition()
        self._http: Http | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        self.start()

    @property
    def base_url(self) -> str:
        """Stands in for https://api.telegram.org."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def texts(self) -> list[str]:
        """The accepted messages as people see them."""
        return [message["plain"] for message in self.messages]

    def fail_next(self, fault: Fault, times: int = 1, *, method: str = "sendMessage", **options: Any) -> None:
        """Let the next `times` calls of `method` fail so; faults queue up."""
        with self._changed:
            self._script.append(Scripted(fault, times, method.lower(), options))

    def fail_always(self, fault: Fault, *, method: str = "sendMessage", **options: Any) -> None:
        """Let every call of `method` fail so until `heal()`."""
        with self._changed:
            self._script.append(Scripted(fault, float("inf"), method.lower(), options))

    def heal(self) -> None:
        """Forget the faults that are still to come."""
        with self._changed:
            self._script.clear()

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[dict[str, Any]]:
        """The messages, once there are at least `count`; AssertionError if there are not in time."""
        self._wait(lambda: len(self.messages) >= count, timeout_s, f"{count} messages")
        return list(self.messages)

    def wait_for_text(self, part: str, timeout_s: float = 10.0) -> None:
        """Return once a message says `part`."""
        self._wait(lambda: any(part in text for text in self.texts), timeout_s, f"message with {part!r}")

    def wait_for_calls(self, count: int, timeout_s: float = 10.0) -> None:
        """Return once there were at least `count` calls, answered well or not."""
        self._wait(lambda: len(self.calls) >= count, timeout_s, f"{count} calls")

    def start(self) -> None:
        """Listen; after a stop on the same port as before."""
        self._http = Http(("127.0.0.1", self._port), self._answer)
        self._port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections, and drop those that are open."""
        if self._http is not None and self._thread is not None:
            self._http.stop()
            self._thread.join()
            self._http = self._thread = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        with self._changed:
            if not self._changed.wait_for(condition, timeout_s):
                raise AssertionError(f"no {what} in {timeout_s} s; calls: {self.calls}, texts: {self.texts}")

    def _answer(self, token: str, method: str, fields: dict[str, Any]) -> Answer:
        """What a call gets; called from the threads of the connections."""
        with self._changed:
            answer = self._decide(Call(token, method.lower(), fields))
            self.calls.append((method, answer.outcome))
            self._changed.notify_all()
        return answer

    def _decide(self, call: Call) -> Answer:
        if call.token != self.token:
            number, colon, _ = call.token.partition(":")
            return error("unauthorized") if number.isdigit() and colon else error("not_found")
        call.scripted = self._next_fault(call)
        if call.method == "getme":
            bot = {"id": 123456, "is_bot": True, "first_name": "Watchdog", "username": self.username}
            return under_fault(call, call.scripted, lambda: ok(bot))
        if call.method == "sendmessage":
            return self._send_message(call)
        return error("not_found")

    def _next_fault(self, call: Call) -> Scripted | None:
        if not self._script or self._script[0].method != call.method:
            return None
        scripted = self._script[0]
        if scripted.fault == "bad_markup" and not call.as_html:
            return None
        scripted.times -= 1
        if scripted.times <= 0:
            self._script.popleft()
        return scripted

    def _send_message(self, call: Call) -> Answer:
        if call.scripted and call.scripted.fault == "moved":
            self._moved[call.chat] = int(call.scripted.options.get("chat_id", -1009999999999))
        if call.chat in self._moved:
            description = "Bad Request: group chat was upgraded to a supergroup chat"
            return error("moved", 400, description, {"migrate_to_chat_id": self._moved[call.chat]})
        return under_fault(call, call.scripted, lambda: self._record(call))

    def _record(self, call: Call) -> Answer:
        """Accept a message, or refuse it as Telegram would."""
        text = str(call.fields.get("text", ""))
        if self._chats is not None and call.chat not in self._chats | set(map(str, self._moved.values())):
            return error("chat_not_found")
        try:
            plain = (parse_html(text) if call.as_html else text).strip()
        except CannotParse as problem:
            return error("bad_markup", 400, f"Bad Request: can't parse entities: {problem}")
        if not plain:
            return error("400", 400, "Bad Request: message text is empty")
        if len(plain.encode("utf-16-le")) // 2 > MAX_UNITS:
            return error("400", 400, "Bad Request: message is too long")
        chat_id: int | str = int(call.chat) if call.chat.lstrip("-").isdigit() else call.chat
        message: dict[str, Any] = {
            "text": text,
            "plain": plain,
            "chat_id": chat_id,
            "parse_mode": "HTML" if call.as_html else None,
            "silent": str(call.fields.get("disable_notification", "")).lower() == "true",
            "message_id": len(self.messages) + 1,
            "at": time.time(),
        }
        self.messages.append(message)
        chat = {"id": chat_id, "type": "supergroup", "title": "on call"}
        return ok(
            {"message_id": message["message_id"], "date": int(message["at"]), "chat": chat, "text": plain}
        )
