"""A log and its rotated siblings as a chain: the file read to its end, its newer siblings, the log itself."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from watchdog.log_files import LogFile, PlainFile, reason
from watchdog.place import HEAD_BYTES, Mark, Marks, Place, Position
from watchdog.siblings import Rotating, Sibling, is_marked, later, renamed, siblings

KEPT_MARKS = 7
"""By so many files that were read, besides the last one, a rotated file is known as read."""


class Chain:
    """The files of the log at `path`. Files that are handed out are open, and the caller's to close."""

    trouble: str | None = None
    """What kept a rotated file from being read, as a sentence; the caller resets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def log(self) -> LogFile | None:
        """The log itself, or None if there is none; OSError if there is something that cannot be read."""
        try:
            return PlainFile(self.path)
        except FileNotFoundError:
            return None

    def find(self, log: LogFile | None, place: Place) -> tuple[LogFile, Position] | None:
        """The file with the text before `place`: the log, one with its inode, or the newest sibling."""
        for file in self._candidates(log, place.inode):
            try:
                position = Position.find(file, place)
            except OSError:
                position = None
            if position is not None:
                return file, position
            if file is not log:
                file.close()
        return None

    def _candidates(self, log: LogFile | None, inode: int) -> Iterator[LogFile]:
        if log is not None:
            yield log
        for sibling in (*self._renamed(inode), *reversed(self._siblings())):
            try:
                yield sibling.open()
            except Rotating:
                raise
            except OSError as error:
                self.trouble = reason(error, sibling.path)

    def _renamed(self, inode: int) -> list[Sibling]:
        with suppress(OSError):
            return renamed(self.path, inode)
        return []

    def unread(self, before: Marks, written_ns: int, besides: LogFile | None) -> LogFile | None:
        """The first sibling after those read to their end `before`; not `besides`, nor an empty one.

        If none of those is there any more (the oldest get deleted), those written since `written_ns` count.
        """
        return self._open_first(_newer(self._siblings(), before, written_ns), besides)

    def overtakes(self, file: LogFile, mark: Mark | None, before: Marks, written_ns: int) -> bool:
        """Whether a sibling is unread that came before `file`. `mark`: of `file`, if that was rotated itself."""
        unread = _newer(self._siblings(), before, written_ns)
        if mark is not None:
            rest = later(unread, mark)
            unread = [] if rest is None else unread[: len(unread) - len(rest) - 1]
        first = self._open_first(unread, file)
        if first is not None:
            first.close()
        return first is not None

    def following(self, file: Mark, before: Marks, written_ns: int) -> LogFile | None:
        """What comes after `file`: a newer sibling, else the log if there is text in it, else None.

        As long as the new log is empty, a bot that keeps its log open still writes into the old one.
        """
        # Opened before the siblings are listed: what is rotated in between is then this very file.
        log = self.log()
        if log is not None and log.identity == (file.device, file.inode):
            log.close()
            return None
        files = self._siblings()
        newer = _newer(files, (*before, file), written_ns)
        sibling = self._open_first(newer, log)
        if log is None or (sibling is None and log.read_at(0, 1)):
            return sibling or log
        log.close()
        return sibling

    def finished(self, file: Mark, before: Marks) -> Marks:
        """What to know the files by that were read, now that `file` was, too.

        `file` may be deleted rather than rotated; then the newest one before it that is still there counts.
        """
        files = self._siblings()
        return (*[mark for mark in before if later(files, mark) is not None][-KEPT_MARKS:], file)

    def behind(self) -> Place:
        """The place where the log begins, its siblings of now being left out."""
        files: list[Sibling] = []
        with suppress(OSError):
            files = self._siblings()
        if not files:
            return Place()
        before: Marks = ()
        with suppress(OSError):
            newest = files[-1].open()
            before = (Mark.of(newest, newest.read_at(0, HEAD_BYTES)),)
            newest.close()
        return Place(written_ns=files[-1].written_ns, before=before)

    def _siblings(self) -> list[Sibling]:
        try:
            return siblings(self.path)
        except FileNotFoundError:
            return []  # no folder yet
        except Rotating:
            raise
        except OSError as error:
            self.trouble = reason(error, self.path.parent)
            return []

    def _open_first(self, files: list[Sibling], besides: LogFile | None) -> LogFile | None:
        for sibling in files:
            if besides is not None and sibling.identity == besides.identity:
                continue
            try:
                file = sibling.open()
                if file.read_at(0, 1):
                    return file
                self.trouble = file.damage() or self.trouble
                file.close()
            except Rotating:
                raise
            except OSError as error:
                self.trouble = reason(error, sibling.path)
        return None


def _newer(files: list[Sibling], before: Marks, written_ns: int) -> list[Sibling]:
    for mark in reversed(before):
        newer = later(files, mark)
        if newer is not None:
            # Who numbers upwards (.2 after .1) has what was read long ago in the place of what is newer.
            return [sibling for sibling in newer if not any(is_marked(sibling, read) for read in before)]
    return [sibling for sibling in files if sibling.written_ns >= written_ns]
