import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchdog.log_files import GzipFile, LogFile, PlainFile, open_regular, reason

TEXT = b"".join(f"line {n}\n".encode() for n in range(1000))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reads=st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 12_000)), max_size=8))
@pytest.mark.parametrize("kind", [PlainFile, GzipFile])
def test_any_piece_can_be_read_in_any_order(
    tmp_path: Path, kind: Callable[[Path], LogFile], reads: list[tuple[int, int]]
) -> None:
    path = tmp_path / "log"
    path.write_bytes(TEXT if kind is PlainFile else gzip.compress(TEXT[:5000]) + gzip.compress(TEXT[5000:]))
    file = kind(path)
    for offset, count in reads:
        assert file.read_at(offset, count) == TEXT[offset : offset + count]
    assert file.damage() is None
    file.close()


def test_a_file_may_be_closed_twice_and_is_closed_when_forgotten(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(gzip.compress(TEXT))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for kind in (PlainFile, GzipFile):
        file: LogFile = kind(tmp_path / "log")
        file.close()
        file.close()
        file = kind(tmp_path / "log")
        del file
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 500])
def test_a_damaged_gzip_gives_what_can_be_had_of_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(TEXT)[:-cut])
    file = GzipFile(path)
    got = file.read_at(0, 1 << 20)
    assert TEXT.startswith(got)
    assert (got == TEXT) == (cut < 100)
    assert str(path) in (file.damage() or "")
    assert file.read_at(0, 1 << 20) == got


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: None, "{} is not there"),
        (os.mkfifo, "{} is a named pipe, not a file"),
        (Path.mkdir, "{} is a directory, not a file"),
        (lambda path: path.symlink_to("/dev/null"), "{} is a device, not a file"),
        (lambda path: path.symlink_to(path), "{} cannot be read: Too many levels of symbolic links"),
    ],
)
def test_what_is_the_matter_is_said_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], None], sentence: str
) -> None:
    path = tmp_path / "log"
    make(path)
    with pytest.raises(OSError, match=r".") as caught:
        open_regular(path)
    assert reason(caught.value, path) == sentence.format(path)
