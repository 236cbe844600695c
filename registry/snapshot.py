"""One reading of registry.json, and what can be said of its versions: files, quarantine, ways back."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from registry import history
from registry.artifacts import Artifact, ArtifactState, artifacts_of, check
from registry.commands import typed
from registry.errors import RegistryError
from registry.hashing import sha256_file
from registry.links import Link, plan
from registry.signing import PublicKey
from registry.store import FILE_NAME

MOST_NAMED = 5
"""Versions in a message, of all that are registered."""


@dataclass(frozen=True)
class Survey:
    """Where a rollback would go, and why it passes over what lies before: version -> reason."""

    target: str | None
    passed_over: dict[str, str]


class Snapshot:
    """`data` as it was read from the registry in `folder`; files are looked at when they are asked for.

    `sha256` tells the hash of a file; with a `public_key`, a version without a signature by it does not verify.
    """

    def __init__(
        self,
        data: dict[str, Any],
        folder: Path,
        links: Mapping[str, str],
        sha256: Callable[[Path], str] = sha256_file,
        public_key: PublicKey | None = None,
    ) -> None:
        self._models: dict[str, Any] = data["models"]
        self._history: list[Any] = data["history"]
        self.current: str | None = data["current_version"] or None
        self._folder = folder
        self._links = links
        self._sha256 = sha256
        self._public_key = public_key

    @cached_property
    def quarantined(self) -> frozenset[str]:
        """By status, or by a rollback that nothing lifted since: a bot may have written over the status."""
        by_status = [
            version
            for version, entry in self._models.items()
            if isinstance(entry, dict) and entry.get("status") == "quarantined"
        ]
        return frozenset(by_status) | history.rolled_back_from(self._history).keys()

    @property
    def before(self) -> list[str]:
        """The versions that were current before, newest first. Without a current one there is no before."""
        return history.current_before(self._history, self.current) if self.current else []

    def artifacts(self, version: str) -> list[Artifact]:
        """RegistryError for a version that is not there, or whose entry has another shape."""
        where = f"{self._folder / FILE_NAME}: {version}"
        if version not in self._models:
            raise RegistryError(f"{where} is not registered; take one that is ({self._near(version)})")
        try:
            return artifacts_of(self._models[version], self._folder)
        except ValueError as error:
            raise RegistryError(f"{where}: {error}; mend the entry, or register the files anew") from error

    def _near(self, version: str) -> str:
        """Names that may have been meant: the nearest first, then the newest."""
        near = get_close_matches(version, self._models, n=2)
        others = [name for name in self._models if name not in near]
        named = [*near, *others[-(MOST_NAMED - len(near)) :]]
        return (", ".join(named) or "none yet") + (", ..." if len(named) < len(self._models) else "")

    def paths(self, version: str) -> dict[str, Path]:
        return {artifact.name: artifact.path for artifact in self.artifacts(version)}

    @property
    def versions(self) -> list[str]:
        return list(self._models)

    def paths_if_any(self, version: str) -> dict[str, Path]:
        try:
            return self.paths(version)
        except RegistryError:
            return {}

    def check(self, version: str) -> list[ArtifactState]:
        """One state for each artifact, the main one first. It is the main one's that tells of the signature, too."""
        main, *further = [check(artifact, self._sha256) for artifact in self.artifacts(version)]
        return [self._with_signature(version, main), *further]

    def _with_signature(self, version: str, main: ArtifactState) -> ArtifactState:
        """A missing signature is told when the file is good; one that does not fit, whatever the file is."""
        if self._public_key is None:
            return main
        found = self._public_key.judge(version, self._models[version])
        if found.state == "signed" or (found.state == "unsigned" and not main.ok):
            return main
        return replace(main, state=found.state, detail=f"{main.name}: {found.detail}")

    def has_file(self, sha256: str) -> bool:
        """Whether a file with this hash is an artifact that verifies."""
        for version in self._models:
            try:
                known = [artifact for artifact in self.artifacts(version) if artifact.expected == sha256]
            except RegistryError:
                continue  # an entry that cannot be read vouches for no file
            if any(check(artifact, self._sha256).ok for artifact in known):
                return True
        return False

    def links(self, version: str) -> list[Link]:
        """The links as they shall be for a version; RegistryError when it cannot have them."""
        return plan(self._folder, self._links, version, self.paths(version)) if self._links else []

    def links_fault(self, version: str) -> str | None:
        """The first link that is not as a version wants it; None when all are right."""
        try:
            wrong = [link for link in self.links(version) if not link.right]
        except RegistryError as error:
            return str(error)
        return f"{wrong[0].path} does not point to {wrong[0].artifact}" if wrong else None

    def unverified(self, version: str) -> str | None:
        """Why the files of a version are not proved to be the registered ones; None when they are."""
        try:
            states = self.check(version)
        except RegistryError as error:
            return str(error)
        bad = [state for state in states if not state.ok]
        if not bad:
            return None
        faults = "; ".join(state.detail for state in bad)
        if all(state.state == "unsigned" for state in bad):
            return f"{faults}; if its files are trusted, sign it: {typed(self._folder, 'sign', version)}"
        return f"{faults}; restore what was registered from a backup"

    def problem(self, version: str) -> str | None:
        """Why a version cannot be made the current one; None when it can."""
        fault = self.unverified(version)
        if fault is not None:
            return fault
        try:
            self.links(version)
        except RegistryError as error:
            return str(error)
        return None

    def why_not(self, version: str) -> str | None:
        """Why a person cannot roll back to a version, with the remedy; None when that is possible."""
        if version == self.current:
            return f"{version} is current already; leave the version out, or name another one"
        if version in self.quarantined:
            return (
                f"{version} is in quarantine, it was rolled back from; if it is good after all, release it "
                f"first: {typed(self._folder, 'release', version)}"
            )
        fault = self.problem(version)
        return fault and f"{version} cannot be rolled back to, nothing was changed: {fault}"

    def targets(self, exclude: Collection[str]) -> list[str]:
        return [version for version in self.before if self._barred(version, exclude) is None]

    def survey(self, exclude: Collection[str]) -> Survey:
        passed_over: dict[str, str] = {}
        for version in self.before:
            why_not = self._barred(version, exclude) or self.problem(version)
            if why_not is None:
                return Survey(version, passed_over)
            passed_over[version] = why_not
        return Survey(None, passed_over)

    def _barred(self, version: str, exclude: Collection[str]) -> str | None:
        if version in exclude:
            return "left out by the caller"
        if version in self.quarantined:
            return "in quarantine: it was rolled back from"
        if version not in self._models:
            return "no longer in the registry"
        return None
