"""What systemd says of the bot's unit, as one value: the properties that matter, and what they mean in words."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from watchdog.bots import cgroup, proc
from watchdog.bots.base import BotError

PROPERTIES = (
    "Id", "LoadState", "LoadError", "ActiveState", "SubState", "Result", "Job", "MainPID", "ControlPID", "ControlGroup",
    "InvocationID", "NRestarts", "Restart", "ExecMainPID", "ExecMainCode", "ExecMainStatus", "InactiveExitTimestamp",
    "ConditionResult", "ConditionTimestamp", "RefuseManualStop", "Transient",
)  # fmt: skip

DOWN = frozenset({"inactive", "failed"})
_LOADS = frozenset({"loaded", "stub", "merged"})
_OUTCOMES = {
    "timeout": "a time-out of the unit ran out",
    "watchdog": "it gave no sign of life within the unit's WatchdogSec=",
    "oom-kill": "the kernel killed it for the memory it took",
    "start-limit-hit": "it was started too often (StartLimitBurst=)",
    "resources": "systemd lacked what it needs to start it",
    "protocol": "it did not do what Type= of the unit asks for",
    "exec-condition": "ExecCondition= of the unit forbade it",
}
# systemd.exec(5), "Process Exit Codes": given by systemd itself when it cannot even execute the program.
_NOT_EXECUTED = {
    200: "WorkingDirectory= cannot be entered",
    203: "the program of ExecStart= is not there, or may not be executed by the unit's user",
    208: "StandardInput= cannot be set up",
    209: "StandardOutput= cannot be set up",
    216: "Group= does not exist",
    217: "User= does not exist",
    226: "a folder that the unit's sandbox names is not there (ReadWritePaths=, BindPaths=, ...)",
    238: "StateDirectory= cannot be made",
    240: "LogsDirectory= cannot be made",
    243: "a credential cannot be read (LoadCredential=)",
}
_FIRST_NOT_EXECUTED, _LAST_NOT_EXECUTED = 200, 245


@dataclass(frozen=True)
class UnitState:
    """One look. `processes` are all in its control group, oldest first."""

    name: str
    load: str
    load_error: str
    active: str
    sub: str
    result: str
    job: bool
    """Something waits to be done with it: a start, a stop."""
    main: proc.Stat | None
    """The main process, once its program is executed."""
    gone_pid: int
    """A main process that is dead, or not to be seen, while systemd still takes it for alive; 0 = none."""
    invocation: str
    """Differs from start to start; "" once systemd has forgotten the last one."""
    restarts: int
    """By systemd itself, since a person or the watchdog started it."""
    restart: str
    exec_pid: int
    """The last main process, also when it is dead; `exec_code` is its exit code, negative for a signal."""
    exec_code: int | None
    began: datetime | None
    """When it was started last, to the second."""
    condition_failed: datetime | None
    refuses_stop: bool
    """`systemctl stop` is refused (RefuseManualStop=)."""
    transient: bool
    """Made by systemd-run and the like: gone once it is down."""
    processes: tuple[proc.Stat, ...]

    @property
    def loaded(self) -> bool:
        """Whether there is a unit file that systemd understands."""
        return self.load in _LOADS

    @property
    def down(self) -> bool:
        """Not running, nothing of it left, and nothing about to start it."""
        return self.active in DOWN and not self.processes and not self.job

    @property
    def resting(self) -> bool:
        """Dead, and to be started again by its own restart policy after RestartSec=."""
        return self.active == "activating" and self.sub.startswith("auto-restart")

    @property
    def exited(self) -> bool:
        """Counts as active, and nothing of it runs (RemainAfterExit=)."""
        return self.active == "active" and self.main is None and not self.processes

    @property
    def starting(self) -> bool:
        """On its way up, without a main process until now: ExecStartPre=, or a start that waits for other units."""
        return self.main is None and (
            (self.active == "activating" and not self.resting) or (self.active in DOWN and self.job)
        )

    @property
    def gave_up(self) -> bool:
        """Whether its restart policy came to its end."""
        restarted = self.restarts > 0 and self.restart != "no"
        return self.active == "failed" and (self.result == "start-limit-hit" or restarted)

    @property
    def never_executed(self) -> str | None:
        """Why its program could not even be executed, which no other version of a model would mend; or None."""
        code = self.exec_code
        if self.main is not None or code is None or not _FIRST_NOT_EXECUTED <= code <= _LAST_NOT_EXECUTED:
            return None
        why = _NOT_EXECUTED.get(code, "see systemd.exec(5), Process Exit Codes")
        return f"systemd could not execute it, exit code {code}: {why}"

    def bot(self, known: tuple[int, int] | None) -> proc.Stat | None:
        """The process that the bot is: a unit is one bot, however many processes it has.

        The main one; where systemd knows none, because that has ended or was never told, the one that is `known` (pid,
        started_ticks) from before, else the oldest root. None while it is on its way up, and when nothing runs.
        """
        if self.main is not None or self.starting:
            return self.main
        roots = [p for p in cgroup.roots_of(list(self.processes)) if not p.comm.startswith("(")]
        return next((p for p in roots if (p.pid, p.started_ticks) == known), roots[0] if roots else None)

    def how_it_ended(self) -> str:
        """ "exit code 3", "signal 9", "a time-out of the unit ran out"; for people."""
        if self.result in _OUTCOMES:
            return _OUTCOMES[self.result]
        if self.exec_code is None:
            return (
                "a command of the unit failed" if self.active == "failed" else "it is not known how it ended"
            )
        return f"signal {-self.exec_code}" if self.exec_code < 0 else f"exit code {self.exec_code}"

    def trouble(self, restarted_lately: int) -> str | None:
        """What is neither up nor simply down, in a sentence; `restarted_lately`: how often in the last minutes."""
        if self.resting and self.restarts == 0:
            return f"its process ended ({self.how_it_ended()}) and systemd is about to start it again"
        if self.active in DOWN and self.processes:
            pids = ", ".join(str(p.pid) for p in self.processes)
            return f"its main process has ended ({self.how_it_ended()}) and left others behind (pid {pids}; KillMode=)"
        if self.gave_up:
            times = f" after {self.restarts} restarts" if self.restarts else ""
            return f"systemd gave it up{times}: {self.how_it_ended()} (start limit)"
        if self.resting or (restarted_lately > 1 and self.active not in DOWN):
            times = f"{self.restarts} restart{'' if self.restarts == 1 else 's'}"
            return f"systemd restarts it again and again ({times} until now, last {self.how_it_ended()})"
        if self.active == "failed":
            return f"systemd calls it failed: {self.how_it_ended()}"
        if self.exited:
            return "systemd calls it active, but no process of it is there (RemainAfterExit=)"
        return None if self.loaded else f"its unit file is {self.load}{self._why()}"

    def _why(self) -> str:
        said = re.search(r'"(.*)"', self.load_error)
        return f" ({said[1].rstrip('.')})" if said and self.load != "masked" else ""


def _main(pid: int) -> tuple[proc.Stat | None, int]:
    """The process, or the pid that is gone; neither until the program is executed: it is systemd's `(program)` then."""
    found = proc.stat(pid) if pid else None
    if found is None or found.dead:
        return None, pid
    return None if found.comm.startswith("(") else found, 0


def parse(shown: Mapping[str, str]) -> UnitState:
    """Out of `systemctl show` (in the C locale and in UTC); the control group is read, too. BotError."""
    try:
        return _parse(shown)
    except (KeyError, ValueError) as e:
        raise BotError(f"`systemctl show` said what no systemd says ({e}): see what `systemctl` runs.") from e


def _parse(shown: Mapping[str, str]) -> UnitState:
    number = {
        key: int(shown.get(key) or 0) for key in ("MainPID", "NRestarts", "ExecMainPID", "ExecMainStatus")
    }
    cld = int(shown.get("ExecMainCode") or 0)  # wait(2): 1 = exited, 2 = killed, 3 = killed with a core dump
    status = number["ExecMainStatus"]
    main, gone_pid = _main(number["MainPID"])
    tested = parse_time(shown.get("ConditionTimestamp", ""))
    return UnitState(
        name=shown["Id"],
        load=shown["LoadState"],
        load_error=shown.get("LoadError", ""),
        active=shown["ActiveState"],
        sub=shown["SubState"],
        result=shown.get("Result", ""),
        job=bool(shown.get("Job")),
        main=main,
        gone_pid=gone_pid,
        invocation=shown.get("InvocationID", ""),
        restarts=number["NRestarts"],
        restart=shown.get("Restart", "no"),
        exec_pid=number["ExecMainPID"],
        exec_code=None if cld == 0 else status if cld == 1 else -status,
        began=parse_time(shown.get("InactiveExitTimestamp", "")),
        condition_failed=tested if shown.get("ConditionResult") == "no" else None,
        refuses_stop=shown.get("RefuseManualStop") == "yes",
        transient=shown.get("Transient") == "yes",
        processes=tuple(cgroup.members(shown.get("ControlGroup", ""))),
    )


def parse_time(text: str) -> datetime | None:
    """ "Mon 2026-11-23 15:02:18 UTC"; None for what never happened."""
    try:
        return datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:
        return None


_UNITS_S = {"y": 31557600.0, "month": 2629800.0, "w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0,
            "ms": 1e-3, "us": 1e-6}  # fmt: skip


def parse_span(text: str) -> timedelta | None:
    """ "1min 30s"; None for infinity. ValueError for anything else."""
    if text == "infinity":
        return None
    parts: Sequence[tuple[str, str]] = re.findall(r"([\d.]+)([a-z]+)", text)
    if not parts or any(unit not in _UNITS_S for _, unit in parts):
        raise ValueError(f"{text!r} is no span of time")
    return timedelta(seconds=sum(float(number) * _UNITS_S[unit] for number, unit in parts))
