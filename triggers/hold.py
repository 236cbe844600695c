"""`for: DURATION`: a rule fires only once it has been true at every look for so long."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from triggers.following import Moment
from triggers.records import Record
from triggers.rule import Rule
from triggers.verdict import Verdict

LONGEST_GAP = timedelta(hours=1)
"""Between two looks. A longer one, or one backwards, is a stepped clock or an outage: nothing was seen meanwhile."""


class Hold:
    """Wraps a rule. Until the time is over its `firing` is `pending`."""

    def __init__(self, rule: Rule, for_: timedelta) -> None:
        self._rule, self._for = rule, for_
        self._true_since: datetime | None = None
        self._looked_at: datetime | None = None

    @property
    def name(self) -> str:
        """The rule's."""
        return self._rule.name

    @property
    def inner(self) -> Rule:
        """The rule itself."""
        return self._rule

    @property
    def share(self) -> float | None:
        """How much of `for` it had been true at the last look: 0.8 is nearly over. None when it was not true."""
        if self._true_since is None or self._looked_at is None:
            return None
        return (self._looked_at - self._true_since) / self._for

    def observe(self, record: Record) -> None:
        """Hands the record on."""
        self._rule.observe(record)

    def evaluate(self, now: datetime) -> Verdict:
        """The rule's verdict, held back."""
        verdict = self._rule.evaluate(now)
        if self._for <= timedelta(0):
            return verdict
        gap = None if self._looked_at is None else now - self._looked_at
        if gap is not None and not timedelta(0) <= gap < LONGEST_GAP:
            self._true_since = None
        self._looked_at = now
        if verdict.state != "firing":
            self._true_since = None
            return verdict
        self._true_since = self._true_since or now
        held = now - self._true_since
        if held >= self._for:
            return verdict
        reason = f"{verdict.reason}, for {_seconds(held)} of {_seconds(self._for)}"
        return Verdict(verdict.name, "pending", verdict.value, verdict.limit, reason)

    def reset(self, since: datetime) -> None:
        """Forgets since when it was true."""
        self._true_since = self._looked_at = None
        self._rule.reset(since)

    def dump(self) -> dict[str, Any]:
        """The rule's state, and since when it was true."""
        times = {"true_since": self._true_since, "looked_at": self._looked_at}
        return {"rule": self._rule.dump(), **{name: at and at.isoformat() for name, at in times.items()}}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes both over."""
        self._rule.restore(state["rule"])
        self._true_since = msgspec.convert(state["true_since"], Moment | None)
        self._looked_at = msgspec.convert(state["looked_at"], Moment | None)

    def notices(self) -> list[tuple[str, str]]:
        """The rule's."""
        return self._rule.notices()


def _seconds(delta: timedelta) -> str:
    return f"{delta.total_seconds():.0f} s"
