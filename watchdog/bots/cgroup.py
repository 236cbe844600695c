"""Who is in a control group: all processes of a unit, wherever their parents and sessions are (see cgroups(7))."""

import errno
import os
import re
from pathlib import Path

from watchdog.bots import proc
from watchdog.bots.base import BotError


def members(group: str, mounts: str | None = None) -> list[proc.Stat]:
    """The living processes of `group` ("/system.slice/bot.service") and of all groups below it, oldest first.

    A group that is not there has none. BotError where no hierarchy that systemd uses is mounted: then nobody knows.
    `mounts` is the text of /proc/self/mounts.
    """
    if not group:
        return []
    roots = _hierarchies(Path("/proc/self/mounts").read_text(encoding="utf-8") if mounts is None else mounts)
    if not roots:
        raise BotError(
            "no control groups are mounted, so nobody can tell which processes the bot's unit has: let the "
            "watchdog see /sys/fs/cgroup."
        )
    folders = [root / group.lstrip("/") for root in roots]
    pids = {pid for folder in folders for pid in _pids(folder)}
    stats = {pid: proc.stat(pid) for pid in pids}
    unseen = {pid for pid, stat in stats.items() if stat is None}
    if unseen and (hidden := unseen & {pid for folder in folders for pid in _pids(folder)}):
        raise BotError(
            f"the bot's processes may not be looked at (pid {min(hidden)} is not in /proc): mount /proc without "
            "hidepid=, and let the watchdog's unit have no ProtectProc= and no ProcSubset=."
        )
    found = [stat for stat in stats.values() if stat is not None and not stat.dead]
    return sorted(found, key=lambda s: (s.started_ticks, s.pid))


def roots_of(found: list[proc.Stat]) -> list[proc.Stat]:
    """Those of `found` that no other one of them started."""
    table = proc.Table.read()
    pids = {s.pid for s in found}
    return [s for s in found if not any(a.pid in pids for a in table.ancestors(s.pid))]


def _hierarchies(mounts: str) -> list[Path]:
    """Where version 2 is mounted, and the one of version 1 that systemd tracks services with."""
    found = []
    for line in mounts.splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.append(Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), where)))
    return found


def _pids(folder: Path) -> list[int]:
    """Folders vanish while they are walked through, with the last of their processes; any other trouble is one."""
    found: list[int] = []
    try:
        for path, _, files in os.walk(folder, onerror=_unless_gone):
            if "cgroup.procs" in files:
                try:
                    text = (Path(path) / "cgroup.procs").read_text(encoding="ascii")
                except OSError as error:
                    _unless_gone(error)
                else:
                    found += map(int, text.split())
    except OSError as e:
        raise BotError(f"the processes of the bot's unit cannot be read: {e.filename}: {e.strerror}") from e
    return [pid for pid in found if pid > 0]  # 0: in a pid namespace that is not ours


def _unless_gone(error: OSError) -> None:
    if error.errno not in (
        errno.ENOENT,
        errno.ENODEV,
        errno.EOPNOTSUPP,
    ):  # the last: threads, told one level up
        raise error
