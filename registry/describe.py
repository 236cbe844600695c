"""What a new entry says of a file: its path, as the registry will find it again, and its checksum."""

import os
from collections.abc import Collection
from pathlib import Path

from registry.errors import RegistryError, remedy
from registry.hashing import sha256_file
from registry.paths import resolve


def describe(file: str | os.PathLike[str], folder: Path, links: Collection[str]) -> dict[str, str]:
    """Path and checksum for an entry of the registry in `folder`: the path as given, if the registry takes it for the
    same file. RegistryError when it would not, when the file cannot be read, or when its name is one of `links`."""
    absolute = Path(os.path.abspath(file))  # noqa: PTH100 (not resolved: a link may be meant to move)
    if absolute.parent == folder and absolute.name in links:
        raise RegistryError(
            f"{file}: this name follows the current version; copy the file to a name of its own"
        )
    try:
        checksum = sha256_file(Path(file))
        for written in (os.fspath(file), str(absolute)):
            if _same(resolve(written, folder), absolute):
                return {"path": written, "checksum": checksum}
    except OSError as error:
        raise RegistryError(f"{file}: cannot be read: {error.strerror}; {remedy(error)}") from error
    except ValueError as error:
        raise RegistryError(f"a file to register: {error}; give it a name of printable characters") from error
    other = resolve(str(absolute), folder)
    raise RegistryError(f"{file}: {other} has the same name and would be taken for it; rename one of them")


def _same(one: Path, other: Path) -> bool:
    return one.exists() and one.samefile(other)
