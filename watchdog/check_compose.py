"""`check`: the bot's compose service, whether it runs, and whether the watchdog may stop and start it."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from config import Settings
from watchdog.bots import proc
from watchdog.bots.base import BotError, NoAnswerError, Running
from watchdog.bots.compose_client import Compose, Service
from watchdog.bots.container import Container
from watchdog.bots.described import of_config, of_container
from watchdog.bots.engine import Engine
from watchdog.bots.found import Found, sort_out
from watchdog.check_container import container_findings
from watchdog.check_variables import variable_findings
from watchdog.controls import make_bot, service_of
from watchdog.finding import Finding

NOBODY = "model-watchdog-tries-its-rights"
"""A container that does not exist: to be refused for that, one must have the right."""


def bot_service(settings: Settings) -> Iterator[Finding]:
    """All about the service that `bot.compose` names."""
    return iter(asyncio.run(_all(settings)))


async def _config(service: Service, project: str, engine: Engine) -> tuple[Compose, dict[str, Any]]:
    """By the files alone, for the watchdog's environment is not that of who asks here; where that is not enough, with
    this one. BotError."""
    by_files = Compose(service, project, engine, {})
    try:
        return by_files, await by_files.config()
    except NoAnswerError:
        raise
    except BotError:
        compose = Compose(service, project, engine)
        return compose, await compose.config()


async def _all(settings: Settings) -> list[Finding]:
    engine, service = Engine(), service_of(settings)
    try:
        version = (await engine.order("version", "--format", "{{.Server.Version}}")).strip()
        project = service.project_name(os.environ)
        running = await make_bot(settings, None).find()
        found = sort_out(await engine.containers(service.name), service, project, ())
    except BotError as error:
        return [Finding("bot container", "bad", str(error))]
    compose = Compose(service, project, engine)
    told = [
        Finding("container engine", "good", f"version {version} answers"),
        _runs(service, project, running, found),
    ]
    try:
        spelling = await compose.spelling()
        told.append(Finding("compose", "good", f"`{' '.join(spelling.command)}` {spelling.version}"))
        compose, config = await _config(service, project, engine)
    except BotError as error:
        return [*told, Finding("compose", "bad", str(error))]
    container = next(iter(found.regular), None)
    anew, present = of_config(config), None if container is None else of_container(container.details)
    if present is None:
        told += [finding async for finding in _image(engine, compose.image(config))]
    told += variable_findings(service, compose.unset, anew, present, os.environ)
    told += container_findings(settings, present or anew, running[0].pid if running else 0)
    if settings.mode == "act":
        told += [finding async for finding in _rights(engine)]
    return told


def _runs(service: Service, project: str, running: Sequence[Running], found: Found) -> Finding:
    what = f"service {service.name} of {service.file}, project {project}"
    if len(running) > 1:
        names = ", ".join(c.name for c in found.up)
        return Finding(
            "bot container", "bad", f"{what}: {len(running)} bots run at once ({names})", "stop all but one"
        )
    if running:
        return Finding(
            "bot container", "good", f"{what}: runs as pid {running[0].pid} ({running[0].command})"
        )
    if not found.regular:
        return Finding(
            "bot container",
            "note",
            f"{what}: has no container",
            f"docker compose up -d {service.name}, to make one",
        )
    state = _state(found.regular[0])
    mend = f"start it: docker compose start {service.name}; to keep it down: model-watchdog halt"
    return Finding(
        "bot container", "note", f"{what}: {state}; the engine and not the watchdog starts it", mend
    )


def _state(container: Container) -> str:
    return container.trouble(0) or f"container {container.name} is {container.status}"


async def _image(engine: Engine, names: Sequence[str]) -> AsyncIterator[Finding]:
    for name in names:
        if (await engine.ask("image", "inspect", "--format", "{{.Id}}", name)).code == 0:
            yield Finding("bot image", "good", f"{name} is on this machine")
            return
    found = f"{' or '.join(names)} is not on this machine, and nothing is pulled or built in a rollback"
    yield Finding("bot image", "bad", found, "docker compose pull, or docker compose build")


async def _rights(engine: Engine) -> AsyncIterator[Finding]:
    denied = []
    for verb in ("start", "stop", "kill"):
        try:
            said = await engine.ask(verb, NOBODY)
        except BotError:
            denied.append(verb)
            continue
        if not re.search("no such container", said.errors, re.I):
            denied.append(verb)
    who = proc.user_name(os.geteuid())
    if denied:
        mend = "let the proxy of the engine's socket pass these on (docs/operations.md)"
        yield Finding("rights", "bad", f"{who} may not {', '.join(denied)} a container", mend)
    else:
        yield Finding(
            "rights", "good", f"{who} may stop, kill and start containers (tried, and nothing was done)"
        )
