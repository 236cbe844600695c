"""What the history of a registry says: who was current before whom, and who was rolled back from. Pure.

Other programs write history too, with more or with fewer keys. An event that is no object, or that names no
version, is passed over; `previous_version` stands in for a missing `from`, and where both are missing the
version that was current until then does. The order of the list counts, never the timestamps: some of those
carry no offset.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST_TIME = 100
"""Characters; what is longer is no time."""


@dataclass(frozen=True)
class Switch:
    """One event that made `version` the current one in place of `left` (None: nothing, or unknown)."""

    version: str
    left: str | None
    event: dict[str, Any]

    @property
    def is_rollback(self) -> bool:
        return bool(self.event["action"] == "rollback")


@dataclass(frozen=True)
class Deployment:
    """The span in which `version` is current; `since` is the timestamp as written, None without one."""

    version: str
    since: str | None


def switches(history: Sequence[Any]) -> Iterator[Switch]:
    """The promotions and rollbacks, oldest first."""
    current: str | None = None
    for event in history:
        if not isinstance(event, dict) or event.get("action") not in ("promoted", "rollback"):
            continue
        version = _name(event.get("version"))
        if version is None:
            continue
        left = _left(event, current)
        yield Switch(version, left if left != version else None, event)
        current = version


def current_before(history: Sequence[Any], current: str | None) -> list[str]:
    """The versions that were current before `current`, the one that was so most recently first."""
    order: dict[str, None] = {}  # a set that keeps its order
    for switch in reversed(list(switches(history))):
        order.setdefault(switch.version)
        if switch.left is not None:
            order.setdefault(switch.left)
    return [version for version in order if version != current]


def rolled_back_from(history: Sequence[Any]) -> dict[str, list[dict[str, Any]]]:
    """The versions under quarantine by history, each with the rollback events that put them there.

    A later promotion of the version lifts it (a person promotes), and so does `released_at` in the event.
    A rollback *to* the version does not.
    """
    held: dict[str, list[dict[str, Any]]] = {}
    for switch in switches(history):
        if not switch.is_rollback:
            held.pop(switch.version, None)
        elif switch.left is not None and "released_at" not in switch.event:
            held.setdefault(switch.left, []).append(switch.event)
    return held


def deployment(history: Sequence[Any], current: str) -> Deployment:
    """The deployment of the current version.

    When the newest switch made another version current, somebody set `current_version` without an event: the
    start is unknown then, and an older deployment of the same version must not pass for it.
    """
    newest = next(reversed(list(switches(history))), None)
    since = newest.event.get("timestamp") if newest and newest.version == current else None
    return Deployment(current, since if isinstance(since, str) and len(since) <= LONGEST_TIME else None)


def _left(event: dict[str, Any], current: str | None) -> str | None:
    if "from" in event:
        return _name(event["from"])  # ours, where null means that no version was current
    return _name(event.get("previous_version")) or current


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
