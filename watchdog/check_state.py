"""`check`: the folders that the watchdog writes into, who may give orders, and whether one is running."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from config import Settings
from watchdog import messages
from watchdog.assemble import journal_path, locks, watchdog_pid
from watchdog.finding import Finding, Grade, is_missing
from watchdog.journal import Journal, JournalError
from watchdog.orders import ControlFolder, OrderError
from watchdog.rights import others_in_state

LEAST_FREE_MIB = 100


def folders(settings: Settings) -> Iterator[Finding]:
    """state_dir and registry.path: there, writable, with room, and not everybody's."""
    yield _folder("state_dir", settings.state_dir, private=True)
    if is_missing(settings.registry.path):
        yield Finding(
            "registry.path",
            "bad",
            f"{settings.registry.path} is not there",
            "set registry.path to the folder of registry.json",
        )
        return
    found = _folder("registry.path", settings.registry.path, private=False)
    if found.grade == "bad" and settings.mode == "observe":
        found = replace(found, grade="note", found=f"{found.found}, which mode: act would need")
    yield found


def _folder(what: str, path: Path, *, private: bool) -> Finding:
    existing = path
    while is_missing(existing):
        existing = existing.parent
    user = os.geteuid()
    if not existing.is_dir():
        return Finding(what, "bad", f"{existing} is not a folder", f"set {what} to a folder")
    # effective_ids: by default os.access asks for the user that sudo was called by
    if not os.access(existing, os.W_OK | os.X_OK, effective_ids=True):
        return Finding(
            what,
            "bad",
            f"{existing}: this user (uid {user}) may not write there",
            f"chown {user} {existing}, or run as its owner"
            if existing == path
            else f"as root: install -d -m 0700 -o {user} {path}",
        )
    if private and (found := next(others_in_state(path), None)) is not None:
        whose, others = found
        return Finding(
            what,
            "bad",
            f"{whose}: {others.who}, and so lift a halt or reset the counters: the watchdog does not start",
            others.mend,
        )
    free = shutil.disk_usage(existing).free / 2**20
    grade: Grade = "good" if free > LEAST_FREE_MIB else "bad"
    room = f"{path}: {'writable' if existing == path else 'will be made'}, {free:,.0f} MiB free"
    return Finding(what, grade, room, "" if grade == "good" else "make room")


def control_folder(settings: Settings) -> Iterator[Finding]:
    """Whoever can write there commands the bot."""
    path, what = settings.control_dir, "control_dir"
    if is_missing(path):
        yield Finding(what, "good", f"{path}: will be made, for its owner alone")
        return
    control = ControlFolder(path)
    try:
        control.inspect()
    except OrderError as error:
        found, _, mend = str(error).rpartition(": ")
        yield Finding(what, "bad", found, mend)
        return
    yield Finding(what, "good", f"{path}: only its owner gives orders")
    paused = control.paused()
    if paused is not None:
        why = f": {paused.why}" if paused.why else ""
        yield Finding("pause", "note", f"paused by {paused.who}{why}", "to end it: model-watchdog resume")


def running(settings: Settings) -> Iterator[Finding]:
    """The locks, and the journal of the last run."""
    by_registry = [(lock, lock.holder()) for lock in locks(settings)[1:]]
    pid = watchdog_pid(settings)
    others = [(lock, other) for lock, other in by_registry if other not in (None, pid)]
    for lock, other in others:
        yield Finding(
            "watchdog",
            "bad",
            f"another watchdog (pid {other}) acts on the same registry: it holds {lock.path}",
            "give each bot a registry of its own, or stop one of the two watchdogs",
        )
    if pid is not None:
        yield Finding("watchdog", "good", f"runs as pid {pid}")
    elif not others:
        mend = "systemctl start model-watchdog, or model-watchdog run"
        yield Finding("watchdog", "note", "no watchdog is running", mend)
    yield from _journal(settings)


def _journal(settings: Settings) -> Iterator[Finding]:
    path = journal_path(settings)
    if is_missing(path):
        return
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        yield Finding(
            "journal", "bad", f"{path} may not be written by this user", "run as the watchdog's user"
        )
        return
    try:
        journal = Journal(path, read_only=True)
    except JournalError as error:
        found, _, mend = str(error).partition(". ")
        yield Finding("journal", "bad", found, mend)
        return
    try:
        halted = journal.get("halted")
    finally:
        journal.close()
    if halted:
        why = f"halted since {messages.since(halted)} by {halted['by']}: {halted['why']}"
        yield Finding("halt", "note", why, "once it is mended: model-watchdog resume --reason ...")
