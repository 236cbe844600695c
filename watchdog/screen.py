"""What the commands print for people: wrapped at blanks on a terminal, not at all in a pipe, never inside a path."""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from watchdog.plain import plain

GAP = "  "
LEAST_ROOM = 24
"""Columns for running text; where a table leaves less, the text goes below it."""

Cell = tuple[str, str]
"""Text, and its style."""


def say(out: Console, text: str, style: str = "", code: int = 0) -> int:
    """One line; returns `code`, so that a command can end with what it says."""
    out.print(Text(plain(text), style=style), highlight=False, soft_wrap=True)
    return code


def table(
    out: Console, rows: Sequence[tuple[Sequence[Cell], str]], header: tuple[Sequence[str], str] | None = None
) -> None:
    """Rows of short cells, each followed by running text that hangs below itself."""
    rows = [([(plain(cell), style) for cell, style in cells], plain(text)) for cells, text in rows]
    heads = [[text for text, _ in cells] for cells, _ in rows] + ([list(header[0])] if header else [])
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    if header:
        titles = [(title, "dim") for title in header[0]]
        row(out, titles, widths, header[1], "dim")
    for cells, text in rows:
        row(out, cells, widths, text)


def row(out: Console, cells: Sequence[Cell], widths: Sequence[int], text: str, style: str = "") -> None:
    """One row of `table`."""
    line = Text()
    for (cell, cell_style), width in zip(cells, widths, strict=True):
        line.append(cell.ljust(width), cell_style)
        line.append(GAP)
    lines = wrapped(out, text, len(line))
    if lines and len(lines[0][0]) == len(line):
        line.append(lines.pop(0)[1], style)
    line.rstrip()
    out.print(line, highlight=False, soft_wrap=True)
    for indent, rest in lines:
        out.print(Text(indent).append(rest, style), highlight=False, soft_wrap=True)


def wrapped(out: Console, text: str, indent: int) -> list[tuple[str, str]]:
    """(indent, line) of a text that begins at column `indent`, or below it when its longest word needs the room."""
    if not text:
        return []
    if not out.is_terminal:
        return [(" " * indent, line) for line in text.splitlines()]
    longest = max(map(len, text.split()), default=0)
    fitting = [at for at in (indent, 8, 0) if at <= indent and out.width - at >= max(longest, LEAST_ROOM)]
    at = fitting[0] if fitting else 0
    room = max(out.width - at, LEAST_ROOM)
    return [
        (" " * at, line)
        for paragraph in text.splitlines()
        for line in textwrap.wrap(paragraph, room, break_long_words=False, break_on_hyphens=False)
    ]
