"""Where an artifact's file is, whatever folder, host or container its path was written in.

The same `models_saved` is seen as `/app/models_saved` in a container, as `models_saved` from the bot's
working directory and under its full name on the host. What they share is the end of the path, and
registry.json beside the files; so the file beside registry.json is the one that is meant.
"""

import errno
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath

_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)

LONGEST = 4096
"""Characters: what the kernel takes."""

MOST_FOLDERS = 64
"""Each is looked for by itself: a path of thousands would take as long as an attack."""


def resolve(written: str, folder: Path) -> Path:
    """The file that a path in registry.json means; `folder` is the absolute folder of that registry.json.

    Tried in this order: the longest suffix of the path under `folder`; the path relative to the folder's
    parent, which is where bots run; the path itself, if absolute. Where nothing exists, the name beside
    registry.json is answered, so that a message names the place where the file is missed.

    A file that is there but cannot be looked at (no permission, a failing disk) is answered too: it is
    unreadable, which is something else than missing. Raises ValueError for a path that names no file.
    """
    names = _names(written)
    blocked: Path | None = None
    for candidate in _near(names, folder):
        there = _exists(candidate)
        if there:
            return candidate
        if there is None and blocked is None:
            blocked = candidate
    if blocked is not None:
        return blocked
    if written.startswith("/") and _exists(Path(written)):
        return Path(written)
    return folder / names[-1]


def _names(written: str) -> tuple[str, ...]:
    windows = "\\" in written and "/" not in written
    path = PureWindowsPath(written) if windows else PurePosixPath(written)
    names = tuple(part for part in path.parts if part != path.anchor)
    too_long = len(names) > MOST_FOLDERS or len(written) > LONGEST
    if not names or names[-1] == ".." or not written.isprintable() or too_long:
        raise ValueError(f"{written[:200]!a} names no file")
    return names


def _near(names: tuple[str, ...], folder: Path) -> Iterator[Path]:
    for start in range(len(names)):
        suffix = names[start:]
        if ".." not in suffix:
            yield folder.joinpath(*suffix)
    yield folder.parent.joinpath(*names)


def _exists(path: Path) -> bool | None:
    """None: something keeps us from looking."""
    try:
        path.stat()
    except OSError as error:
        return False if error.errno in _NOT_THERE else None
    return True
