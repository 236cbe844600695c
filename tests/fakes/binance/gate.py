"""Every request goes through here: journal, limits, faults, signature, endpoint, state on disk."""

import json
import threading
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from . import signing, spot, usdm
from .errors import ApiError
from .exchange import Exchange, Handler
from .faults import Answer, Fault, as_json, in_place_of, spoilt
from .limits import Limits
from .params import Params

PUBLIC: dict[str, Handler] = usdm.PUBLIC | spot.PUBLIC
SIGNED: dict[str, Handler] = usdm.SIGNED | spot.SIGNED
UNTOLD = ("signature",)


@dataclass
class Request:
    """One HTTP request; `query` and `body` exactly as they came."""

    method: str
    path: str
    query: str
    body: str
    key: str | None

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.path}"


class Gate:
    """Answers requests one after the other, from whatever thread.

    journal: a dict a request, in order, of the last 50,000: n, at_ms (server's time), method, path, params (less
        the signature), fault (its kind or None), limited (it came during a 429 or a ban), done (the endpoint did
        what was asked), status (None: no answer) and code (of an API error).
    """

    def __init__(
        self, exchange: Exchange, *, key: str, secret: str, state_file: Path | None, log_file: Path | None
    ) -> None:
        self.exchange = exchange
        self.limits = Limits(exchange.clock)
        self.faults: list[Fault] = []
        self.journal: deque[dict[str, Any]] = deque(maxlen=50_000)
        self.lock = threading.RLock()
        self._key, self._secret = key, secret
        self._state_file, self._log_file = state_file, log_file
        self._count = 0

    def answer(self, request: Request) -> Answer:
        """What this request gets; the deed, the journal and the state on disk come before the answer."""
        with self.lock:
            entry = self._enter(request)
            answer = self._limited(entry) or self._under_faults(request, entry)
            if answer.later is None:
                self._leave(entry, answer)
        return answer

    def save(self) -> None:
        """Put the state on disk, whole or not at all."""
        if self._state_file is not None:
            fresh = self._state_file.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(self.exchange.state))
            fresh.replace(self._state_file)

    def _enter(self, request: Request) -> dict[str, Any]:
        pairs = parse_qsl(f"{request.query}&{request.body}", keep_blank_values=True)
        self._count += 1
        entry = {
            "n": self._count,
            "at_ms": self.exchange.now_ms(),
            "method": request.method,
            "path": request.path,
            "params": {name: value for name, value in pairs if name not in UNTOLD},
            "fault": None,
            "limited": False,
            "done": False,
            "status": None,
            "code": None,
        }
        self.journal.append(entry)
        return entry

    def _leave(self, entry: dict[str, Any], answer: Answer) -> None:
        entry["code"] = answer.code
        entry["status"] = answer.status if answer.ending in ("whole", "half") else None
        if entry["method"] != "GET":
            self.save()
        if self._log_file is not None:
            with self._log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(entry) + "\n")

    def _limited(self, entry: dict[str, Any]) -> Answer | None:
        answer = self.limits.met()
        entry["limited"] = answer is not None
        return answer

    def _under_faults(self, request: Request, entry: dict[str, Any]) -> Answer:
        fault = next((fault for fault in self.faults if fault.meets(request.endpoint)), None)
        self.faults = [fault for fault in self.faults if not fault.over]
        if fault is None:
            return self._act(request, entry)
        entry["fault"] = fault.kind
        if fault.kind in ("rate_limit", "ban"):
            default_s = 1.0 if fault.kind == "rate_limit" else 2.0
            status = 429 if fault.kind == "rate_limit" else 418
            return self.limits.start(status, float(fault.options.get("retry_after_s", default_s)))
        return self._suffer(request, entry, fault)

    def _suffer(self, request: Request, entry: dict[str, Any], fault: Fault) -> Answer:
        if fault.kind == "slow":
            return Answer(delay_s=fault.seconds(0.2), later=lambda: self._act_late(request, entry))
        if fault.kind == "moves":
            market = usdm if request.path.startswith("/fapi/") else spot
            self.exchange.remember()
            market.move_price(self.exchange, fault.options["symbol"], Decimal(str(fault.options["price"])))
        true = None
        if fault.done:
            self.exchange.spare = int(fault.options.get("orders", 1)) if fault.kind == "spare" else 0
            self.exchange.fill_share = (
                str(fault.options.get("share", "0.5")) if fault.kind == "partial" else "1"
            )
            try:
                true = self._act(request, entry, stale=fault.kind == "stale" and request.method == "GET")
            finally:
                self.exchange.spare, self.exchange.fill_share = 0, "1"
        instead = in_place_of(fault, request.endpoint)
        if instead is not None:
            return instead
        return spoilt(fault, true or as_json({}))

    def _act_late(self, request: Request, entry: dict[str, Any]) -> Answer:
        with self.lock:
            answer = self._act(request, entry)
            self._leave(entry, answer)
        return answer

    def _act(self, request: Request, entry: dict[str, Any], *, stale: bool = False) -> Answer:
        """Do what is asked."""
        try:
            handler, params = self._admit(request)
            if request.method != "GET":
                self.exchange.remember()
            body = self.exchange.stale(handler, params) if stale else handler(self.exchange, params)
        except ApiError as error:
            return as_json({"code": error.code, "msg": error.message}, error.status)
        entry["done"] = True
        return as_json(body)

    def _admit(self, request: Request) -> tuple[Handler, Params]:
        """The endpoint and its parameters. Raises ApiError."""
        handler = PUBLIC.get(request.endpoint) or SIGNED.get(request.endpoint)
        if handler is None:
            text = f"Path {request.path}, Method {request.method} is invalid"
            raise ApiError(-5000, text, 404)
        pairs = parse_qsl(request.query, keep_blank_values=True) + parse_qsl(
            request.body, keep_blank_values=True
        )
        params = Params(dict(pairs))
        if request.endpoint in SIGNED:
            if len({name for name, _ in pairs}) < len(pairs):
                raise ApiError(-1101, "Duplicate values for a parameter detected.")
            signing.check(
                key=self._key,
                secret=self._secret,
                sent_key=request.key,
                query=request.query,
                body=request.body,
                params=params,
                now_ms=self.exchange.now_ms(),
            )
        return handler, params
