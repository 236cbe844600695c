"""What each change writes into the registry: status, current version, history. No I/O, no judgement.

`data` is the dict of registry.json and is altered in place; `at` is an ISO 8601 time with offset. Keys that
are not ours stay as they are.
"""

from collections.abc import Mapping
from typing import Any

from registry.history import current_before, rolled_back_from

Data = dict[str, Any]


def register(data: Data, version: str, entry: Data) -> None:
    data["models"][version] = entry
    data["history"].append({"version": version, "action": "registered", "timestamp": entry["registered_at"]})


def promote(data: Data, version: str, metrics: Mapping[str, Any], at: str) -> None:
    """The version before is archived; promoted anew, a version names the one before it, never itself."""
    left = data["current_version"] or None
    previous = left if left != version else next(iter(current_before(data["history"], version)), None)
    if _status(data, left) != "quarantined":
        _set_status(data, left, "archived")
    _set_status(data, version, "production")
    data["current_version"] = version
    event = {"version": version, "action": "promoted", "previous_version": previous}
    data["history"].append({**event, "validation_metrics": dict(metrics), "timestamp": at})


def roll_back(data: Data, version: str, reason: str | None, at: str) -> None:
    left = data["current_version"] or None
    _set_status(data, left, "quarantined")
    _set_status(data, version, "production")
    data["current_version"] = version
    event = {
        "version": version,
        "action": "rollback",
        "previous_version": left,
        "from": left,
        "reason": reason,
    }
    data["history"].append({**event, "validation_metrics": {}, "timestamp": at})


def release(data: Data, version: str, at: str) -> None:
    """Marks the rollbacks that put the version under quarantine, so that they no longer count."""
    for event in rolled_back_from(data["history"]).get(version, ()):
        event["released_at"] = at
    was_current = version in current_before(data["history"], data["current_version"])
    status = (
        "production" if data["current_version"] == version else "archived" if was_current else "registered"
    )
    _set_status(data, version, status)


def _status(data: Data, version: str | None) -> object:
    entry = data["models"].get(version)
    return entry.get("status") if isinstance(entry, dict) else None


def _set_status(data: Data, version: str | None, status: str) -> None:
    entry = data["models"].get(version)
    if isinstance(entry, dict):
        entry["status"] = status
