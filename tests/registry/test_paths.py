from pathlib import Path

import pytest

from registry.paths import resolve
from tests.registry.shop import unprivileged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "bot" / "models_saved"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pkl").touch()
    (folder / "sub" / "b.pkl").touch()
    return folder


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a.pkl", "a.pkl"),
        ("./a.pkl", "a.pkl"),
        ("models_saved/a.pkl", "a.pkl"),
        ("./models_saved/a.pkl", "a.pkl"),
        ("/app/models_saved/a.pkl", "a.pkl"),
        ("/old/host/models_saved/sub/b.pkl", "sub/b.pkl"),
        ("models_saved\\sub\\b.pkl", "sub/b.pkl"),
        ("C:\\bot\\models_saved\\a.pkl", "a.pkl"),
        ("../models_saved/a.pkl", "a.pkl"),
    ],
)
def test_finds_the_file_beside_the_registry_wherever_its_path_was_written(
    folder: Path, written: str, name: str
) -> None:
    assert resolve(written, folder) == folder / name


def test_the_longest_suffix_wins(folder: Path) -> None:
    (folder / "b.pkl").touch()
    assert resolve("/x/sub/b.pkl", folder) == folder / "sub" / "b.pkl"


def test_the_file_beside_the_registry_wins_over_the_absolute_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").touch()
    assert resolve(str(tmp_path / "a.pkl"), folder) == folder / "a.pkl"


def test_then_comes_the_path_from_the_bots_working_directory(folder: Path) -> None:
    (folder.parent / "exports").mkdir()
    (folder.parent / "exports" / "c.pkl").touch()
    assert resolve("exports/c.pkl", folder) == folder.parent / "exports" / "c.pkl"
    (folder.parent.parent / "c.pkl").touch()
    assert resolve("../c.pkl", folder) == folder.parent / ".." / "c.pkl"


def test_then_comes_the_absolute_path(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.pkl").touch()
    assert resolve(str(tmp_path / "elsewhere.pkl"), folder) == tmp_path / "elsewhere.pkl"


def test_a_file_that_is_nowhere_is_missed_beside_the_registry(folder: Path) -> None:
    assert resolve("/app/models_saved/none.pkl", folder) == folder / "none.pkl"
    assert resolve("a.pkl/none.pkl", folder) == folder / "none.pkl"
    assert resolve("x" * 300, folder) == folder / ("x" * 300)


def test_a_suffix_never_leaves_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    assert resolve("/x/../../secret", folder) == folder / "secret"


def test_a_dangling_link_is_missing(folder: Path) -> None:
    (folder / "link.pkl").symlink_to("none.pkl")
    assert resolve("/elsewhere/link.pkl", folder) == folder / "link.pkl"
    (folder.parent / "link.pkl").touch()
    assert resolve("link.pkl", folder) == folder.parent / "link.pkl"


@pytest.mark.parametrize(
    "written",
    [
        "",
        "/",
        ".",
        "..",
        "a/..",
        "a\0b",
        "a\nb.pkl",
        "\x1b[2J.pkl",
        "\ud800",
        "x/" * 64 + "a.pkl",
        "x" * 4097,
    ],
)
def test_a_path_that_names_no_file_is_an_error(folder: Path, written: str) -> None:
    with pytest.raises(ValueError, match="names no file"):
        resolve(written, folder)


def test_a_file_that_may_not_be_looked_at_is_named_itself(public: Path) -> None:
    """It is unreadable, which is something else than missing."""
    folder = public / "models_saved"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b.pkl").touch()
    (folder / "sub").chmod(0)
    with unprivileged():
        assert resolve("/app/models_saved/sub/b.pkl", folder) == folder / "sub" / "b.pkl"
    (folder / "sub").chmod(0o700)
