"""`model-watchdog run`: locks, logs, the daemon, and a reload without giving up the locks."""

import asyncio
import functools
import logging
import signal
import sqlite3

import config
from config import ConfigError, Settings
from notifier import NotifyError, TelegramChannel
from watchdog import logs
from watchdog.assemble import Parts, UnsupportedError, assemble, locks, make_bot
from watchdog.daemon import SIGNALS, Daemon
from watchdog.journal import JournalError
from watchdog.lock import Lock, LockedError
from watchdog.orders import ControlFolder, OrderError
from watchdog.sdnotify import SdNotify

log = logging.getLogger(__name__)

START_ERRORS = (UnsupportedError, JournalError, OrderError, NotifyError, sqlite3.Error, OSError)


def run(settings: Settings) -> int:
    """Runs until SIGTERM; returns the exit code."""
    logs.set_up(settings.secrets())
    # Until a daemon listens, and between two of them at a reload: a second HUP must not kill.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    notify = SdNotify()
    held: list[Lock] = []
    try:
        held = take_locks(settings)
        if settings.telegram is not None:
            TelegramChannel.preload()
        return _until_told(settings, notify)
    except LockedError as error:
        log.error("%s", error)
        return 1
    except START_ERRORS as error:
        log.error("the watchdog cannot start: %s", error)
        return 2 if isinstance(error, UnsupportedError | OrderError) else 1
    finally:
        for lock in held:
            lock.release()


def take_locks(settings: Settings) -> list[Lock]:
    """One watchdog a bot. LockedError names the pid of the other one; OSError the folder that cannot be used."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    held: list[Lock] = []
    try:
        for lock in locks(settings):
            lock.take()
            held.append(lock)
    except BaseException:
        for lock in held:
            lock.release()
        raise
    return held


def _until_told(settings: Settings, notify: SdNotify) -> int:
    while True:
        parts = assemble(settings)
        daemon = Daemon(parts, notify, functools.partial(_reloadable, parts))
        asyncio.run(daemon.run())
        if daemon.reloaded is None:
            return 0
        settings = daemon.reloaded
        logs.set_up(settings.secrets())
        log.info("the configuration was read again from %s", settings.path)


def _reloadable(parts: Parts) -> Settings | None:
    """The new settings, or None when they cannot be taken over: the old ones then stay in force."""
    try:
        settings = config.load(parts.settings.path)
        make_bot(settings, None)
        ControlFolder(settings.control_dir).prepare()
    except (ConfigError, UnsupportedError, OrderError) as error:
        parts.world.teller.tell(
            "reload",
            f"the new configuration was not taken over; the old one stays in force\n{error}",
            "warning",
            coalesce=False,
        )
        return None
    old = parts.settings
    fixed = {
        "bot.name": (settings.bot.name, old.bot.name),
        "state_dir": (settings.state_dir, old.state_dir),
        "registry.path": (settings.registry.path, old.registry.path),
    }
    changed = [name for name, (new, before) in fixed.items() if new != before]
    if changed:
        parts.world.teller.tell(
            "reload",
            f"the new configuration was not taken over: {', '.join(changed)} can only be changed by a restart of "
            f"the watchdog",
            "warning",
            coalesce=False,
        )
        return None
    return settings
