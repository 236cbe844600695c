"""The proof that a bot loaded the right model, from the lines of its log since its start. Pure.

Proven is: a line names the version (its name, a file of its, or a fixed file name that is linked to a file of its), or
the bot's health endpoint does; no line tells of a load error, and every load that began has ended well. Bots that log
no "loaded successfully" are believed when nothing more was logged about loading for `quiet_s`; whether this one does is
known from its last load.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from triggers import LoadErrorRule, LogLine, tells_loaded, tells_loading

SETTLED_S = 1.0
"""Loads follow one another (ensemble, then agent): after the last good one, this long no other began."""


@dataclass(frozen=True)
class Names:
    """How a log may name a version: by itself, or by one of its files (as much of the path as tells it from others)."""

    version: str
    files: frozenset[str]

    def named_in(self, text: str, *, about_loading: bool = False) -> bool:
        """Whether the text names the version, not one whose name merely begins alike (v2.0.0 in v2.0.0-rc1).

        In a line about loading the name may be written in other ways: 2.0.0, V2.0.0, v2_0_0.
        """
        if any(_file_in(name, text) for name in self.files):
            return True
        name = _loosely(self.version) if about_loading else re.escape(self.version)
        flags = re.IGNORECASE if about_loading else 0
        return (
            re.search(rf"(?<![0-9A-Za-z.]){name}(?![0-9A-Za-z]|[.-][0-9]|-[A-Za-z])", text, flags) is not None
        )


def _loosely(version: str) -> str:
    """A pattern for the version with or without `v`, with any separators."""
    parts = re.split(r"[._-]", version[1:] if version[:1] in ("v", "V") else version)
    return "v?" + "[._-]".join(map(re.escape, parts))


def _file_in(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", text) is not None


def names_of(
    version: str,
    artifacts: Mapping[str, Path],
    links: Mapping[str, str],
    others: Iterable[Mapping[str, Path]] = (),
) -> Names:
    """`artifacts`: artifact name -> file; `links`: fixed file name -> artifact name, which point to this version.

    `others`: the artifacts of the other versions. A file whose name they share is named by its folder, too; one that
    cannot be told from theirs at all names nothing.
    """
    foreign = [path for other in others for path in other.values()]
    own = {name for path in artifacts.values() if (name := _telling(path, foreign)) is not None}
    linked = {link for link, artifact in links.items() if artifact in artifacts}
    return Names(version, frozenset(own | linked))


def _telling(path: Path, foreign: Sequence[Path]) -> str | None:
    """The shortest end of the path that is no end of a foreign one."""
    ends = (path.parts[-length:] for length in range(1, len(path.parts)))
    telling = (end for end in ends if all(other.parts[-len(end) :] != end for other in foreign))
    return "/".join(end) if (end := next(telling, None)) else None


class LoadProof:
    """Feeds on log lines; `state` answers at any time."""

    def __init__(
        self,
        target: Names,
        others: Iterable[Names],
        errors: LoadErrorRule,
        quiet_s: float,
        *,
        says_when_loaded: bool = False,
    ) -> None:
        """`says_when_loaded`: the bot ended its last good load with a line that said so; then this one has to, too."""
        self._says_when_loaded = says_when_loaded
        self._loading = False
        self._target = target
        self._others = list(others)
        self._errors = errors
        self._quiet_s = quiet_s
        self._named: str | None = None
        self._mentioned: str | None = None
        self._wrong: str | None = None
        self._vouched = False
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
        if about_loading:
            self._loading = not ended
        if self._target.named_in(line.message, about_loading=about_loading):
            if about_loading:
                self._named = self._named or line.message
            else:
                self._mentioned = self._mentioned or line.message
            self._last_load = now
        elif about_loading:
            self._last_load = now
            named = (names for names in self._others if names.named_in(line.message, about_loading=True))
            other = next(named, None)
            if other is not None:
                self._wrong = self._wrong or f"{other.version} ({_cut(line.message)})"

    def hear(self, version: str | None, now: datetime) -> None:
        """The bot's health endpoint names this version (None: it names none), as of `now`."""
        if version == self._target.version:
            if not self._vouched:
                self._vouched, self._last_load = True, now
        elif version in {names.version for names in self._others} and self._wrong is None:
            self._wrong, self._last_load = f"{version} (its health endpoint names it)", now

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
        if self._says_when_loaded and self._loading:
            settled = False  # it may take minutes, or hang: silence proves nothing
        if self._wrong is not None:
            if settled:
                return "wrong", f"the bot loaded {self._wrong}"
            return "waiting", f"the bot began to load {self._wrong}"
        # What a bot says of a version elsewhere proves something only if it says nothing of loading.
        said = self._named or (self._mentioned if self._begun + self._ended == 0 else None)
        if said is not None:
            if settled:
                return "proven", f"its log says: {_cut(said)}"
            return "waiting", f"the bot began to load {self._target.version}"
        if self._vouched and settled:
            return "proven", f"its health endpoint names {self._target.version}"
        return "waiting", f"the bot's log does not name {self._target.version} yet"


def _cut(text: str, limit: int = 160) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= limit else line[: limit - 1] + "…"
