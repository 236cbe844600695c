"""The versions of a model, and which one is current: register, promote, roll back, quarantine, release."""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any

from registry import changes
from registry.artifacts import MAIN
from registry.describe import describe
from registry.errors import RegistryError, remedy
from registry.hashing import Look, no_look
from registry.links import Link, switched
from registry.memory import HashMemory
from registry.signing import KEY_FILE_VARIABLE, SigningKey
from registry.snapshot import Snapshot
from registry.store import is_name
from registry.view import Data, Name, RegistryView

logger = logging.getLogger(__name__)

Change = AbstractContextManager[None]


class ModelRegistry(RegistryView):
    """The registry in one folder. Keeps no state: every call reads registry.json afresh.

    `links` maps fixed file names in the folder to artifact names; they follow the current version. Times are
    ISO 8601 with offset. What cannot be done raises RegistryError with a remedy, and has changed nothing;
    after a switch the result is read back, and an error then says that the switch was made.

    `signing_key`: the private key that new versions are signed with, as a PEM file or its bytes; without it the file
    that MODEL_SIGNING_KEY_FILE names, if any. `public_key`, `hashes` and `look`: see `RegistryView`.
    """

    def __init__(
        self,
        registry_path: Name = "./models_saved",
        links: Mapping[str, str] | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        lock_timeout_s: float = 10.0,
        hashes: HashMemory | None = None,
        look: Look = no_look,
        signing_key: Name | bytes | None = None,
        public_key: str | None = None,
    ) -> None:
        super().__init__(
            registry_path,
            links or {},
            lock_timeout_s=lock_timeout_s,
            hashes=hashes,
            look=look,
            public_key=public_key,
        )
        self._now = now
        self._signing_key = signing_key

    def register_model(
        self,
        model_path: Name,
        version: str,
        metadata: Mapping[str, Any],
        model_type: str = "ensemble",
        *,
        artifacts: Mapping[str, Name] | None = None,
    ) -> Data:
        """Adds a version with its file (and further `artifacts` by name), hashed now; returns its entry, signed if
        there is a key.

        The files stay where they are. The folder and registry.json are made when they do not exist yet. A
        name that is taken is refused: a version under quarantine must not come back as something else.
        """
        if not version or version != version.strip() or not is_name(version):
            raise RegistryError(f"{version!r} is no name for a version; give one like v2.1.0")
        if MAIN in (artifacts or {}):
            raise RegistryError(f'"{MAIN}" is the model file itself; give the further artifact another name')
        key = self._key()
        entry: Data = {
            "version": version,
            "model_type": model_type,
            **describe(model_path, self.folder, self._links),
        }
        if artifacts:
            entry["artifacts"] = {
                name: describe(path, self.folder, self._links) for name, path in artifacts.items()
            }
        entry |= {"metadata": dict(metadata), "registered_at": self._time(), "status": "registered"}
        if key is not None:
            entry = self._signed(key, version, entry)

        def change(data: Data) -> Change:
            if version in data["models"]:
                raise RegistryError(
                    f"{self.path}: {version} is registered already; give new files a new version"
                )
            changes.register(data, version, entry)
            return nullcontext()

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RegistryError(
                f"{self.folder}: cannot be made: {error.strerror}; {remedy(error)}"
            ) from error
        with self._store.locked():
            self._store.update(change, or_empty=True)
        logger.info("registered %s", version)
        return entry

    def promote_model(self, version: str, validation_metrics: Mapping[str, Any] | None = None) -> Data:
        """Makes a version the current one, once its files verify; returns its entry. The last is archived.

        It is a person who promotes: a quarantine of the version ends with it.
        """

        def change(data: Data) -> Change:
            snapshot = self._snapshot(data)
            fault = snapshot.problem(version)
            if fault is not None:
                raise RegistryError(f"{version} cannot be promoted, nothing was changed: {fault}")
            if version in snapshot.quarantined:
                logger.warning("%s was in quarantine; promoting it releases it", version)
            changes.promote(data, version, validation_metrics or {}, self._time())
            return self._switch(snapshot, snapshot.links(version))

        with self._store.locked():
            self._store.update(change)
            data = self._read_back(version)
        logger.info("promoted %s", version)
        return dict(data["models"][version])

    def rollback(
        self, to: str | None = None, *, reason: str | None = None, exclude: Collection[str] = ()
    ) -> str | None:
        """Goes back to the newest good version before the current one, or to `to`; returns the version.

        Good is: current before, not quarantined, not in `exclude`, every file verifies. `to` need not have
        been current before, nor does `exclude` count for it; not good otherwise, it is a RegistryError. The
        version left is quarantined. Without a good version nothing changes, the log says why and what to do,
        and the answer is None.
        Killed before registry.json is replaced, the same call does the same again, links included.
        """
        chosen: str | None = None

        def change(data: Data) -> Change | None:
            nonlocal chosen
            snapshot = self._snapshot(data)
            chosen = self._chosen(snapshot, to, exclude)
            if chosen is None:
                return None
            changes.roll_back(data, chosen, reason, self._time())
            return self._switch(snapshot, snapshot.links(chosen))

        with self._store.locked():
            self._store.update(change)
            if chosen is not None:
                self._read_back(chosen)
                logger.info("rolled back to %s", chosen)
        return chosen

    def release(self, version: str) -> None:
        """Lifts the quarantine of a version: a person's word that it is good after all."""

        def change(data: Data) -> Change | None:
            snapshot = self._snapshot(data)
            snapshot.artifacts(version)
            if version not in snapshot.quarantined:
                return None
            changes.release(data, version, self._time())
            logger.warning("%s is released from quarantine", version)
            return nullcontext()

        with self._store.locked():
            self._store.update(change)

    def sign(self, version: str) -> str:
        """Vouches for a version, whose files must verify, with the private key; returns the public one.

        Nobody else vouches for what the entry holds at this moment: sign what you know to be good.
        """
        key = self._key()
        if key is None:
            raise RegistryError(
                f"there is no key to sign {version} with; give signing_key, or set {KEY_FILE_VARIABLE}"
            )

        def change(data: Data) -> Change:
            fault = Snapshot(data, self.folder, self._links, self._sha256).unverified(version)
            if fault is not None:
                raise RegistryError(f"{version} cannot be signed, nothing was changed: {fault}")
            data["models"][version] = self._signed(key, version, data["models"][version])
            return nullcontext()

        with self._store.locked():
            self._store.update(change)
        logger.info("signed %s", version)
        return key.public.text

    def sync_links(self) -> None:
        """Points the links to the artifacts of the current version; RegistryError when that cannot be."""
        if not self._links:
            return
        with self._store.locked():
            snapshot = self._snapshot(self.read())
            if snapshot.current is None:
                raise RegistryError(
                    f"{self.path}: no version is current for the links to point to; promote one"
                )
            with self._switch(snapshot, snapshot.links(snapshot.current)):
                pass

    def _key(self) -> SigningKey | None:
        if self._signing_key is not None:
            return SigningKey(self._signing_key)
        named = os.environ.get(KEY_FILE_VARIABLE)
        return SigningKey(named) if named else None

    @staticmethod
    def _signed(key: SigningKey, version: str, entry: Data) -> Data:
        try:
            return key.signed(version, entry)
        except ValueError as error:
            raise RegistryError(f"{version} cannot be signed, nothing was changed: {error}") from error

    def _chosen(self, snapshot: Snapshot, to: str | None, exclude: Collection[str]) -> str | None:
        """Where to roll back to, with its files verified just now; None, and logged why, when nowhere."""
        if to is not None:
            fault = snapshot.why_not(to)
            if fault is not None:
                raise RegistryError(fault)
            return to
        survey = snapshot.survey(exclude)
        for version, why_not in survey.passed_over.items():
            logger.warning("%s is passed over: %s", version, why_not)
        if survey.target is None:
            logger.error(
                "%s: no good version to go back to from %s, nothing was changed; restore the files of an "
                "older version from a backup, or register and promote a known-good model",
                self.path,
                snapshot.current or "none",
            )
        return survey.target

    @contextmanager
    def _switch(self, snapshot: Snapshot, planned: list[Link]) -> Iterator[None]:
        """Links point to the new version inside, and stay so unless an exception leaves it."""
        with switched(planned, f"{self._now().astimezone(UTC):%Y%m%dT%H%M%SZ}") as kept:
            yield
        for aside in kept:
            try:
                if snapshot.has_file(self._sha256(aside)):
                    aside.unlink()
                else:
                    logger.warning(
                        "a file that no version knows was in a link's place; it is kept as %s", aside
                    )
            except OSError as error:
                logger.warning("%s is kept: %s", aside, error.strerror)

    def _read_back(self, version: str) -> Data:
        """What registry.json holds now. RegistryError when the switch to `version` is not what is on disk."""
        data = self.read()
        snapshot = self._snapshot(data)
        if snapshot.current != version:
            fault = f"another program has made {snapshot.current} current meanwhile"
        else:
            fault = snapshot.unverified(version) or snapshot.links_fault(version) or ""
        if fault:
            raise RegistryError(f"{self.path}: switched to {version}, but reading it back failed: {fault}")
        return data

    def _time(self) -> str:
        return self._now().astimezone(UTC).isoformat()
