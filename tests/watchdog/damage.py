"""What happens to a database file: bytes overwritten, cut off, deleted, replaced."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

PAGE = 4096

Damage = Callable[[Path], object]


def overwrite(path: Path, begin: int, end: int, byte: int = 0xA5) -> None:
    """Bytes of the file, in place: whoever has it open sees them."""
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(bytes([byte]) * (end - begin))


def middle(path: Path) -> None:
    """All but the first page and the last, as a disk loses a track."""
    overwrite(path, PAGE, max(2 * PAGE, path.stat().st_size - PAGE))


def header(path: Path) -> None:
    """The page without which nothing is found."""
    overwrite(path, 0, PAGE)


def zeros(path: Path) -> None:
    """A file of its size, and nothing in it, as after a power cut on some file systems."""
    overwrite(path, 0, path.stat().st_size, 0)


def cut(path: Path) -> None:
    """The second half is gone."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def emptied(path: Path) -> None:
    """`> watchdog.db`."""
    with path.open("r+b") as file:
        file.truncate(0)


def text(path: Path) -> None:
    """Somebody edited it."""
    path.write_text("this is no database\n" * 1000, encoding="utf-8")


def some_bytes(path: Path, seed: int, runs: int = 3) -> None:
    """A few short runs of random bytes anywhere."""
    dice = random.Random(seed)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for _ in range(runs):
            file.seek(dice.randrange(size))
            file.write(dice.randbytes(dice.randrange(1, 300)))


def deleted(path: Path) -> None:
    """`rm watchdog.db`, its companions left behind."""
    path.unlink()


def all_deleted(path: Path) -> None:
    """`rm watchdog.db*`."""
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def replaced_by_nothing(path: Path) -> None:
    """A new, empty file under the old name."""
    path.unlink()
    path.touch()


def replaced_by_another(path: Path) -> None:
    """A database of something else."""
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE cats (name TEXT)")


def replaced_by_an_older_copy(path: Path) -> None:
    """A backup put back under the running watchdog, by somebody who did not read how."""
    older = path.with_name("older.db")
    if older.exists():
        shutil.copyfile(older, path.with_name("copy"))
        path.with_name("copy").rename(path)
    else:
        replaced_by_nothing(path)


thorough = pytest.mark.skipif(
    os.environ.get("CI") != "true" and "MODEL_WATCHDOG_THOROUGH" not in os.environ,
    reason="differs little from what the ordinary run has: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1",
)


def some(names: Iterable[str], always: Sequence[str]) -> list[Any]:
    """The names as parameters of a test; but for `always`, those of the thorough run."""
    return [name if name in always else pytest.param(name, marks=thorough) for name in names]


UNDER_A_RUNNING_WATCHDOG: Mapping[str, Damage] = {
    d.__name__: d
    for d in (
        middle, header, zeros, cut, emptied, text, deleted, all_deleted, replaced_by_nothing, replaced_by_another,
        replaced_by_an_older_copy,
    )
}  # fmt: skip
WHILE_NOBODY_LOOKS: Mapping[str, Damage] = {
    d.__name__: d for d in (middle, header, zeros, cut, emptied, text)
}
