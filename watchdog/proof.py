"""The proof that a bot loaded the right model, from the lines of its log since its start. Pure.

Proven is: a line names the version (its name, a file of its, or a fixed file name that is linked to a file of its),
no line tells of a load error, and every load that began has ended well. Bots that log no "loaded successfully" are
believed when nothing more was logged about loading for `quiet_s`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from triggers import LoadErrorRule, LogLine, tells_loaded, tells_loading

SETTLED_S = 1.0
"""Loads follow one another (ensemble, then agent): after the last good one, this long no other began."""


@dataclass(frozen=True)
class Names:
    """How a log may name a version: by itself, or by one of its files."""

    version: str
    files: frozenset[str]

    def named_in(self, text: str) -> bool:
        """Whether the text names the version, not one whose name merely begins alike (v2.0.0 in v2.0.0-rc1)."""
        pattern = rf"(?<![0-9A-Za-z.]){re.escape(self.version)}(?![0-9A-Za-z]|[.-][0-9]|-[A-Za-z])"
        return re.search(pattern, text) is not None or any(self._file_in(name, text) for name in self.files)

    @staticmethod
    def _file_in(name: str, text: str) -> bool:
        return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", text) is not None


def names_of(version: str, artifacts: Mapping[str, Path], links: Mapping[str, str]) -> Names:
    """`artifacts`: artifact name -> file; `links`: fixed file name -> artifact name, which point to this version."""
    linked = {link for link, artifact in links.items() if artifact in artifacts}
    return Names(version, frozenset({path.name for path in artifacts.values()} | linked))


class LoadProof:
    """Feeds on log lines; `state` answers at any time."""

    def __init__(self, target: Names, others: Iterable[Names], errors: LoadErrorRule, quiet_s: float) -> None:
        self._target = target
        # A file name that several versions share proves none of them wrong.
        self._others = [Names(names.version, names.files - target.files) for names in others]
        self._errors = errors
        self._quiet_s = quiet_s
        self._named: str | None = None
        self._wrong: str | None = None
        self._begun = self._ended = 0
        self._last_load: datetime | None = None
        self.error: str | None = None

    def observe(self, line: LogLine, now: datetime) -> None:
        """One line of the bot's log, read at `now` (the log's own clock does not matter)."""
        self._errors.observe(line)
        began, ended = tells_loading(line.message), tells_loaded(line.message)
        self._begun += began
        self._ended += ended
        about_loading = began or ended
        if self._target.named_in(line.message):
            self._named = self._named or line.message
            about_loading = True
        elif about_loading and (other := next((n for n in self._others if n.named_in(line.message)), None)):
            self._wrong = self._wrong or f"{other.version} ({_cut(line.message)})"
        if about_loading:
            self._last_load = now

    def state(self, now: datetime) -> tuple[Literal["proven", "wrong", "waiting"], str]:
        """The answer and its reason, a sentence for people."""
        verdict = self._errors.evaluate(now)
        if verdict.state == "firing":
            return "wrong", verdict.reason
        if self._last_load is None:
            return "waiting", "the bot's log says nothing of a model yet"
        quiet = (now - self._last_load).total_seconds()
        all_ended = self._ended > 0 and self._ended >= self._begun
        settled = quiet >= (SETTLED_S if all_ended else self._quiet_s)
        if self._named is not None:
            if settled:
                return "proven", f"its log says: {_cut(self._named)}"
            return "waiting", f"the bot began to load {self._target.version}"
        if self._wrong is not None and settled and quiet >= self._quiet_s:
            return "wrong", f"the bot loaded {self._wrong}"
        return "waiting", f"the bot's log does not name {self._target.version} yet"


def _cut(text: str, limit: int = 160) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= limit else line[: limit - 1] + "…"
