"""The table of the fault matrix, and the page that it is written into."""

from pathlib import Path

import pytest

from tests.faults.matrix import MATRIX
from tests.faults.page import BEGIN, END, table, write_page
from tests.faults.play import Life, Result

KILL, TERMINATE = MATRIX[0], MATRIX[1]
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


def result(
    fault: object = KILL, point: str | None = "assess:before", outcome: str = "rolled back", *problems: str
) -> Result:
    assert fault in MATRIX
    return Result(Life(fault, point, 7), outcome, True, problems, 1.0)


def rows(text: str) -> list[list[str]]:
    """The cells of the table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_fault_is_one_row_however_many_lives_it_had() -> None:
    results = [result(TERMINATE), result(), result(point="close:after", outcome="halted")]
    assert rows(table(results, 7)) == [
        [KILL.name, steps(KILL.points), "2", "halted, rolled back", "2"],
        [TERMINATE.name, steps(TERMINATE.points), "1", "rolled back", "1"],
    ]


def steps(points: tuple[str, ...]) -> str:
    names = [point.partition(":")[0] for point in points]
    return ", ".join(f"`{name}`" for name in sorted(set(names), key=names.index))


def test_a_fault_that_freezes_nothing_strikes_the_whole_life() -> None:
    whole = next(fault for fault in MATRIX if not fault.points)
    ((name, where, *_),) = rows(table([result(whole, None)], 7))
    assert (name, where) == (whole.name, "the whole life")


def test_what_did_not_hold_is_not_counted_as_held() -> None:
    text = table([result(), result(KILL, "close:after", "open", "4: two bots")], 7)
    assert rows(text)[0][-1] == "1"
    assert text.startswith("Seed 7: 2 lives, 1 held.\n")


def test_faults_that_were_not_played_have_no_row() -> None:
    assert rows(table([], 7)) == []


def test_the_page_keeps_all_that_is_not_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    write_page(page, [result()], 7)
    once = page.read_text(encoding="utf-8")
    assert once == f"before\n{BEGIN}\n\n{table([result()], 7)}\n{END}\nafter\n"
    write_page(page, [result()], 7)
    assert page.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_its_marks_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md: the marks"):
        write_page(page, [result()], 7)
    assert page.read_text(encoding="utf-8") == text


def test_the_page_for_operators_has_its_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert 0 < text.find(BEGIN) < text.find(END)
