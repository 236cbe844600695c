"""Damaged model files.

Fires when an artifact of the current version is missing or its SHA-256 differs from the registry's. A file that is
still being written is pending; one that cannot be read proves nothing (no_data).

Where versions have to be signed, a signature that does not fit the version's entry fires, too: the checksum in it is
then anybody's. A signature that was never there is missing data, and fires nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from triggers.records import ArtifactCheck, Record
from triggers.verdict import State, Verdict

STALE = timedelta(hours=3)
"""Files are hashed once an hour at least; what was found longer ago proves nothing now."""


@dataclass(frozen=True)
class ChecksumSettings:
    """Nothing to set."""


class ChecksumRule:
    """Keeps the newest look at the artifacts of the newest version. The records of one look have the same time."""

    name = "checksum"

    def __init__(self, settings: ChecksumSettings) -> None:
        self._settings = settings
        self._version: str | None = None
        self._found: dict[str, ArtifactCheck] = {}

    def observe(self, record: Record) -> None:
        """Looks at artifact checks."""
        if not isinstance(record, ArtifactCheck):
            return
        newest = max((check.at for check in self._found.values()), default=record.at)
        if record.at < newest:
            return  # a slow look, at the version before perhaps
        if record.version != self._version or record.at > newest:
            self._version, self._found = record.version, {}  # a look is at all artifacts that there are then
        self._found[record.artifact] = record

    def evaluate(self, now: datetime) -> Verdict:
        """The worst of all artifacts."""
        fresh = [check for check in self._found.values() if now - check.at <= STALE]
        damaged = [check for check in fresh if check.state in {"missing", "mismatch", "forged"}]
        if damaged:
            return self._verdict("firing", len(damaged), "; ".join(map(_damage, damaged)))
        for check in fresh:
            if check.state == "changing":
                return self._verdict("pending", 0, f"{check.path} is being written")
        for check in fresh:
            if check.state == "unreadable":
                return self._verdict("no_data", None, f"{check.path} cannot be checked: {check.detail}")
            if check.state == "unsigned":
                return self._verdict("no_data", None, f"nobody vouches for {check.version}: {check.detail}")
        if not fresh:
            never = "have not been checked yet" if not self._found else "have not been checked for hours"
            return self._verdict("no_data", None, f"the model's files {never}")
        count = f"{len(fresh)} file{'' if len(fresh) == 1 else 's'}"
        return self._verdict("ok", 0, f"{count} of {self._version} verified, 0 damaged")

    def _verdict(self, state: State, damaged: int | None, reason: str) -> Verdict:
        return Verdict(self.name, state, damaged, 0, f"{reason} (limit 0 damaged files)")

    def reset(self, since: datetime) -> None:  # noqa: ARG002
        """Forgets what was found."""
        self._version, self._found = None, {}

    def dump(self) -> dict[str, Any]:
        """Nothing: the files are looked at anew after a restart."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing was kept."""
        if state:
            raise ValueError("checksum keeps no state")

    def notices(self) -> list[tuple[str, str]]:
        """None."""
        return []


def _damage(check: ArtifactCheck) -> str:
    if check.state == "forged":
        return f"nobody vouches for {check.path} ({check.artifact} of {check.version}): {check.detail}"
    what = "is missing" if check.state == "missing" else "differs from the registry's SHA-256"
    detail = f": {check.detail}" if check.detail else ""
    return f"{check.path} ({check.artifact} of {check.version}) {what}{detail}"
