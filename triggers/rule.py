"""What every rule offers. Pure: records in, verdict out; no I/O, no clock."""

from datetime import datetime
from typing import Any, Protocol

from triggers.records import Record
from triggers.verdict import Verdict


class Rule(Protocol):
    """A streaming rule. Records before the last `reset` are not given to it."""

    @property
    def name(self) -> str:
        """Its key in the configuration."""
        ...

    def observe(self, record: Record) -> None:
        """Takes a record in; those that it does not look at are ignored."""
        ...

    def evaluate(self, now: datetime) -> Verdict:
        """The answer now."""
        ...

    def reset(self, since: datetime) -> None:
        """A new deployment starts: everything before is forgotten."""
        ...

    def dump(self) -> dict[str, Any]:
        """The whole state, as JSON, bounded in size."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `dump` gave. ValueError, KeyError or TypeError when it does not fit."""
        ...

    def notices(self) -> list[tuple[str, str]]:
        """(kind, text) of what people should know although it is no verdict; each once."""
        ...
