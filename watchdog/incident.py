"""An incident: everything from a decision, or a person's order, to its closing, with one id. And a person's order."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Plan = Literal["rollback", "halt"]
Outcome = Literal["rolled_back", "halted", "superseded", "refused"]


@dataclass
class Incident:
    """One row of the journal. Times are steady UTC.

    `facts` holds what a later step, or the next start after a crash, has to know (the target's proof, the place
    in the bot's log at the start, the process that was started), as JSON.
    """

    id: int
    plan: Plan
    step: str
    reason: str
    by: str
    automatic: bool
    opened_at: datetime
    from_version: str | None
    wanted: str | None = None
    target: str | None = None
    attempt: int = 1
    tried: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    outcome: Outcome | None = None
    closed_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether something is still to be done."""
        return self.closed_at is None

    @property
    def monitoring(self) -> bool:
        """Whether the bot runs again and is only watched."""
        return self.open and self.plan == "rollback" and self.step == "monitor"

    @property
    def bot_is_back(self) -> bool:
        """Whether the bot was proved to run the good version: it is watched, or what happened is written down."""
        return self.open and self.plan == "rollback" and "monitor_from" in self.facts


@dataclass(frozen=True)
class Order:
    """What a person asked for: with a flag file, a signal or a command.

    `ident` tells one flag file from the next, so that none is obeyed twice; a signal has none.
    """

    what: Literal["rollback", "halt", "resume", "pause", "unpause"]
    who: str
    why: str = ""
    wanted: str | None = None
    ident: str | None = None
