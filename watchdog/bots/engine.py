"""Asking the container engine, through its own command line: bounded in time, with errors that say what mends them.

The program and not its socket: so contexts, DOCKER_HOST, TLS, rootless and remote engines work for the watchdog as they
do for the operator, and no dependency comes along. One question costs some hundredths of a second in a process of its
own, which can be ended when the engine hangs.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watchdog.bots import proc, program
from watchdog.bots.base import BotError, NoAnswerError
from watchdog.bots.container import LABEL, Container, parse
from watchdog.bots.engine_environment import FIXED, handed_on
from watchdog.plain import one_line

ANSWER_S = 10.0
"""The engine answers in hundredths of a second; one that needs longer than this is in trouble."""

EVENTS_S = 5.0
"""An engine whose clock is behind ours would wait until it has caught up."""

QUOTED = 300
"""Characters of what a program said."""

_GONE = re.compile(r"no such (object|container)", re.I)
_OF_ENGINE = re.compile(r"error response from daemon", re.I)
_FORBIDDEN = re.compile(r"\b403\b.*forbidden|forbidden by", re.I)
_DENIED = re.compile(r"permission denied.*\bsock|permissionerror|access denied", re.I)
_DEAD_ONEOFF = re.compile(r"\S+ true (exited|created|dead)\b", re.I)
_UNREACHED = re.compile(
    r"(cannot|couldn't|failed to) connect to (the )?docker|daemon running\?|error during connect"
    r"|connection (aborted|refused)",
    re.I,
)
_COMPLAINT = re.compile(r"error|unable|docker:|permission|cannot|.*\bis invalid\b", re.I)
_DICTIONARY = re.compile(r"\{.*\}", re.S)
_VALUE = re.compile(
    r"(?i)((?:token|secret|passw(?:or)?d|api[-_]?key|private[-_]?key|credential)[\w-]*['\"]?\s*[=:]\s*)\S+"
)


@dataclass(frozen=True)
class Said:
    """What a finished call said."""

    code: int
    text: str
    errors: str

    @property
    def why(self) -> str:
        """What it complained of, in one line, without what may be a secret: compose prints the environment of a service
        together with the mistake that it found there."""
        lines = [line.strip() for line in (self.errors or self.text).splitlines() if line.strip()]
        told = [at for at, line in enumerate(lines) if _COMPLAINT.match(line)]
        first = told[0] if told else max(0, len(lines) - 2)
        quoted = [
            line for at, line in enumerate(lines[first : first + 2], first) if at == first or at not in told
        ]
        text = _VALUE.sub(r"\1***", _DICTIONARY.sub("{...}", " ".join(quoted)))
        return one_line(text, QUOTED).rstrip(".") or f"exit code {self.code}"


@dataclass(frozen=True)
class Engine:
    """One way to ask."""

    program: str = "docker"
    answer_s: float = ANSWER_S

    async def ask(self, *arguments: str, answer_s: float | None = None, merged: bool = False) -> Said:
        """Whatever it answers to something that may be refused. `merged`: standard error goes into the text. BotError
        when it cannot be asked: it is not there, it does not let this user in, it does not answer in time."""
        said = await run([self.program, *arguments], answer_s or self.answer_s, merged=merged)
        if said.code:
            self.unreached(said)
        return said

    async def order(self, *arguments: str, answer_s: float | None = None) -> str:
        """Has it do or tell something; BotError when it refuses."""
        said = await self.ask(*arguments, answer_s=answer_s)
        if said.code:
            raise BotError(f"`{self.program} {arguments[0]}` failed: {said.why}.")
        return said.text

    async def containers(self, service: str) -> list[Container]:
        """All containers of a service of this name, of whatever project, dead ones too; but for dead one-offs, which
        pile up by the hundred. BotError."""
        text = await self.order(
            "ps", "--all", "--no-trunc", "--filter", f"label={LABEL}service={service}",
            "--format", f'{{{{.ID}}}} {{{{.Label "{LABEL}oneoff"}}}} {{{{.Status}}}}',
        )  # fmt: skip
        return await self.inspect(
            [line.split()[0] for line in text.splitlines() if not _DEAD_ONEOFF.match(line)]
        )

    async def inspect(self, ids: Sequence[str]) -> list[Container]:
        """These containers, without those that are gone. BotError."""
        if not ids:
            return []
        said = await self.ask("inspect", "--type", "container", *ids)
        if said.code and not _GONE.search(said.errors):
            raise BotError(f"`{self.program} inspect` failed: {said.why}.")
        return [parse(entry) for entry in _json(said.text or "[]", list)]

    async def events(self, container: str, since: str) -> list[dict[str, Any]]:
        """What happened to a container since then, oldest first, as far back as the engine remembers. BotError."""
        until = datetime.now(UTC).isoformat()  # and not "0s", which is cut to the second
        text = await self.order(
            "events", "--since", since, "--until", until, "--filter", f"container={container}",
            "--filter", "type=container", "--format", "{{json .}}", answer_s=min(self.answer_s, EVENTS_S),
        )  # fmt: skip
        return [_json(line, dict) for line in text.splitlines() if line.startswith("{")]

    def unreached(self, said: Said) -> None:
        """Raises the BotError for an engine that cannot be asked; compose gets the same answers from it."""
        answered = _OF_ENGINE.search(said.errors)
        if (_FORBIDDEN if answered else _DENIED).search(said.errors):
            who = proc.user_name(os.geteuid())
            raise BotError(
                f"{who} may not use the container engine: {said.why}. Give the watchdog's unit "
                "SupplementaryGroups=docker, which is as good as root; docs/operations.md shows it and what else can "
                "be done."
            )
        if not answered and _UNREACHED.search(said.errors):
            raise NoAnswerError(
                f"the container engine cannot be reached: {said.why}. See whether it runs (`systemctl status docker`), "
                "and whether DOCKER_HOST in the watchdog's environment is right. Containers may live on without it."
            )


def _json(text: str, kind: type) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, kind):
        raise BotError(
            f"the container engine answered something that nobody understands: {one_line(text, 80)}"
        )
    return found


async def run(
    command: Sequence[str],
    answer_s: float,
    *,
    directory: Path | None = None,
    merged: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Said:
    """Runs a program that must end within `answer_s`, and ends it otherwise, with what it started. BotError."""
    environ = {**(handed_on(os.environ) if environment is None else environment), **FIXED}
    try:
        ended = await program.run(command, environ, answer_s, directory=directory, merged=merged)
    except TimeoutError:
        raise NoAnswerError(
            f"the container engine did not answer within {answer_s:g} s (`{proc.command_text(command)}`). See whether "
            "it hangs: `docker ps`, `journalctl -u docker -n 50`; `systemctl restart docker` restarts it, and perhaps "
            "its containers."
        ) from None
    except OSError as e:
        raise BotError(
            f"{command[0]} cannot be run: {e.strerror}. Install the engine's command line (Debian: docker.io or "
            "docker-ce-cli), and let the watchdog's PATH have it."
        ) from e
    return Said(ended.code, ended.out, ended.err)
