"""An alert, as the rest of the program writes it and as a channel receives it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)  # from quiet to loud


def louder(one: Severity, other: Severity) -> Severity:
    """The more severe of the two."""
    return max(one, other, key=SEVERITIES.index)


@dataclass(frozen=True)
class Alert:
    """One thing to tell people.

    kind: what it is about ("bot_down"); alerts of one kind are told together when they come too often.
    text: plain text; the first line is the headline, `backticks` mark code, nothing else is markup.
    key: an alert with a key that is known already is not taken a second time, so that a step which runs again
        after a crash may write its alert again.
    coalesce: False for texts that each matter by themselves, such as the steps of an incident.
    """

    kind: str
    text: str
    severity: Severity = "info"
    key: str | None = None
    coalesce: bool = True

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity is {self.severity!r}; it must be one of {', '.join(SEVERITIES)}")
        if not self.kind:
            raise ValueError("kind is empty; every alert names what it is about")


@dataclass(frozen=True)
class Pending:
    """An alert on its way to one channel. Its text no longer changes once a channel has been handed it.

    id: the number that is shown as `#12`; 0 for one that could not be written to disk.
    count, first_at, last_at: how many alerts it stands for, and when the first and the last of them were put.
    parts_sent: how many messages of a long text this channel has taken already.
    """

    id: int
    kind: str
    severity: Severity
    text: str
    count: int
    first_at: datetime
    last_at: datetime
    parts_sent: int = 0


@dataclass(frozen=True)
class Told:
    """One line of the outbox's history: an alert and its state on each channel it was meant for
    ("waiting", "sent" or "undeliverable")."""

    id: int
    kind: str
    severity: Severity
    text: str
    count: int
    first_at: datetime
    last_at: datetime
    states: dict[str, str]
    errors: dict[str, str]
