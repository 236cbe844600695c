"""Whatever stands in the file: settings, or problems with a place in the file, and never another exception."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from config import ConfigError, Settings, load
from tests.config.files import SMALLEST

DEFAULT = (Path(__file__).parents[2] / "config" / "watchdog.yaml").read_text()
# Comments make the real file slow to parse and dilute the mutations: only its keys and values are needed here.
LINES = [
    line for line in re.sub(r"(?m)[ \t]+#.*$", "", DEFAULT).splitlines() if line and not line.startswith("#")
]
LINES += [
    "telegram:",
    "  token: ${TOKEN}",
    "  chat_id: -100",
    "exchange:",
    "  kind: binance_spot",
    "  symbols: [A]",
]
PIECES = [
    "{",
    "}",
    "[",
    "]",
    ":",
    "-",
    "'",
    '"',
    "#",
    "&a",
    "*a",
    "!x",
    "${",
    "}",
    "---",
    "...",
    "%",
    "|",
    ">",
    "?",
    "~",
    "on",
    "010",
    "12:30:45",
    "1e3",
    ".nan",
    "\\",
    "a",
    "0",
]
PIECES += [
    ": ",
    "- ",
    "? ",
    "\n",
    "  ",
    "\t",
    "<<: ",
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!null ",
    "%YAML 1.1\n",
    "9" * 20,
]
PIECES += ["\x85", "\0", "\x07", "é", "\ufeff", "😀", "\\UFFFFFFFF", "\\ud800"]
WORDS = [word for line in LINES for word in line.split()]
ENVIRON = {"TOKEN": "1:abc", "EMPTY": ""}


def outcome(data: bytes) -> Settings | None:
    """The settings; None after problems that all have a place in the file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "watchdog.yaml"
        file.write_bytes(data)
        try:
            return load(file, ENVIRON)
        except ConfigError as error:
            problems = error.problems
    lines = len(re.split("\r\n|[\r\n\x85\u2028\u2029]", data.decode(errors="replace")))
    assert problems
    for problem in problems:
        assert problem.message
        assert "\n" not in str(problem)
        assert 1 <= problem.line <= lines
        assert problem.column >= 1
    return None


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_garbage_raises_nothing_but_a_config_error(data: bytes) -> None:
    assert outcome(data) is None


@given(st.lists(st.sampled_from([*PIECES, *WORDS]) | st.text(max_size=3), max_size=40))
@settings(max_examples=250, deadline=None)
def test_a_soup_of_yaml_raises_nothing_but_a_config_error(pieces: list[str]) -> None:
    assert outcome("".join(pieces).encode(errors="surrogatepass")) is None


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), VALUES))
@settings(deadline=None)
def test_values_of_any_shape_raise_nothing_but_a_config_error(data: dict[str, object]) -> None:
    plain = yaml.safe_load(SMALLEST)
    outcome(yaml.safe_dump(plain | data, allow_unicode=True).encode(errors="surrogatepass"))


def mutate(draw: st.DataObject, lines: list[str]) -> list[str]:
    """One change as a person might make it: a line lost, doubled, moved, shifted, or a piece typed into it."""
    at = draw.draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    match draw.draw(st.sampled_from(["drop", "double", "move", "indent", "dedent", "type", "cut", "value"])):
        case "drop":
            new = []
        case "double":
            new = [line, line]
        case "move":
            return [line, *lines[:at], *lines[at + 1 :]]
        case "indent":
            new = ["  " + line]
        case "dedent":
            new = [line.removeprefix("  ")]
        case "type":
            place = draw.draw(st.integers(0, len(line)))
            new = [line[:place] + draw.draw(st.sampled_from(PIECES)) + line[place:]]
        case "cut":
            new = [line[: draw.draw(st.integers(0, len(line)))]]
        case _:
            new = [line.partition(":")[0] + ": " + draw.draw(st.sampled_from([*WORDS, *PIECES]))]
    return [*lines[:at], *new, *lines[at + 1 :]]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_mutated_default_loads_or_is_told_with_places_in_the_file(data: st.DataObject) -> None:
    lines = LINES
    for _ in range(data.draw(st.integers(1, 4))):
        lines = mutate(data, lines) or ["bot:"]
    outcome("\n".join(lines).encode())


def test_the_unmutated_lines_lack_but_the_keys_of_the_exchange() -> None:
    """Otherwise the mutations above would never come to the point where a change matters."""
    found = outcome("\n".join(LINES[:-3]).encode())
    assert found
    assert found.telegram
    assert found.secrets() == ("1:abc",)
