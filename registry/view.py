"""The reading half of the registry: which version is current, what verifies, where a rollback would go."""

import copy
import logging
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from registry import history
from registry.artifacts import ArtifactState
from registry.commands import typed
from registry.errors import RegistryError
from registry.hashing import Look, no_look, sha256_file
from registry.history import Deployment
from registry.links import validated
from registry.memory import HashMemory
from registry.signing import PublicKey
from registry.snapshot import Snapshot, Survey
from registry.store import Store

logger = logging.getLogger(__name__)

Data = dict[str, Any]
Name = str | os.PathLike[str]


class RegistryView:
    """A registry that is only read. Keeps no state: every call reads registry.json afresh.

    `hashes`: where hashes of files are remembered; without it they are hashed at each look. `look`: called while a
    file is hashed, about every MiB; what it raises cuts the call short. `public_key`: `ed25519:...`; a version that
    bears no signature by it does not verify.
    """

    def __init__(
        self,
        registry_path: Name,
        links: Mapping[str, str],
        *,
        lock_timeout_s: float,
        hashes: HashMemory | None = None,
        look: Look = no_look,
        public_key: str | None = None,
    ) -> None:
        # Absolute but not resolved: the bot runs in the parent of the folder as it is named.
        self.folder = Path(os.path.abspath(registry_path))  # noqa: PTH100
        self._store = Store(self.folder, lock_timeout_s=lock_timeout_s)
        self._links = validated(links)
        self.hashes = hashes
        self._look = look
        self.public_key = None if public_key is None else PublicKey(public_key)

    def looking(self, look: Look, hashes: HashMemory | None = None) -> Self:
        """The same registry for another caller, who is cut short by another `look`."""
        other = copy.copy(self)
        other._look, other.hashes = look, hashes or self.hashes
        return other

    @property
    def path(self) -> Path:
        """The file registry.json."""
        return self._store.path

    @property
    def registry(self) -> Data:
        """The registry as it is on disk now; an empty one where a folder has no registry.json yet."""
        return self._store.read(or_empty=True)

    def read(self) -> Data:
        """As `registry`, but a missing file is a RegistryError too."""
        return self._store.read()

    def get_current_model(self) -> Data | None:
        """The entry of the current version; None when there is none, or `models` does not hold it."""
        data = self.registry
        version = data["current_version"]
        if version not in data["models"]:
            return None
        entry = data["models"][version]
        if not isinstance(entry, dict):
            raise RegistryError(
                f"{self.path}: the entry of {version} is not an object; promote another version"
            )
        return {**entry, "version": version}

    def list_models(self, status: str | None = None) -> list[Data]:
        """The entries in the order of the file; with `status`, those that have it written in them."""
        entries = [entry for entry in self.registry["models"].values() if isinstance(entry, dict)]
        return [entry for entry in entries if status is None or entry.get("status") == status]

    def artifacts(self, version: str) -> dict[str, Path]:
        """The files of a version by artifact name, there or not; "main" is the entry's own."""
        return self._snapshot().paths(version)

    def files(self) -> dict[str, dict[str, Path]]:
        """`artifacts` of every version, from one reading; empty for an entry of another shape, which names none."""
        snapshot = self._snapshot()
        return {version: snapshot.paths_if_any(version) for version in snapshot.versions}

    def check(self, version: str) -> list[ArtifactState]:
        """The state of every file of a version, and of its signature; RegistryError when it is unknown or its entry
        has another shape."""
        return self._snapshot().check(version)

    def verify_checksum(self, version: str) -> bool:
        """Whether every file of the version is the registered one, and signed if that is asked for. False, and logged,
        when it is unknown."""
        fault = self._snapshot().unverified(version)
        if fault is not None:
            logger.warning("%s does not verify: %s", version, fault)
        return fault is None

    def deployment(self) -> Deployment | None:
        """The deployment of the current version; None when there is no current version."""
        data = self.registry
        current = data["current_version"]
        return history.deployment(data["history"], current) if current else None

    def is_quarantined(self, version: str) -> bool:
        """Whether the version was rolled back from, and no person released or promoted it since."""
        return version in self._snapshot().quarantined

    def targets(self, exclude: Collection[str] = ()) -> list[str]:
        """Where to go back to, newest first: current before, registered, not quarantined. Not verified."""
        return self._snapshot().targets(exclude)

    def target(self, exclude: Collection[str] = ()) -> str | None:
        """The version that a rollback would go to now: the first of `targets` that verifies."""
        return self.survey(exclude).target

    def survey(self, exclude: Collection[str] = ()) -> Survey:
        """`target`, and the reason for each version that is passed over on the way to it."""
        return self._snapshot().survey(exclude)

    def why_not(self, version: str) -> str | None:
        """Why `rollback(to=version)` would be refused now, with the remedy; None when it would not."""
        return self._snapshot().why_not(version)

    def typed(self, command: str, *versions: str) -> str:
        """`sign` or `release` for some versions, as people type it."""
        return typed(self.folder, command, *versions)

    def links_right(self) -> bool:
        """Whether every link points to its artifact of the current version; True when there are no links."""
        if not self._links:
            return True
        snapshot = self._snapshot()
        return snapshot.current is not None and snapshot.links_fault(snapshot.current) is None

    def _snapshot(self, data: Data | None = None) -> Snapshot:
        found = self.registry if data is None else data
        return Snapshot(found, self.folder, self._links, self._sha256, self.public_key)

    def _sha256(self, path: Path) -> str:
        if self.hashes is None:
            return sha256_file(path, self._look)
        return self.hashes.sha256(path, self._look)
