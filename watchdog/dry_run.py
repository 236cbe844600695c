"""Runs `bot.dry_run` (a command that loads the model and ends, without trading) to its end, and leaves nothing of it.

The command gets a session of its own, and a mark in its environment, by which all of it is found and ended: when its
time is over, when somebody orders a halt, and, after a kill -9 of the watchdog, before the next one is run. It goes
without the exchange's keys, as far as they are known: a bot that does not know the option for a dry run would trade.
"""

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config import Settings
from watchdog.bots import launch, proc
from watchdog.clock import Budget

log = logging.getLogger(__name__)

MARK = launch.DRY_RUN
POLL_S = 0.1
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL: `docker compose run` needs some time to take its container down."""

KILL_WAIT_S = 5.0
KEPT_BYTES = 64 << 10
READ_BYTES = 1 << 20
"""At one look: a program that writes without end is slowed down by its pipe."""

KEPT_LINES = 200
LINE_CHARS = 500
WITHHELD = "withheld-from-a-dry-run"
"""In place of a key, and not nothing: a program may insist on its variables, and one that reads a file of them (.env)
leaves alone what is set."""

_OF_THE_EXCHANGE = re.compile(r"(?i)(?=.*binance)(?=.*(?:key|secret))")
_NOT_TEXT = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")

Wait = Callable[[float], Awaitable[None]]
"""Waits so many seconds; may raise to say that something more urgent is asked for."""


@dataclass(frozen=True)
class Ran:
    """How a dry run ended. `code`: negative is the signal that ended it, None that it did not end in time. `lines`: the
    last ones of its output, without colours. `cannot`: why it could not be executed at all, or None. `withheld`: the
    variables that it went without."""

    code: int | None
    seconds: float
    lines: tuple[str, ...] = ()
    cannot: str | None = None
    withheld: tuple[str, ...] = ()


class Runs(Protocol):
    """What runs a command to its end; the real one is `execute`."""

    def __call__(
        self,
        command: Sequence[str],
        directory: Path,
        mark: str,
        timeout_s: float,
        wait: Wait,
        *,
        gently: bool,
        keys: Collection[str],
    ) -> Awaitable[Ran]:
        """See `execute`."""
        ...


def mark(settings: Settings) -> str:
    """By which the dry runs of this bot are known."""
    return str(settings.state_dir)


def filled(command: Sequence[str], registry: Path, version: str) -> list[str]:
    """The command with `{registry}` and `{version}` put in."""
    return [part.replace("{registry}", str(registry)).replace("{version}", version) for part in command]


async def execute(
    command: Sequence[str],
    directory: Path,
    mark: str,
    timeout_s: float,
    wait: Wait,
    *,
    gently: bool,
    keys: Collection[str] = (),
    grace_s: float = GRACE_S,
) -> Ran:
    """Runs it in `directory`. Nothing of it is left when this ends, also by what `wait` raises.

    `mark` tells the dry runs of one bot from those of others. `gently`: beside a bot that trades, which goes first.
    `keys`: secrets that no variable of its environment may hold. `grace_s`: between SIGTERM and SIGKILL.
    """
    await end_leftovers(mark, grace_s)
    began = time.monotonic()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    output = _Output(reader)
    withheld = withheld_from(os.environ, keys)
    try:
        try:
            process = _launched(command, directory, {MARK: mark} | dict.fromkeys(withheld, WITHHELD), writer)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return Ran(None, 0.0, (), f"`{proc.command_text(command)}` cannot be run in {directory}: {why}")
        finally:
            os.close(writer)
        if gently:
            _stand_back(process.pid)
        try:
            budget = Budget(time.monotonic, timeout_s)
            while process.poll() is None and not budget.over():
                output.read()
                await wait(POLL_S)
            code, seconds = process.poll(), time.monotonic() - began
        finally:
            await _end(process, mark, grace_s)
            output.read()
        return Ran(code, seconds, output.lines(), withheld=withheld)
    finally:
        os.close(reader)


def withheld_from(environment: Mapping[str, str], keys: Collection[str]) -> tuple[str, ...]:
    """The variables that hold a key of the exchange: one of `keys`, or by their name (BINANCE_API_SECRET)."""
    return tuple(
        sorted(name for name, value in environment.items() if value in keys or _OF_THE_EXCHANGE.search(name))
    )


def _launched(
    command: Sequence[str], directory: Path, own: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    environment = {**launch.without_unit(os.environ), **own}
    environment.pop(launch.MARK, None)  # it is not the bot, and must not be taken for it
    return subprocess.Popen(
        list(command),
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _stand_back(pid: int) -> None:
    """It gets what processor time the bot leaves, and is what the kernel ends first when memory runs out."""
    with contextlib.suppress(OSError):  # a sandbox may refuse either, or it has ended
        os.setpriority(os.PRIO_PROCESS, pid, 19)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000", encoding="ascii")


async def end_leftovers(mark: str, grace_s: float = GRACE_S) -> None:
    """Ends what an earlier dry run of this bot left running, if anything."""
    await _end(None, mark, grace_s)


async def _end(process: subprocess.Popen[bytes] | None, mark: str, grace_s: float) -> None:
    """SIGTERM, and after a while SIGKILL, to the process and to all that bear the mark, whatever their session."""
    began = time.monotonic()
    asked: set[tuple[int, int]] = set()
    while (left := _living(process, mark)) and time.monotonic() - began < grace_s + KILL_WAIT_S:
        late = time.monotonic() - began >= grace_s
        for pid, started_ticks in left:
            if late or (pid, started_ticks) not in asked:
                asked.add((pid, started_ticks))
                _send(pid, started_ticks, signal.SIGKILL if late else signal.SIGTERM)
        await asyncio.sleep(POLL_S / 2)
    if left:
        log.error("a dry run does not end: pids %s", ", ".join(str(pid) for pid, _ in left))
    if process is not None:
        process.poll()


def _living(process: subprocess.Popen[bytes] | None, mark: str) -> list[tuple[int, int]]:
    """(pid, start ticks). The main process counts until it is reaped, however it changed its environment."""
    own = process.pid if process is not None and process.poll() is None else None
    entry = f"{MARK}={mark}".encode()
    return [
        (s.pid, s.started_ticks)
        for s in proc.Table.read().alive()
        if s.pid == own or (s.pid != os.getpid() and proc.has_variable(s.pid, entry))
    ]


def _send(pid: int, started_ticks: int, number: signal.Signals) -> None:
    """To this very process and to no other that got its pid."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:  # it is gone; or no pidfds in this kernel or sandbox: the start time has to do
        fd = None
    try:
        found = proc.stat(pid)
        if found is None or found.started_ticks != started_ticks:
            return
        if fd is None:
            os.kill(pid, number)
        else:
            signal.pidfd_send_signal(fd, number)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        if fd is not None:
            os.close(fd)


class _Output:
    """The end of what comes through a pipe."""

    def __init__(self, reader: int) -> None:
        self._reader, self._kept = reader, b""

    def read(self) -> None:
        taken = 0
        while taken < READ_BYTES:
            try:
                data = os.read(self._reader, KEPT_BYTES)
            except BlockingIOError:
                return
            if not data:
                return
            taken += len(data)
            self._kept = (self._kept + data)[-KEPT_BYTES:]

    def lines(self) -> tuple[str, ...]:
        text = self._kept.decode("utf-8", "replace")
        found = [_NOT_TEXT.sub("", line)[:LINE_CHARS] for line in re.split(r"\r?\n|\r", text)]
        return tuple(line for line in found if line.strip())[-KEPT_LINES:]
