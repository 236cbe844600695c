import hashlib
import os
from pathlib import Path, PosixPath

import pytest

from registry.hashing import CHUNK, FileStat, opened, sha256_file, stat_of


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000])
def test_hashes_like_hashlib_around_the_edges_of_a_chunk(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "model").write_bytes(content)
    assert sha256_file(tmp_path / "model", chunk=64) == hashlib.sha256(content).hexdigest()


def test_hashes_a_file_of_more_than_one_megabyte(tmp_path: Path) -> None:
    content = os.urandom(2 * CHUNK + 5)
    (tmp_path / "model").write_bytes(content)
    assert sha256_file(tmp_path / "model") == hashlib.sha256(content).hexdigest()


def test_a_pipe_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(tmp_path / "model")


def test_a_device_is_refused_and_does_not_end_never(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to("/dev/zero")
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(tmp_path / "model")


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        sha256_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        sha256_file(tmp_path / "model")


class Exchanged(PosixPath):
    """A file that becomes a pipe between the look at it and its opening."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = super().stat(follow_symlinks=follow_symlinks)
        self.unlink()
        os.mkfifo(self)
        return found


def test_a_file_that_is_exchanged_for_a_pipe_meanwhile_is_refused_and_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    model = Exchanged(tmp_path / "model")
    model.touch()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="not a regular file"):
        sha256_file(model)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


class Enough(Exception):
    pass


def test_a_look_that_raises_ends_the_hashing_at_the_next_chunk(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(bytes(1000))
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise Enough

    with pytest.raises(Enough):
        sha256_file(tmp_path / "model", look, chunk=64)
    assert looks == 3


def test_the_stat_of_an_open_file_is_that_of_its_name_until_the_name_leads_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"model")
    with opened(tmp_path / "model") as file:
        assert stat_of(file) == FileStat.of((tmp_path / "model").stat())
        (tmp_path / "new").write_bytes(b"model")
        (tmp_path / "new").replace(tmp_path / "model")
        assert stat_of(file) != FileStat.of((tmp_path / "model").stat())
