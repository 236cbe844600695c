"""Rate limits: 429 until a moment, 418 for those who do not heed it, longer for those who go on."""

from collections.abc import Callable
from math import ceil

from .faults import Answer, as_json

PATIENCE = 3
"""How many calls come too early after a 429 before they bring a ban."""

LONGEST_S = 600.0


class Limits:
    """too_early: the calls made while a 429 or a ban was in force. All times in seconds of `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.until = 0.0
        self.status = 0
        self.length_s = 0.0
        self.too_early = 0
        self._strikes = 0

    def start(self, status: int, length_s: float) -> Answer:
        """Begin a 429 or a 418, and its answer."""
        self.status, self.length_s, self._strikes = status, min(length_s, LONGEST_S), 0
        self.until = self.clock() + self.length_s
        return self._answer()

    def end(self) -> None:
        self.until = 0.0

    def met(self) -> Answer | None:
        """The answer to a call that comes while a limit is in force."""
        if self.clock() >= self.until:
            return None
        self.too_early += 1
        self._strikes += 1
        if self.status == 418:
            self.until = min(self.until + self.length_s, self.clock() + LONGEST_S)
        elif self._strikes >= PATIENCE:
            return self.start(418, 2 * self.length_s)
        return self._answer()

    def _answer(self) -> Answer:
        wait_s = max(1, ceil(self.until - self.clock()))
        if self.status == 418:
            text = f"Way too many requests; IP(127.0.0.1) banned until {int(self.until * 1000)}."
        else:
            text = "Too many requests; current limit of IP(127.0.0.1) is 2400 requests per minute."
        text += " Please use the websocket for live updates to avoid bans."
        return as_json({"code": -1003, "msg": text}, self.status, {"Retry-After": str(wait_s)})
