"""Who calls a command, with which rights, and how the settings are had without the secrets that only the service has.

At 3 a.m. it is root who types `model-watchdog halt`, in a shell that has none of the service's credentials.
"""

import contextlib
import getpass
import os
import pwd
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

import config
from config import ConfigError, Settings

SECRET_KEYS = frozenset({"telegram.token", "telegram.chat_id", "exchange.api_key", "exchange.api_secret"})
"""Keys that an order, or a look at how things stand, can do without."""

_STANDS_IN = re.compile(r"0:(\w+)-is-not-set")
_NOT_SET = re.compile(r"the variable (\w+) is not set")


def who() -> str:
    """Who gives the order: the person behind sudo, too."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = f"uid {os.getuid()}"
    sudo = os.environ.get("SUDO_USER")
    return f"{sudo} as {name}" if sudo and sudo != name else name


def load_without_secrets(file: Path, environ: Mapping[str, str] = os.environ) -> tuple[Settings, list[str]]:
    """The settings, and the variables of secrets that could not be had; ConfigError for any other mistake.

    A placeholder stands for each of them: alerts that it cannot deliver wait in the outbox for the service.
    """
    try:
        return config.load(file, environ), []
    except ConfigError as error:
        missing = [_NOT_SET.match(problem.message) for problem in error.problems]
        if any(p.key not in SECRET_KEYS for p in error.problems) or not all(missing):
            raise
        placeholders = {
            match[1]: "1" if problem.key == "telegram.chat_id" else f"0:{match[1]}-is-not-set"
            for problem, match in zip(error.problems, missing, strict=True)
            if match
        }
        return config.load(file, {**environ, **placeholders}), sorted(placeholders)


def not_set(secret: str) -> str | None:
    """The variable that was not set, if this is what stands for its value; else None."""
    found = _STANDS_IN.fullmatch(secret)
    return found[1] if found else None


def not_owner(state_dir: Path) -> str | None:
    """What a person has to do who is not the watchdog's user, and may not use its folder; None for its user, for root,
    and where there is no such folder."""
    try:
        owner = state_dir.stat().st_uid
    except PermissionError:
        return "run this as the watchdog's user, or as root"
    except OSError:
        return None
    if owner == os.geteuid() or os.access(state_dir, os.W_OK | os.X_OK, effective_ids=True):
        return None
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = f"#{owner}"
    beside = Path(sys.executable).parent / "model-watchdog"  # what sudo has in its PATH is not known
    command = beside if beside.exists() else "model-watchdog"
    return f"run it as {user}, who owns {state_dir} (sudo -u {shlex.quote(user)} {command} ...), or as root"


def become_owner(state_dir: Path) -> str | None:
    """Root acts as the watchdog's user, the owner of `state_dir`; returns that user's name if it changed.

    So a person's command leaves no file that the service could not write, is obeyed like the service's own, and
    never starts the bot as root.
    """
    try:
        uid, gid = state_dir.stat().st_uid, state_dir.stat().st_gid
    except OSError:
        return None
    if os.geteuid() != 0 or uid == 0:
        return None
    caller = who()
    try:
        entry = pwd.getpwuid(uid)
        name, home, gid = entry.pw_name, entry.pw_dir, entry.pw_gid
        os.initgroups(name, gid)
    except KeyError:
        name, home = f"uid {uid}", "/"
        with contextlib.suppress(PermissionError):
            os.setgroups([])
    except PermissionError:  # a root without privileges, as in some containers
        return None
    try:
        os.setgid(gid)
        os.setuid(uid)
    except PermissionError:
        return None
    os.environ["SUDO_USER"] = os.environ.get("SUDO_USER") or caller  # an order is told with who gave it
    os.environ.update(HOME=home, USER=name, LOGNAME=name)
    return name
