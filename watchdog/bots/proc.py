"""Small readers of /proc (see proc(5)), and who started a process.

Processes vanish while they are being read, and some may not be read at all: every reader then answers None or
something empty. None of them raises for a process that is gone.
"""

import os
import pwd
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdog.plain import one_line

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "fish", "busybox"})
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD of include/linux/sched.h
_SECRET = re.compile(r"(?i)((?:token|secret|passw(?:or)?d|api[-_]?key)\S*?[=:\s]\s*)\S+|\d{6,}:[\w-]{30,}")


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc/<pid>/stat says; `started_ticks` counts clock ticks since boot."""

    pid: int
    comm: str
    state: str
    ppid: int
    session: int
    kernel_thread: bool
    threads: int
    started_ticks: int

    @property
    def dead(self) -> bool:
        """A zombie is dead, unless other threads of it live on after its main thread ended."""
        return self.state in "ZXx" and self.threads <= 1


def parse_stat(line: bytes) -> Stat:
    """`line` is a whole /proc/<pid>/stat; the name in it may hold blanks and parentheses."""
    head, _, tail = line.rpartition(b")")
    pid, _, comm = head.partition(b" (")
    f = tail.split()
    return Stat(
        pid=int(pid),
        comm=one_line(comm.decode("utf-8", "replace"), 64),
        state=f[0].decode(),
        ppid=int(f[1]),
        session=int(f[3]),
        kernel_thread=bool(int(f[6]) & _KERNEL_THREAD),
        threads=int(f[17]),
        started_ticks=int(f[19]),
    )


def _read(pid: int | str, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def stat(pid: int) -> Stat | None:
    """None = there is no such process."""
    line = _read(pid, "stat")
    return parse_stat(line) if line else None


def arguments(pid: int) -> tuple[str, ...]:
    """The command line as the program was given it; () for a zombie and a kernel thread."""
    line = os.fsdecode(_read(pid, "cmdline"))
    return tuple(line.removesuffix("\0").split("\0")) if line else ()


def executable(pid: int) -> str | None:
    """The program's file, None where it may not be read."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink())
    except OSError:
        return None


def works_in(pid: int, directory: Path) -> bool:
    """Whether the process's working directory is `directory`, by whatever name either is called."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(directory)
    except OSError:
        return False


def has_variable(pid: int, entry: bytes) -> bool:
    """Whether the process was given the environment entry `NAME=value`."""
    environment = _read(pid, "environ")
    return entry in environment and entry in environment.split(b"\0")


def effective_uid(pid: int) -> int | None:
    """Of status and not of the folder's owner, which is root for a process that may not be dumped."""
    found = re.search(rb"^Uid:\s+\d+\s+(\d+)", _read(pid, "status"), re.MULTILINE)
    return int(found.group(1)) if found else None


def user_name(uid: int) -> str:
    """ "bob (uid 1001)"."""
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def is_shell(args: Sequence[str], exe: str | None) -> bool:
    """Whether the program that runs is a shell, also for a script (`#!/bin/sh`) started by its own name."""
    names = [Path(a).name.lstrip("-") for a in (*args[:1], exe or "")]
    return any(name in SHELLS for name in names)


def command_text(args: Iterable[str], limit: int = 120) -> str:
    """A command line for people: one line, bounded, without what looks like a secret."""
    text = one_line(shlex.join(args), 10 * limit)
    text = _SECRET.sub(lambda m: f"{m.group(1) or ''}***", text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def describe(pid: int) -> str:
    """The command line of a process for people, its name in brackets where there is none."""
    found = stat(pid)
    return command_text(arguments(pid)) or (f"[{found.comm}]" if found else "already gone")


def boot_id() -> str:
    """Differs after every boot, as pids and ticks start anew then."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def age_s(started_ticks: int) -> float:
    """How long ago a process started, by the clock that counts from boot (and through suspend)."""
    return float(Path("/proc/uptime").read_text().split()[0]) - started_ticks / TICKS_PER_S


class Table:
    """All processes as they were at one moment (nearly: the folder is read one by one)."""

    def __init__(self, stats: Iterable[Stat]) -> None:
        self._by_pid = {s.pid: s for s in stats}

    @classmethod
    def read(cls) -> "Table":
        pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 (four times as fast)
        return cls(s for s in map(stat, pids) if s is not None)

    def get(self, pid: int) -> Stat | None:
        return self._by_pid.get(pid)

    def alive(self) -> Iterator[Stat]:
        """Every process of user space that is not a zombie."""
        return (s for s in self._by_pid.values() if not s.dead and not s.kernel_thread)

    def ancestors(self, pid: int) -> list[Stat]:
        """From the parent up to the first process; empty for a process that is not in the table."""
        chain: list[Stat] = []
        seen = {pid}  # a table that is read one by one can hold a circle
        current = self.get(pid)
        while current and current.ppid not in seen and (current := self.get(current.ppid)):
            seen.add(current.pid)
            chain.append(current)
        return chain
