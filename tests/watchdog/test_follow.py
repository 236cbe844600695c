"""Real files, rotated the ways logrotate and Python's handlers do it."""

import gzip
import os
import shutil
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchdog.follow import Follower
from watchdog.place import Place


def drain(follower: Follower) -> list[str]:
    """All there is to read now. Bounded, so that a follower that runs in circles fails."""
    lines: list[str] = []
    for _ in range(200):
        lines += [line.decode("utf-8", "replace") for line in follower.read()]
        if follower.caught_up:
            return lines
    raise AssertionError(f"never caught up: {follower.place}, {follower.trouble}")


class Log:
    """A log with the moves of its bot and of logrotate. `n` numbers the lines: none equals another."""

    def __init__(self, folder: Path, dated: bool = False) -> None:
        self.path = folder / "trades.jsonl"
        self.dated = dated
        self.rotations = 0
        self.n = 0

    def line(self) -> str:
        self.n += 1
        return f"{self.n:05d}:{'x' * (self.n * 7 % 50)}:{self.n:05d}"

    def write(self, text: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(text)

    def append(self, count: int = 1) -> list[str]:
        lines = [self.line() for _ in range(count)]
        self.write("".join(line + "\n" for line in lines))
        return lines

    def _aside(self) -> Path:
        """The name for the next rotated file, with the older ones moved on; its time goes on by a second."""
        self.rotations += 1
        if self.dated:
            return self.path.with_name(f"{self.path.name}-2026{self.rotations:04d}")
        for number in range(60, 0, -1):
            for end in ("", ".gz"):
                old = self.path.with_name(f"{self.path.name}.{number}{end}")
                if old.exists():
                    old.rename(self.path.with_name(f"{self.path.name}.{number + 1}{end}"))
        return self.path.with_name(f"{self.path.name}.1")

    def rename(self, create: bool = False) -> Path:
        aside = self._aside()
        self.path.rename(aside)
        if create:
            self.path.touch()
        return aside

    def copytruncate(self) -> Path:
        aside = self._aside()
        shutil.copyfile(self.path, aside)
        os.truncate(self.path, 0)
        return aside

    @staticmethod
    def compress(path: Path) -> Path:
        target = path.with_name(path.name + ".gz")
        target.write_bytes(gzip.compress(path.read_bytes()))
        status = path.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
        path.unlink()
        return target


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_reads_each_line_once(log: Log) -> None:
    first = log.append(3)
    follower = Follower(log.path)
    assert drain(follower) == first
    assert drain(follower) == []
    assert drain(follower) == [] != log.append(2)
    assert len(drain(follower)) == 2


def test_half_a_last_line_waits_for_its_end(log: Log) -> None:
    follower = Follower(log.path)
    log.write("whole\nhal")
    assert drain(follower) == ["whole"]
    assert follower.place.offset == len("whole\n")
    log.write("f\n")
    assert drain(follower) == ["half"]


def test_a_log_that_is_not_there_yet_is_told_and_then_read(log: Log) -> None:
    follower = Follower(log.path)
    assert drain(follower) == []
    assert follower.trouble == f"{log.path} is not there"
    lines = log.append(2)
    assert drain(follower) == lines
    assert follower.trouble is None


def test_a_folder_that_is_not_there_yet_is_told_and_then_read(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs")
    follower = Follower(log.path)
    assert drain(follower) == []
    assert "is not there" in (follower.trouble or "")
    log.path.parent.mkdir()
    assert drain(follower) == [] != (lines := log.append(2))
    assert drain(follower) == lines


def test_old_rotated_files_are_left_alone_without_a_place(log: Log) -> None:
    log.append(3)
    log.rename()
    lines = log.append(2)
    follower = Follower(log.path)
    assert drain(follower) == lines


def test_rename_finishes_the_old_file_first(log: Log) -> None:
    follower = Follower(log.path)
    lines = log.append(2)
    got = drain(follower)
    lines += log.append(2)
    log.rename()
    lines += log.append(2)
    assert got + drain(follower) == lines


def test_two_renames_between_reads_lose_nothing(log: Log) -> None:
    follower = Follower(log.path)
    lines = log.append(2)
    got = drain(follower)
    for _ in range(3):
        lines += log.append(2)
        log.rename()
    lines += log.append(1)
    assert got + drain(follower) == lines


def test_a_bot_that_keeps_its_log_open_is_followed_into_the_renamed_file(log: Log) -> None:
    follower = Follower(log.path)
    with log.path.open("a") as held:
        held.write("before\n")
        held.flush()
        assert drain(follower) == ["before"]
        log.rename(create=True)
        held.write("after\n")
        held.flush()
        assert drain(follower) == ["after"]
        restarted = Follower(log.path, follower.place)
        held.write("later\n")
        held.flush()
        assert drain(follower) == drain(restarted) == ["later"]
    log.write("reopened\n")
    assert drain(follower) == drain(restarted) == ["reopened"]


@pytest.mark.parametrize("more", [0, 1, 40])
def test_copytruncate_reads_the_rest_from_the_copy(log: Log, more: int) -> None:
    """With `more` = 40 the new text has grown beyond the old offset: size alone tells nothing."""
    follower = Follower(log.path)
    lines = log.append(10)
    got = drain(follower)
    lines += log.append(3)
    log.copytruncate()
    lines += log.append(more)
    assert got + drain(follower) == lines
    assert follower.lost_track == 0


def test_copytruncate_of_lines_that_were_never_seen(log: Log) -> None:
    """The log was empty at the last look: nothing in it could be recognised."""
    log.path.touch()
    follower = Follower(log.path)
    assert drain(follower) == []
    lines = log.append(3)
    log.copytruncate()
    lines += log.append(2)
    log.copytruncate()
    assert drain(follower) == lines
    assert drain(Follower(log.path, follower.place)) == []


def test_truncation_without_a_copy_goes_on_with_what_is_new(log: Log) -> None:
    log.append(4)
    log.rename()
    follower = Follower(log.path)
    log.append(10)
    drain(follower)
    os.truncate(log.path, 0)
    lines = log.append(2)
    assert drain(follower) == lines
    assert follower.lost_track == 1


def test_truncation_to_a_shorter_text_with_the_same_head(log: Log) -> None:
    head = "h" * 300 + "\n"
    log.write(head + "one\ntwo\nthree\n")
    follower = Follower(log.path)
    assert len(drain(follower)) == 4
    log.path.write_text(head + "four\nfive\nsix\nseven\n")
    assert drain(follower) == [head.strip(), "four", "five", "six", "seven"]


def test_a_file_that_vanishes_and_comes_back(log: Log) -> None:
    follower = Follower(log.path)
    log.append(2)
    drain(follower)
    log.path.unlink()
    assert drain(follower) == []
    assert follower.trouble is not None
    lines = log.append(2)
    assert drain(follower) == lines
    assert follower.trouble is None


@pytest.mark.parametrize("running", [True, False])
def test_a_file_moved_away_and_back_is_not_read_again(log: Log, running: bool) -> None:
    follower = Follower(log.path)
    log.append(2)
    drain(follower)
    place = follower.place
    aside = log.path.with_name("kept-elsewhere")
    log.path.rename(aside)
    follower = follower if running else Follower(log.path, place)
    assert drain(follower) == []
    aside.rename(log.path)
    lines = log.append(1)
    assert drain(follower) == lines


@pytest.mark.parametrize("running", [True, False])
def test_a_log_saved_by_an_editor_is_not_read_again(log: Log, running: bool) -> None:
    """A new inode with the same text: a restored backup, `sed -i`, an editor."""
    follower = Follower(log.path)
    log.append(5)
    drain(follower)
    copy = log.path.with_name("tmp")
    shutil.copyfile(log.path, copy)
    copy.rename(log.path)
    lines = log.append(2)
    follower = follower if running else Follower(log.path, follower.place)
    assert drain(follower) == lines


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("copy", [False, True])
def test_a_restart_finds_its_place_in_rotated_files(
    tmp_path: Path, compress: bool, dated: bool, copy: bool
) -> None:
    log = Log(tmp_path, dated)
    follower = Follower(log.path)
    lines = log.append(20)
    got = drain(follower)
    place = Place.restore(follower.place.dump())
    follower.close()
    for second in range(3):
        lines += log.append(5)
        aside = log.copytruncate() if copy else log.rename()
        os.utime(aside, (1_800_000_000 + second, 1_800_000_000 + second))
        if compress:
            log.compress(aside)
    lines += log.append(5)
    assert got + drain(Follower(log.path, place)) == lines


def test_a_restart_finds_a_file_renamed_to_something_unusual(log: Log) -> None:
    follower = Follower(log.path)
    lines = log.append(5)
    got = drain(follower)
    lines += log.append(5)
    log.path.rename(log.path.with_name("yesterday.txt"))
    lines += log.append(1)
    assert got + drain(Follower(log.path, follower.place)) == lines


def test_a_reused_inode_is_told_by_its_content(log: Log) -> None:
    log.append(5)
    follower = Follower(log.path)
    drain(follower)
    place = follower.place
    follower.close()
    log.copytruncate().unlink()  # the same inode, other text, and nothing left of the old one
    lines = log.append(50)
    restarted = Follower(log.path, place)
    assert drain(restarted) == lines
    assert restarted.place.inode == place.inode
    assert restarted.lost_track == 1


def test_a_gzip_in_the_making_is_not_read_twice(log: Log) -> None:
    follower = Follower(log.path)
    lines = log.append(5)
    got = drain(follower)
    lines += log.append(5)
    aside = log.rename()
    aside.with_name(aside.name + ".gz").write_bytes(gzip.compress(aside.read_bytes())[:-9])
    lines += log.append(1)
    assert got + drain(Follower(log.path, follower.place)) == lines


def test_a_damaged_gzip_is_read_as_far_as_it_goes(log: Log) -> None:
    lines = log.append(2000)
    packed = log.compress(log.rename())
    packed.write_bytes(packed.read_bytes()[:-2000])
    lines_now = log.append(2)
    follower = Follower.from_start(log.path, datetime(2026, 1, 1, tzinfo=UTC))
    first = [line.decode() for line in follower.read()]
    assert "is damaged and was read as far as it goes" in (follower.trouble or "")
    got = first + drain(follower)
    assert got[-2:] == lines_now
    assert 0 < len(got) < 2002
    assert got[: len(got) - 3] == lines[: len(got) - 3]  # the last line of the damaged file may be cut
    assert drain(follower) == []


def test_from_start_reads_rotated_files_written_since_then(log: Log) -> None:
    parts = []
    for day in (1, 2, 3):
        parts.append(log.append(3))
        aside = log.rename()
        stamp = datetime(2026, 3, day, tzinfo=UTC).timestamp()
        os.utime(aside, (stamp, stamp))
        if day < 3:
            os.utime(log.compress(aside), (stamp, stamp))
    parts.append(log.append(3))
    wanted = [line for part in parts[1:] for line in part]
    follower = Follower.from_start(log.path, datetime(2026, 3, 2, tzinfo=UTC))
    assert drain(follower) == wanted
    assert drain(Follower(log.path, follower.place)) == []


def test_numbered_files_keep_their_order_when_the_clock_was_stepped_back(log: Log) -> None:
    lines = log.append(2)
    log.rename()
    lines += log.append(2)
    os.utime(log.rename(), (1_700_000_000, 1_700_000_000))
    lines += log.append(2)
    assert drain(Follower.from_start(log.path, datetime(2020, 1, 1, tzinfo=UTC))) == lines


def test_files_with_similar_names_are_not_taken_for_rotated_ones(log: Log) -> None:
    for other in (
        "trades.jsonl.bak",
        "trades.jsonl.lock",
        "trades.jsonl~",
        "trades-2.jsonl",
        "trades.jsonl.1.swp",
    ):
        log.path.with_name(other).write_text("not ours\n")
    lines = log.append(2)
    assert drain(Follower.from_start(log.path, datetime(2020, 1, 1, tzinfo=UTC))) == lines


def test_a_symbolic_link_is_followed_and_rotation_found_beside_its_target(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    log = Log(tmp_path / "volume")
    link = tmp_path / "trades.jsonl"
    link.symlink_to(log.path)
    follower = Follower(link)
    lines = log.append(2)
    got = drain(follower)
    lines += log.append(2)
    log.rename()
    lines += log.append(2)
    assert got + drain(Follower(link, follower.place)) == lines


def test_a_line_that_is_too_long_is_skipped_and_counted(log: Log) -> None:
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=1000)
    log.write("one\n" + "y" * 1001 + "\n" + "z" * 1000 + "\n")
    assert drain(follower) == ["one", "z" * 1000]
    assert follower.too_long == 1
    log.write("y" * 5000)
    assert drain(follower) == []
    assert follower.place.offset == 4 + 1002 + 1001
    log.write("y" * 5000)
    assert drain(follower) == []
    restarted = Follower(log.path, follower.place, max_line_bytes=1000, batch_bytes=1000)
    log.write("\nlast\n")
    assert drain(follower) == drain(restarted) == ["last"]
    assert follower.too_long == 2
    assert follower.place == restarted.place


def test_a_too_long_line_at_the_end_of_a_rotated_file(log: Log) -> None:
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=1000)
    log.write("one\n" + "y" * 5000)
    assert drain(follower) == ["one"]
    log.rename()
    log.write("two\n")
    assert drain(follower) == ["two"]
    assert follower.too_long == 1


def test_holes_of_nul_bytes_hide_no_line(log: Log) -> None:
    """A writer without O_APPEND goes on at its old offset after copytruncate."""
    follower = Follower(log.path, max_line_bytes=1000, batch_bytes=1000)
    log.write("one\n")
    with log.path.open("r+b") as file:
        file.seek(10_000)
        file.write(b"two\n\0\0three\n")
    assert drain(follower) == ["one", "two", "three"]
    assert follower.too_long == 0
    log.write("\0" * 50)
    assert drain(follower) == []
    log.write("four\n")
    assert drain(follower) == ["four"]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_not_a_file_neither_hangs_nor_floods(log: Log, kind: str) -> None:
    follower = Follower(log.path)
    lines = log.append(2)
    assert drain(follower) == lines
    log.path.unlink()
    if kind == "pipe":
        os.mkfifo(log.path)
    elif kind == "folder":
        log.path.mkdir()
    else:
        log.path.symlink_to("/dev/zero")
    for reader in (follower, Follower(log.path), Follower(log.path, follower.place)):
        assert drain(reader) == []
        assert "not a file" in (reader.trouble or "")
    log.path.rmdir() if kind == "folder" else log.path.unlink()
    lines = log.append(2)
    assert drain(follower) == lines


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights to be refused")
def test_permission_denied_is_told_with_who_was_refused(log: Log) -> None:
    lines = log.append(2)
    log.path.chmod(0)
    log.path.parent.chmod(0o755)
    follower = Follower(log.path)
    # Root reads everything: as an ordinary user for the length of one read, in this thread's process.
    for parent in log.path.parents:
        if parent != Path("/") and parent.stat().st_uid == os.geteuid() and len(parent.parts) > 2:
            parent.chmod(0o755)
    os.seteuid(65534)
    try:
        assert drain(follower) == []
        trouble = follower.trouble
    finally:
        os.seteuid(0)
    assert trouble == f"{log.path} may not be read by this user (uid 65534): permission denied"
    log.path.chmod(0o600)
    assert drain(follower) == lines


def test_a_batch_is_bounded_and_the_place_goes_along(log: Log) -> None:
    lines = log.append(500)
    follower = Follower(log.path, max_line_bytes=200, batch_bytes=1000)
    got: list[str] = []
    while not follower.caught_up:
        batch = follower.read()
        assert sum(len(line) + 1 for line in batch) <= 1000
        got += [line.decode() for line in batch]
        # A restart after any batch goes on right behind it.
        follower = (
            Follower(log.path, follower.place, max_line_bytes=200, batch_bytes=1000) if batch else follower
        )
    assert got == lines


def test_memory_stays_flat_for_a_big_log_with_a_big_line(log: Log) -> None:
    with log.path.open("w") as file:
        for _ in range(40):
            file.write(("x" * 99 + "\n") * 10_000)
        for _ in range(30):
            file.write("y" * 1_000_000)
        file.write("\nlast\n")
    follower = Follower(log.path)
    tracemalloc.start()
    try:
        count = 0
        while not follower.caught_up:
            count += len(follower.read())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 400_001
    assert follower.too_long == 1
    assert peak < 40 << 20  # the log has 70 MB


@pytest.mark.parametrize(
    "state", [None, 5, [], {"offset": "x"}, {"offset": -1}, {"unknown": 1}, {"before": {}}]
)
def test_a_place_that_does_not_fit_is_refused(state: object) -> None:
    with pytest.raises(ValueError, match="not a place in a log"):
        Place.restore(state)


MOVES = (
    "append",
    "append",
    "read",
    "half",
    "rename",
    "create",
    "copytruncate",
    "vanish",
    "restart",
    "compress",
)


@settings(max_examples=400, deadline=None)
@given(moves=st.lists(st.sampled_from(MOVES), max_size=40), dated=st.booleans(), data=st.data())
def test_every_line_once_and_in_order_whatever_happens(
    moves: list[str], dated: bool, data: st.DataObject
) -> None:
    """Random interleavings; the clock stands still, so that times tell nothing of the order."""
    with TemporaryDirectory() as folder:
        log = Log(Path(folder), dated)
        follower = Follower(log.path, max_line_bytes=400, batch_bytes=400)
        wanted: list[str] = []
        got: list[str] = []
        asides: list[Path] = []
        half = ""
        for move in moves:
            if move == "append":
                count = data.draw(st.integers(1, 12))
                lines = log.append(count)
                wanted += [half + lines[0], *lines[1:]]
                half = ""
            elif move == "half":
                piece = f"<{log.line()}>"
                log.write(piece)
                half += piece
            elif move == "read":
                got += drain(follower)
            elif move == "restart":
                place = Place.restore(follower.place.dump())
                follower.close()
                follower = Follower(log.path, place, max_line_bytes=400, batch_bytes=400)
            elif move == "vanish" and log.path.exists() and not half:
                # What nobody has read is lost with the file: so it is read before.
                got += drain(follower)
                log.path.unlink()
                got += drain(follower)
            elif move in ("rename", "create", "copytruncate") and log.path.exists():
                if half:
                    wanted.append(half)
                    half = ""
                aside = log.copytruncate() if move == "copytruncate" else log.rename(move == "create")
                os.utime(aside, (1_800_000_000, 1_800_000_000))
                asides.append(aside)
            elif move == "compress" and asides and dated:
                log.compress(asides.pop(0))
        last = log.append(1)
        wanted += [half + last[0]]
        got += drain(follower)
        follower.close()
        assert got == wanted
        assert drain(follower) == []
        follower.close()
