"""Texts survive splitting and rendering, and fit into what Telegram takes."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifier import Part, Pending
from notifier.text import MAX_TEXT, MESSAGE_UNITS, clean, cost, parts, split, to_html, to_plain, utf16_len
from tests.fakes.telegram_html import parse_html

AT = datetime(2026, 3, 1, 2, 10, 41, tzinfo=UTC)
CODE = re.compile(r"`[^`\n]+`")
nasty = st.text(st.sampled_from("ab <>&`\n\t🚨é´\u2028\x85;"), max_size=400)


def pending(text: str, count: int = 1, minutes: int = 45, number: int = 12) -> Pending:
    last_at = AT if count == 1 else AT + timedelta(minutes=minutes)
    return Pending(number, "kind", "critical", text, count, AT, last_at)


@settings(deadline=None)
@given(nasty, st.integers(32, 120))
@example("`<<<`", 32)  # over the limit by its tags alone
def test_parts_rejoined_are_the_text_and_each_is_within_the_limit(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert "".join(pieces) == text
    assert all(cost(piece) <= limit for piece in pieces)
    assert len(pieces) == 1 or all(pieces)


@settings(deadline=None)
@given(nasty, st.integers(32, 120))
def test_no_cut_falls_into_a_code_span_that_fits(text: str, limit: int) -> None:
    place, cuts = 0, set()
    for piece in split(text, limit):
        place += len(piece)
        cuts.add(place)
    for span in CODE.finditer(text):
        if cost(span[0]) <= limit:
            assert not cuts & set(range(span.start() + 1, span.end())), (span, cuts)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab <>&`\n🚨"), max_size=60).map(lambda text: text * 120))
def test_every_message_is_html_that_telegram_takes(text: str) -> None:
    for part in parts(pending(clean(text), count=3), icon="🚨"):
        rendered = to_html(part)
        assert utf16_len(rendered) <= MESSAGE_UNITS
        assert parse_html(rendered) == to_plain(part)


def test_a_text_that_fits_is_one_message_with_its_id_at_the_end() -> None:
    [part] = parts(pending("Drawdown 26.1 %\nThe limit is 25 %."), icon="🚨")
    assert part.text == "🚨 Drawdown 26.1 %\nThe limit is 25 %.\n2026-03-01 02:10:41 UTC · #12"
    assert part.severity == "critical"


def test_a_long_text_is_cut_at_line_ends_and_numbered() -> None:
    lines = [f"{number:04d} " + "x" * 95 for number in range(100)]
    first, second, third = parts(pending("\n".join(lines)))
    assert first.text.endswith("#12 (1/3)")
    assert third.text.endswith("#12 (3/3)")
    assert (first.headline, second.headline, third.headline) == (True, False, False)
    shown = [line for part in (first, second, third) for line in part.text.split("\n")[:-1]]
    assert shown == lines


def test_a_long_line_is_cut_between_words() -> None:
    pieces = split(" ".join(["word"] * 50), limit=32)
    assert all(piece.strip().split(" ") == ["word"] * len(piece.split()) for piece in pieces)
    assert len(pieces) > 5


@pytest.mark.parametrize("text", ["x" * 9000, "🚨" * 5000, "<" * 9000, "`" + "x" * 9000 + "`", "&`a`" * 3000])
def test_a_text_without_any_place_to_cut_is_cut_all_the_same(text: str) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert len(pieces) > 1
    assert all(utf16_len(to_html(Part(piece, "info"))) <= MESSAGE_UNITS for piece in pieces)


def test_the_headline_is_bold_code_is_code_and_all_else_is_escaped() -> None:
    part = Part("Back on `v2.0.0` <now>\nsee `a < b` & co", "info")
    assert to_html(part) == (
        "<b>Back on </b><code>v2.0.0</code><b> &lt;now&gt;</b>\nsee <code>a &lt; b</code> &amp; co"
    )
    assert to_plain(part) == "Back on v2.0.0 <now>\nsee a < b & co"


def test_only_the_first_part_has_a_headline() -> None:
    assert to_html(Part("one\ntwo", "info", headline=False)) == "one\ntwo"


def test_a_coalesced_alert_tells_how_often_and_from_when_to_when() -> None:
    [part] = parts(pending("Bot is down\nIt was started again.", count=7))
    assert part.text.split("\n") == [
        "Bot is down (7 times)",
        "It was started again.",
        "2026-03-01 02:10:41 to 02:55:41 UTC · #12",
    ]


def test_a_span_of_time_over_midnight_names_both_days() -> None:
    [part] = parts(pending("Bot is down", count=2, minutes=24 * 60))
    assert part.text.endswith("2026-03-01 02:10:41 to 2026-03-02 02:10:41 UTC · #12")


def test_cleaning_takes_out_what_cannot_be_stored_or_sent() -> None:
    assert clean("a\x00b\udc80c\x1b[31md\r\ne\tf") == "a\ufffdb\ufffdc\ufffd[31md\ne\tf"
    assert clean(" \n ") == "(an alert without text)"
    clean("\udfff" * 10).encode()


def test_an_endless_text_is_shortened_and_says_so() -> None:
    text = clean("x" * (MAX_TEXT + 5))
    assert text.endswith("x\n(shortened: 5 more characters)")
    assert len(text) < MAX_TEXT + 50
