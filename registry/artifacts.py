"""The files of a version, and whether each is the one that was registered."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from registry.hashing import sha256_file
from registry.memory import BeingWrittenError
from registry.paths import resolve

MAIN = "main"
LONGEST_NAME = 200
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)


State = Literal["ok", "missing", "mismatch", "changing", "unreadable", "no_checksum", "unsigned", "forged"]
"""`changing`: it is being written at this moment. The last two are about the entry, where signatures are asked for:
`unsigned` bears none by the key that is, `forged` one that does not fit the entry."""


class Described(NamedTuple):
    """One artifact as its entry has it: the path as written, and the SHA-256 in lower-case hex, None without one."""

    name: str
    path: str
    sha256: str | None


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
    state: State
    detail: str

    @property
    def ok(self) -> bool:
        return self.state == "ok"


def described(entry: object) -> list[Described]:
    """The artifacts of one entry of `models`, the main one first; ValueError says what has another shape."""
    if not isinstance(entry, dict):
        raise ValueError("the entry is not an object")
    further = entry.get("artifacts")
    if further is not None and not isinstance(further, dict):
        raise ValueError('"artifacts" is not an object of name: {"path", "checksum"}')
    if further and MAIN in further:
        raise ValueError(f'"artifacts" holds "{MAIN}", which is the name of the entry\'s own path')
    return [_described(name, part) for name, part in [(MAIN, entry), *(further or {}).items()]]


def _described(name: str, part: object) -> Described:
    if not name.isprintable() or len(name) > LONGEST_NAME:
        raise ValueError(
            f"the artifact {name[:LONGEST_NAME]!a} has no name of printable characters, and not too many"
        )
    written: Any = part.get("path") if isinstance(part, dict) else None
    if not isinstance(part, dict) or not isinstance(written, str):
        raise ValueError(f'artifact {name} has no "path" that is a text')
    checksum = part.get("checksum")
    match = _SHA256.fullmatch(checksum) if isinstance(checksum, str) else None
    return Described(name, written, match[1].lower() if match else None)


def artifacts_of(entry: object, folder: Path) -> list[Artifact]:
    """As `described`, with the files that the paths mean."""
    return [Artifact(part.name, resolve(part.path, folder), part.sha256) for part in described(entry)]


def check(artifact: Artifact, sha256: Callable[[Path], str] = sha256_file) -> ArtifactState:
    """Compares what `sha256` says of the file. A checksum that is no SHA-256 at all proves nothing, good or bad."""
    name, path, expected = artifact.name, artifact.path, artifact.expected
    try:
        actual = sha256(path)
    except BeingWrittenError:
        return ArtifactState(name, path, expected, None, "changing", f"{name}: {path} is being written")
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
