"""`check`: whether a bot that the watchdog starts would have the keys that the running one was started with.

Names of variables only, never what they hold.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from config import Settings
from watchdog.assemble import watchdog_pid
from watchdog.bots.launch import without_unit
from watchdog.finding import Finding
from watchdog.plain import one_line

LIKE_A_KEY = re.compile("KEY|SECRET|TOKEN|PASSW", re.IGNORECASE)


def bot_keys(settings: Settings, bot_pid: int) -> Iterator[Finding]:
    """What looks like a key in the environment of the bot, and is not in the one that it would be started with."""
    daemon = watchdog_pid(settings)
    its_own, watchdogs = keys_of(bot_pid), None if daemon is None else keys_of(daemon)
    inherited = watchdogs if watchdogs is not None else keys_of("self")
    if its_own is None or inherited is None:
        return  # another user's: nothing is known of it
    lacks = sorted(its_own - inherited)
    if not lacks:
        return
    whose = (
        f"the watchdog (pid {daemon})"
        if watchdogs is not None
        else "a watchdog with this command's environment"
    )
    yield Finding(
        "bot keys",
        "note",
        f"the bot was started with {one_line(', '.join(lacks))} in its environment; one that {whose} starts would "
        f"lack that: it may load its model and be unable to trade",
        "EnvironmentFile= in `systemctl edit model-watchdog`, or the environment of the shell that the watchdog is "
        "started in; nothing to do where the bot reads its keys from a file",
    )


def keys_of(pid: int | str) -> set[str] | None:
    """The names of its variables that are set and look like keys; None where this user may not see them."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    named = (entry.decode("utf-8", "replace").partition("=") for entry in entries)
    return {
        name for name in without_unit({n: value for n, _, value in named if value}) if LIKE_A_KEY.search(name)
    }
