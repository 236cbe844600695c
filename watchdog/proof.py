"""The proof that a bot loaded the right model, from the lines of its log since its start. Pure.

Proven is: a line names the version (its name, a file of its, or a fixed file name that is linked to a file of its), or
the bot's health endpoint does; no line tells of a load error, and every load that began has ended well. Bots that log
no "loaded successfully" are believed when nothing more was logged about loading for `quiet_s`; whether this one does is
known from its last load.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Literal

from triggers import LoadErrorRule, LogLine, tells_loaded, tells_loading

Parts = tuple[str, ...]
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
        if any(name in text and pattern.search(text) for name, pattern in self._files):
            return True
        if not about_loading:
            return self.version in text and self._strictly.search(text) is not None
        lower = text.lower()
        return all(part in lower for part in self._parts) and self._loosely.search(text) is not None

    # Made once, and looked for only where their words are: there may be thousands of versions.

    @cached_property
    def _files(self) -> list[tuple[str, re.Pattern[str]]]:
        return [(name, re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)")) for name in self.files]

    @cached_property
    def _strictly(self) -> re.Pattern[str]:
        return _alone(re.escape(self.version))

    @cached_property
    def _parts(self) -> list[str]:
        version = self.version[1:] if self.version[:1] in ("v", "V") else self.version
        return [part.lower() for part in _SEPARATOR.split(version)]

    @cached_property
    def _loosely(self) -> re.Pattern[str]:
        """With or without `v`, with any separators."""
        return _alone("v?" + _SEPARATOR.pattern.join(map(re.escape, self._parts)), re.IGNORECASE)


_SEPARATOR = re.compile("[._-]")
MOST_PARTS = 8
"""Of a path: what names a version stands at its end."""


def _alone(name: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(rf"(?<![0-9A-Za-z.]){name}(?![0-9A-Za-z]|[.-][0-9]|-[A-Za-z])", flags)


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
    foreign = {end for other in others for path in other.values() for end in _ends(path)}
    return _names(version, artifacts, links, foreign.__contains__)


def names_of_all(
    files: Mapping[str, Mapping[str, Path]], links: Mapping[str, str], linked: str | None = None
) -> dict[str, Names]:
    """`names_of` each version among the others. `files`: version -> its artifacts; the links point to `linked`."""
    owners = Counter(
        end for own in files.values() for end in {end for path in own.values() for end in _ends(path)}
    )
    return {
        version: _names(version, own, links if version == linked else {}, lambda end: owners[end] > 1)
        for version, own in files.items()
    }


def _names(
    version: str, artifacts: Mapping[str, Path], links: Mapping[str, str], foreign: Callable[[Parts], bool]
) -> Names:
    own = {name for path in artifacts.values() if (name := _telling(path, foreign)) is not None}
    linked = {link for link, artifact in links.items() if artifact in artifacts}
    return Names(version, frozenset(own | linked))


def _telling(path: Path, foreign: Callable[[Parts], bool]) -> str | None:
    """The shortest end of the path that is no end of a foreign one."""
    return next(("/".join(end) for end in _ends(path) if not foreign(end)), None)


def _ends(path: Path) -> list[Parts]:
    """The ends of a path, the shortest first."""
    parts = path.parts[-MOST_PARTS:] if len(path.parts) > MOST_PARTS else path.parts[1:]
    return [parts[-length:] for length in range(1, len(parts) + 1)]


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
