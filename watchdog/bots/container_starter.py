"""Who started a container: a client that still runs, the engine itself, else somebody with access to the engine.

The engine keeps no record of who asked. So it is reckoned from who may have, and from what the engine remembers to have
happened to the container before.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.container import Container
from watchdog.bots.engine import Engine
from watchdog.bots.starter import Starter, starter_of

CLIENTS = frozenset({"docker", "docker-compose"})
VERBS = frozenset({"up", "start", "run", "restart"})
NEAR_S = 60.0
"""A client of compose, or an engine that was itself started, takes no longer until the container runs."""

MANAGERS = ("watchtower", "portainer", "autoheal", "ouroboros", "dockge", "komodo", "dokploy", "coolify")
"""Programs that live in containers and start or replace others."""

log = logging.getLogger(__name__)


async def who_started(engine: Engine, container: Container, main: proc.Stat | None, folder: Path) -> Starter:
    """Who started `container` the last time, as far as it can be known; raises nothing.

    `main` is its main process, if it can be seen; `folder` is that of the compose file.
    """
    if main is not None and (client := _client(container, main, folder)):
        return client
    try:
        return tell(
            await engine.events(container.id, container.created), container, main, await _managers(engine)
        )
    except BotError as error:
        log.info("who started the bot's container is not known: %s", error)
        return _somebody(container, [])


def tell(
    events: Sequence[Mapping[str, Any]], container: Container, main: proc.Stat | None, managers: Sequence[str]
) -> Starter:
    """Out of what the engine remembers of the container, oldest first."""
    actions = [str(event.get("Action", "")) for event in events]
    started = max((i for i, action in enumerate(actions) if action == "start"), default=None)
    before = [] if started is None else actions[:started]
    if container.restarts > 0:
        codes = [attribute(event, "exitCode") for event in events if event.get("Action") == "die"]
        ended = f", after exit code {codes[-1]}" if codes else ""
        return Starter(
            f"the engine's restart policy ({container.policy}{ended})",
            f"`docker update --restart=no {container.name}` ends that; so does `docker stop`.",
        )
    if started is not None and "restart" in actions[started + 1 :]:
        return _somebody(container, managers, "docker restart")
    if before and before[-1] == "create":
        return _somebody(container, managers, "docker compose up", "which made the container anew")
    if not before and container.policy != "no" and main is not None and _engine_is_new(main):
        return Starter(
            f"the engine as it was itself started (restart: {container.policy})",
            "With `restart: unless-stopped` in the compose file, what was stopped stays stopped.",
        )
    return _somebody(container, managers)


def exit_code_after(events: Sequence[Mapping[str, Any]], started: datetime) -> int | None:
    """How the run that began at `started` ended (more than 128: a signal), as the engine tells it."""
    ends = [event for event in events if event.get("Action") == "die"]
    codes = [attribute(e, "exitCode") for e in ends if int(e.get("timeNano", 0)) / 1e9 >= started.timestamp()]
    return int(codes[0]) if codes and codes[0].isdecimal() else None


def attribute(event: Mapping[str, Any], name: str) -> str:
    """What the engine says of one of its events beside what happened, or ""."""
    return str(((event.get("Actor") or {}).get("Attributes") or {}).get(name, ""))


def _somebody(
    container: Container, managers: Sequence[str], command: str = "docker start", what: str = ""
) -> Starter:
    perhaps = f", or perhaps {' or '.join(managers)}" if managers else ""
    stop = f" `docker stop {managers[0]}` if it is that." if managers else ""
    return Starter(
        f"whoever gave `{command}` for {container.name}{f', {what}' if what else ''} "
        f"(a person, a cron job, a script{perhaps})",
        "Find out who does (`last`, `crontab -l`, `systemctl list-timers`, a unit that runs compose), and keep it "
        f"from doing so.{stop}",
    )


def _client(container: Container, main: proc.Stat, folder: Path) -> Starter | None:
    """A client that was started shortly before the container, and is still there to show its output."""
    table = proc.Table.read()
    for found in table.alive():
        waited_s = (main.started_ticks - found.started_ticks) / proc.TICKS_PER_S
        if not 0 <= waited_s <= NEAR_S or not _is_client(found.pid):
            continue
        args = proc.arguments(found.pid)
        named = {container.name, container.id, container.short, *map(str, container.files)} & set(args)
        if not set(args) & VERBS or not (named or proc.works_in(found.pid, folder)):
            continue
        parents = [a.pid for a in table.ancestors(found.pid) if not _is_client(a.pid)]
        if parents[:1] != [os.getpid()]:
            owner = starter_of(found.pid)
            text = f"`{proc.command_text(args)}` (pid {found.pid}), run by {owner.text}"
            return Starter(text, owner.remedy)
    return None


def _is_client(pid: int) -> bool:
    """Its program, or the script that its interpreter runs."""
    return bool({Path(a).name for a in proc.arguments(pid)[:2]} & CLIENTS)


def _engine_is_new(main: proc.Stat) -> bool:
    engines = (s for s in proc.Table.read().alive() if s.comm in {"dockerd", "podman"})
    return any(0 <= main.started_ticks - s.started_ticks <= NEAR_S * proc.TICKS_PER_S for s in engines)


async def _managers(engine: Engine) -> list[str]:
    """Containers that run here and are known to start others."""
    said = await engine.ask("ps", "--no-trunc", "--format", "{{.Image}} {{.Names}}")
    pairs = (line.split(maxsplit=1) for line in said.text.splitlines() if " " in line)
    return [name for image, name in pairs if any(known in image for known in MANAGERS)]
