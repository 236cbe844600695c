"""The files of the current version, and of those that a rollback would go to: hashed beside the ticks.

Hashes are remembered, so that a rollback finds large files verified, and each file is hashed anew once an hour, at
leisure: one at a time, while nothing else is being hashed.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from registry import HashMemory, ModelRegistry, RegistryError
from triggers import ArtifactCheck
from watchdog.artifacts import ArtifactWatch
from watchdog.clock import Clock
from watchdog.hashes import Keeper
from watchdog.journal import Journal

WAIT_S = 1.0
"""Small files are hashed within the tick; a tick does not wait for large ones."""

STANDBY = 3
"""Good versions whose files are kept verified: the next target, and those after it if that one turns out no good."""

REHASH_S = 3600.0
SETTLED_S = 300.0
"""So long after a switch the new current version is hashed anew: until then the bot is busy loading it."""


class ModelFiles:
    """Looks at files again only when something about them changed (see `registry.memory`)."""

    def __init__(self, registry: ModelRegistry, clock: Clock, journal: Journal | None = None) -> None:
        self._registry, self._clock = registry, clock
        self._hashes = registry.hashes or HashMemory()
        self._watch = ArtifactWatch(registry, self._hashes)
        key = registry.public_key
        self._kept = Keeper(journal, self._hashes, None if key is None else key.id)
        self._check_task: asyncio.Task[list[ArtifactCheck]] | None = None
        self._target_task: asyncio.Task[None] | None = None
        self._leisure_task: asyncio.Task[None] | None = None
        self._checked = self._target_known = False
        self._ready: list[ArtifactCheck] = []
        self._unsigned_before: list[str] = []
        self._deployed = self._hashes.monotonic()
        self.checks: list[ArtifactCheck] = []
        """What the last finished look at the current version found."""
        self.target: str | None = None
        """The version that a rollback would go to, verified."""
        self.entry_trouble: str | None = None
        """Why the registry's entry of a version cannot be used, or None."""

    def forget(self) -> None:
        """Another version is current."""
        for task in (self._check_task, self._target_task):
            if task is not None:
                task.cancel()
        self._check_task, self._target_task, self.checks = None, None, []
        self._deployed = self._hashes.monotonic()

    async def check(self, version: str) -> list[ArtifactCheck]:
        """What was found since the last call; empty while a large file is still being hashed."""
        if self._check_task is None:
            self._check_task = asyncio.create_task(self._look(version))
        await asyncio.wait({self._check_task}, timeout=WAIT_S)
        if not self._check_task.done():
            return []
        task, self._check_task, self._checked = self._check_task, None, True
        self.checks = [check for check in task.result() if check.version == version]
        return self.checks

    @property
    def undecided(self) -> frozenset[str]:
        """The troubles that nobody can tell yet, for the files were not looked at since the start."""
        own = frozenset[str]() if self._checked else frozenset({"artifact", "unsigned", "registry-entry"})
        targets = frozenset({"no-target", "unsigned-targets", "registry-entry"})
        return own if self._target_known else own | targets

    @property
    def unreadable(self) -> str | None:
        """The files that prove nothing because they cannot be read, or None."""
        bad = [f"{check.path}: {check.detail}" for check in self.checks if check.state == "unreadable"]
        return f"a model file cannot be checked: {'; '.join(bad)}" if bad else None

    @property
    def unsigned(self) -> str | None:
        """That nobody vouches for the current version, and what to do about it; or None."""
        found = next((check for check in self.checks if check.state == "unsigned"), None)
        if found is None:
            return None
        return (
            f"{found.detail}, which registry.signing_key asks for: a running bot is left as it is, but none is started "
            f"on {found.version}\n{self._how_to_sign([found.version])}"
        )

    @property
    def unsigned_targets(self) -> str | None:
        """The earlier versions that are passed over for their missing signatures, and what to do; or None."""
        versions = self._unsigned_before
        return (
            f"{', '.join(versions)}: not gone back to, for want of the signature that registry.signing_key asks for\n"
            f"{self._how_to_sign(versions)}"
            if versions
            else None
        )

    def _how_to_sign(self, versions: Sequence[str]) -> str:
        command = self._registry.typed("sign", *versions)
        return f"If you know their files to be good, sign them where the private key is: {command}"

    def obstacle(self, version: str) -> str | None:
        """Why the bot must not be started on this version, or None once its files are known to verify."""
        try:
            if self._registry.is_quarantined(version):
                release = self._registry.typed("release", version)
                return f"it is quarantined (it was rolled back from). Promote a good version; if this one is: {release}"
        except RegistryError as error:
            return str(error)
        bad = [_fault(check) for check in self.checks if check.state != "ok"]
        if self._check_task is not None:
            bad = ["its files are being checked again"]  # what the last look found is no proof any more
        if bad or not self.checks:
            return "; ".join(bad) or "its files are still being checked"
        try:
            if not self._registry.links_right():
                self._registry.sync_links()
        except RegistryError as error:
            return f"its links are not right: {error}"
        return None

    def look_for_target(self) -> bool:
        """Keeps `target` fresh, and the hashes; False once it is known that there is none."""
        if self._target_task is None:
            self._hash_one_anew()
            self._target_task = asyncio.create_task(self._find_targets())
        elif self._target_task.done():
            task, self._target_task = self._target_task, None
            task.result()
        self._kept.save()
        return self.target is not None or not self._target_known

    async def _find_targets(self) -> None:
        """Names the newest good version, and gets those after it ready."""
        try:
            candidates = self._registry.targets()
        except RegistryError:
            candidates = []  # told already, by who reads the current version
        found: list[list[ArtifactCheck]] = []
        unsigned: list[str] = []
        for version in candidates:
            checks = await self._look(version, tell=not found)
            if checks and all(check.state == "ok" for check in checks):
                found.append(checks)
                if len(found) == 1:
                    self._name_target(version, unsigned)
                if len(found) == STANDBY:
                    break
            elif any(check.state == "unsigned" for check in checks) and not found:
                unsigned.append(version)
        self._ready = [check for checks in found for check in checks]
        if not found:
            self._name_target(None, unsigned)

    def _name_target(self, version: str | None, unsigned: list[str]) -> None:
        self.target, self._target_known, self._unsigned_before = version, True, unsigned

    def _hash_one_anew(self) -> None:
        """The file that was hashed longest ago, if that is long enough."""
        if self._leisure_task is not None:
            if not self._leisure_task.done():
                return
            task, self._leisure_task = self._leisure_task, None
            task.result()
        if self._check_task is not None:
            return
        due = self._longest_ago(REHASH_S, [*self.checks, *self._ready])
        since_s = self._hashes.monotonic() - self._deployed
        if due is None and since_s >= SETTLED_S:
            due = self._longest_ago(since_s, self.checks)
        if due is not None:
            self._leisure_task = asyncio.create_task(self._watch.hash_anew(due))

    def _longest_ago(self, least_s: float, checks: Iterable[ArtifactCheck]) -> Path | None:
        ages = {path: self._hashes.age_s(path) for path in (Path(check.path) for check in checks)}
        due = [(age_s, path) for path, age_s in ages.items() if age_s is not None and age_s >= least_s]
        return max(due)[1] if due else None

    async def _look(self, version: str, *, tell: bool = True) -> list[ArtifactCheck]:
        """`tell`: whether people have to know of an entry that cannot be used."""
        try:
            main, *further = await self._watch.check(version, self._clock.now())
        except RegistryError as error:
            if tell:
                self.entry_trouble = f"the registry's entry of {version} cannot be used: {error}"
            return []
        if tell:
            self.entry_trouble = None
        return [self._vouched(main), *further]

    def _vouched(self, main: ArtifactCheck) -> ArtifactCheck:
        """A signature that was there and is gone was taken away: the entry is no longer what was signed."""
        if self._registry.public_key is not None and main.state == "ok":
            self._kept.bears_signature(main.version)
        if main.state == "unsigned" and self._kept.bore_signature(main.version):
            return replace(
                main, state="forged", detail=f"{main.version} was signed, and its signature is gone"
            )
        return main


def _fault(check: ArtifactCheck) -> str:
    return check.detail if check.state in {"unsigned", "forged"} else f"{check.path} is {check.state}"
