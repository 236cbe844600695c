"""Signatures of versions (Ed25519): who vouches for an entry of the registry, and for what in it.

Signed is the name of the version, its `model_type`, and of every artifact the name, the path as written and the
SHA-256 (see `message`). So whoever can write registry.json, but has not the private key, cannot pass off other files
as a version, exchange two of its files, lead a path elsewhere, rename a version, or add or drop an artifact.

Not signed is what changes while a version is in use: `current_version`, `history`, `status`, and `metadata` and
unknown keys. With it a writer of registry.json can still choose *among the signed versions*: make an old one
current, lift a quarantine, name another start of the deployment, take versions out. And a signature says nothing of
the bot it was made for: where two bots trust one key, an entry with its files can be carried from one to the other.
Give each bot a key of its own.

An entry holds its signatures by key, so that a new key can be added before the old one is given up:
`"signatures": {"<id of the key>": "<base64 of 64 bytes>"}`. Other programs ignore them.
"""

import base64
import binascii
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from registry.artifacts import described
from registry.commands import python
from registry.errors import RegistryError, remedy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_FILE_VARIABLE = "MODEL_SIGNING_KEY_FILE"
"""Names the file of the private key, for scripts that register versions."""

DOMAIN = b"model-watchdog/version-signature/1\n"
PREFIX = "ed25519:"


def message(version: str, entry: Mapping[str, Any]) -> bytes:
    """What is signed: `DOMAIN`, then JSON in ASCII without spaces, keys sorted:
    `{"artifacts":{NAME:{"path":PATH,"sha256":HEX},...},"model_type":TYPE,"version":VERSION}`.

    ValueError for an entry of another shape, or one that lacks a checksum.
    """
    artifacts = {}
    for name, path, sha256 in described(entry):
        if sha256 is None:
            raise ValueError(f"artifact {name} has no SHA-256")
        artifacts[name] = {"path": path, "sha256": sha256}
    kind = entry.get("model_type")
    if not isinstance(kind, str | None):
        raise ValueError('"model_type" is no text')
    body = {"version": version, "model_type": kind, "artifacts": artifacts}
    return DOMAIN + json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")


@dataclass(frozen=True)
class Judgement:
    """`unsigned`: by this key; `forged`: there is a signature by this key, and it does not fit the entry."""

    state: Literal["signed", "unsigned", "forged"]
    detail: str = ""


class PublicKey:
    """The key that signatures are checked against, written as `ed25519:` and base64 of its 32 bytes."""

    def __init__(self, text: str) -> None:
        """RegistryError when the text is no such key."""
        prefix, found, encoded = text.partition(":")
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            raw = b""
        if prefix + found != PREFIX or len(raw) != 32:
            raise RegistryError(
                f"this is no public key; it looks like {PREFIX}<44 characters>, as "
                "`python -P -m registry keygen` prints it"
            )
        self.text, self._raw = PREFIX + base64.b64encode(raw).decode("ascii"), raw
        self.id = hashlib.sha256(raw).hexdigest()[:16]

    def judge(self, version: str, entry: Mapping[str, Any]) -> Judgement:
        """Whether the entry bears a signature by this key that fits."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        found = signatures(entry)
        if self.id not in found:
            ids = [name for name in found if name.isalnum() and len(name) <= len(self.id)]
            others = f" (by {', '.join(ids[:3])} only)" if ids else ""
            return Judgement("unsigned", f"{version} bears no signature by the key {self.id}{others}")
        try:
            signature = base64.b64decode(found[self.id], validate=True)
            Ed25519PublicKey.from_public_bytes(self._raw).verify(signature, message(version, entry))
        except (ValueError, TypeError, binascii.Error, InvalidSignature):
            return Judgement(
                "forged",
                f"the signature of {version} does not fit its entry: name, type, paths, checksums or the signature "
                "itself were changed",
            )
        return Judgement("signed")


def signatures(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The signatures of an entry by the id of their key."""
    found = entry.get("signatures")
    return dict(found) if isinstance(found, dict) else {}


class SigningKey:
    """A private key: a PEM file (PKCS #8, without a password) that nobody but its owner can read, or its bytes."""

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        """RegistryError, which never shows what the file holds, when it is not to be had or not to be trusted."""
        where, pem = ("the key", source) if isinstance(source, bytes) else (os.fspath(source), _read(source))
        self._key = _parsed(where, pem)
        self.public = PublicKey(_public_text(self._key))

    def signed(self, version: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        """The entry with a signature by this key added, or renewed; ValueError as `message`."""
        signature = base64.b64encode(self._key.sign(message(version, entry))).decode("ascii")
        return {**entry, "signatures": {**signatures(entry), self.public.id: signature}}


def generate() -> tuple[bytes, PublicKey]:
    """A new private key as PEM, and its public key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, PublicKey(_public_text(key))


def _public_text(key: "Ed25519PrivateKey") -> str:
    return PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")


def _parsed(where: str, pem: bytes) -> "Ed25519PrivateKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise RegistryError(f"{where}: is locked with a password; give one without") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise RegistryError(
            f"{where}: holds no Ed25519 private key in PEM; make one: {python()} -m registry keygen --out DIR"
        )
    return key


def _read(path: str | os.PathLike[str]) -> bytes:
    """The file's content; RegistryError when somebody else could read it, too, or have put it there."""
    where = os.fspath(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _refuse_what_others_know(where, os.fstat(descriptor))
            return os.read(descriptor, 1 << 16)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RegistryError(f"{where}: cannot be read: {error.strerror}; {remedy(error)}") from error


def _refuse_what_others_know(where: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RegistryError(f"{where}: is no file; give the file of the private key")
    if found.st_mode & 0o077:
        raise RegistryError(f"{where}: others than its owner can read this private key; chmod 600 {where}")
    if found.st_uid not in (0, os.geteuid()):
        raise RegistryError(f"{where}: this private key belongs to another user; use one of your own")


def write_private(path: Path, pem: bytes) -> None:
    """Writes a new private key that its owner alone can read; OSError, FileExistsError for one, when it cannot."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 (a descriptor)
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)  # half a key is worth nothing
        raise
