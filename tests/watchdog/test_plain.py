"""Words of others, on their way to people's eyes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.harmless import is_harmless
from watchdog.plain import one_line, plain

EVERYTHING = st.text(st.characters(codec=None) | st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))


@given(EVERYTHING)
def test_a_text_keeps_its_lines_and_does_no_more_than_be_read(text: str) -> None:
    found = plain(text)
    assert is_harmless(found, "\n\t")
    assert len(found) == len(text)
    assert found.count("\n") == text.count("\n")
    assert plain(found) == found


@given(EVERYTHING, st.integers(1, 30))
def test_a_line_is_one_line_and_bounded(text: str, most: int) -> None:
    found = one_line(text, most)
    assert is_harmless(found)
    assert len(found) <= most
    assert found.splitlines() in ([found], [])
    assert one_line(found, most) == found


def test_a_file_of_megabytes_is_one_line_all_the_same() -> None:
    assert one_line("a b\n" * 1_000_000, 20) == "a b a b a b a b a b…"[:20]
    assert one_line("  \n too\tmany \r\n trades ") == "too many trades"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[2J\x1b[1;1Hall is well", "\ufffd[2J\ufffd[1;1Hall is well"),
        ("\x9b31mred", "\ufffd31mred"),
        ("v2.0.0\u202e0.1.2v", "v2.0.0\ufffd0.1.2v"),
        ("half \ud800 a character", "half \ufffd a character"),
        ("naïve 😀 👩\u200d🚀 مرحبا", "naïve 😀 👩\u200d🚀 مرحبا"),
    ],
)
def test_what_people_write_stays_and_what_terminals_obey_goes(written: str, shown: str) -> None:
    assert plain(written) == shown
