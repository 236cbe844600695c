"""All processes of one bot while it is being stopped: found again and again, and never another one hit.

A pid says little: it is given to another process as soon as its owner is gone. Every member is therefore held
by a pidfd, opened when it is found and checked against the start time that it was found with.
"""

import os
import select
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from watchdog.bots import proc
from watchdog.bots.base import BotError

GRACE_S = 1.0  # what a worker has between SIGTERM and SIGKILL when the main process is gone
KILL_WAIT_S = 5.0  # how long a process may take to die of SIGKILL


@dataclass(slots=True)
class Member:
    """One process of the bot. The `main` ones are asked to stop first; the others are theirs to stop."""

    pid: int
    started_ticks: int
    parent: int
    args: tuple[str, ...]
    shell: bool
    main: bool
    fd: int | None
    stopped: bool = False
    termed_s: float | None = None
    killed_s: float | None = None
    denied: bool = False

    @classmethod
    def hold(
        cls, found: proc.Stat, main: bool, pidfd_open: Callable[[int], int] = os.pidfd_open
    ) -> "Member | None":
        """None if the process is gone, even if another one has its pid by now."""
        try:
            fd = pidfd_open(found.pid)
        except ProcessLookupError:
            return None
        except (
            OSError
        ):  # too many open files, or no pidfds in this kernel or sandbox: the start time has to do
            fd = None
        args, exe = proc.arguments(found.pid), proc.executable(found.pid)
        shell = proc.is_shell(args, exe)
        member = cls(found.pid, found.started_ticks, found.ppid, args, shell, main, fd)
        if not member._is_the_one():
            member.release()
            return None
        return member

    @property
    def command(self) -> str:
        return proc.command_text(self.args) or proc.describe(self.pid)

    def alive(self) -> bool:
        """A pidfd becomes readable when the whole process, with all its threads, has ended."""
        if self.fd is None:
            return self._is_the_one()
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return not poll.poll(0)

    def send(self, sig: signal.Signals) -> None:
        """PermissionError if it belongs to somebody else; a process that is gone is none of our business."""
        try:
            if self.fd is not None:
                signal.pidfd_send_signal(self.fd, sig)
            elif self._is_the_one():
                os.kill(self.pid, sig)
        except ProcessLookupError:
            pass

    def wraps(self, child: "Member") -> bool:
        """Whether `child` is what this one was started for: a shell's command, or `flock LOCK COMMAND...`."""
        handed_on = 0 < len(child.args) < len(self.args) and self.args[-len(child.args) :] == child.args
        return child.parent == self.pid and (self.shell or handed_on)

    def release(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def _is_the_one(self) -> bool:
        now = proc.stat(self.pid)
        return now is not None and not now.dead and now.started_ticks == self.started_ticks


class Tree:
    """The processes of a bot: its roots, their descendants, who is in their sessions, who carries its mark.

    `marked` picks those that carry the mark out of a table. Never holds a process in `spared`.
    """

    def __init__(
        self, roots: Iterable[proc.Stat], marked: Callable[[proc.Table], set[int]], spared: frozenset[int]
    ) -> None:
        self._marked = marked
        self._spared = spared
        self._members: dict[tuple[int, int], Member] = {}
        self._sessions: dict[int, int] = {}  # session id -> start of the member that leads or led it
        self.killed = False
        for root in roots:
            self._add(root, main=True)
        self.scan()

    def scan(self) -> bool:
        """Look for members that are not known yet; whether any member is alive."""
        table = proc.Table.read()
        marked = self._marked(table)
        alive = list(table.alive())
        self._sessions = {s: t for s, t in self._sessions.items() if any(p.session == s for p in alive)}
        ours = {s.pid for s in alive if (s.pid, s.started_ticks) in self._members}
        grown = True
        while grown:
            new = [s for s in alive if s.pid not in ours and self._belongs(s, ours, marked, table)]
            grown = bool(new)
            for found in new:
                ours.add(found.pid)
                self._add(found, main=False)
        for found in alive:
            if member := self._members.get((found.pid, found.started_ticks)):
                member.stopped = found.state == "T"
        return bool(self.living())

    def living(self) -> list[Member]:
        """Oldest first: a parent that is killed before its children starts no others in their place."""
        return sorted(
            (m for m in self._members.values() if m.alive()), key=lambda m: (m.started_ticks, m.pid)
        )

    def pids(self) -> tuple[int, ...]:
        """Of all members, dead or alive, the main ones first."""
        return tuple(
            m.pid for m in sorted(self._members.values(), key=lambda m: (not m.main, m.started_ticks))
        )

    def known(self) -> set[tuple[int, int]]:
        """(pid, started_ticks) of all members, dead or alive."""
        return set(self._members)

    def press(self, now_s: float, timeout_s: float) -> None:
        """Send what is due, `now_s` after the stop began.

        SIGTERM to the main processes, then, as a wrapper has ended, to what it wrapped; when these are gone
        SIGTERM and soon SIGKILL to the rest; SIGKILL to all after `timeout_s`.
        """
        living = self.living()
        mains = [m for m in living if m.main] or self._wrapped(living)
        for member in living:
            if now_s >= timeout_s:
                self._kill(member, now_s)
            elif member in mains or not mains:
                member.main = member in mains
                if member.termed_s is None:
                    member.termed_s = now_s
                    self._send(member, signal.SIGTERM)
                elif not member.main and now_s - member.termed_s >= GRACE_S:
                    self._kill(member, now_s)
            if member.stopped:  # a frozen process, or a worker that the main one waits for, hears no SIGTERM
                member.stopped = False
                self._send(member, signal.SIGCONT)

    def complain(self, now_s: float, timeout_s: float, kill_wait_s: float) -> None:
        """BotError if something outlives its SIGKILL by `kill_wait_s`, or new processes come without end."""
        living = self.living()
        stuck = [m for m in living if m.killed_s is not None and now_s - m.killed_s >= kill_wait_s]
        if stuck:
            raise BotError(" ".join(_why_alive(m, kill_wait_s) for m in stuck))
        if living and now_s >= timeout_s + 2 * kill_wait_s:
            raise BotError(
                f"the bot starts new processes faster than they can be killed: {len(living)} are left, among "
                f"them pid {living[0].pid} (`{living[0].command}`). End them by their user or control group, "
                "or reboot the machine, then order the stop again."
            )

    def release(self) -> None:
        """Close all pidfds."""
        for member in self._members.values():
            member.release()

    def _add(self, found: proc.Stat, main: bool) -> None:
        member = Member.hold(found, main)
        if member is not None:
            self._members[found.pid, found.started_ticks] = member
            if found.session == found.pid:
                self._sessions[found.session] = found.started_ticks

    def _belongs(self, found: proc.Stat, ours: set[int], marked: set[int], table: proc.Table) -> bool:
        if found.pid in self._spared:
            return False
        if found.ppid in ours or found.pid in marked:
            return True
        # Only sessions that a member leads: a bot started from a terminal shares the session of its shell.
        leader = table.get(found.session)
        began = self._sessions.get(found.session)
        return began is not None and (leader is None or leader.started_ticks == began)

    def _wrapped(self, living: list[Member]) -> list[Member]:
        wrappers = {m.pid: m for m in self._members.values() if m.main}
        return [m for m in living if m.parent in wrappers and wrappers[m.parent].wraps(m)]

    def _kill(self, member: Member, now_s: float) -> None:
        self.killed = True
        if member.killed_s is None:
            member.killed_s = now_s
        self._send(member, signal.SIGKILL)

    def _send(self, member: Member, sig: signal.Signals) -> None:
        try:
            member.send(sig)
        except PermissionError:
            member.denied = True
            if member.main:  # its workers must not be taken from a bot that goes on
                raise BotError(_why_alive(member, 0)) from None


def _why_alive(member: Member, kill_wait_s: float) -> str:
    who = f"pid {member.pid} (`{member.command}`)"
    if member.denied:
        owner = proc.effective_uid(member.pid)
        return (
            f"{who} belongs to {'another user' if owner is None else proc.user_name(owner)} and may not be "
            f"stopped by {proc.user_name(os.geteuid())}: run the watchdog as that user, or as root."
        )
    now = proc.stat(member.pid)
    state = now.state if now else "unknown"
    why = " (it waits inside the kernel, mostly for a disk or a network mount)" if state == "D" else ""
    return (
        f"{who} is still there {kill_wait_s:g} s after SIGKILL, in state {state}{why}. "
        f"Look at /proc/{member.pid}/stack and `dmesg`, mend what it waits for or reboot the machine, then "
        "order the stop again."
    )
