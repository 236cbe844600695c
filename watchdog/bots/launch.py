"""Starting the bot's process so that it outlives the watchdog, and learning how it ended."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.matching import locate

MARK = "MODEL_WATCHDOG_BOT"
DRY_RUN = "MODEL_WATCHDOG_DRY_RUN"
"""In the environment of a dry run: it is no bot, also where its command and its folder are the bot's."""

# Of the watchdog's own unit: with these the bot could speak to systemd in its name, or read its secrets.
_NOT_FOR_THE_BOT = frozenset(
    {
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "SYSTEMD_EXEC_PID",
    }
)
_NOT_FOR_THE_BOT_PREFIXES = ("LISTEN_", "MEMORY_PRESSURE_")


@dataclass
class Child:
    """A process that we started. `code` is None while it lives, and if somebody else took its exit status."""

    pid: int
    started_ticks: int
    ended: bool = False
    code: int | None = None

    def reap(self) -> None:
        """Take the exit status if there is one; leaves no zombie."""
        if self.ended:
            return
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            self.ended = True
        else:
            if pid:
                self.ended, self.code = True, os.waitstatus_to_exitcode(status)


def bot_environment(identity: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """What the bot inherits, with the mark by which its descendants are found wherever they go."""
    return without_unit(inherited) | {MARK: identity}


def without_unit(inherited: Mapping[str, str]) -> dict[str, str]:
    """What any program that is run from here inherits: all but what is the watchdog's own unit's."""
    return {
        name: value
        for name, value in inherited.items()
        if name not in _NOT_FOR_THE_BOT and not name.startswith(_NOT_FOR_THE_BOT_PREFIXES)
    }


def launch(command: Sequence[str], directory: Path, output_fd: int, environment: Mapping[str, str]) -> Child:
    """Start `command` in a session of its own. When this returns, the program has been executed.

    Raises BotError with the remedy. `output_fd` stays open here.
    """
    try:
        os.stat(directory / ".")  # noqa: PTH116 (Path drops the dot, which asks for a folder that may be entered)
    except OSError as e:
        raise BotError(
            f"the bot cannot be started in {directory}: {e.strerror}. "
            "Mend bot.process.directory in the configuration, or the folder."
        ) from e
    try:
        process = subprocess.Popen(
            list(command),
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output_fd,
            stderr=output_fd,
            start_new_session=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as e:
        raise BotError(_why_not(command, directory, e)) from e
    # `Child.reap` asks for the exit status from now on. Popen, told that it is over, neither takes it nor
    # warns that the process lives on when the watchdog ends, which it is meant to do.
    process.returncode = 0
    started = proc.stat(process.pid)
    assert started is not None  # a child is there, as a zombie at least, until it is reaped
    return Child(process.pid, started.started_ticks)


def _why_not(command: Sequence[str], directory: Path, error: Exception) -> str:
    what = f"the bot cannot be started: `{proc.command_text(command)}` in {directory}"
    found = locate(command[0], directory)
    # A folder in the PATH that may not be read makes a missing program look like a forbidden one.
    if isinstance(error, FileNotFoundError | PermissionError) and found is None:
        who = proc.user_name(os.geteuid())
        where = _where_it_may_be(command[0], directory)
        return f"{what}: there is no program {command[0]} that {who} may run. {where}"
    if isinstance(error, FileNotFoundError) and found is not None:
        return f"{what}: {_missing_interpreter(found)}"
    if isinstance(error, PermissionError):
        return (
            f"{what}: {found} may not be executed by {proc.user_name(os.geteuid())}. "
            "Make it so (`chmod +x`, the rights of the folders above it, a mount with noexec), or name its "
            "interpreter in bot.process.command."
        )
    if isinstance(error, OSError) and error.strerror == "Exec format error":
        return (
            f"{what}: {found} is neither a program of this machine nor a script with a `#!` line. "
            f"Give it one, or name its interpreter in bot.process.command: [bash, {command[0]}]."
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"{what}: {reason}. Try the command by hand as {proc.user_name(os.geteuid())}."


def _where_it_may_be(program: str, directory: Path) -> str:
    elsewhere = [
        f"./.venv/bin/{program}",
        f"./venv/bin/{program}",
        *(["python3"] if program == "python" else []),
    ]
    for candidate in elsewhere:
        if path := locate(candidate, directory):
            return f"Did you mean {path}? Write its whole path into bot.process.command."
    return "Write its whole path into bot.process.command."


def _missing_interpreter(path: Path) -> str:
    try:
        with path.open("rb") as f:
            first = f.readline(200).rstrip(b"\n")
    except OSError:  # a program may be executable and not readable
        first = b""
    if first.startswith(b"#!"):
        return (
            f"its first line names an interpreter that does not exist: {first.decode('utf-8', 'replace')!r}. "
            "Mend that line, also its line end (`sed -i 's/\\r$//'`)."
        )
    return f"{path} was built for another system (its loader is missing). Install the one for this machine."
