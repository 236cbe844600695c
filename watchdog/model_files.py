"""The files of the current version, and of the one that a rollback would go to: hashed beside the ticks."""

import asyncio

from registry import ModelRegistry, RegistryError
from registry.artifacts import artifacts_of
from triggers import ArtifactCheck
from watchdog.artifacts import ArtifactWatch
from watchdog.clock import Clock

WAIT_S = 1.0
"""Small files are hashed within the tick; a tick does not wait for large ones."""


class ModelFiles:
    """Looks at files again only when something about them changed (see `ArtifactWatch`)."""

    def __init__(self, registry: ModelRegistry, clock: Clock) -> None:
        self._registry, self._clock = registry, clock
        self._current = ArtifactWatch()
        self._candidates = ArtifactWatch()
        self._check_task: asyncio.Task[list[ArtifactCheck]] | None = None
        self._target_task: asyncio.Task[str | None] | None = None
        self._target_known = False
        self.checks: list[ArtifactCheck] = []
        """What the last finished look at the current version found."""
        self.target: str | None = None
        """The version that a rollback would go to, verified."""
        self.entry_trouble: str | None = None
        """Why the registry's entry of a version cannot be used, or None."""

    def forget(self) -> None:
        """Another version is current."""
        if self._check_task is not None:
            self._check_task.cancel()
        self._check_task, self.checks = None, []

    async def check(self, version: str) -> list[ArtifactCheck]:
        """What was found since the last call; empty while a large file is still being hashed."""
        if self._check_task is None:
            self._check_task = asyncio.create_task(self._hash(self._current, version))
        await asyncio.wait({self._check_task}, timeout=WAIT_S)
        if not self._check_task.done():
            return []
        task, self._check_task = self._check_task, None
        self.checks = [check for check in task.result() if check.version == version]
        return self.checks

    @property
    def unreadable(self) -> str | None:
        """The files that prove nothing because they cannot be read, or None."""
        bad = [f"{check.path}: {check.detail}" for check in self.checks if check.state == "unreadable"]
        return f"a model file cannot be checked: {'; '.join(bad)}" if bad else None

    def obstacle(self, version: str) -> str | None:
        """Why the bot must not be started on this version, or None once its files are known to verify."""
        try:
            if self._registry.is_quarantined(version):
                return "it is quarantined (it was rolled back from). Promote a good version; or this one, to release it"
        except RegistryError as error:
            return str(error)
        bad = [f"{check.path} is {check.state}" for check in self.checks if check.state != "ok"]
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
        """Keeps `target` fresh; False once it is known that there is none."""
        if self._target_task is None:
            self._target_task = asyncio.create_task(self._find_target())
        elif self._target_task.done():
            task, self._target_task = self._target_task, None
            self.target, self._target_known = task.result(), True
        return self.target is not None or not self._target_known

    async def _find_target(self) -> str | None:
        try:
            candidates = self._registry.targets()
        except RegistryError:
            return None  # told already, by who reads the current version
        for version in candidates:
            checks = await self._hash(self._candidates, version)
            if checks and all(check.state == "ok" for check in checks):
                return version
        return None

    async def _hash(self, watch: ArtifactWatch, version: str) -> list[ArtifactCheck]:
        try:
            entry = self._registry.read()["models"].get(version)
            expected = {a.name: (a.path, a.expected) for a in artifacts_of(entry, self._registry.folder)}
        except (RegistryError, ValueError) as error:
            self.entry_trouble = f"the registry's entry of {version} cannot be used: {error}"
            return []
        self.entry_trouble = None
        return await watch.check(version, expected, self._clock.now(), self._clock.monotonic())
