"""Who keeps a process running: the name for people, and how to make it stop doing so."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from watchdog.bots import proc

_CRON = frozenset({"cron", "crond", "anacron", "atd", "fcron"})
_SUPERVISORS = {
    "supervisord": "supervisorctl stop NAME",
    "monit": "monit unmonitor NAME",
    "runsv": "sv down NAME",
    "s6-supervise": "s6-svc -d FOLDER",
    "supervise": "svc -d FOLDER",
    "circusd": "circusctl stop NAME",
    "PM2": "pm2 stop NAME",
}
_CONTAINER = re.compile(
    r"(docker|libpod|crio|containerd|kubepods)\S*?[-/:]([0-9a-f]{12,64})(?:\.scope)?(?:/|$)", re.M
)
# Units that people and jobs live in: they say nothing of who started the process.
_HOSTS_OF_SESSIONS = re.compile(
    r"(user@|sshd?[@.]|[\w-]*getty@|[\w-]*terminal|gdm|sddm|lightdm|display-manager)"
)


@dataclass(frozen=True)
class Starter:
    """`text` names it ("cron (pid 812)"); `remedy` is a sentence for who wants the bot to stay down."""

    text: str
    remedy: str


def who_started(pid: int) -> str:
    """For people: "cron (pid 812)", "systemd unit bot.service", "bash (pid 4711: ...) in session 4700"."""
    return starter_of(pid).text


def starter_of(pid: int) -> Starter:
    """The nearest that deserves the name: scheduler, supervisor, container, unit, else the parent process."""
    table = proc.Table.read()
    chain = table.ancestors(pid)
    return _scheduler(chain) or _cgroup_owner(pid) or _parent(chain)


def _scheduler(chain: list[proc.Stat]) -> Starter | None:
    for ancestor in chain:
        name = ancestor.comm
        if name in _CRON:
            return Starter(
                f"{name} (pid {ancestor.pid})",
                "Take its line out of the crontab (`crontab -l`, /etc/crontab, /etc/cron.d; `atq` for at).",
            )
        command = _SUPERVISORS.get("PM2" if name.startswith("PM2 ") else name)
        if command:
            return Starter(f"{name} (pid {ancestor.pid})", f"Stop it there: `{command}`.")
    return None


def _cgroup_owner(pid: int) -> Starter | None:
    text = _cgroup(pid)
    if text == _cgroup(os.getpid()):
        return None  # what the watchdog itself lives in is not what starts the bot
    return owner_in_cgroup(text)


def _cgroup(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def owner_in_cgroup(text: str) -> Starter | None:
    """The container or systemd unit that the text of a /proc/<pid>/cgroup names, None for a login session."""
    if container := _CONTAINER.search(text):
        engine, name = container.group(1), container.group(2)[:12]
        tool = {"docker": "docker", "libpod": "podman"}.get(engine, "crictl")
        return Starter(
            f"container {name} ({engine})", f"Stop it with `{tool} stop {name}`, or use `control: compose`."
        )
    for line in text.splitlines():
        hierarchy, _, path = line.split(":", 2)
        parts = [p for p in path.split("/") if p.endswith((".service", ".scope"))]
        if hierarchy != "0" and ":name=systemd:" not in line:
            continue
        if parts and parts[-1].endswith(".service") and not _HOSTS_OF_SESSIONS.match(parts[-1]):
            return _unit(parts[-1], of_user=any(p.startswith("user@") for p in parts))
    return None


def _unit(unit: str, of_user: bool) -> Starter:
    stop = f"systemctl {'--user ' if of_user else ''}stop {unit}"
    return Starter(
        f"systemd {'user ' if of_user else ''}unit {unit}",
        f"Stop it with `{stop}`, or use `control: systemd` with `unit: {unit}`.",
    )


def _parent(chain: list[proc.Stat]) -> Starter:
    if (
        len(chain) <= 1 or chain[0].comm == "systemd"
    ):  # taken over by the first process, or by a user's manager
        init = f"{chain[0].comm} (pid {chain[0].pid})" if chain else "the first process"
        return Starter(
            f"{init}: the process that started it has ended",
            "Look for what starts it: `systemctl list-timers`, `crontab -l`, a start script.",
        )
    parent, above = chain[0], chain[1:]
    args = proc.arguments(parent.pid)
    shell = proc.is_shell(args, proc.executable(parent.pid))
    text = f"{parent.comm} (pid {parent.pid}: {proc.command_text(args)})"
    where = f" in session {parent.session}" if shell else ""
    under = ", ".join(f"{a.comm} (pid {a.pid})" for a in above)
    kind = "the shell loop" if shell else "that process"
    return Starter(f"{text}{where}, under {under}", f"End {kind} first: `kill {parent.pid}`.")
