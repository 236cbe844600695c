"""Mutation that knows the grammar: spans of valid inputs are cut, doubled, swapped, and replaced by words of it; in
JSON whole values change their type, go, come twice or are nested.

The same edits serve hypothesis, which draws and shrinks them, and atheris, where a generator of random numbers does.
"""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

KINDS = (
    "insert",
    "replace",
    "delete",
    "double",
    "swap",
    "flip",
    "cut",
    "nest",
    "value",
    "value",
    "gone",
    "deep",
)
MOST_BYTES = 1 << 16
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63,
    -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 5e-324, float("nan"), float("inf"), "", "x", " ", "\0", "\n",
    "a\nb", "\x1b[2J", "\u202e", "\ud800", "v1", "2026-03-01T10:00:00", "9999-12-31T23:59:59-12:00",
    "x" * 5000, "v1\nv2", [], [[]], [None], {}, {"": {}}, {"x": None}, [1, "a"],
)  # fmt: skip
"""What may stand in the place of any other value."""


class Edit(NamedTuple):
    """`begin` and `end` are shares of the input's length, `word` what is put in, `value` a place in VALUES."""

    kind: str
    begin: float
    end: float
    word: bytes
    value: int


def edited(data: bytes, edits: Iterable[Edit]) -> bytes:
    """`data` after these edits, never longer than MOST_BYTES."""
    for edit in edits:
        data = (
            _restructured(data, edit) if edit.kind in ("value", "gone", "deep") else _spliced(data, edit)
        )[:MOST_BYTES]
    return data


def _spliced(data: bytes, edit: Edit) -> bytes:
    begin, end = sorted((int(edit.begin * len(data)), int(edit.end * len(data))))
    before, span, after, word = data[:begin], data[begin:end], data[end:], edit.word
    made = {
        "insert": before + word + span + after,
        "replace": before + word + after,
        "delete": before + after,
        "double": before + span + span + after,
        "swap": after + span + before,
        "nest": before + word * 50 + span + after,
        "cut": before,
    }
    if edit.kind == "flip":
        return before + bytes(byte ^ (1 << (index % 8)) for index, byte in enumerate(span)) + after
    return made[edit.kind]


def _restructured(data: bytes, edit: Edit) -> bytes:
    """One value of the JSON in `data`, which may stand behind a head of other bytes, is another one afterwards."""
    start = next((at for at, byte in enumerate(data[:8]) if byte in b"{["), None)
    try:
        found = json.loads(data[start:]) if start is not None else None
    except (ValueError, RecursionError):
        found = None
    places = list(_places(found, 8))
    if not places:
        return _spliced(data, edit._replace(kind="replace"))
    inside, key = places[int(edit.begin * (len(places) - 1))]
    if edit.kind == "gone":
        del inside[key]
    elif edit.kind == "deep":
        inside[key] = [[{"x": inside[key]}]]
    elif isinstance(inside, dict) and edit.end > 0.9:
        inside[str(VALUES[edit.value % len(VALUES)])[:100]] = inside.pop(key)
    else:
        inside[key] = VALUES[edit.value % len(VALUES)]
    return data[:start] + json.dumps(found).encode()


def _places(found: Any, depth: int) -> Iterable[tuple[Any, Any]]:
    """Every value that stands inside another: that one, and its key or index."""
    if depth == 0:
        return
    keys = list(found) if isinstance(found, dict) else range(len(found)) if isinstance(found, list) else ()
    for key in keys:
        yield found, key
        yield from _places(found[key], depth - 1)


def every_other(seed: bytes) -> Iterator[bytes]:
    """The JSON of `seed` with each value, and each key, once exchanged for each of VALUES."""
    whole = json.loads(seed)
    for number in range(len(list(_places(whole, 12)))):
        for value in VALUES:
            found = json.loads(seed)
            inside, key = list(_places(found, 12))[number]
            inside[key] = value
            yield json.dumps(found).encode()
            if isinstance(inside, dict) and isinstance(value, str):
                found = json.loads(seed)
                inside, key = list(_places(found, 12))[number]
                inside[value] = inside.pop(key)
                yield json.dumps(found).encode()


def at_random(data: bytes, words: Sequence[bytes], seed: int, most: int) -> bytes:
    """`data` after a few edits that follow from `seed`, at most `most` bytes long."""
    dice = random.Random(seed)
    edits = [
        Edit(
            dice.choice(KINDS),
            dice.random(),
            dice.random(),
            dice.choice(words or (b"\0",)),
            dice.randrange(1000),
        )
        for _ in range(dice.randrange(1, 4))
    ]
    return edited(data, edits)[:most]
