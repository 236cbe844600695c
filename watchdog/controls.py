"""Which control the settings ask for: one line for each way of running a bot."""

import logging
import sqlite3
from collections.abc import Callable

from config import Settings
from watchdog import dry_run
from watchdog.bots.base import BotControl
from watchdog.bots.compose import ComposeBot
from watchdog.bots.compose_client import Service
from watchdog.bots.engine import Engine
from watchdog.bots.process import ProcessBot, Remembered
from watchdog.bots.systemctl import Systemctl
from watchdog.bots.systemd import SystemdBot
from watchdog.journal import Journal

log = logging.getLogger(__name__)

STOPPING = "stopping"
"""In the journal: the processes that a stop of the bot is about to end."""


class UnsupportedError(Exception):
    """The configuration asks for something that this version cannot do."""


def make_bot(settings: Settings, journal: Journal | None) -> BotControl:
    """The bot control that the settings ask for; it knows the bot that the journal remembers."""
    make = _MAKERS.get(settings.bot.control)
    if make is None:
        raise UnsupportedError(
            f"{settings.path}: bot.control: {settings.bot.control} is not supported by this version; "
            f"{' and '.join(_MAKERS)} are"
        )
    return make(settings, journal)


def _remembered(journal: Journal | None) -> Remembered | None:
    kept = None if journal is None else journal.get("bot")
    return None if kept is None else (kept[0], kept[1], kept[2])


def _process(settings: Settings, journal: Journal | None) -> BotControl:
    process = settings.bot.process
    assert process is not None  # as the settings were checked
    kept = None if journal is None else journal.get(STOPPING)

    def keep(stopping: list[Remembered]) -> None:
        try:
            if journal is not None:
                journal.put(STOPPING, stopping or None)
        except sqlite3.Error as error:
            log.critical("the journal cannot be written (%s): the bot is stopped all the same", error)

    return ProcessBot(
        command=process.command,
        directory=process.directory,
        output=settings.state_dir / "bot-output.log",
        identity=f"{settings.bot.name} {settings.state_dir}",
        remembered=_remembered(journal),
        dry_runs=dry_run.mark(settings),
        stopping=[(pid, ticks, boot_id) for pid, ticks, boot_id in kept or ()],
        keep_stopping=keep,
    )


def _compose(settings: Settings, journal: Journal | None) -> BotControl:
    return ComposeBot(
        service=service_of(settings),
        engine=Engine(),
        start_timeout_s=settings.bot.start_timeout.total_seconds(),
        remembered=_remembered(journal),
    )


def service_of(settings: Settings) -> Service:
    """The service of `control: compose`."""
    compose = settings.bot.compose
    assert compose is not None
    return Service(compose.file, compose.service, compose.project, compose.env_file)


def _systemd(settings: Settings, journal: Journal | None) -> BotControl:
    systemd = settings.bot.systemd
    assert systemd is not None
    return SystemdBot(
        unit=systemd.unit,
        systemctl=Systemctl(scope=systemd.scope),
        start_timeout_s=settings.bot.start_timeout.total_seconds(),
        remembered=_remembered(journal),
    )


_MAKERS: dict[str, Callable[[Settings, Journal | None], BotControl]] = {
    "process": _process,
    "compose": _compose,
    "systemd": _systemd,
}
