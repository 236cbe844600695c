"""Who else could write to what the watchdog believes: its folders, its journal, its configuration.

Only the watchdog's user and root may. A group may where it is the watchdog's own: its members count as the watchdog.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from config import Settings

JOURNAL_FILES = ("watchdog.db", "watchdog.db-wal", "watchdog.db-shm")


class RightsError(Exception):
    """Others can write to the state folder; the message says who, and what mends it."""


class Others(NamedTuple):
    """`who` is half a sentence about them, `mend` the command that keeps them out."""

    who: str
    mend: str


def user_name(uid: int) -> str:
    """The name of a user, or `uid 4711`."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def user_name_here() -> str:
    """The name of the user that this process acts as."""
    return user_name(os.geteuid())


def others_who_write(path: Path) -> Others | None:
    """Who else can write to the file or folder, None if nobody can. OSError when it cannot be looked at."""
    found = path.stat()
    if found.st_uid not in {0, os.geteuid()}:
        name = user_name(found.st_uid)
        return Others(
            f"belongs to {name}, who can change it", f"chown {os.geteuid()} {path}, or run as {name}"
        )
    if found.st_mode & stat.S_IWOTH:
        return Others("everybody on this machine can write to it", f"chmod o-w {path}")
    if found.st_mode & stat.S_IWGRP and found.st_gid != os.getegid():
        return Others(f"group {found.st_gid} can write to it", f"chmod g-w {path}")
    return None


def others_in_state(state_dir: Path) -> Iterator[tuple[Path, Others]]:
    """The state folder, and the files of the journal in it, as far as others can write to them."""
    for path in (state_dir, *(state_dir / name for name in JOURNAL_FILES)):
        try:
            others = others_who_write(path)
        except FileNotFoundError:
            continue
        if others is not None:
            yield path, others


def refuse_others_in_state(state_dir: Path) -> None:
    """RightsError when others can write to the journal: to halts, to counters, to which process is the bot."""
    for path, others in others_in_state(state_dir):
        raise RightsError(
            f"{path}: {others.who}, and so lift a halt, reset the counters, or name another process to be stopped as "
            f"the bot: {others.mend}"
        )


def troubles(settings: Settings) -> Iterator[tuple[str, str]]:
    """(name, sentence) of what others can write to now, for who watches on: it does not stop for that."""
    with contextlib.suppress(OSError):  # a folder that is gone is told by whoever needs it
        for path, others in others_in_state(settings.state_dir):
            yield (
                "rights-state",
                f"{path}: {others.who}, and so lift a halt or reset the counters: {others.mend}",
            )
            break
        others_there = others_who_write(settings.path)
        if others_there is not None:
            what = f"and so decide what is run as {user_name_here()} from the next start on"
            yield "rights-configuration", f"{settings.path}: {others_there.who}, {what}: {others_there.mend}"


def replaceable(path: Path) -> Others | None:
    """Who else could put another file or folder in the place of this one, None if nobody can: by writing to a folder
    on the way to it. Owners of such folders are left out: they are the ones who keep the bot there."""
    for folder in Path(os.path.realpath(path)).parents:
        if not folder.exists():
            continue  # it will be made, below one that is there
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return Others(
                f"everybody on this machine can write to {folder}, and so replace it", f"chmod o-w {folder}"
            )
    return None
