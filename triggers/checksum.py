"""Damaged model files.

Fires when an artifact of the current version is missing or its SHA-256 differs from the registry's. A file that is
still being written is pending; one that cannot be read proves nothing (no_data).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from triggers.records import ArtifactCheck, Record
from triggers.verdict import Verdict


@dataclass(frozen=True)
class ChecksumSettings:
    """Nothing to set."""


class ChecksumRule:
    """Keeps the newest look at each artifact of the newest version."""

    name = "checksum"

    def __init__(self, settings: ChecksumSettings) -> None:
        self._settings = settings
        self._version: str | None = None
        self._found: dict[str, ArtifactCheck] = {}

    def observe(self, record: Record) -> None:
        """Looks at artifact checks."""
        if not isinstance(record, ArtifactCheck):
            return
        if record.version != self._version:
            self._version, self._found = record.version, {}
        self._found[record.artifact] = record

    def evaluate(self, now: datetime) -> Verdict:  # noqa: ARG002
        """The worst of all artifacts."""
        damaged = [check for check in self._found.values() if check.state in {"missing", "mismatch"}]
        changing = [check for check in self._found.values() if check.state == "changing"]
        unreadable = [check for check in self._found.values() if check.state == "unreadable"]
        if damaged:
            return self._verdict("firing", "; ".join(map(_damage, damaged)), len(damaged))
        if changing:
            return self._verdict("pending", f"{changing[0].path} is being written", 0)
        if unreadable:
            return self._verdict(
                "no_data", f"{unreadable[0].path} cannot be checked: {unreadable[0].detail}", None
            )
        if not self._found:
            return self._verdict("no_data", "the model's files have not been checked yet", None)
        count = f"{len(self._found)} file{'' if len(self._found) == 1 else 's'}"
        return self._verdict("ok", f"{count} of {self._version} verified, 0 damaged (limit 0)", 0)

    def _verdict(self, state: Any, reason: str, damaged: int | None) -> Verdict:
        return Verdict(self.name, state, None if damaged is None else float(damaged), 0.0, reason)

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
    what = "is missing" if check.state == "missing" else "differs from the registry's SHA-256"
    return f"{check.path} ({check.artifact} of {check.version}) {what}" + (
        f": {check.detail}" if check.detail else ""
    )
