"""Mistyped orders in the control folder: told once, with what was probably meant; nobody's files are not told."""

from pathlib import Path

import pytest

from watchdog.odd_flags import KNOWN, MOST_TOLD, OddFlag, OddFlags, nearest, words


def names(found: list[OddFlag]) -> list[str]:
    return sorted(odd.name for odd in found)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("RESMUE", "RESUME"),
        ("rollback", "ROLLBACK"),
        ("ROLL_BACK", "ROLLBACK"),
        ("HALT.txt", "HALT"),
        ("please-halt", "HALT"),
        ("HLAT", "HALT"),
        ("Paused", "PAUSE"),
        ("notes", None),
        ("STOP", None),
        ("\udcff", None),
        ("x" * 250, None),
    ],
)
def test_the_name_that_was_probably_meant(name: str, near: str | None) -> None:
    assert nearest(name) == near


def test_it_is_told_once_from_the_second_look_on_that_finds_it_unchanged(tmp_path: Path) -> None:
    odd, flag = OddFlags(tmp_path), tmp_path / "RESMUE"
    flag.touch()
    assert odd.look() == []
    flag.write_text("half written")
    assert odd.look() == []
    assert names(odd.look()) == ["RESMUE"]
    flag.write_text("and changed later")
    assert [odd.look() for _ in range(3)] == [[], [], []]
    flag.unlink()
    assert odd.look() == []
    flag.touch()
    odd.look()
    assert names(odd.look()) == ["RESMUE"], "laid anew"


def test_orders_folders_and_what_editors_leave_are_not_told(tmp_path: Path) -> None:
    for name in (
        *KNOWN, ".HALT.swp", ".halt.123", "HALT~", "#HALT#", ".#HALT", "4913", "HALT.tmp", "HALT.swp", "HALT.new",
    ):  # fmt: skip
        (tmp_path / name).touch()
    for name in ("handled", "rollback"):
        (tmp_path / name).mkdir()
    odd = OddFlags(tmp_path)
    assert [odd.look() for _ in range(3)] == [[], [], []]


def test_a_flood_is_told_in_parts_and_a_name_cannot_forge_lines(tmp_path: Path) -> None:
    for number in range(2 * MOST_TOLD):
        (tmp_path / f"halt{number}\nx\x1b").touch()
    (tmp_path / "HALTT").symlink_to("nowhere")
    odd = OddFlags(tmp_path)
    odd.look()
    told = [odd.look() for _ in range(4)]
    assert [len(found) for found in told] == [MOST_TOLD, MOST_TOLD, 1, 0]
    said = "".join(words(found, tmp_path) for part in told for found in part)
    assert "\x1b" not in said
    assert said.count("\n") == 2 * MOST_TOLD + 1


def test_the_words_name_the_order_with_its_path_or_all_of_them(tmp_path: Path) -> None:
    near = words(OddFlag("HALT.txt", "HALT", "alice", "1"), tmp_path)
    assert near.splitlines()[0] == "HALT.txt in the control folder is no order (laid by alice)"
    assert f"Did you mean HALT? Nothing was done. To give that order: `touch {tmp_path}/HALT`" in near
    assert "Orders are HALT, PAUSE, RESUME and ROLLBACK" in words(OddFlag("x", None, "bob", "1"), tmp_path)
