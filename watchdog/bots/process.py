"""`control: process`: a bot that the watchdog starts as a process, or takes over from a person who did."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

from watchdog.bots import proc
from watchdog.bots.base import BotError, Running, Stopped, Wait
from watchdog.bots.launch import DRY_RUN, MARK, Child, bot_environment, launch
from watchdog.bots.matching import same_command
from watchdog.bots.output import BotOutput
from watchdog.bots.starter import Starter, starter_of
from watchdog.bots.tree import GRACE_S, KILL_WAIT_S, Tree

Remembered = tuple[int, int, str]  # pid, started_ticks, boot id

POLL_S = 0.03
SCAN_EVERY_S = 0.25  # reading all of /proc costs milliseconds of the event loop
SETTLE_S = 0.5  # how long after the end whatever brings a bot back is waited for
ATTEMPTS = 3

log = logging.getLogger(__name__)


class ProcessBot:
    """A bot run as `command` in `directory`.

    `identity` marks what this watchdog starts: it must be the same after every restart, and another one for
    every bot of the machine. `remembered` is what `remember()` gave before the restart. `dry_runs` marks dry runs,
    which may have the very command of the bot (`env DRY_RUN=1 python main.py`) and are none.

    `keep_stopping` persists which processes a stop is about to end, [] once it is done, and `stopping` is what it kept
    before the restart: a worker of an adopted bot bears no mark, and once the main process is gone nothing else tells
    whose it is.
    """

    kind = "process"
    supervised = False
    trouble = None

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        output: Path,
        identity: str,
        remembered: Remembered | None = None,
        dry_runs: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        kill_wait_s: float = KILL_WAIT_S,
        stopping: Sequence[Remembered] = (),
        keep_stopping: Callable[[list[Remembered]], None] = lambda _: None,
    ) -> None:
        self._command = tuple(command)
        self._directory = directory
        self._output = BotOutput(output)
        self._identity = identity
        self._mark = os.fsencode(f"{MARK}={identity}")
        self._dry_runs = os.fsencode(f"{DRY_RUN}={dry_runs}") if dry_runs else None
        self._boot_id = proc.boot_id()
        self._known = remembered[:2] if remembered and remembered[2] == self._boot_id else None
        self._stopping = {(pid, ticks) for pid, ticks, boot_id in stopping if boot_id == self._boot_id}
        self._keep_stopping = keep_stopping
        self._child: Child | None = None
        self._sleep = sleep
        self._monotonic = monotonic
        self._kill_wait_s = kill_wait_s

    async def find(self) -> list[Running]:
        """Every root process of the bot, the main one first; [] = it is down.

        Workers that outlived a main process which crashed are not the bot: `start` and `stop` end them.
        """
        return self._look()[0]

    def remember(self) -> Remembered | None:
        """What to persist so that the bot is found again after a restart of the watchdog; None = down."""
        return (*self._known, self._boot_id) if self._known else None

    async def start(self, wait: Wait = asyncio.sleep) -> Running:  # noqa: ARG002 - it has a process at once
        """Start the bot in a session of its own, so that it outlives the watchdog.

        A program that ends right after its start is no error here: `find` and `exit_code` tell.
        """
        running, left_over = self._look()
        if running:
            first = running[0]
            raise BotError(
                f"the bot already runs as pid {first.pid} (`{first.command}`), started by "
                f"{starter_of(first.pid).text}: nothing was started. Stop it first."
            )
        if left_over:
            log.warning(
                "ending what the dead bot left behind: pids %s", ", ".join(str(s.pid) for s in left_over)
            )
            await self._take_down(left_over, GRACE_S)
        fd = self._output.open()
        try:
            self._child = launch(
                self._command, self._directory, fd, bot_environment(self._identity, os.environ)
            )
        finally:
            os.close(fd)
        self._known = (self._child.pid, self._child.started_ticks)
        return Running(*self._known, adopted=False, command=proc.command_text(self._command))

    async def stop(self, timeout_s: float) -> Stopped:
        """SIGTERM to the main process, SIGKILL to all after `timeout_s`; then look if it is brought back.

        A bot that was brought back is stopped again, `ATTEMPTS` times in all, each with its own `timeout_s`.
        """
        began = self._monotonic()
        pids: tuple[int, ...] = ()
        killed = False
        down_s = 0.0
        bringer: Starter | None = None
        for _ in range(ATTEMPTS):
            if roots := self._roots(proc.Table.read()):
                tree = await self._take_down(roots, timeout_s)
                pids, killed = (*pids, *tree.pids()), killed or tree.killed
                down_s = self._monotonic() - began
            await self._sleep(SETTLE_S)
            back = self._roots(proc.Table.read())
            if not back:
                self._known = None
                how: Literal["was not running", "SIGTERM", "SIGKILL"] = "SIGKILL" if killed else "SIGTERM"
                return Stopped(
                    pids, how if pids else "was not running", down_s, bringer.text if bringer else None
                )
            bringer = starter_of(back[0].pid)
            log.warning("the bot is back as pid %d, brought back by %s", back[0].pid, bringer.text)
        assert bringer is not None
        raise BotError(
            f"the bot was stopped {ATTEMPTS} times and is back each time, now as pid {back[0].pid} "
            f"(`{proc.describe(back[0].pid)}`), brought back by {bringer.text}. {bringer.remedy}"
        )

    def exit_code(self, bot: Running) -> int | None:
        """Known for the process that this object started last, once it has ended."""
        child = self._child
        if child is None or (child.pid, child.started_ticks) != (bot.pid, bot.started_ticks):
            return None
        child.reap()
        return child.code

    def output_tail(self, lines: int = 40) -> list[str]:
        """The last lines of standard output and error since the last start; not of an adopted bot."""
        return self._output.tail(lines)

    def trim_output(self) -> None:
        """Keep the output file small while the bot runs; to be called now and then."""
        self._output.trim()

    async def _take_down(self, roots: list[proc.Stat], timeout_s: float) -> Tree:
        """End the trees of `roots`; returns when nothing of them and nothing with the mark is left."""
        began = self._monotonic()
        tree = Tree(roots, self._marked, self._spared(proc.Table.read()))
        scanned_s, count = 0.0, -1
        try:
            self._note(tree)
            # A process that forks and ends while /proc is read can hide its child from one look: two must
            # agree.
            while (living := len(tree.living())) or tree.scan() or tree.scan():
                now_s = self._monotonic() - began
                if living != count or now_s - scanned_s >= SCAN_EVERY_S:
                    tree.scan()
                    self._note(tree)
                    scanned_s, count = now_s, len(tree.living())
                tree.press(now_s, timeout_s)
                tree.complain(now_s, timeout_s, self._kill_wait_s)
                await self._sleep(POLL_S)
                if self._child:
                    self._child.reap()
        finally:
            tree.release()
        self._stopping = set()
        self._keep_stopping([])
        return tree

    def _note(self, tree: Tree) -> None:
        """Before any of them is ended: a kill -9 of the watchdog must not make it forget the rest."""
        if not self._stopping >= (known := tree.known()):
            self._stopping |= known
            self._keep_stopping([(pid, ticks, self._boot_id) for pid, ticks in sorted(self._stopping)])

    def _look(self) -> tuple[list[Running], list[proc.Stat]]:
        """The roots of the bot, and apart from them what a dead one left behind."""
        roots = self._roots(proc.Table.read())
        left_over = [root for root in roots if self._is_left_over(root)]
        running = [root for root in roots if root not in left_over]
        self._known = (running[0].pid, running[0].started_ticks) if running else None
        return [self._running(root) for root in running], left_over

    def _roots(self, table: proc.Table) -> list[proc.Stat]:
        """What is the bot's and has no ancestor that is: the one known from before first, then by age."""
        if self._child:
            self._child.reap()
        spared, marked = self._spared(table), self._marked(table)
        ours = {
            s.pid: s
            for s in table.alive()
            if s.pid not in spared
            and (s.pid in marked or (s.pid, s.started_ticks) in self._stopping or self._is_ours(s))
        }
        roots = [s for s in ours.values() if not any(a.pid in ours for a in table.ancestors(s.pid))]
        return sorted(roots, key=lambda s: ((s.pid, s.started_ticks) != self._known, s.started_ticks, s.pid))

    def _is_ours(self, found: proc.Stat) -> bool:
        if (found.pid, found.started_ticks) == self._known:
            return True
        # The command line first: it is what nearly every process differs in.
        args = proc.arguments(found.pid)
        return (
            same_command(self._command, args, proc.executable(found.pid), self._directory)
            and proc.works_in(found.pid, self._directory)
            and os.geteuid() in (0, proc.effective_uid(found.pid))
            and not (self._dry_runs and proc.has_variable(found.pid, self._dry_runs))
        )

    def _marked(self, table: proc.Table) -> set[int]:
        return {s.pid for s in table.alive() if proc.has_variable(s.pid, self._mark)}

    def _spared(self, table: proc.Table) -> frozenset[int]:
        """The watchdog and what it runs under: never the bot, whatever they look like."""
        return frozenset({os.getpid(), *(a.pid for a in table.ancestors(os.getpid()))})

    def _is_left_over(self, root: proc.Stat) -> bool:
        """A worker that outlives a main process which crashed, or which was ended by a stop that was cut short.

        After a good end it is a bot that put itself into the background; without an exit code nobody can
        tell, and it counts as the bot.
        """
        child, marked = self._child, proc.has_variable(root.pid, self._mark)
        if (root.pid, root.started_ticks) in self._stopping and not marked and not self._is_ours(root):
            return True
        crashed = child is not None and child.ended and child.code not in (0, None)
        return crashed and marked

    def _running(self, root: proc.Stat) -> Running:
        ours = self._child is not None and (root.pid, root.started_ticks) == (
            self._child.pid,
            self._child.started_ticks,
        )
        adopted = not ours and not proc.has_variable(root.pid, self._mark)
        return Running(root.pid, root.started_ticks, adopted, proc.describe(root.pid))
