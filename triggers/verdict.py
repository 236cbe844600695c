"""A rule's answer, and how it writes numbers."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "pending", "firing", "no_data"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason`: a sentence for people, with value and limit. `value`, `limit`: None where a rule has no number."""

    name: str
    state: State
    value: float | None
    limit: float | None
    reason: str

    def __post_init__(self) -> None:
        for number in (self.value, self.limit):
            if number is not None and not math.isfinite(number):
                raise ValueError(
                    f"{self.name}: {number} can be no value or limit of a verdict, JSON cannot say it"
                )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def percent(share: float, apart_from: float | None = None) -> str:
    """0.261 -> "26.1 %", 0.25 -> "25 %"; with more digits if it would read the same as `apart_from` and is not."""
    for digits in range(1, 7):
        text = _trimmed(share, digits)
        if apart_from is None or share == apart_from or text != _trimmed(apart_from, digits):
            break
    return text


def _trimmed(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f}".removesuffix("." + "0" * digits) + " %"
