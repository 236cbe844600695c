"""The rotated siblings of a log: which there are, in which order, and where among them a known file is."""

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from watchdog.log_files import GzipFile, LogFile, PlainFile
from watchdog.place import Mark

# trades.jsonl.1, .2.gz, -20260301, -20260301-1772323200.gz, .2026-03-01_10, .old; not .lock, .bak, .swp, ~
_ROTATED = re.compile(r"(?:[.-]\d[\d.T_:-]*|\.old)(?:\.gz)?")
_NUMBERED = re.compile(r"\.(\d{1,3})(?:\.gz)?")
_LISTINGS = 10


class Rotating(OSError):
    """Rotated files are being renamed at this very moment: what is where can be told only a little later."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EAGAIN, "rotated files are being renamed", str(path))


@dataclass(frozen=True, slots=True)
class Sibling:
    """A file beside the log that looks like an earlier part of it."""

    path: Path
    identity: tuple[int, int]
    written_ns: int

    def open(self) -> LogFile:
        """Rotating if its name belongs to another file by now."""
        try:
            file: LogFile = GzipFile(self.path) if self.path.name.endswith(".gz") else PlainFile(self.path)
        except FileNotFoundError as error:
            raise Rotating(self.path) from error
        if file.identity != self.identity:
            file.close()
            raise Rotating(self.path)
        return file


def siblings(log: Path) -> list[Sibling]:
    """The rotated parts of `log` that are not empty, oldest first.

    Numbered files (`.1` is the newest) are ordered by number, which holds whatever the clock did; all others
    by the time of their last write.
    """
    found: dict[tuple[int, int], tuple[str, Sibling]] = {}
    for base in _bases(log):
        for name, sibling in _listed(base):
            found.setdefault(sibling.identity, (name.removeprefix(base.name), sibling))
    if all(_NUMBERED.fullmatch(suffix) for suffix, _ in found.values()):
        ordered = sorted(found.values(), key=lambda item: -int(item[0].split(".")[1]))
    else:
        ordered = sorted(found.values(), key=lambda item: (item[1].written_ns, item[0]))
    return [sibling for _, sibling in ordered]


def _listed(log: Path) -> list[tuple[str, Sibling]]:
    """Rotated files by name. Listed again if a rotation came between: what it renames could be missed."""
    for _ in range(_LISTINGS):
        names = _rotated_names(log)
        listed = [(name, sibling) for name in names if (sibling := _sibling(log.parent / name))]
        if _rotated_names(log) == names:
            return listed
    raise Rotating(log)


def _rotated_names(log: Path) -> dict[str, int]:
    names = {
        name: inode
        for name, inode in _names(log.parent).items()
        if name.startswith(log.name) and _ROTATED.fullmatch(name.removeprefix(log.name))
    }
    # While a file is being compressed the plain one is still whole.
    return {
        name: inode
        for name, inode in names.items()
        if not (name.endswith(".gz") and name.removesuffix(".gz") in names)
    }


def renamed(log: Path, inode: int) -> list[Sibling]:
    """The files with that inode in the folder of `log`, whatever they are called."""
    paths = {
        base.parent / name
        for base in _bases(log)
        for name, found in _names(base.parent).items()
        if found == inode
    }
    return [sibling for path in sorted(paths) if (sibling := _sibling(path))]


def _bases(log: Path) -> list[Path]:
    """The log and, if it is a symbolic link, what it points to: rotated files lie beside either."""
    return list(dict.fromkeys((log, Path(os.path.realpath(log)))))


def _names(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}


def _sibling(path: Path) -> Sibling | None:
    try:
        status = path.stat()
    except OSError:
        return None  # renamed since the listing, or a link to nowhere
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return None
    return Sibling(path, (status.st_dev, status.st_ino), status.st_mtime_ns)


def later(files: list[Sibling], mark: Mark) -> list[Sibling] | None:
    """The files after the marked one, looked for by inode first, then by content; None if it is not there."""
    marked = (mark.device, mark.inode)
    newest_first = range(len(files) - 1, -1, -1)
    for index in sorted(newest_first, key=lambda i: files[i].identity != marked):
        if (files[index].identity == marked or mark.head_bytes) and _bears(files[index], mark):
            return files[index + 1 :]
    return None


def is_marked(sibling: Sibling, mark: Mark) -> bool:
    """Whether it is the very file that was marked, not a copy of it."""
    return sibling.identity == (mark.device, mark.inode) and _bears(sibling, mark)


def _bears(sibling: Sibling, mark: Mark) -> bool:
    try:
        file = sibling.open()
    except Rotating:
        raise
    except OSError:
        return False
    try:
        return mark.fits(file)
    except OSError:
        return False
    finally:
        file.close()
