"""Target: the follower of a log, under whatever may be done to its files. The input is a programme of such moves."""

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless
from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower, end_of
from watchdog.place import Place

LIMIT = 400
"""Bytes of a line, and of a batch."""

GARBAGE = (b"\xff", b"\0" * 300, b"\n" * 9, b"x" * 2 * LIMIT, b"\r\n\x1b[2J\xed\xa0\x80")


class Story:
    """A log, whoever reads it, and what became of both. `honest`: nothing but writing and rotation has happened."""

    def __init__(self, folder: Path, dated: bool) -> None:
        self.folder = folder
        self.log = RotatingLog(folder, dated)
        self.follower = self._follower(None)
        self.wanted: list[str] = []
        self.got: list[str] = []
        self.asides: list[Path] = []
        self.half = ""
        self.honest = True

    def _follower(self, place: Place | None) -> Follower:
        return Follower(self.log.path, place, max_line_bytes=LIMIT, batch_bytes=LIMIT)

    @property
    def writable(self) -> bool:
        """A bot that opens a pipe without a reader, as its log, would wait for ever: this one does not."""
        return self.log.path.is_file() or not os.path.lexists(self.log.path)

    # -- what a bot, logrotate and a restart do

    def append(self, count: int) -> None:
        if self.writable:
            lines = self.log.append(count % 12 + 1)
            self.wanted += [self.half + lines[0], *lines[1:]]
            self.half = ""

    def write_half(self, _: int) -> None:
        if self.writable and len(self.half) < LIMIT // 2:
            piece = f"<{self.log.line()}>"
            self.log.write(piece)
            self.half += piece

    def read(self, _: int) -> None:
        lines = drain(self.follower)
        assert all(len(line.encode()) <= 3 * LIMIT and "\n" not in line for line in lines)
        assert self.follower.trouble is None or is_harmless(self.follower.trouble)
        self.got += lines

    def restart(self, _: int) -> None:
        place = Place.restore(self.follower.place.dump())
        self.follower.close()
        self.follower = self._follower(place)

    def rotate(self, how: int) -> None:
        if not self.log.path.is_file():
            return
        if self.half:
            self.wanted.append(self.half)
            self.half = ""
        with suppress(OSError):
            aside = self.log.copytruncate() if how % 3 == 0 else self.log.rename(how % 3 == 1)
            os.utime(aside, (1_800_000_000, 1_800_000_000))
            self.asides.append(aside)

    def compress(self, _: int) -> None:
        if self.asides and self.log.dated:
            with suppress(OSError):
                self.log.compress(self.asides.pop(0))

    # -- what nobody should do

    def garbage(self, value: int) -> None:
        if self.writable:
            with self.log.path.open("ab") as file:
                file.write(GARBAGE[value % len(GARBAGE)])

    def truncate(self, value: int) -> None:
        with suppress(OSError):
            os.truncate(self.log.path, value)

    def replace(self, value: int) -> None:
        """Something else at the log's path, or beside it where its rotated files are."""
        path = (
            self.log.path if value & 8 else self.log.path.with_name(f"{self.log.path.name}.{value % 3 + 1}")
        )
        with suppress(OSError):
            _remove(path)
            makers: tuple[Callable[[], object], ...] = (
                path.mkdir,
                lambda: os.mkfifo(path),
                lambda: path.symlink_to(path.name),
                lambda: path.symlink_to("/dev/zero"),
                lambda: path.symlink_to("../.."),
                lambda: path.write_bytes(b"another\nfile\n"),
                path.touch,
                lambda: path.with_name(path.name + ".gz").write_bytes(
                    gzip.compress(b"a\n" * 90)[: value * 2]
                ),
            )
            makers[value % len(makers)]()

    def vanish(self, _: int) -> None:
        with suppress(OSError):
            _remove(self.log.path)

    def age(self, value: int) -> None:
        """Times from before 1970 and far ahead, on every file."""
        for path in self.folder.iterdir():
            with suppress(OSError, OverflowError):
                seconds = (-(1 << 33), 0, 1, 4_000_000_000, (1 << 34) - 1)[value % 5]
                os.utime(path, (seconds, seconds), follow_symlinks=False)

    def end_of(self, _: int) -> None:
        """A place as a started bot's log has it."""
        assert end_of(self.log.path).offset >= 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


HONEST = (
    Story.append,
    Story.append,
    Story.write_half,
    Story.read,
    Story.restart,
    Story.rotate,
    Story.compress,
)
HOSTILE = (Story.garbage, Story.truncate, Story.replace, Story.vanish, Story.age, Story.end_of)


@contextmanager
def _told(dated: bool) -> Iterator[Story]:
    folder = fresh("log")
    story = Story(folder, dated)
    try:
        yield story
    finally:
        story.follower.close()
        shutil.rmtree(folder)


def follower(data: bytes) -> None:
    """The first byte: names with dates, and whether hostile moves come in; then pairs of a move and its value."""
    head, moves = data[:1] or b"\0", data[1:121]
    with _told(dated=bool(head[0] & 1)) as story:
        known = HONEST if head[0] & 2 else HONEST + HOSTILE
        for code, value in zip(moves[::2], moves[1::2], strict=False):
            move = known[code % len(known)]
            story.honest = story.honest and move in HONEST
            move(story, value)
        story.append(0)
        story.read(0)
        story.restart(0)
        if story.honest:
            assert story.got == story.wanted, "a line was lost, repeated or moved"
        assert drain(story.follower) == [], "after a restart lines came again"


SEEDS = (
    bytes([2, 0, 5, 3, 0, 2, 0, 5, 0, 0, 3, 3, 0, 4, 0, 0, 9, 3, 0]),
    bytes([3, 0, 5, 5, 1, 6, 0, 0, 2, 5, 2, 6, 0, 4, 0, 3, 0, 5, 0, 3, 0]),
    bytes([0, 0, 5, 3, 0, 7, 1, 3, 0, 9, 8, 3, 0, 10, 0, 0, 1, 3, 0, 9, 3, 11, 1, 3, 0]),
    bytes([1, 0, 5, 5, 0, 9, 7, 3, 0, 8, 20, 3, 0, 9, 9, 3, 0, 4, 0, 12, 0]),
)
WORDS = tuple(
    bytes([code, value]) for code in range(len(HONEST + HOSTILE)) for value in (0, 1, 2, 3, 8, 9, 10, 11, 40)
)
FILES = (Target("follower", follower, SEEDS, WORDS),)
