"""Warnings before the limit: told once when a rule comes near to firing, and again only after it was well away from it.

    drawdown, loss_streak   value >= NEAR * limit; over below CLEAR * limit
    every rule with `for`   it has been true for NEAR of `for`, where that is long enough for people to do something

There is none for the Sharpe ratio by its value. Its standard error over n hourly returns is about
sqrt(24 * 365 / n) (A. W. Lo, The Statistics of Sharpe Ratios, 2002): 19 over 24 h. Between a limit of 1.0 and the
"80 % of it", 1.25, lie 0.013 standard errors: being there says nothing that being at 3 does not.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from triggers import Verdict
from watchdog.decide import Decision

NEAR, CLEAR = 0.8, 0.6
MORE_IS_WORSE = frozenset({"drawdown", "loss_streak"})
LONG_ENOUGH = timedelta(minutes=5)
"""A shorter `for` is over before anybody has read the warning."""


class Early:
    """Which warnings people know of. Kept in the journal, so that a restart tells nothing twice."""

    def __init__(self, kept: Mapping[str, Any] | None) -> None:
        self._key: str | None = None if kept is None else kept["key"]
        self._near: dict[str, bool] = {} if kept is None else dict(kept["near"])
        self._count: int = 0 if kept is None else kept["count"]

    def dump(self) -> dict[str, Any]:
        """What to keep."""
        return {"key": self._key, "near": self._near, "count": self._count}

    def look(
        self,
        key: str,
        verdicts: Sequence[Verdict],
        held: Mapping[str, float],
        waits: Mapping[str, timedelta],
    ) -> list[tuple[str, Verdict]]:
        """(a name that no other warning has, the verdict) of each rule that just came near.

        `key`: the deployment; `held`: rule -> the share of its `for` that it has been true; `waits`: rule -> its `for`.
        A rule that fires is told as firing, and is not told as near on its way back. `no_data` changes nothing.
        """
        if key != self._key:
            self._key, self._near = key, {}
        told = []
        for verdict in verdicts:
            if verdict.state == "no_data":
                continue
            was_near = self._near.get(verdict.name, False)
            long = waits.get(verdict.name, timedelta(0)) >= LONG_ENOUGH
            share = max(_of_limit(verdict), held.get(verdict.name, 0.0) if long else 0.0)
            near = share >= (CLEAR if was_near else NEAR) or verdict.state == "firing"
            self._near[verdict.name] = near
            if near and not was_near and verdict.state != "firing":
                self._count += 1
                told.append((f"{key} {verdict.name} {self._count}", verdict))
        return told


def _of_limit(verdict: Verdict) -> float:
    """The value as a share of the limit, for rules that fire when it is too large."""
    if verdict.name not in MORE_IS_WORSE or verdict.value is None or not verdict.limit:
        return 0.0
    return verdict.value / verdict.limit


def warning(verdict: Verdict, version: str | None, decision: Decision) -> str:
    """For people. `decision`: what would be done if the rule fired now."""
    if decision.kind in {"rollback", "wait"}:  # a cooldown only puts it off
        then = f"{version} is rolled back"
    elif decision.kind == "halt":
        then = f"the bot is halted, and {version} is not rolled back: {decision.why}"
    else:
        then = f"you are told, and nothing is done: {decision.why}"
    return (
        f"{version} comes near the limit of {verdict.name}\n{verdict.reason}\n"
        f"Nothing was done; this is told once. When the rule fires, {then}."
    )
