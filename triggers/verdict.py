"""A rule's answer."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "pending", "firing", "no_data"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` is a sentence for people, with value and limit. `value` and `limit` are None where a rule has no number."""

    name: str
    state: State
    value: float | None
    limit: float | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
