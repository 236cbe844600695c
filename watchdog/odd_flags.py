"""Files in the control folder that are no orders, by a slip: `RESMUE`, `rollback`, `HALT.txt`.

Whoever laid one believes that the order was given, so it is told: once, with the name that was probably meant. What
editors and programs leave for a moment, or hide, is nobody's order.
"""

import difflib
import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from watchdog.plain import one_line
from watchdog.rights import user_name

KNOWN = ("HALT", "PAUSE", "RESUME", "ROLLBACK")
MOST_LOOKED = 1000
"""Entries of the folder in one look, which comes four times a second."""
MOST_TOLD = 5
"""Names in one look."""
LONGEST = 80
LIKE = 0.6
"""Ratio of two words that resemble each other (`difflib`)."""

_NOBODYS = re.compile(r"handled|\..*|.*~|#.*|[0-9]+|.*\.(sw[a-z]|tmp|temp|part|new|bak|lock)", re.I | re.S)
_TOLD = (0, 0)


@dataclass(frozen=True)
class OddFlag:
    """`near`: the order that was probably meant, None when it is like none. `ident` tells it from one that is laid
    later under the same name."""

    name: str
    near: str | None
    owner: str
    ident: str


class OddFlags:
    """Looks into one folder, again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: dict[tuple[str, int], tuple[int, int]] = {}

    def look(self) -> list[OddFlag]:
        """Those that two looks found unchanged, each once for as long as it lies there. OSError when the folder cannot
        be read."""
        seen: dict[tuple[str, int], tuple[int, int]] = {}
        found: list[OddFlag] = []
        with os.scandir(self._folder) as entries:
            for entry in islice(entries, MOST_LOOKED):
                if entry.name in KNOWN or _NOBODYS.fullmatch(entry.name):
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        continue
                    stat = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                key, now = (entry.name, stat.st_ino), (stat.st_mtime_ns, stat.st_size)
                before = self._seen.get(key)
                seen[key] = now if before != _TOLD else _TOLD
                if before == now and len(found) < MOST_TOLD:
                    seen[key] = _TOLD
                    ident = f"{stat.st_dev}:{stat.st_ino}:{stat.st_mtime_ns}"
                    name = one_line(entry.name, LONGEST)
                    found.append(OddFlag(name, nearest(entry.name), user_name(stat.st_uid), ident))
        self._seen = seen
        return found


def nearest(name: str) -> str | None:
    """The order whose name is most like it, or like a word of it; None when none is."""
    whole = name.upper()[:LONGEST]
    likeness = [
        (difflib.SequenceMatcher(None, word, order).ratio(), order)
        for word in (whole, *re.findall("[A-Z]+", whole))
        for order in KNOWN
    ]
    most, order = max(likeness)
    return order if most >= LIKE else None


def words(odd: OddFlag, folder: Path) -> str:
    """What people are told of it."""
    meant = (
        f"Did you mean {odd.near}? Nothing was done. To give that order: `touch {folder}/{odd.near}`"
        if odd.near is not None
        else f"Nothing was done. Orders are {', '.join(KNOWN[:-1])} and {KNOWN[-1]}; remove what is none"
    )
    return f"{odd.name} in the control folder is no order (laid by {odd.owner})\n{meant}"
