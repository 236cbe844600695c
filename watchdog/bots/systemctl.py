"""Asking systemd, through `systemctl`: bounded in time, always in English, with errors that say what mends them.

The program and not D-Bus itself: it is there wherever systemd is, speaks to the manager of the system or of a user
alike, falls back to root's private socket when no message bus runs, and brings no dependency along. One question costs
some milliseconds in a process of its own, which can be ended when systemd hangs.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from watchdog.bots import proc, program
from watchdog.bots.base import BotError, NoAnswerError

Scope = Literal["system", "user"]

ANSWER_S = 10.0
"""systemd answers in milliseconds; one that needs longer than this is in trouble."""

_KEPT = ("PATH", "DBUS_SYSTEM_BUS_ADDRESS", "DBUS_SESSION_BUS_ADDRESS")
_DENIED = re.compile(
    r"interactive authentication required|access denied|permission denied|not authorized", re.I
)
_UNREACHED = re.compile(
    r"failed to connect to|failed to get d-bus|not been booted with systemd|connection (reset|timed out)",
    re.I,
)
_SEE_LOGS = re.compile(r"^(See |Hint: |Warning: |  \S+$)")


class DeniedError(BotError):
    """systemd answers, and does not let this user do it."""


@dataclass(frozen=True)
class Said:
    """What a finished call said. `errors` is its standard error without hints and warnings."""

    code: int
    text: str
    errors: str


def is_denied(said: Said) -> bool:
    """Whether it was refused for want of a right, and for nothing else."""
    return said.code != 0 and _DENIED.search(said.errors) is not None


@dataclass(frozen=True)
class Systemctl:
    """One way to ask: `program` is the start of the command line, `scope` whose systemd it is."""

    scope: Scope = "system"
    program: Sequence[str] = ("systemctl",)
    answer_s: float = ANSWER_S

    @property
    def command(self) -> str:
        """How a person writes it."""
        return "systemctl --user" if self.scope == "user" else "systemctl"

    async def show(self, properties: Sequence[str], *units: str) -> list[dict[str, str]]:
        """The properties of each unit that systemd knows, in the order of `units`; BotError."""
        said = await self._answer("show", f"--property={','.join(properties)}", *units)
        blocks = [block for block in said.text.split("\n\n") if block.strip()]
        if said.code or len(blocks) != len(units):
            raise BotError(
                f"`{self.command} show {' '.join(units)}` said: {said.errors or said.text or 'nothing'}"
            )
        return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]

    async def order(self, verb: str, *arguments: str) -> None:
        """Has systemd do something; DeniedError if this user may not, else BotError when it refuses."""
        said = await self._answer(verb, *arguments)
        if said.code:
            raise self.refusal(verb, arguments[-1], said)

    async def ask(self, verb: str, *arguments: str, answer_s: float | None = None) -> Said:
        """Whatever it answers to something that may be refused; BotError when it does not answer in time."""
        return await self._answer(verb, *arguments, answer_s=answer_s)

    def refusal(self, verb: str, unit: str, said: Said) -> BotError:
        """The error for a call that was refused."""
        if is_denied(said):
            who = proc.user_name(os.geteuid())
            return DeniedError(
                f"{who} may not `{self.command} {verb} {unit}`: {said.errors}. Install the polkit rule "
                "systemd/50-model-watchdog.rules with this user and this unit in it, see docs/operations.md "
                "(`model-watchdog check` tries it without doing anything)."
            )
        return BotError(f"`{self.command} {verb} {unit}` failed: {said.errors or f'exit code {said.code}'}")

    async def _answer(self, *arguments: str, answer_s: float | None = None) -> Said:
        flags = ["--no-pager", "--no-ask-password", *(["--user"] if self.scope == "user" else [])]
        said = await run(
            [*self.program, *flags, *arguments], environment(self.scope), answer_s or self.answer_s
        )
        if said.code and _UNREACHED.search(said.errors):
            raise NoAnswerError(f"systemd cannot be reached: {said.errors}. {self._reachable()}")
        return said

    def _reachable(self) -> str:
        if self.scope == "system":
            return (
                "See that this machine runs systemd and dbus.socket, and that /run is not hidden from the "
                "watchdog."
            )
        name = proc.user_name(os.geteuid()).split(maxsplit=1)[0]
        return (
            f"See that the systemd of {name} runs (`loginctl enable-linger {name}`), and that {runtime_dir()} "
            "is not hidden from the watchdog by its own unit (ProtectHome=)."
        )


async def run(command: Sequence[str], environ: Mapping[str, str], answer_s: float) -> Said:
    """Runs a program that must end within `answer_s`, and ends it otherwise. BotError."""
    try:
        ended = await program.run(command, environ, answer_s)
    except TimeoutError:
        raise NoAnswerError(
            f"systemd did not answer within {answer_s:g} s (`{' '.join(command)}`). See whether it hangs: "
            "`systemctl status`, `journalctl -b -p err`; a machine whose systemd hangs has to be rebooted."
        ) from None
    except OSError as e:
        raise BotError(
            f"{command[0]} cannot be run: {e.strerror}. Install systemd, or use another bot.control."
        ) from e
    said = " ".join(
        line.strip() for line in ended.err.splitlines() if line.strip() and not _SEE_LOGS.match(line)
    )
    return Said(ended.code, ended.out, said.rstrip("."))


def environment(scope: Scope) -> dict[str, str]:
    """For systemctl and journalctl: English, UTC, no colours, and none of the watchdog's secrets."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if scope == "user":
        kept["XDG_RUNTIME_DIR"] = str(runtime_dir())
    return {**kept, "LC_ALL": "C", "TZ": "UTC", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}


def runtime_dir() -> Path:
    """Where the systemd of this user listens. A service has no XDG_RUNTIME_DIR, and a root that became another user
    has root's."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given is not None:
        try:
            if os.stat(given).st_uid == os.geteuid():  # noqa: PTH116
                return Path(given)
        except OSError:
            pass  # gone with the session that it belonged to
    return Path(f"/run/user/{os.geteuid()}")
