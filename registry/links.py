"""Fixed file names that bots load, kept as symbolic links to the artifacts of the current version.

`links` maps a file name in the registry folder to the name of an artifact ("main" for the entry's own path).
Each link is replaced atomically and is relative, so that it holds in a container that mounts the folder
elsewhere.
"""

import logging
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from registry.errors import RegistryError, remedy
from registry.store import FILE_NAME, LOCK_NAME, sync_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Link:
    """One link and the artifact that it shall point to, both absolute."""

    path: Path
    artifact: Path

    @property
    def text(self) -> str:
        """What the symbolic link holds: the way from its own folder, both seen without links."""
        home = os.path.realpath(self.path.parent)
        return os.path.relpath(Path(os.path.realpath(self.artifact.parent), self.artifact.name), home)

    @property
    def is_the_artifact(self) -> bool:
        """The version was registered under the fixed name itself: there is nothing to switch."""
        return self.text == self.path.name

    @property
    def right(self) -> bool:
        if self.is_the_artifact:
            return _there(self.path)
        return self.path.is_symlink() and str(self.path.readlink()) == self.text and _there(self.path)


def validated(links: Mapping[str, str]) -> dict[str, str]:
    """A copy of `links`; RegistryError when a name is not that of a file in the folder, or is ours."""
    for name in links:
        if not name or name in (".", "..", FILE_NAME, LOCK_NAME) or "/" in name or "\0" in name:
            raise RegistryError(f"registry.links: {name!r} must be a plain file name in the registry folder")
    return dict(links)


def plan(folder: Path, links: Mapping[str, str], version: str, artifacts: Mapping[str, Path]) -> list[Link]:
    """The links of a version. RegistryError when one has no artifact, or a place that holds no file.

    A version that lacks one of the linked artifacts would leave that link on another version: a mixture
    that nobody validated.
    """
    planned = []
    for name, artifact in links.items():
        if artifact not in artifacts:
            raise RegistryError(
                f"{version} has no artifact {artifact}, which registry.links wants for {name}; "
                "register it with that artifact, or take the link out"
            )
        if not _there(artifacts[artifact]):
            raise RegistryError(
                f"{version}: {artifacts[artifact]} is missing, which registry.links wants for {name}; "
                "restore it from a backup"
            )
        mode = _mode(folder / name)
        if mode is not None and not stat.S_ISLNK(mode) and not stat.S_ISREG(mode):
            raise RegistryError(
                f"{folder / name}: neither a file nor a link; move it away, registry.links wants the name"
            )
        link = Link(folder / name, artifacts[artifact])
        if link.text in links and not link.is_the_artifact:
            raise RegistryError(
                f"{version}: {link.artifact} has the name of another link; register it under its own name"
            )
        planned.append(link)
    return planned


@contextmanager
def switched(planned: list[Link], stamp: str) -> Iterator[list[Path]]:
    """Points each link to its artifact; an exception inside puts every one back to what it was.

    Yields the files that were kept aside: a regular file in a link's place becomes `<name>.replaced-<stamp>`.
    """
    kept: list[Path] = []
    with ExitStack() as undo:
        for link in planned:
            if link.right:
                continue
            try:
                _put(link, stamp, undo, kept)
            except OSError as error:
                raise RegistryError(
                    f"{link.path}: cannot be switched: {error.strerror}; {remedy(error)}"
                ) from error
            if not link.right:
                raise RegistryError(
                    f"{link.path}: {link.artifact} leads back to this link; copy the file to another name"
                )
        for folder in {link.path.parent for link in planned}:
            sync_folder(folder)
        yield kept
        undo.pop_all()


def _put(link: Link, stamp: str, undo: ExitStack, kept: list[Path]) -> None:
    """Each way back is registered before its step is taken."""
    mode = _mode(link.path)
    if mode is None:
        undo.callback(link.path.unlink, missing_ok=True)
    elif stat.S_ISLNK(mode):
        undo.callback(_symlink, str(link.path.readlink()), link.path)
    else:
        aside = _free_name(link.path, stamp)
        undo.callback(_bring_back, aside, link.path)
        _keep_aside(link.path, aside)
        kept.append(aside)
    _symlink(link.text, link.path)


def _symlink(text: str, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # left by a switch that was killed
    try:
        temporary.symlink_to(text)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep_aside(path: Path, aside: Path) -> None:
    try:
        os.link(path, aside)  # the fixed name stays there until the link takes it over
    except OSError:  # no hard links here, or not for this user
        path.rename(aside)


def _bring_back(aside: Path, path: Path) -> None:
    if aside.exists():
        aside.replace(path)
        aside.unlink(missing_ok=True)  # a rename onto a hard link of the same file leaves both names


def _free_name(path: Path, stamp: str) -> Path:
    aside, number = path.with_name(f"{path.name}.replaced-{stamp}"), 1
    while os.path.lexists(aside):
        number += 1
        aside = path.with_name(f"{path.name}.replaced-{stamp}-{number}")
    return aside


def _mode(path: Path) -> int | None:
    try:
        return os.lstat(path).st_mode
    except FileNotFoundError:
        return None


def _there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (Path.exists raises where a folder may not be looked into)
