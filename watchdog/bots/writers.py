"""Who else writes the bot's log: a bot that runs under another command line than the configured one is found so."""

import os
from pathlib import Path

from watchdog.bots.starter import who_started

WRITING = os.O_WRONLY | os.O_RDWR


def writers(log: Path, directory: Path | None) -> list[int]:
    """The pids of processes in `directory` (None: anywhere) that hold `log` open for writing. Those of other users are
    not seen."""
    try:
        wanted = log.stat()
    except OSError:
        return []
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if (directory is None or (entry / "cwd").samefile(directory)) and _writes(entry, wanted):
                    found.append(int(entry.name))
            except OSError:
                continue  # it ended, or belongs to somebody else
    return sorted(found)


def _writes(process: Path, wanted: os.stat_result) -> bool:
    for fd in (process / "fd").iterdir():
        try:
            found = fd.stat()
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                flags = (
                    (process / "fdinfo" / fd.name).read_text(encoding="ascii").split("flags:")[1].split()[0]
                )
                if int(flags, 8) & WRITING:
                    return True
        except (OSError, IndexError, ValueError):
            continue  # closed meanwhile
    return False


def told(pids: list[int]) -> str:
    """These processes, for people."""
    return ", ".join(f"pid {pid}, started by {who_started(pid)}" for pid in pids)
