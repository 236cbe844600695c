"""What the engine says of one container, as one value: the facts that matter, and what they mean in words; and which
processes it has."""

import os
import signal
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog.bots import proc
from watchdog.plain import one_line

LABEL = "com.docker.compose."
NEVER = "0001-01-01T00:00:00Z"
NOT_EXECUTED = frozenset({126, 127})
"""Of runc and of shells: the program may not be executed, or is not there."""

_UP = frozenset({"running", "paused"})


@dataclass(frozen=True)
class Container:
    """One look. `details` is all that the engine said: it holds the bot's environment, and so its secrets."""

    id: str
    name: str
    service: str
    project: str
    oneoff: bool
    """Made by `compose run`, and not for the service itself."""
    number: int
    files: tuple[Path, ...]
    """The compose files that it was made from; as compose was told, so perhaps not where they are."""
    argv: tuple[str, ...]
    status: str
    pid: int
    """Of its main process, as the engine's machine counts; 0 while it is down."""
    exit_code: int
    """Negative for a signal."""
    oom: bool
    error: str
    """Why the engine could not start it, or ""."""
    restarts: int
    """By the engine itself, since a person or the watchdog started it."""
    policy: str
    health: str
    created: str
    started: str
    """RFC 3339, of the engine's clock; differs from start to start."""
    finished: str
    details: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def up(self) -> bool:
        """It has processes, frozen ones perhaps."""
        return self.status in _UP

    @property
    def resting(self) -> bool:
        """Dead, and about to be started again by its restart policy."""
        return self.status == "restarting"

    @property
    def short(self) -> str:
        """The id as people write it."""
        return self.id[:12]

    @property
    def command(self) -> str:
        """For people: which container, and what it runs."""
        return f"container {self.name}: {proc.command_text(self.argv)}"

    def how_it_ended(self) -> str:
        """ "exit code 3", "killed by signal 9", ...; for people."""
        if self.error:
            return one_line(self.error, 200)
        if self.oom:
            return "the kernel killed it for the memory it took"
        return f"killed by signal {-self.exit_code}" if self.exit_code < 0 else f"exit code {self.exit_code}"

    def trouble(self, restarted_lately: int) -> str | None:
        """What is neither up nor simply down, in a sentence; `restarted_lately`: how often in the last minutes."""
        if self.resting or (restarted_lately > 1 and self.up):
            times = f"{self.restarts} restart{'' if self.restarts == 1 else 's'}"
            last = f", last {self.how_it_ended()}" if self.resting else ""
            return f"the engine restarts container {self.name} again and again ({times} until now{last})"
        if self.status == "paused":
            return f"container {self.name} is paused: the bot is frozen, and neither trades nor minds its positions"
        if self.up and self.health == "unhealthy":
            return f"the engine calls container {self.name} unhealthy: its health check fails"
        if not self.up and (self.error or self.oom):
            return f"container {self.name} is down: {self.how_it_ended()}"
        if self.status == "dead":
            return f"the engine calls container {self.name} dead: it could not be removed"
        return None


def parse(entry: Mapping[str, Any]) -> Container:
    """Out of one entry of `docker inspect`; what an engine leaves out is empty."""
    state, config = entry.get("State") or {}, entry.get("Config") or {}
    labels = config.get("Labels") or {}
    policy = (entry.get("HostConfig") or {}).get("RestartPolicy") or {}
    number = str(labels.get(f"{LABEL}container-number", ""))
    return Container(
        id=str(entry["Id"]),
        name=str(entry.get("Name", "")).lstrip("/"),
        service=str(labels.get(f"{LABEL}service", "")),
        project=str(labels.get(f"{LABEL}project", "")),
        oneoff=str(labels.get(f"{LABEL}oneoff", "")).lower() == "true",
        number=int(number) if number.isdecimal() else 0,
        files=_files(labels),
        argv=(str(entry.get("Path", "")), *map(str, entry.get("Args") or [])),
        status=_status(state),
        pid=int(state.get("Pid") or 0),
        exit_code=signed(int(state.get("ExitCode") or 0)),
        oom=bool(state.get("OOMKilled")),
        error=str(state.get("Error") or ""),
        restarts=int(entry.get("RestartCount") or 0),
        policy=str(policy.get("Name") or "no"),
        health=str((state.get("Health") or {}).get("Status") or ""),
        created=str(entry.get("Created") or NEVER),
        started=str(state.get("StartedAt") or NEVER),
        finished=str(state.get("FinishedAt") or NEVER),
        details=entry,
    )


def _status(state: Mapping[str, Any]) -> str:
    """In a word; engines that say none are asked by their flags. A container that waits to be restarted is `Running`
    for the engine, so that flag comes last."""
    for flag, word in (("Restarting", "restarting"), ("Paused", "paused"), ("Running", "running")):
        if state.get(flag):
            return word
    return str(state.get("Status") or ("dead" if state.get("Dead") else "exited"))


def _files(labels: Mapping[str, Any]) -> tuple[Path, ...]:
    folder = Path(str(labels.get(f"{LABEL}project.working_dir", "")))
    names = str(labels.get(f"{LABEL}project.config_files", "")).split(",")
    return tuple(
        folder / Path(name).name if not name.startswith("/") else Path(name) for name in names if name
    )


def signed(code: int) -> int:
    """Engines and shells tell a signal as 128 more than its number."""
    return 128 - code if 128 < code <= 128 + signal.NSIG else code


def time_of(text: str) -> datetime | None:
    """An aware time out of what the engine writes; None for what never happened."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.year > 1 and at.tzinfo else None


def processes_of(ids: Collection[str]) -> dict[str, list[proc.Stat]]:
    """All living processes in the control group of each of these containers, oldest first; by an own look into /proc.

    Of an engine on another machine, or where /proc is hidden, none is seen. What a runtime prepares is no process of
    the container yet.
    """
    found: dict[str, list[proc.Stat]] = {container: [] for container in ids}
    for name in os.listdir("/proc") if ids else ():  # noqa: PTH208 (four times as fast)
        if name.isdecimal() and (groups := _groups(int(name))):
            for container, stats in found.items():
                if (
                    container in groups
                    and (stat := proc.stat(int(name)))
                    and not (stat.dead or _prepares(stat))
                ):
                    stats.append(stat)
    for stats in found.values():
        stats.sort(key=lambda s: (s.started_ticks, s.pid))
    return found


def lives_in(pid: int, container: str) -> bool:
    """Whether the process, dead or alive, is in the container's control group."""
    return container in _groups(pid)


def _groups(pid: int) -> str:
    """A container's has the id in its name, however the engine lays them out (/docker/<id>, docker-<id>.scope)."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _prepares(stat: proc.Stat) -> bool:
    return stat.comm.startswith(("runc", "crun"))
