"""Following a log: every line once and in order, through rotation, copytruncate, restarts and bad files.

The order of files is a chain: the file read to its end, then its newer siblings, then the log itself.
A file is only left for the next one when it was no longer at the log's path *before* it was read to its end,
and what was read from the log counts only when the file proves *afterwards* to be the one it was.
So neither a rotation nor a copytruncate between two system calls loses or repeats a line.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from watchdog.log_files import LogFile, PlainFile, check_regular, reason
from watchdog.place import HEAD_BYTES, TAIL_BYTES, Mark, Place, Position
from watchdog.rotation import Chain
from watchdog.siblings import Rotating

_BLOCK = 1 << 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MOST_PUT_OFF = 50
"""Rotation takes moments: the read is tried again so often before it is told as trouble."""


class Follower:
    """Reads what is new in the log at `path`. I/O trouble is told in `trouble`, never raised.

    Call `read` until `caught_up`. Without a place it begins with the first line of the file that is there
    now; `from_start` begins with rotated files. `place` may be stored at any time: a follower made with it
    goes on with the very next line, wherever rotation has carried it meanwhile (names that rotation gives,
    and gzip).
    Rotated files moved to another folder are not found after a restart.
    """

    trouble: str | None = None
    """What keeps the log from being read, as a sentence; None after a read without trouble."""
    caught_up: bool = False
    """Whether the last `read` got to the end of all there is."""
    too_long: int = 0
    """Lines that were skipped because they are longer than `max_line_bytes`."""
    lost_track: int = 0
    """How often the file was truncated or gone and no rotated copy of it was there to read the rest from."""

    def __init__(
        self,
        path: Path,
        place: Place | None = None,
        max_line_bytes: int = 1 << 20,
        batch_bytes: int = 4 << 20,
    ) -> None:
        self.path = path
        self._max_line = max_line_bytes
        # A batch must be able to hold a line of full length with its line end.
        self._batch = max(batch_bytes, max_line_bytes + 1)
        self._file: LogFile | None = None
        self._at = Position()
        self._scan = self._at  # beyond _at only inside a line that is too long
        self._put_off = 0
        self._chain = Chain(path)
        self._resume = place or self._chain.behind()
        self._before = self._resume.before
        self._written_ns = self._resume.written_ns

    @classmethod
    def from_start(
        cls, path: Path, since: datetime, max_line_bytes: int = 1 << 20, batch_bytes: int = 4 << 20
    ) -> Self:
        """Begin with the oldest rotated file that was written to at or after `since` (aware)."""
        place = Place(written_ns=(since - _EPOCH) // timedelta(microseconds=1) * 1000)
        return cls(path, place, max_line_bytes, batch_bytes)

    @property
    def place(self) -> Place:
        """Behind the last line that `read` gave."""
        if self._file is None:
            return self._resume
        return self._at.place(self._file, self._written_ns, self._before)

    def read(self) -> list[bytes]:
        """The next complete lines, without their line ends: at most about `batch_bytes`, from one file."""
        self.trouble = self._chain.trouble = None
        self.caught_up = True
        try:
            lines = self._read()
        except Rotating as error:
            self._put_off += 1
            self.caught_up = self._put_off % _MOST_PUT_OFF == 0
            self.trouble = reason(error, self.path) if self.caught_up else None
            return []
        except OSError as error:
            self.trouble = reason(error, self.path)
            return []
        self.trouble = self._chain.trouble or self.trouble
        self._put_off = 0
        return lines

    def close(self) -> None:
        """Let go of the open file; a later `read` goes on at the same place."""
        if self._file is not None:
            self._resume = self.place
            self._file.close()
            self._file = None
            self._scan = self._at

    def _read(self) -> list[bytes]:
        at_path = self._look()
        file = self._file or self._find()
        if file is None:
            return []
        written_ns = file.written_ns()
        data = file.read_at(self._scan.offset, self._batch)
        ended = len(data) < self._batch
        self.trouble = file.damage() or self.trouble
        if not self._undisturbed(file, data, file.identity == at_path):
            self.close()
            self.caught_up = False
            return []
        # All that can fail comes before anything counts as read: the next call then finds everything as it was.
        reached = self._scan.after(data)
        mark = Mark.of(file, reached.head)
        following = self._following(mark) if ended and file.identity != at_path else None
        if following is None:
            self._written_ns = max(self._written_ns, written_ns)
            lines = self._take(data, ended, last=False)
            self.caught_up = ended
            return lines
        if (self._at.offset or b"\n" in data) and reached.fits(following):
            # The same text: a copy that copytruncate has not yet truncated, an editor's, a restored one. Half a line
            # alone is no proof of that: logs begin alike.
            lines = self._take(data, ended, last=False)
            self._go_on_with(following, self._at)
            return lines
        if reached.offset:
            self._before = self._chain.finished(mark, self._before)
        self._written_ns = max(self._written_ns, written_ns)
        lines = self._take(data, ended, last=True)
        self._go_on_with(following, Position())
        return lines

    # --- which file

    def _look(self) -> tuple[int, int] | None:
        """Device and inode of what is at the path now, if that is a file."""
        try:
            status = self.path.stat()
            check_regular(status.st_mode, self.path)
        except OSError as error:
            self.trouble = reason(error, self.path)
            return None
        return status.st_dev, status.st_ino

    def _find(self) -> LogFile | None:
        """Open the file to go on with, at the position to go on from; None while there is none."""
        # Before the rotated files are listed: what is rotated in between is then this very file.
        log = self._chain.log()
        self._at = self._scan = Position()
        if self._resume.offset:
            found = self._chain.find(log, self._resume)
            if found is not None:
                if log is not None and found[0] is not log:
                    log.close()
                self._file, self._at = found
                self._scan = self._at
                return self._file
            if log is None:
                return None  # not there at this moment: what comes back may be what was read
            self.lost_track += 1
            self._resume = Place(written_ns=self._written_ns, before=self._before)
        unread = self._chain.unread(self._before, self._written_ns, besides=log)
        if unread is not None and log is not None:
            log.close()
        self._file = unread or log
        return self._file

    def _undisturbed(self, file: LogFile, data: bytes, at_path: bool) -> bool:
        """Whether `file` is still what was read so far, and nothing unread was put aside from it before `data`."""
        if self._scan is not self._at and file.may_change and not self._scan.fits(file):
            return False  # it was truncated in the midst of a line that is too long
        if self._at.offset:
            return not file.may_change or self._at.fits(file)
        # No line was read of it that it could be known by: then it must be the first that is not read yet.
        mark = None if at_path else Mark.of(file, self._scan.after(data).head)
        return not self._chain.overtakes(file, mark, self._before, self._written_ns)

    def _following(self, mark: Mark) -> LogFile | None:
        """Open what comes after the file with that mark."""
        try:
            return self._chain.following(mark, self._before, self._written_ns)
        except Rotating:
            raise
        except OSError as error:
            self._chain.trouble = reason(error, self.path)
            return None

    def _go_on_with(self, file: LogFile, position: Position) -> None:
        if self._file is not None:
            self._file.close()
        self._file = file
        self._at = self._scan = position
        self.caught_up = False

    # --- which lines

    def _take(self, data: bytes, ended: bool, last: bool) -> list[bytes]:
        """Split what was read into lines and move on behind them; `last`: this file is done with."""
        if self._scan is not self._at:
            data = self._skip(data, last)
        # Truncation under a writer without O_APPEND, and power cuts, leave a hole of NUL bytes behind.
        text = data.lstrip(b"\0")
        if not text and ended and not last:
            return []
        self._move(data[: len(data) - len(text)])
        end = text.rfind(b"\n") + 1
        lines = text[:end].split(b"\n")
        lines.pop()
        self._move(text[:end])
        rest = text[end:]
        if last and rest:
            lines.append(rest)
            self._move(rest)
        elif len(rest.lstrip(b"\0")) > self._max_line:
            self._scan = self._at.after(rest)
        if b"\0" in text:
            lines = [line.lstrip(b"\0") for line in lines]
        if max(map(len, lines), default=0) > self._max_line:
            short = [line for line in lines if len(line) <= self._max_line]
            self.too_long += len(lines) - len(short)
            lines = short
        return lines

    def _skip(self, data: bytes, last: bool) -> bytes:
        """Leave out the rest of a line that is too long; returns what follows it in `data`."""
        end = data.find(b"\n") + 1
        if not end and not last:
            self._scan = self._scan.after(data)
            return b""
        end = end or len(data)
        self._at = self._scan = self._scan.after(data[:end])
        self.too_long += 1
        return data[end:]

    def _move(self, data: bytes) -> None:
        if data:
            self._at = self._scan = self._at.after(data)


def end_of(path: Path) -> Place:
    """Behind the last whole line that the log at `path` has now, found without reading what lies before it."""
    before = Chain(path).behind()
    try:
        file = PlainFile(path)
    except OSError:
        return before
    try:
        offset = _behind_last_line(file)
        tail_bytes = min(TAIL_BYTES, offset)
        head, tail = file.read_at(0, min(HEAD_BYTES, offset)), file.read_at(offset - tail_bytes, tail_bytes)
        return Position(offset, head, tail).place(file, file.written_ns(), before.before)
    except OSError:
        return before
    finally:
        file.close()


def _behind_last_line(file: PlainFile) -> int:
    end = file.size()
    while end > 0:
        start = max(0, end - _BLOCK)
        line_end = file.read_at(start, end - start).rfind(b"\n")
        if line_end >= 0:
            return start + line_end + 1
        end = start
    return 0
