from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers.records import LogLine
from watchdog.bot_log import MAX_CHARS, MAX_LINES, BotLogParser

AT = datetime(2026, 3, 1, 9, 59, 58, 101_000, tzinfo=UTC)
HEAD = "2026-03-01 09:59:58,101 - models.ensemble - ERROR - "


def parse(text: str, parser: BotLogParser | None = None) -> list[LogLine]:
    parser = parser or BotLogParser(UTC)
    return parser.feed(text.encode().split(b"\n")) + parser.flush()


def test_the_lines_of_a_real_bot() -> None:
    got = parse(
        "2026-03-01 09:59:58,101 - models.ensemble - INFO - Loading ensemble model from ./models_saved/e.pkl\n"
        r"2026-03-01 09:59:58,101 - models.ensemble - ERROR - Error loading model: invalid load key, '\x00'.. "
        "Using dummy model.\n"
        "2026-03-01 09:59:58,101 - rl.rl_agent - WARNING - a - b - INFO - c"
    )
    assert got == [
        LogLine(AT, "INFO", "models.ensemble", "Loading ensemble model from ./models_saved/e.pkl"),
        LogLine(
            AT,
            "ERROR",
            "models.ensemble",
            r"Error loading model: invalid load key, '\x00'.. Using dummy model.",
        ),
        LogLine(AT, "WARNING", "rl.rl_agent", "a - b - INFO - c"),
    ]


@pytest.mark.parametrize(
    ("stamp", "at"),
    [
        ("2026-03-01 10:59:58,101", AT),
        ("2026-03-01 10:59:58.101", AT),
        ("2026-03-01T10:59:58.101000", AT),
        ("2026-03-01 10:59:58", AT.replace(microsecond=0)),
        ("2026-03-01 09:59:58.101Z", AT),
        ("2026-03-01 04:59:58,101-0500", AT),
    ],
)
def test_the_ways_to_write_the_time(stamp: str, at: datetime) -> None:
    [got] = parse(f"{stamp} - x - INFO - y", BotLogParser(ZoneInfo("Europe/Berlin")))
    assert got == LogLine(at, "INFO", "x", "y")


def test_a_traceback_belongs_to_the_message_above_it() -> None:
    trace = 'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n\nValueError: bad magic number'
    got = parse(f"{HEAD}Error loading model\n{trace}\n{HEAD}next")
    assert [line.message for line in got] == [f"Error loading model\n{trace}", "next"]


def test_a_message_is_complete_when_the_next_one_begins() -> None:
    parser = BotLogParser(UTC)
    assert parser.feed([f"{HEAD}one".encode()]) == []
    assert [line.message for line in parser.feed([b"below", f"{HEAD}two".encode()])] == ["one\nbelow"]
    assert [line.message for line in parser.flush()] == ["two"]
    assert parser.flush() == []


def test_what_follows_after_a_flush_is_a_record_with_the_same_header() -> None:
    parser = BotLogParser(UTC)
    assert len(parse(f"{HEAD}one", parser)) == 1
    assert parse("Traceback\nValueError", parser) == [
        LogLine(AT, "ERROR", "models.ensemble", "Traceback\nValueError")
    ]
    assert parse("\n\n", parser) == []


def test_lines_before_any_header_give_no_record() -> None:
    parser = BotLogParser(UTC)
    got = parse(f"half of a line\n  more\n{HEAD}one", parser)
    assert [line.message for line in got] == ["one"]
    assert parser.headless == 2


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-01 09:59:58,101 - x - INFO - y",
        "2026-03-01 09:59:58,101 x INFO y",
        "2026-03-01 - x - INFO - y",
        " " + HEAD,
    ],
)
def test_a_line_that_only_looks_like_a_header_is_part_of_the_message(text: str) -> None:
    assert [line.message for line in parse(f"{HEAD}one\n{text}")] == [f"one\n{text}"]


def test_an_empty_message_is_a_record() -> None:
    assert [line.message for line in parse(f"{HEAD}\n{HEAD}x")] == ["", "x"]


def test_a_very_long_traceback_keeps_its_beginning_and_its_end() -> None:
    [got, after] = parse(HEAD + "begin\n" + "frame\n" * 5000 + f"ValueError: the reason\n{HEAD}after")
    assert after.message == "after"
    lines = got.message.split("\n")
    assert lines[0] == "begin"
    assert lines[-1] == "ValueError: the reason"
    assert f"... {5002 - MAX_LINES} lines left out ..." in lines
    assert len(lines) == MAX_LINES + 1


def test_a_message_of_megabytes_is_cut() -> None:
    [got] = parse(HEAD + "x" * 5_000_000 + "\n" + "y" * 5_000_000 + "\nend")
    assert len(got.message) <= MAX_CHARS + 100
    assert got.message.startswith("xxx")
    assert got.message.endswith("\nend")


def test_invalid_utf_8_colours_and_windows_line_ends() -> None:
    parser = BotLogParser(UTC)
    parser.feed([b"\x1b[31m" + HEAD.encode() + b"caf\xe9\x1b[0m\r\n"])
    assert [line.message for line in parser.flush()] == ["caf�"]


def test_a_line_cannot_command_the_terminal_that_shows_it() -> None:
    [got] = parse("2026-03-01 09:59:58,101 - a\x9bb - INFO - \x1b]0;title\x07\x1b[2Jall\r\u202eis well\tso")
    assert got.message == "\ufffd]0;title\ufffd\ufffd[2Jall\ufffd\ufffdis well\tso"
    assert got.logger == "a\ufffdb"


_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]) | st.just("\t"), max_size=30)


@given(st.lists(st.binary(max_size=60) | st.just(HEAD.encode())))
def test_no_bytes_make_it_raise(lines: list[bytes]) -> None:
    parser = BotLogParser(UTC)
    for line in [*parser.feed(lines), *parser.flush(), *parser.feed(lines), *parser.flush()]:
        assert len(line.message) <= MAX_CHARS + 100


@given(
    st.lists(
        st.tuples(st.sampled_from(["INFO", "ERROR"]), st.lists(_TEXT, min_size=1, max_size=5)), max_size=8
    ),
    st.data(),
)
def test_messages_come_out_as_they_were_logged_however_the_lines_arrive(
    messages: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    """Flushed in between or not, the texts in order are the same."""
    messages = [(level, [text[0], *(f".{line}" for line in text[1:])]) for level, text in messages]
    lines = [
        (f"2026-03-01 09:59:58,101 - a.b - {level} - {line}" if n == 0 else line).encode()
        for level, text in messages
        for n, line in enumerate(text)
    ]
    parser = BotLogParser(UTC)
    got: list[LogLine] = []
    flushed = False
    while lines:
        count = data.draw(st.integers(1, len(lines)))
        got += parser.feed(lines[:count])
        lines = lines[count:]
        if data.draw(st.booleans()) and lines:
            got += parser.flush()
            flushed = True
    got += parser.flush()
    assert [text for line in got for text in line.message.split("\n")] == [
        t for _, text in messages for t in text
    ]
    if not flushed:
        assert [(line.level, line.message) for line in got] == [
            (lv, "\n".join(text)) for lv, text in messages
        ]


@pytest.mark.parametrize("level", ["ERROR   ", "   ERROR", "error", "[ERROR]", "Error"])
def test_levels_are_understood_as_people_format_them(level: str) -> None:
    parser = BotLogParser(UTC)
    parser.feed([f"2026-03-01 09:59:58,101 - models - {level} - no model".encode()])
    assert [(line.level, line.message) for line in parser.flush()] == [("ERROR", "no model")]
