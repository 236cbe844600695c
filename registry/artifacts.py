"""The files of a version, and whether each is the one that was registered."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from registry.hashing import sha256_file
from registry.paths import resolve

MAIN = "main"
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


@dataclass(frozen=True)
class Artifact:
    """One file of a version; `expected` is the registered SHA-256 in lower-case hex, None without one."""

    name: str
    path: Path
    expected: str | None


@dataclass(frozen=True)
class ArtifactState:
    """What looking at one artifact found; `actual` is None when there was nothing to hash."""

    name: str
    path: Path
    expected: str | None
    actual: str | None
    state: Literal["ok", "missing", "mismatch", "unreadable", "no_checksum"]
    detail: str

    @property
    def ok(self) -> bool:
        return self.state == "ok"


def artifacts_of(entry: object, folder: Path) -> list[Artifact]:
    """The artifacts of one entry of `models`, the main one first; ValueError says what has another shape."""
    if not isinstance(entry, dict):
        raise ValueError("the entry is not an object")
    further = entry.get("artifacts")
    if further is not None and not isinstance(further, dict):
        raise ValueError('"artifacts" is not an object of name: {"path", "checksum"}')
    if further and MAIN in further:
        raise ValueError(f'"artifacts" holds "{MAIN}", which is the name of the entry\'s own path')
    return [
        _artifact(name, described, folder) for name, described in [(MAIN, entry), *(further or {}).items()]
    ]


def _artifact(name: str, described: object, folder: Path) -> Artifact:
    written: Any = described.get("path") if isinstance(described, dict) else None
    if not isinstance(described, dict) or not isinstance(written, str):
        raise ValueError(f'artifact {name} has no "path" that is a text')
    checksum = described.get("checksum")
    match = _SHA256.fullmatch(checksum) if isinstance(checksum, str) else None
    return Artifact(name, resolve(written, folder), match[1].lower() if match else None)


def check(artifact: Artifact) -> ArtifactState:
    """Hashes the file and compares. A checksum that is no SHA-256 at all proves nothing, good or bad."""
    name, path, expected = artifact.name, artifact.path, artifact.expected
    try:
        actual = sha256_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return ArtifactState(name, path, expected, None, "missing", f"{name}: {path} is missing")
    except OSError as error:
        detail = f"{name}: {path} cannot be read: {error.strerror}"
        return ArtifactState(name, path, expected, None, "unreadable", detail)
    if expected is None:
        detail = f"{name}: the registry holds no SHA-256 for {path}"
        return ArtifactState(name, path, expected, actual, "no_checksum", detail)
    if actual != expected:
        detail = f"{name}: {path} has SHA-256 {actual[:8]}..., the registry says {expected[:8]}..."
        return ArtifactState(name, path, expected, actual, "mismatch", detail)
    return ArtifactState(name, path, expected, actual, "ok", f"{name}: {path} is the registered file")
