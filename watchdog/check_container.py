"""`check`: how the bot's container was made, or would be: what becomes of a stop, and whether its logs are here."""

import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from config import Settings
from watchdog.bots import proc
from watchdog.bots.described import DEFAULT_GRACE, Described, seen_in
from watchdog.finding import Finding
from watchdog.messages import span

PASSES_ON = frozenset({"docker-init", "tini", "dumb-init", "catatonit", "s6-svscan", "systemd"})
"""Programs that are PID 1 for others and hand them their signals."""

OWN_ZONE = "/etc/localtime"


def container_findings(settings: Settings, described: Described, pid: int) -> Iterator[Finding]:
    """All about the container. `pid` of its main process, 0 while it is down or cannot be seen."""
    yield from _policy(described)
    yield from _ending(settings, described, pid)
    yield from _paths(settings, described)
    yield from _user(settings, described)
    yield from _zone(settings, described)
    yield from _output(described)


def _policy(described: Described) -> Iterator[Finding]:
    policy = described.policy
    if policy == "no":
        found = "the bot's container is not restarted after a crash: it stays down, and the watchdog pages"
        yield Finding("bot restarts", "note", found, "restart: unless-stopped in the compose file")
    elif policy == "always":
        found = "restart: always brings a bot back that was stopped, whenever the engine itself is restarted"
        mend = "restart: unless-stopped in the compose file; until then the watchdog stops it again and tells"
        yield Finding("bot restarts", "note", found, mend)
    else:
        yield Finding("bot restarts", "good", f"restart: {policy}; what was stopped stays stopped")


def _ending(settings: Settings, described: Described, pid: int) -> Iterator[Finding]:
    ours, theirs = settings.bot.stop_timeout, described.grace or DEFAULT_GRACE
    if theirs > ours:
        found = f"the compose file grants the bot {span(theirs)} to end, bot.stop_timeout only {span(ours)}"
        yield Finding(
            "bot stop", "note", found, f"stop_timeout: {span(theirs).replace(' ', '')}".replace("min", "m")
        )
    else:
        rest = "" if theirs == ours else f" (by others, such as `docker compose stop`: after {span(theirs)})"
        yield Finding("bot stop", "good", f"{described.signal}, and after {span(ours)} SIGKILL{rest}")
    if pid and not described.init and _is_deaf(pid, described.signal):
        found = (
            f"the bot does not hear {described.signal}: it is the first process of its container, and those hear only "
            f"what they ask for. Each stop takes {span(ours)}"
        )
        yield Finding("bot stop", "note", found, "init: true in the compose file, or a handler in the bot")


def _is_deaf(pid: int, name: str) -> bool:
    """Whether the main process of the container has no handler for the signal (proc(5), SigCgt)."""
    number = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", None)
    stat = proc.stat(pid)
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    first, caught = re.search(r"^NSpid:.*\t1$", text, re.M), re.search(r"^SigCgt:\s*([0-9a-f]+)$", text, re.M)
    if number is None or stat is None or stat.comm in PASSES_ON or not first or not caught:
        return False
    return not int(caught[1], 16) >> (number - 1) & 1


def _paths(settings: Settings, described: Described) -> Iterator[Finding]:
    wanted = (
        ("bot log", "bot.log", settings.bot.log, True),
        ("trade log", "trade_log.path", settings.trade_log.path, True),
        ("registry", "registry.path", settings.registry.path, False),
    )
    for what, key, path, written in wanted:
        seen = seen_in(described.mounts, path)
        where = f"{what} in container"
        if seen is None or not seen[0].bind:
            volumes = "" if seen is None else "; it lies in a volume, which is the engine's own"
            found = f"{path} of this machine is not in the bot's container{volumes}: what the bot has is another one"
            mend = f"a bind mount in the compose file (volumes: [{path.parent}:/app/{path.parent.name}]), or set {key}"
            yield Finding(where, "bad", found, mend)
        elif written and not seen[0].writable:
            found = f"{path} is {seen[1]} there, mounted read-only: the bot cannot write it"
            yield Finding(where, "bad", found, "take `:ro` from that mount in the compose file")
        elif written and Path(seen[0].source).is_file():
            found = (
                f"{path} is mounted as a single file: after a rotation the bot goes on writing the old one"
            )
            yield Finding(where, "note", found, "mount its folder")
        else:
            yield Finding(where, "good", f"{path} is {seen[1]} there")


def _user(settings: Settings, described: Described) -> Iterator[Finding]:
    """Whether the container's user may write the logs, by the rights of folders and files.

    Who is meant by a name, only the image knows.
    """
    user, _, group = described.user.partition(":")
    if not user.isdecimal() or int(user) == 0:
        return
    for path in {
        settings.bot.log.parent,
        settings.trade_log.path.parent,
        settings.bot.log,
        settings.trade_log.path,
    }:
        try:
            stat = path.stat()
        except OSError:
            continue  # told with the logs
        shift = 6 if stat.st_uid == int(user) else 3 if group.isdecimal() and stat.st_gid == int(group) else 0
        if not stat.st_mode >> shift & 0o2:
            found = f"user {described.user} of the bot's container may not write {path}"
            yield Finding("bot user", "bad", found, f"chown {described.user} {path}")
            return
    yield Finding("bot user", "good", f"user {described.user} of the bot's container may write the logs")


def _zone(settings: Settings, described: Described) -> Iterator[Finding]:
    written, now = described.time_zone, datetime.now(UTC)
    if written is None and any(mount.target == OWN_ZONE for mount in described.mounts):
        return
    try:
        theirs = now.astimezone(ZoneInfo(written or "UTC")).utcoffset()
    except (ZoneInfoNotFoundError, ValueError):
        theirs = None
    if theirs != now.astimezone(settings.bot.tz).utcoffset():
        which = f"TZ={written}" if written else "UTC (it has no TZ)"
        found = f"the bot's container is in {which}, bot.timezone is {settings.bot.timezone}"
        yield Finding(
            "time zone", "note", found, "the same in both, unless the bot logs in a time zone of its own"
        )


def _output(described: Described) -> Iterator[Finding]:
    if described.log_driver == "json-file" and not described.log_size:
        found = "what the bot prints is kept by the engine without limit, until the disk is full"
        yield Finding(
            "bot output", "note", found, 'logging: {options: {max-size: "10m"}} in the compose file'
        )
