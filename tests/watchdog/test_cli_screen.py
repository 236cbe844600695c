"""Tables of short cells and running text, at every width."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from watchdog.screen import LEAST_ROOM, say, table, wrapped

PATH = "/srv/a-long-path/that-must-stay/whole/models_saved/ensemble_v2.1.0.pkl"


def terminal(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, no_color=True, width=width, color_system=None)


def shown(out: Console) -> list[str]:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def test_text_hangs_below_itself() -> None:
    out = terminal(60)
    table(out, [([("good", ""), ("name", "")], "word " * 12), ([("bad", ""), ("n", "")], "short")])
    assert shown(out) == [
        "good  name  word word word word word word word word word",
        "            word word word",
        "bad   n     short",
    ]


def test_a_path_that_fits_beside_the_cells_stays_there() -> None:
    out = terminal(len("cell  ") + len(PATH))
    table(out, [([("cell", "")], f"see {PATH}")])
    assert shown(out) == ["cell  see", f"      {PATH}"]


def test_a_path_that_needs_the_room_goes_below() -> None:
    out = terminal(8 + len(PATH))
    table(out, [([("a wide first cell", "")], f"see {PATH}")])
    assert shown(out) == ["a wide first cell", "        see", f"        {PATH}"]


def test_in_a_pipe_each_line_is_one_line() -> None:
    out = Console(file=io.StringIO(), width=20)
    table(out, [([("cell", "")], f"{'word ' * 30}{PATH}\n-> mend it")], header=(("what",), "found"))
    assert shown(out) == ["what  found", f"cell  {'word ' * 30}{PATH}", "      -> mend it"]


def test_a_row_without_text_ends_where_its_cells_end() -> None:
    out = terminal(80)
    table(out, [([("a", ""), ("", "")], ""), ([("bb", ""), ("c", "")], "")])
    assert shown(out) == ["a", "bb  c"]


@pytest.mark.parametrize("text", ["[red]no markup[/]", "a \\", ":warning:", "100 %", "[/]"])
def test_text_is_text(text: str) -> None:
    out = terminal(80)
    assert say(out, text, "red", 7) == 7
    table(out, [([("x", "bold")], text)])
    assert shown(out) == [text, f"x  {text}"]


@given(
    words=st.lists(st.text("ab-/.", min_size=1, max_size=90), max_size=30),
    indent=st.integers(0, 60),
    width=st.integers(10, 120),
)
def test_no_word_is_broken_lost_or_moved_and_lines_fit_if_they_can(
    words: list[str], indent: int, width: int
) -> None:
    lines = wrapped(terminal(width), " ".join(words), indent)
    assert [word for _, line in lines for word in line.split()] == words
    for space, line in lines:
        assert space.strip() == ""
        assert len(space) <= indent
        assert len(line) <= max(width - len(space), LEAST_ROOM) or " " not in line
