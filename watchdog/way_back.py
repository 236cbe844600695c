"""After a halt: that the version which a rule condemned is still the current one, and how it is left.

A resume starts the bot on the current version. Where the day's rollbacks were used up, or the rule's action is halt,
nothing was switched: whoever only resumes is back on the version that lost.
"""

from collections.abc import Mapping
from typing import Any

CONDEMNED = "condemned"
"""Of an incident's facts, and of the halt in force: the version that a rule fired on, or None."""


def still_current(halted: Mapping[str, Any] | None, current: str | None) -> str | None:
    """The version that was condemned before the halt, while it is the current one; else None."""
    condemned: str | None = None if halted is None else halted.get(CONDEMNED)
    return condemned if condemned == current else None


def asked(version: str, target: str | None) -> str:
    """What to do before the resume. `target`: what a rollback would go to, verified."""
    resume = "then `model-watchdog resume --reason ...`"
    if target is None:
        return (
            f"{version} is STILL current, and there is no verified version to roll back to. First register and promote "
            f"a known-good one, {resume}"
        )
    return f"{version} is STILL current. First `model-watchdog rollback` (to {target}, verified), {resume}"


def careful(version: str, why: str) -> str:
    """Said to whoever resumes all the same. `why`: of the halt."""
    return (
        f"careful: {version} is STILL current, which a rule condemned before the halt ({why}), and the bot is started "
        f"on it. To go back instead: `model-watchdog rollback`"
    )
