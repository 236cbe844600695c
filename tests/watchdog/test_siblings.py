import os
from pathlib import Path

import pytest

from watchdog.log_files import PlainFile
from watchdog.place import Mark
from watchdog.siblings import Rotating, later, renamed, siblings


def make(folder: Path, *names: str) -> None:
    """Each a second younger than the one before."""
    for second, name in enumerate(names):
        path = folder / name
        path.write_text(name)
        os.utime(path, (1_800_000_000 + second, 1_800_000_000 + second))


def names(log: Path) -> list[str]:
    return [sibling.path.name.removeprefix(log.name) for sibling in siblings(log)]


@pytest.mark.parametrize(
    "oldest_first",
    [
        (".10.gz", ".9.gz", ".2", ".1"),
        ("-20260301.gz", "-20260302", "-20260303"),
        ("-20260301-1772323200", "-20260301-1772326800.gz"),
        (".2026-03-01", ".2026-03-02"),
        (".2026-03-01_09", ".2026-03-01_10"),
        (".old",),
    ],
)
def test_the_names_that_rotation_gives(tmp_path: Path, oldest_first: tuple[str, ...]) -> None:
    log = tmp_path / "bot.log"
    make(tmp_path, *(log.name + suffix for suffix in oldest_first))
    assert names(log) == list(oldest_first)


def test_numbers_order_better_than_times_and_times_better_than_names(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    make(tmp_path, "bot.log.1", "bot.log.2")
    assert names(log) == [".2", ".1"]
    make(tmp_path, "bot.log.1", "bot.log.2", "bot.log-20250101")
    assert names(log) == [".1", ".2", "-20250101"]


def test_what_is_empty_no_file_or_of_another_name_is_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        "bot.log",
        "bot.log.bak",
        "bot.log.1.swp",
        "bot.log~",
        "bot.log.lock",
        "bot2.log.1",
        "bot.log.1x",
    )
    (tmp_path / "bot.log.1").touch()
    (tmp_path / "bot.log.2").mkdir()
    (tmp_path / "bot.log.3").symlink_to("nowhere")
    assert names(tmp_path / "bot.log") == []


def test_a_file_is_listed_once_while_it_is_being_compressed(tmp_path: Path) -> None:
    make(tmp_path, "bot.log.2.gz", "bot.log.1", "bot.log.1.gz")
    assert names(tmp_path / "bot.log") == [".2.gz", ".1"]


def test_a_name_that_went_to_another_file_is_not_opened(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    make(tmp_path, "bot.log.2", "bot.log.1")
    older, newer = siblings(log)
    (tmp_path / "bot.log.2").rename(tmp_path / "bot.log.3")
    (tmp_path / "bot.log.1").rename(tmp_path / "bot.log.2")
    for sibling in (older, newer):
        with pytest.raises(Rotating, match="being renamed"):
            sibling.open()


def test_a_renamed_file_is_found_by_its_inode(tmp_path: Path) -> None:
    make(tmp_path, "moved", "other")
    inode = (tmp_path / "moved").stat().st_ino
    assert [found.path.name for found in renamed(tmp_path / "bot.log", inode)] == ["moved"]


def test_later_files_are_those_after_the_marked_one(tmp_path: Path) -> None:
    log = tmp_path / "bot.log"
    make(tmp_path, "bot.log.3", "bot.log.2", "bot.log.1")
    files = siblings(log)
    file = PlainFile(tmp_path / "bot.log.2")
    assert later(files, Mark.of(file, b"bot.log.2")) == files[2:]
    copied = Mark(0, 0, 9, Mark.of(file, b"bot.log.2").head)  # compressed or copied: another inode
    assert later(files, copied) == files[2:]
    assert later(files, Mark.of(file, b"something")) is None
    assert later(files, Mark(0, 0, 0, Mark.of(file, b"").head)) is None
    file.close()
