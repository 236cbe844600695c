"""Log files on disk, opened so that nothing at their path can hang us, and read by offset.

Of a compressed log the offsets are those of the unpacked text. Everything here raises OSError for I/O trouble;
`reason` turns that into a sentence.
"""

import errno
import gzip
import os
import stat
import weakref
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_CHUNK = 1 << 18
_KINDS = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_regular(mode: int, path: Path) -> None:
    """Raise OSError unless `mode` (of stat) is that of a regular file."""
    if stat.S_ISREG(mode):
        return
    kind = next((name for test, name in _KINDS if test(mode)), "something else")
    raise OSError(errno.EINVAL, f"is {kind}, not a file", str(path))


def open_regular(path: Path) -> int:
    """A descriptor for reading the regular file at `path`; never waits for a pipe's writer or a device."""
    check_regular(path.stat().st_mode, path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        # Looked at once more: it may have been exchanged since the first look.
        check_regular(os.fstat(fd).st_mode, path)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_tail(path: Path, most: int) -> bytes:
    """The last `most` bytes of the regular file at `path`."""
    with os.fdopen(open_regular(path), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most))
        return file.read(most)


def reason(error: OSError, path: Path) -> str:
    """One sentence for a person: what is the matter with the file at `path`."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return f"{path} is not there"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by this user (uid {os.geteuid()}): permission denied"
    if error.errno == errno.EINVAL and error.strerror and error.strerror.startswith("is "):
        return f"{path} {error.strerror}"
    return f"{path} cannot be read: {error.strerror or error}"


class LogFile(Protocol):
    """An open log, current or rotated."""

    identity: tuple[int, int]
    """Device and inode."""
    may_change: bool
    """Whether it can be truncated in place."""

    def read_at(self, offset: int, count: int) -> bytes:
        """The `count` bytes at `offset`; fewer only where the file ends."""

    def written_ns(self) -> int:
        """Time of the last write (mtime), ns since 1970."""

    def damage(self) -> str | None:
        """What kept the file from being read to its end, if anything did."""

    @property
    def close(self) -> Callable[[], object]:
        """Closes it; may be called twice, and is by itself when nothing refers to the file any more."""


class PlainFile:
    """A log as the bot writes it."""

    may_change = True

    def __init__(self, path: Path) -> None:
        self._fd = open_regular(path)
        self.close = weakref.finalize(self, os.close, self._fd)
        found = os.fstat(self._fd)
        self.identity = (found.st_dev, found.st_ino)

    def read_at(self, offset: int, count: int) -> bytes:
        data = os.pread(self._fd, count, offset)
        if len(data) == count or not data:
            return data
        # A network file system may answer with less than there is: only nothing at all is the end.
        parts = [data]
        have = len(data)
        while have < count and (data := os.pread(self._fd, count - have, offset + have)):
            parts.append(data)
            have += len(data)
        return b"".join(parts)

    def written_ns(self) -> int:
        return os.fstat(self._fd).st_mtime_ns

    def size(self) -> int:
        """Bytes, now."""
        return os.fstat(self._fd).st_size

    def damage(self) -> str | None:
        return None


class GzipFile:
    """A rotated log that was compressed.

    Reading onwards is streamed. Reading on from inside the piece that was read last costs nothing more; going
    back before it starts over.
    """

    may_change = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = os.fdopen(open_regular(path), "rb")
        self.close = weakref.finalize(self, self._raw.close)
        found = os.fstat(self._raw.fileno())
        self.identity = (found.st_dev, found.st_ino)
        self._written_ns = found.st_mtime_ns
        self._rewind()

    def _rewind(self) -> None:
        self._raw.seek(0)
        self._stream = gzip.GzipFile(fileobj=self._raw, mode="rb")
        self._piece, self._start = b"", 0
        self._damage: str | None = None

    def read_at(self, offset: int, count: int) -> bytes:
        if offset < self._start:
            self._rewind()
        while offset > self._start + len(self._piece):
            end = self._start + len(self._piece)
            self._piece, self._start = self._more(min(_CHUNK, offset - end)), end
            if not self._piece:
                return b""
        kept = self._piece[offset - self._start :]
        if len(kept) < count:
            kept += self._more(count - len(kept))
        self._piece, self._start = kept, offset
        return kept[:count]

    def _more(self, count: int) -> bytes:
        parts: list[bytes] = []
        while count > 0 and self._damage is None:
            try:
                data = self._stream.read1(min(count, _CHUNK))
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                self._damage = f"{self._path} is damaged and was read as far as it goes ({error})"
                break
            if not data:
                break
            parts.append(data)
            count -= len(data)
        return b"".join(parts)

    def written_ns(self) -> int:
        return self._written_ns

    def damage(self) -> str | None:
        return self._damage
