import hashlib
import os
from pathlib import Path

import pytest

from registry.hashing import CHUNK, sha256_file


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


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        sha256_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        sha256_file(tmp_path / "model")
