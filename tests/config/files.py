"""A small good file, and what the tests ask of a bad one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from config import ConfigError, Problem, Settings, load

SMALLEST = """\
bot:
  name: sol-perp
  control: process
  process: {command: [python, main.py]}
  log: logs/bot.log
registry: {path: models_saved}
trade_log: {path: logs/trades.jsonl, initial_equity: 2000}
"""


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "watchdog.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return file


def loaded(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> Settings:
    return load(written(folder, text), environ or {})


def problems(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """What is wrong with `text`; empty if it loads."""
    try:
        loaded(folder, text, environ)
    except ConfigError as error:
        return error.problems
    return []


def told(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """The same as `line:column key message`, which reads well in an assertion."""
    return [f"{p.line}:{p.column} {p.key} {p.message}" for p in problems(folder, text, environ)]


def only(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    return lines[0]
