"""Losses in a row.

Fires when the newest exits, counted backwards, are at least `at_least` losses in a row: pnl < 0 counts, an exit of
exactly 0 neither counts nor breaks, a profit breaks. The default of 10 is the owner's; at 20 exits a day ten in a
row happen by chance every 44 to 100 days (win rate 45 to 50 %).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triggers.records import Exit, Record, is_amount
from triggers.verdict import State, Verdict


@dataclass(frozen=True)
class LossStreakSettings:
    """`at_least`: losses in a row."""

    at_least: int = 10

    def __post_init__(self) -> None:
        if self.at_least < 1:
            raise ValueError(f"loss_streak.at_least is {self.at_least}; it must be 1 or more")


class LossStreakRule:
    """Counts the losses since the last profit."""

    name = "loss_streak"

    def __init__(self, settings: LossStreakSettings) -> None:
        self._settings = settings
        self._losses = 0
        self._exits = 0

    def observe(self, record: Record) -> None:
        """Looks at exits; a P&L that is no amount says nothing."""
        if not isinstance(record, Exit) or not is_amount(record.pnl):
            return
        self._exits += 1
        if record.pnl < 0:
            self._losses += 1
        elif record.pnl > 0:
            self._losses = 0

    def evaluate(self, now: datetime) -> Verdict:  # noqa: ARG002  (the time plays no part)
        """Fires exactly at the limit."""
        limit = self._settings.at_least
        if self._exits == 0:
            return Verdict(
                self.name, "no_data", None, limit, f"no exit in this deployment yet (limit {limit})"
            )
        state: State = "firing" if self._losses >= limit else "ok"
        counted = f"{self._losses} loss{'' if self._losses == 1 else 'es'} in a row"
        return Verdict(self.name, state, self._losses, limit, f"{counted} (limit {limit})")

    def reset(self, since: datetime) -> None:  # noqa: ARG002
        """Forgets the streak."""
        self._losses = self._exits = 0

    def dump(self) -> dict[str, Any]:
        """Two counters."""
        return {"losses": self._losses, "exits": self._exits}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes the counters over."""
        losses, exits = state["losses"], state["exits"]
        if not (type(losses) is int and type(exits) is int and 0 <= losses <= exits):
            raise ValueError(f"{losses!r} losses of {exits!r} exits cannot be")
        self._losses, self._exits = losses, exits

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []
