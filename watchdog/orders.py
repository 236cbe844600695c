"""Orders from people: flag files in the control folder.

`ROLLBACK`, `HALT` and `RESUME` are orders, consumed once and moved to `handled/`; `PAUSE` holds while it exists. A
file may be empty, or hold a reason as text, or JSON: {"to": "v1.9.0", "reason": "...", "by": "..."}.
Whoever can write to this folder commands the bot, so a folder that others can write to is refused.
"""

import contextlib
import errno
import json
import os
import re
import stat
from collections.abc import Collection
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal, cast

from watchdog.incident import Order
from watchdog.plain import one_line
from watchdog.rights import others_who_write, user_name

COMMAND = "command"
"""What a flag says under `via` when one of our commands laid it down."""
TARGET_KEYS = ("to", "version", "target", "target_version")

ORDERS: tuple[Literal["halt", "rollback", "resume"], ...] = ("halt", "rollback", "resume")
MOST_BYTES = 16 * 1024
MOST_REASON, MOST_NAME = 1000, 200
"""Characters of what an order says."""

MOST_HANDLED = 1000
HANDLED = re.compile(r"\d{8}T\d{12}-(HALT|ROLLBACK|RESUME|PAUSE)")
PART = re.compile(r"\.\w+\.\d+")
"""The name of a flag while it is written."""

VERSION = re.compile(r"v\d[\w.+-]*|\d+\.\d+\.\d[\w.+-]*")
"""A text flag may begin with the version to go back to: v1.9.0, v2, 1.9.0 (but "10 losses" is a reason)."""


BEFORE_A_VERSION = frozenset(
    (
        "please",
        "go",
        "roll",
        "rollback",
        "back",
        "switch",
        "return",
        "revert",
        "from",
        "to",
        "model",
        "version",
    )
)


class OrderError(Exception):
    """The control folder cannot be used; the message says why and what mends it."""


class ControlFolder:
    """The folder of flag files. It is made, for its owner alone, if it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._looked: dict[str, tuple[int, ...]] = {}

    def prepare(self) -> None:
        """Makes the folder and refuses one that others can write to (OrderError)."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handled()
        except OSError as error:
            raise OrderError(
                f"{error.filename}: {error.strerror}: the control folder cannot be made"
            ) from error
        self.inspect()

    def inspect(self) -> None:
        """Raises OrderError when somebody else could put orders into the folder."""
        try:
            mode, others = self.path.stat().st_mode, others_who_write(self.path)
        except OSError as error:
            raise OrderError(f"{self.path}: {error.strerror}: orders cannot be read") from error
        if not stat.S_ISDIR(mode):
            raise OrderError(f"{self.path}: is not a folder")
        if others is not None:
            let_in = (
                " (or chgrp it to the watchdog's own group, for people who may)"
                if "g-w" in others.mend
                else ""
            )
            raise OrderError(f"{self.path}: {others.who}, and so command the bot: {others.mend}{let_in}")

    def paused(self) -> Order | None:
        """The pause in force, if there is one."""
        flag = self.path / "PAUSE"
        return self._read(flag, "pause") if os.path.lexists(flag) else None

    def pending(self) -> list[Order]:
        """The orders that lie in the folder, whole: a file counts once two looks found it unchanged, since whoever
        writes it with `echo` makes it first and fills it then.

        The one that was laid last comes last, so that it holds: while nobody looked, a person may have ordered a resume
        and then, after all, a halt. Of two that were laid at once the halt is the last.
        """
        found: list[tuple[int, bool, Order]] = []
        for what in ORDERS:
            flag = self.path / what.upper()
            try:
                now = flag.lstat()
            except FileNotFoundError:
                self._looked.pop(what, None)
                continue
            seen = (now.st_ino, now.st_mtime_ns, now.st_size)
            if self._looked.get(what) == seen:
                found.append((now.st_ctime_ns, what == "halt", self._read(flag, what)))
            self._looked[what] = seen
        return [order for *_, order in sorted(found, key=itemgetter(0, 1))]

    def consume(self, order: Order, now: datetime) -> None:
        """Moves the flag to `handled/`, so that it is never obeyed again."""
        flag = self.path / order.what.upper()
        target = self._handled() / f"{now:%Y%m%dT%H%M%S%f}-{flag.name}"
        with contextlib.suppress(FileNotFoundError):
            if _ident(flag.lstat()) == order.ident:
                flag.rename(target)

    def unpause(self, now: datetime) -> None:
        """Ends a pause."""
        handled = self._handled()
        with contextlib.suppress(FileNotFoundError):
            (self.path / "PAUSE").rename(handled / f"{now:%Y%m%dT%H%M%S%f}-PAUSE")

    def _handled(self) -> Path:
        """Where flags go; OSError where that is a link, which would carry them into another folder."""
        folder = self.path / "handled"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "is a link and no folder: remove it", str(folder))
        return folder

    def idents(self) -> set[str]:
        """What tells the flags that lie in the folder now from others."""
        found = set()
        for what in (*ORDERS, "pause"):
            with contextlib.suppress(OSError):
                found.add(_ident((self.path / what.upper()).lstat()))
        return found

    def forget_handled(self, before: datetime) -> None:
        """Deletes handled flags of before then, and all but the newest `MOST_HANDLED`; the journal has them, too.

        Also what a command that was killed while it laid a flag down left behind.
        """
        handled = sorted(p for p in self._handled().iterdir() if HANDLED.fullmatch(p.name))
        old = f"{before:%Y%m%dT%H%M%S%f}"
        for place, path in enumerate(reversed(handled)):
            if place >= MOST_HANDLED or path.name < old:
                _delete(path)
        for path in self.path.glob(".*"):
            if PART.fullmatch(path.name) and path.lstat().st_mtime < before.timestamp():
                _delete(path)

    def put(self, what: str, *, by: str, reason: str, to: str | None = None, command: bool = False) -> Path:
        """Lays an order into the folder, whole at once. `command`: it was given with one of our commands."""
        self.prepare()
        flag = self.path / what.upper()
        text = json.dumps({"by": by, "reason": reason, "to": to, "via": COMMAND if command else None})
        part = self.path / f".{what}.{os.getpid()}"
        try:
            part.unlink(missing_ok=True)  # a link that waits there would lead the writing elsewhere
            with part.open("x", encoding="utf-8") as file:
                file.write(text + "\n")
            part.replace(flag)
        except OSError as error:
            raise OrderError(f"{flag}: {error.strerror}: the order could not be written") from error
        return flag

    def _read(self, flag: Path, what: str) -> Order:
        """What the flag says; a flag that cannot be read is an order all the same."""
        text = ""
        owner, ident = "somebody", None
        try:
            fd = os.open(flag, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                found = os.fstat(fd)
                owner, ident = user_name(found.st_uid), _ident(found)
                if stat.S_ISREG(found.st_mode):
                    text = os.read(fd, MOST_BYTES).decode("utf-8", "replace").strip()
            finally:
                os.close(fd)  # by hand: a file object made of a folder's descriptor would leave it open
        except OSError as error:
            text = f"(the flag could not be read: {error.strerror})"
            with contextlib.suppress(OSError):
                ident = _ident(flag.lstat())
        by, reason, wanted, command = _parse(text)
        by, reason, wanted = _plain(by, reason, wanted)
        return Order(cast(Any, what), _who(by, owner, command), reason, wanted, ident)


def _delete(path: Path) -> None:
    with contextlib.suppress(OSError):  # a folder that holds something is no flag of ours
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _ident(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}"


def _who(by: str | None, owner: str, command: bool) -> str:
    """Who gives an order: what the flag says, never without the user that it really belongs to."""
    if command and by:
        return f"{by} (by command)" if by == owner else f"{by} (by command, run as {owner})"
    return f"{by} (flag file of {owner})" if by and by != owner else f"{owner} (flag file)"


def _parse(text: str) -> tuple[str | None, str, str | None, bool]:
    """(by, reason, target version, whether a command wrote it) of a flag's text.

    JSON that names no version says "": its reason is a reason, and no more.

    A text says None: whether it begins with a version is for `in_words` to tell, who knows which there are.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if body is None and text.startswith("{"):
        return None, "", text[:40], False  # JSON that was cut off may have named a version: to be refused
    if not isinstance(body, dict):
        return None, body if isinstance(body, str) else text, None, False
    wanted = next((body[key] for key in TARGET_KEYS if body.get(key) not in (None, "")), None)
    by, reason = body.get("by"), body.get("reason")
    return (
        by if isinstance(by, str) else None,
        reason if isinstance(reason, str) else "",
        "" if wanted is None else str(wanted),
        body.get("via") == COMMAND,
    )


def _plain(by: str | None, reason: str, wanted: str | None) -> tuple[str | None, str, str | None]:
    """As one line each: it goes to everybody's screen, into the journal and into the registry's history."""
    return (
        None if by is None else one_line(by, MOST_NAME),
        one_line(reason, MOST_REASON),
        None if wanted is None else one_line(wanted, MOST_NAME),
    )


def in_words(text: str, known: Collection[str], current: str | None) -> str | None:
    """The version that a text begins with: `v1.9.0`, `to v1.9.0`, `roll back to V1.9.0: it was sound`.

    One that comes later (`the same bug as v1.9.0 had`) belongs to the reason; the current one is what is left. What
    looks like a version and is unknown is one, too: to be refused, rather than passed over.
    """
    names = {version.lower(): version for version in known}
    if current is not None and text.strip().lower() == current.lower():
        return current  # nothing but that: to be refused, rather than left
    for word in (word.strip(".,:;\"'[](){}") for word in text.split()):
        named = names.get(word.lower())
        if named is not None and named != current:
            return named
        if named is None and word.lower() not in BEFORE_A_VERSION:
            return word if VERSION.fullmatch(word) else None
    return None
