"""Target: flag files, of every kind of file and with every content."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless
from watchdog.orders import ControlFolder, in_words

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("HALT", "ROLLBACK", "RESUME", "PAUSE")
VERSIONS = ("v1.9.0", "v2.0.0", "v2.1.0")
MOST_TEXT = 2000
"""Of a reason, a name, a version: what a person types, and not a file of megabytes."""


@cache
def _journal() -> sqlite3.Connection:
    return sqlite3.connect(":memory:")


def _kinds(flag: Path, content: bytes) -> tuple[Callable[[], object], ...]:
    return (
        lambda: flag.write_bytes(content),
        lambda: flag.write_bytes(content),
        lambda: flag.write_bytes(content),
        lambda: flag.write_bytes(content * 2000),
        flag.mkdir,
        lambda: os.mkfifo(flag),
        lambda: flag.symlink_to(flag.name),
        lambda: flag.symlink_to("/dev/zero"),
        lambda: flag.symlink_to(flag.with_name("elsewhere")),
    )


def flags(data: bytes) -> None:
    """The first byte: which flag; the second: which kind of file. A flag is an order, whatever it is and holds; it is
    consumed once, its words are bounded and can be stored, sent and shown, and nothing outside is touched."""
    name, kind = NAMES[(data[:1] or b"\0")[0] % len(NAMES)], (data[1:2] or b"\0")[0]
    control = ControlFolder(fresh("control"))
    try:
        control.prepare()
        outside = control.path / "elsewhere"
        outside.write_bytes(data[2:])
        makers = _kinds(control.path / name, data[2:])
        makers[kind % len(makers)]()
        _obey(control, name)
        assert outside.read_bytes() == data[2:]
    finally:
        shutil.rmtree(control.path)


def _obey(control: ControlFolder, name: str) -> None:
    assert control.pending() == []
    found = control.pending()
    paused = control.paused()
    if name == "PAUSE":
        assert found == []
        assert paused is not None
        found = [paused]
    else:
        assert paused is None
    (order,) = found
    assert order.what == name.lower()
    for text in (order.who, order.why, order.wanted or ""):
        assert len(text) <= MOST_TEXT
        assert is_harmless(text)
        _journal().execute("SELECT ?", (text,))
    named = in_words(order.why, VERSIONS, "v2.1.0")
    assert named is None or len(named) <= MOST_TEXT
    if name == "PAUSE":
        control.unpause(NOW)
    else:
        control.consume(order, NOW)
    assert control.pending() == []
    assert control.paused() is None
    assert not os.path.lexists(control.path / name)


SEEDS = tuple(
    bytes(head) + text
    for head, text in (
        ((1, 0), b"v1.9.0 too many trades"),
        ((1, 0), b'{"to": "v1.9.0", "reason": "too many trades", "by": "alice"}'),
        ((0, 0), b"roll back to V1.9.0: it was sound"),
        ((2, 0), b""),
        ((3, 3), b'"a text"'),
        ((0, 4), b""),
        ((1, 5), b""),
        ((2, 6), b""),
        ((3, 7), b""),
        ((1, 8), b"x"),
    )
)
WORDS = (
    b'{"to": ', b'"version": ', b'"target": ', b'"reason": ', b'"by": ', b'"v1.9.0"', b"v2.0.0",
    b"please roll back to ", b"null", b"[", b"{", b"}", b"]", b'"', b",", b"NaN", b"1e999", b"9" * 5000,
    b"-0.0", b"true", b'"\\ud800"', b'"\\u0000"', b'"\\u001b[2J"', b"\\n", b"\n", b"\r", b"\0", b"\xff",
    b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\x1b]0;x\x07", b"\xc2\x85", b" " * 400, b"x" * 3000, b"'", b"<b>",
    b"`",
)  # fmt: skip
FLAGS = (Target("flags", flags, SEEDS, WORDS),)
