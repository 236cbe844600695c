"""Where a follower stands in a log, told by content so that it is found again after rotation and restarts.

Inode numbers are reused and copies have new ones, so a place is recognised by what was read: a hash of the
first bytes of the file and one of the bytes just before the offset.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import msgspec

from watchdog.log_files import LogFile

HEAD_BYTES = 256
TAIL_BYTES = 64


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a log file is recognised by: device, inode, and the hash of its first `head_bytes` bytes."""

    device: int
    inode: int
    head_bytes: int
    head: str

    def fits(self, file: LogFile) -> bool:
        """Whether `file` begins as the marked one did."""
        head = file.read_at(0, self.head_bytes)
        return len(head) == self.head_bytes and _hash(head) == self.head

    @classmethod
    def of(cls, file: LogFile, head: bytes) -> Self:
        return cls(*file.identity, len(head), _hash(head))


Marks = tuple[Mark, ...]


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the next read goes on: always the start of a line. `Place()` is before everything there is.

    With offset 0 nothing tells the file from any other; what then counts is `before`, the files that were
    read to their end before this one (the last few), and `written_ns`, the time of the last write seen.
    """

    device: int = 0
    inode: int = 0
    offset: int = 0
    head: str = ""
    """Hash of the first bytes, at most HEAD_BYTES, of what lies before `offset`."""
    tail: str = ""
    """Hash of the last bytes, at most TAIL_BYTES, of what lies before `offset`."""
    written_ns: int = 0
    before: Marks = ()

    def dump(self) -> dict[str, Any]:
        """As JSON-able types, for a checkpoint."""
        state: dict[str, Any] = msgspec.to_builtins(self)
        return state

    @classmethod
    def restore(cls, state: object) -> Self:
        """The place that `dump` gave; ValueError if `state` is not one."""
        try:
            place = msgspec.convert(state, cls)
        except msgspec.ValidationError as error:
            raise ValueError(f"not a place in a log: {error}") from error
        if place.offset < 0:
            raise ValueError(f"not a place in a log: offset {place.offset} is below 0")
        return place


@dataclass(frozen=True, slots=True)
class Position:
    """An offset with the bytes that it is recognised by, as they were read."""

    offset: int = 0
    head: bytes = b""
    tail: bytes = b""

    def after(self, data: bytes) -> "Position":
        """The position behind `data`, which was read from this one on."""
        head = self.head
        if len(head) < HEAD_BYTES:
            head = (head + data[:HEAD_BYTES])[:HEAD_BYTES]
        return Position(self.offset + len(data), head, (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:])

    def fits(self, file: LogFile) -> bool:
        """Whether `file` still holds, or is a copy that holds, what was read up to here."""
        start = self.offset - len(self.tail)
        return (
            file.read_at(0, len(self.head)) == self.head and file.read_at(start, len(self.tail)) == self.tail
        )

    def place(self, file: LogFile, written_ns: int, before: Marks) -> Place:
        return Place(*file.identity, self.offset, _hash(self.head), _hash(self.tail), written_ns, before)

    @classmethod
    def find(cls, file: LogFile, place: Place) -> "Position | None":
        """The position of `place` in `file`, or None if it is another file."""
        head = file.read_at(0, min(HEAD_BYTES, place.offset))
        if _hash(head) != place.head:
            return None
        length = min(TAIL_BYTES, place.offset)
        tail = file.read_at(place.offset - length, length)
        return cls(place.offset, head, tail) if _hash(tail) == place.tail else None
