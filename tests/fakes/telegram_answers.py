"""What the Bot API answers, when all is well and when it is not."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Fault = Literal[
    "flood",  # 429; retry_after=1 in its parameters, None leaves them out
    "server_error",  # 500, JSON
    "bad_gateway",  # 502, the HTML page of a proxy that quotes the URL
    "garbage",  # 200 and a body that is not JSON; the message is not recorded
    "odd_result",  # 200, the message is recorded, the result is not a Message; result={}
    "bad_markup",  # 400 can't parse entities; only HTML messages use it up
    "bad_text",  # 400 for a reason of its own, in any mode
    "chat_not_found",  # 400
    "kicked",  # 403
    "unauthorized",  # 401
    "not_found",  # 404, as for a token that is none
    "conflict",  # 409
    "moved",  # 400 with migrate_to_chat_id (chat_id=-1009999999999); the old id stays moved
    "hang",  # no answer; recorded=False
    "drop",  # the connection breaks; recorded=False, or True: delivered, and the answer lost
    "slow",  # answered after delay_s=0.2
]
_DESCRIPTIONS: dict[str, tuple[int, str]] = {
    "server_error": (500, "Internal Server Error"),
    "bad_markup": (400, 'Bad Request: can\'t parse entities: Unsupported start tag "x" at byte offset 0'),
    "bad_text": (400, "Bad Request: the text is not to Telegram's taste"),
    "chat_not_found": (400, "Bad Request: chat not found"),
    "kicked": (403, "Forbidden: bot was kicked from the supergroup chat"),
    "unauthorized": (401, "Unauthorized"),
    "not_found": (404, "Not Found"),
    "conflict": (409, "Conflict: terminated by other getUpdates request"),
}


@dataclass
class Scripted:
    fault: Fault
    times: float
    method: str
    options: dict[str, Any]


@dataclass
class Answer:
    outcome: str
    status: int = 200
    body: bytes = b""
    delay_s: float = 0.0
    hang: bool = False
    drop: bool = False


@dataclass
class Call:
    token: str
    method: str
    fields: dict[str, Any]
    scripted: Scripted | None = None
    chat: str = field(init=False)
    as_html: bool = field(init=False)

    def __post_init__(self) -> None:
        self.chat = str(self.fields.get("chat_id", ""))
        self.as_html = str(self.fields.get("parse_mode", "")).lower() == "html"


def ok(result: object) -> Answer:
    return Answer("ok", 200, json.dumps({"ok": True, "result": result}).encode())


def error(
    outcome: str, status: int | None = None, description: str = "", parameters: dict[str, Any] | None = None
) -> Answer:
    if status is None:
        status, description = _DESCRIPTIONS[outcome]
    body: dict[str, Any] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        body["parameters"] = parameters
    return Answer(outcome, status, json.dumps(body).encode())


def under_fault(call: Call, scripted: Scripted | None, accept: Callable[[], Answer]) -> Answer:
    """The answer to a call under a fault; `accept` records the message and gives the good answer."""
    if scripted is None:
        return accept()
    fault, options = scripted.fault, scripted.options
    if fault == "flood":
        wait_s = options.get("retry_after", 1)
        description = "Too Many Requests" if wait_s is None else f"Too Many Requests: retry after {wait_s}"
        return error(fault, 429, description, None if wait_s is None else {"retry_after": wait_s})
    if fault == "bad_gateway":
        page = f"<html><h1>502 Bad Gateway</h1>/bot{call.token}/{call.method} cannot be reached</html>"
        return Answer(fault, 502, page.encode())
    if fault == "garbage":
        return Answer(fault, 200, b"<html>Welcome to the hotel's network</html>")
    if fault == "odd_result":
        accept()
        return Answer(fault, 200, ok(options.get("result", {})).body)
    if fault == "slow":
        answer = accept()
        answer.delay_s = options.get("delay_s", 0.2)
        return answer
    if fault in ("hang", "drop"):
        if options.get("recorded", False):
            accept()
        return Answer(fault, hang=fault == "hang", drop=fault == "drop")
    return error(fault)
