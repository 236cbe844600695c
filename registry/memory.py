"""Known hashes, remembered by stat: a file of 10 GB that nobody touched is verified as quickly as one of 10 KB.

A remembered hash is a proof of what the file holds now only if every change since would show in the file's stat.
A change sets its ctime, which no program can set, to what the clock reads, rounded to the file system's
granularity. So it shows unless the clock read the very time that the ctime says, at the beginning of the hashing or
later: because the file had only just been changed (`granularity_s`), or because the clock was stepped back since.
Then the file is hashed again. Two more bounds: a hash proves nothing after `MAX_AGE_S`, nor after a reboot, for
what was hashed may never have reached the disk.

What nobody can see in a stat: writes to the raw device, rot on the disk, a store through a memory mapping that
was stored to shortly before the hashing, a clock stepped to and fro between two looks, and file systems that keep no
ctime of their own (sshfs) or keep it by another machine's clock (NFS whose server is off by seconds). These are
found when the file is next hashed anew; see `age_s`.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from registry.hashing import FileStat, Look, digest, no_look, opened, stat_of

GRANULARITY_S = 2.0
"""Of the coarsest stamps there are (FAT); ext4, XFS and tmpfs have 10 ms or better."""

MAX_AGE_S = 3 * 3600.0
"""Files are hashed anew once an hour, at leisure; when that failed for so long, nothing is proved any more."""

CAPACITY = 1024
"""Files that are remembered; the one that was not asked for the longest is forgotten first."""


class BeingWrittenError(OSError):
    """The file changed while it was read: what was hashed is neither the old one nor the new one."""


class Disk(Protocol):
    """Where files are looked at and read. Both raise OSError for what is no readable regular file."""

    def stat(self, path: Path) -> FileStat:
        """The stat of the file that the path leads to now."""
        ...

    def sha256(self, path: Path, look: Look) -> tuple[FileStat, str]:
        """The stat before the first byte was read, and the hash."""
        ...


class RealDisk:
    """The files of this machine."""

    def stat(self, path: Path) -> FileStat:
        """Of the opened file: a network file system asks its server when a file is opened."""
        with opened(path) as file:
            return stat_of(file)

    def sha256(self, path: Path, look: Look) -> tuple[FileStat, str]:
        """As `Disk` says."""
        with opened(path) as file:
            return stat_of(file), digest(file, look)


@dataclass(frozen=True, slots=True)
class _Known:
    """A hash, and when the hashing began, by both clocks, in s."""

    stat: FileStat
    sha256: str
    wall: float
    monotonic: float

    def row(self) -> tuple[int | str | float, ...]:
        s = self.stat
        numbers = (s.mtime_ns, s.ctime_ns, s.size, s.device, s.inode)
        return (*numbers, self.sha256, self.wall, self.monotonic)

    def proves(self, stat: FileStat, wall: float, monotonic: float, granularity_s: float) -> bool:
        """Whether a file with this stat still holds what was hashed.

        Since then the clock went from `self.wall` to `wall`; what it was stepped by, at whatever moment, it may have
        gone through twice.
        """
        if stat != self.stat:
            return False
        elapsed = monotonic - self.monotonic
        earliest = min(self.wall, wall - elapsed)
        latest = max(wall, self.wall + elapsed)
        changed = stat.ctime_ns / 1e9
        return changed < earliest - granularity_s or changed > latest + granularity_s


@dataclass
class HashMemory:
    """Hashes by path. May be asked from several threads at once. `wall` and `monotonic` are clocks, in s."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    disk: Disk = field(default_factory=RealDisk)
    granularity_s: float = GRANULARITY_S
    hashed_files: int = 0
    """How often a file was hashed so far."""
    _known: dict[Path, _Known] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sha256(self, path: Path, look: Look = no_look, max_age_s: float = MAX_AGE_S) -> str:
        """The SHA-256 of what the file holds now, in lower-case hex: remembered if that is proved, else hashed.

        `look` is called about every MiB and ends the hashing by raising. A hash older than `max_age_s` does not count,
        and with 0 none does. Raises BeingWrittenError or another OSError when the file cannot be hashed.
        """
        known = self._recall(path)
        if known is not None and self.monotonic() - known.monotonic < max_age_s:
            return known.sha256
        wall, monotonic = self.wall(), self.monotonic()
        stat, sha256 = self.disk.sha256(path, look)
        with self._lock:
            self.hashed_files += 1
        if self.disk.stat(path) != stat:
            self.forget(path)
            raise BeingWrittenError(f"{path} is being written")
        self._remember(path, _Known(stat, sha256, wall, monotonic))
        return sha256

    def _recall(self, path: Path) -> _Known | None:
        stat = self.disk.stat(path)
        wall, monotonic = self.wall(), self.monotonic()
        with self._lock:
            known = self._known.get(path)
            if known is None or not known.proves(stat, wall, monotonic, self.granularity_s):
                return None
            self._known[path] = self._known.pop(path)  # the one that was used last
            return known

    def _remember(self, path: Path, known: _Known) -> None:
        with self._lock:
            self._known.pop(path, None)
            self._known[path] = known
            while len(self._known) > CAPACITY:
                del self._known[next(iter(self._known))]

    def stat_of(self, path: Path) -> FileStat | None:
        """The stat under which the file was hashed last; None when it was not."""
        with self._lock:
            known = self._known.get(path)
        return None if known is None else known.stat

    def age_s(self, path: Path) -> float | None:
        """How long ago the file was hashed, in s; None when it was not."""
        with self._lock:
            known = self._known.get(path)
        return None if known is None else self.monotonic() - known.monotonic

    def forget(self, path: Path) -> None:
        """The file is hashed at the next look."""
        with self._lock:
            self._known.pop(path, None)

    def dump(self) -> list[list[Any]]:
        """All that is known, as JSON. It holds until the next boot, with the monotonic clock that it was taken by."""
        with self._lock:
            return [[str(path), *known.row()] for path, known in self._known.items()]

    def restore(self, state: object) -> None:
        """Takes over what `dump` gave, in the same boot. What has another shape is passed over: it is hashed again."""
        now = self.monotonic()
        for row in state if isinstance(state, list) else []:
            match row:
                case [
                    str(path),
                    int(mtime),
                    int(ctime),
                    int(size),
                    int(device),
                    int(inode),
                    str(sha256),
                    *times,
                ] if _are_times(times, now):
                    stat = FileStat(mtime, ctime, size, device, inode)
                    self._remember(Path(path), _Known(stat, sha256, *times))


def _are_times(times: list[Any], now: float) -> bool:
    """`wall` and `monotonic`, which is in the past."""
    return (
        len(times) == 2
        and all(isinstance(at, float) and math.isfinite(at) for at in times)
        and times[1] <= now
    )
