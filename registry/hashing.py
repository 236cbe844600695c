"""SHA-256 of a file of any size, in constant memory, and the stat by which a change of it is noticed."""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

CHUNK = 1 << 20
"""Large enough for full speed, small enough to be cut short within milliseconds."""

Look = Callable[[], None]
"""Called after each chunk; what it raises ends the hashing."""


def no_look() -> None:
    """Nothing cuts the hashing short."""


@dataclass(frozen=True, slots=True)
class FileStat:
    """What every way of changing a file changes, as long as the clock moves on: times in ns, size in bytes."""

    mtime_ns: int
    ctime_ns: int
    size: int
    device: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileStat":
        """OSError when it is not a regular file's."""
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return cls(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_dev, found.st_ino)


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """A regular file, open for reading. Raises OSError when it cannot be read, also for a folder, a pipe or a device:
    opening those must never block whoever asks."""
    FileStat.of(path.stat())  # a device is not even opened
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        FileStat.of(os.fstat(descriptor))  # it may have been exchanged meanwhile
    except OSError:
        os.close(descriptor)
        raise
    with FileIO(descriptor) as file:
        yield file


def stat_of(file: FileIO) -> FileStat:
    """The stat of an open file."""
    return FileStat.of(os.fstat(file.fileno()))


def digest(file: FileIO, look: Look = no_look, chunk: int = CHUNK) -> str:
    """The SHA-256 of what is left to read, as 64 lower-case hex digits, read `chunk` bytes at a time.

    Other threads go on meanwhile: reading and hashing let go of the interpreter's lock.
    """
    sha256, buffer = hashlib.sha256(), memoryview(bytearray(chunk))
    while count := file.readinto(buffer):
        sha256.update(buffer[:count])
        look()
    return sha256.hexdigest()


def sha256_file(path: Path, look: Look = no_look, chunk: int = CHUNK) -> str:
    """The SHA-256 of a regular file as 64 lower-case hex digits, hashed now. Raises OSError when it cannot be read."""
    with opened(path) as file:
        return digest(file, look, chunk)
