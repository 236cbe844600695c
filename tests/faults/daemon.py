"""The real daemon, which freezes (SIGSTOP) at one point of the procedure, so that something can be done to it there.

    python -m tests.faults.daemon POINT REACHED run --config FILE

POINT is `STEP:before` (its begin is in the journal, nothing is done yet), `STEP:during:K` (right before the K-th thing
that the step does to the outside: a write, a rename, a signal, a process), `STEP:after` (done, and not yet in the
journal), or `count`: it freezes nowhere. What the steps did is counted in the file REACHED + ".acts".
"""

import errno
import json
import os
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog import cli, procedure

ACTS = frozenset(
    {"os.rename", "os.remove", "os.symlink", "os.link", "os.mkdir", "subprocess.Popen", "os.posix_spawn"}
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Freezer:
    """Knows in which step the procedure is, counts what it does, and freezes the process at the point."""

    def __init__(self, point: str, reached: Path) -> None:
        self.step, _, self.when = point.partition(":")
        self.reached = reached
        self.inside: str | None = None
        self.acts: Counter[str] = Counter()

    def freeze(self, when: str) -> None:
        """Freezes here, once, if this is the point."""
        if self.inside != self.step or when != self.when or self.reached.exists():
            return
        self.reached.write_text(f"{self.step}:{when}", encoding="utf-8")
        os.kill(os.getpid(), signal.SIGSTOP)

    def act(self) -> None:
        """Something is about to be done to the outside."""
        if self.inside is not None:
            self.acts[self.inside] += 1
            self.freeze(f"during:{self.acts[self.inside]}")

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """For `sys.addaudithook`."""
        if self.inside is None:
            return
        if event in ACTS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES):
            inside, self.inside = self.inside, None  # what freezing itself does is no act
            try:
                self.inside = inside
                self.act()
            finally:
                self.inside = inside

    def watched(self, step: procedure.Step) -> procedure.Step:
        """The step, with its points."""
        name = step.__name__

        async def run_watched(run: procedure.Run) -> procedure.Outcome:
            self.inside = name
            self.freeze("before")
            try:
                outcome = await step(run)
                self.freeze("after")
            finally:
                self.inside = None
                self._count()
            return outcome

        run_watched.__name__ = name
        return run_watched

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What no audit event tells of."""

        def call(*arguments: Any, **options: Any) -> Any:
            self.act()
            return function(*arguments, **options)

        return call

    def _count(self) -> None:
        Path(f"{self.reached}.acts").write_text(json.dumps(self.acts), encoding="utf-8")


def failing(fsync: Callable[..., None], while_there: Path) -> Callable[..., None]:
    """fsync that answers EIO while a file is there."""

    def call(fd: int) -> None:
        if while_there.exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(fd)

    return call


class WatchedConnection(sqlite3.Connection):
    """SQLite tells no audit hook of its commits."""

    freezer: Freezer

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            self.freezer.act()
        return super().execute(sql, *parameters)


def main(point: str, reached: str, *arguments: str) -> None:
    """Becomes `model-watchdog ARGUMENTS`."""
    freezer = Freezer(point, Path(reached))
    WatchedConnection.freezer = freezer
    for plan, steps in procedure.STEPS.items():
        procedure.STEPS[plan] = tuple(freezer.watched(step) for step in steps)
    os.fsync = freezer.counted(failing(os.fsync, Path(f"{reached}.fsync")))
    signal.pidfd_send_signal = freezer.counted(signal.pidfd_send_signal)
    connect = sqlite3.connect
    sqlite3.connect = lambda *a, **k: connect(*a, **{"factory": WatchedConnection, **k})
    sys.addaudithook(freezer.hook)
    sys.argv = ["model-watchdog", *arguments]
    cli.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
