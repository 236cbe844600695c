"""Faults on order: which call they meet, and what becomes of its answer."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

Kind = Literal[
    "hang",  # no answer for seconds=30 (at most 120), then the connection breaks; done=True: a lost answer
    "slow",  # done after seconds=0.2, whether the client still waits or not, then answered
    "drop",  # the connection breaks; done=True: after the deed (aiohttp repeats a GET or DELETE by itself)
    "half",  # the connection breaks in the middle of the body
    "rate_limit",  # 429 with Retry-After retry_after_s=1; calls before that are over get a 429 too, then a ban
    "ban",  # 418 with Retry-After retry_after_s=2; every call during it is counted and lengthens it
    "unknown",  # 503, execution status unknown; done=True: it was done
    "unavailable",  # 503, a failure
    "server_error",  # 500 without JSON
    "html",  # status=200, a page; done=True: it was done
    "wrong_type",  # a list where an object belongs, or the reverse
    "empty",  # 200 and no body
    "truncated",  # 200 and half of the JSON, of the length announced
    "error",  # code=-1000 message=... status=400, such as -1021 and -1003
    "nothing",  # [] whatever there is: a lying list
    "stale",  # to a GET, what was true before it changed last
    "spare",  # a cancel-all that answers 200 and leaves orders=1 behind
    "partial",  # a market order of which share="0.5" is filled and the rest expires
    "moves",  # the price of symbol=... moves to price=... just before the call is looked at
]
KINDS: tuple[str, ...] = get_args(Kind)
DONE = {"slow", "half", "wrong_type", "empty", "truncated", "nothing", "stale", "spare", "partial", "moves"}
"""What is done although the answer suffers, unless told otherwise."""

LONGEST_S = 120.0
PAGE = "<html><head><title>{0}</title></head><body><h1>{0}</h1><p>{1} cannot be shown</p></body></html>"


@dataclass
class Fault:
    """endpoint: "DELETE /fapi/v1/order", "GET *", "*": shell patterns over method and path.

    It meets the calls from the nth on, `times` of them (None: all), each with `probability`. done: whether the
    endpoint does what is asked; None: as is usual with this kind.
    """

    endpoint: str
    kind: Kind
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    done: bool | None = None
    options: dict[str, Any] = field(default_factory=dict)
    seen: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"fault {self.kind!r} is none of {', '.join(KINDS)}")
        if self.kind == "moves" and not {"symbol", "price"} <= self.options.keys():
            raise ValueError("fault 'moves' wants symbol=... and price=...")
        if self.done is None:
            self.done = self.kind in DONE
        self._random = random.Random(self.seed)

    def meets(self, endpoint: str) -> bool:
        """Whether this call suffers; counts the calls, and itself down."""
        if self.over or not fnmatchcase(endpoint, self.endpoint):
            return False
        self.seen += 1
        if self.seen < self.nth or self._random.random() >= self.probability:
            return False
        if self.times is not None:
            self.times -= 1
        return True

    @property
    def over(self) -> bool:
        return self.times is not None and self.times <= 0

    def seconds(self, default: float) -> float:
        return min(float(self.options.get("seconds", default)), LONGEST_S)


@dataclass
class Answer:
    """What goes back, or the way in which nothing does, after `delay_s`; `later` gives the answer only then."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    ending: Literal["whole", "hang", "drop", "half"] = "whole"
    delay_s: float = 0.0
    code: int | None = None
    later: Callable[[], "Answer"] | None = None


def as_json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """An API error is recognised by its code, which is negative."""
    code = body.get("code") if isinstance(body, dict) else None
    failed = isinstance(code, int) and code < 0
    return Answer(status, json.dumps(body).encode(), headers=headers or {}, code=code if failed else None)


def in_place_of(fault: Fault, endpoint: str) -> Answer | None:
    """The answer of a fault that does not look at the true one; None for the others."""
    kind, options = fault.kind, fault.options
    if kind in ("hang", "drop"):
        return Answer(
            ending="hang" if kind == "hang" else "drop",
            delay_s=fault.seconds(30.0 if kind == "hang" else 0.0),
        )
    if kind == "unknown":
        message = "Unknown error, please check your request or try again later."
        return as_json({"code": -1000, "msg": message}, 503)
    if kind == "unavailable":
        return as_json({"code": -1016, "msg": "Service Unavailable."}, 503)
    if kind == "server_error":
        return Answer(500, b"Internal Server Error", "text/plain")
    if kind == "html":
        status = int(options.get("status", 200))
        page = PAGE.format("Attention Required!" if status == 403 else "Bad Gateway", endpoint)
        return Answer(status, page.encode(), "text/html")
    if kind == "empty":
        return Answer()
    if kind == "nothing":
        return as_json([])
    if kind == "error":
        message = str(options.get("message", "An unknown error occurred while processing the request."))
        return as_json(
            {"code": int(options.get("code", -1000)), "msg": message}, int(options.get("status", 400))
        )
    return None


def spoilt(fault: Fault, answer: Answer) -> Answer:
    """The true answer after a fault that works on it."""
    if fault.kind == "half":
        answer.ending = "half"
    elif fault.kind == "truncated":
        answer.body = answer.body[: len(answer.body) // 2]
    elif fault.kind == "wrong_type":
        body = json.loads(answer.body)
        swapped = (body[0] if body else {}) if isinstance(body, list) else [body]
        answer.body = json.dumps(swapped).encode()
    return answer
