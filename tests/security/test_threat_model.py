"""The page docs/threat-model.md: one page, and every claim names a test that is there."""

import ast
import re
from functools import cache
from pathlib import Path

TOP = Path(__file__).parents[2]
PAGE = TOP / "docs" / "threat-model.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
MOST_WORDS = 1400
"""Of a page that somebody reads."""


@cache
def names_in(path: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def test_every_test_that_it_names_exists() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 30
    for file, test in named:
        assert (TOP / file).is_file(), file
        assert not test or test in names_in(TOP / file), f"{file}::{test}"


def test_every_row_of_the_table_is_held_by_tests() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|", text, re.MULTILINE)
    assert rows == [str(number) for number in range(1, len(rows) + 1)]
    for number in rows:
        held = re.search(rf"^{number}\. (.*(?:\n {{2,}}.*)*)", text, re.MULTILINE)
        assert held, f"row {number} names no test"
        assert NAMED.search(held[1]), f"row {number} names no test"


def test_it_is_one_page() -> None:
    text = NAMED.sub("", PAGE.read_text(encoding="utf-8"))
    assert len(text.split()) < MOST_WORDS
