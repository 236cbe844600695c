"""`model-watchdog run`: locks, logs, the daemon, and a reload without giving up the locks."""

import asyncio
import functools
import logging
import signal
import sqlite3
from collections.abc import Callable

import config
from config import ConfigError, Settings
from notifier import NotifyError, TelegramChannel
from watchdog import logs
from watchdog.assemble import Parts, assemble, locks
from watchdog.controls import UnsupportedError, make_bot
from watchdog.daemon import SIGNALS, Daemon
from watchdog.journal import JournalError
from watchdog.lock import Keeper, Lock, LockedError
from watchdog.orders import ControlFolder, OrderError
from watchdog.rights import RightsError, refuse_others_in_state
from watchdog.sdnotify import SdNotify

log = logging.getLogger(__name__)

Build = Callable[[Settings], Parts]
MODES = {
    "act": "act: it stops and starts the bot, and switches its version",
    "observe": "observe: it tells, and touches nothing",
}
START_ERRORS = (UnsupportedError, JournalError, OrderError, RightsError, NotifyError, sqlite3.Error, OSError)


def run(settings: Settings, build: Build = assemble) -> int:
    """Runs until SIGTERM; returns the exit code. `build`: what makes a watchdog of the settings, at each reload."""
    logs.set_up(settings.secrets())
    # Until a daemon listens, and between two of them at a reload: a second HUP must not kill.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    notify = SdNotify()
    held: list[Lock] = []
    try:
        take_locks(settings, held)
        if settings.telegram is not None:
            TelegramChannel.preload()
        return _until_told(settings, notify, held, build)
    except LockedError as error:
        log.error("%s", error)
        return 1
    except START_ERRORS as error:
        log.error("the watchdog cannot start: %s", error)
        return 2 if isinstance(error, UnsupportedError | OrderError | RightsError) else 1
    finally:
        for lock in held:
            lock.release()


def take_locks(settings: Settings, held: list[Lock]) -> None:
    """One watchdog a bot: adds to `held` what is missing there. LockedError names the pid of the other one; OSError the
    folder that cannot be used, RightsError the one that others can write to; what was taken meanwhile stays held."""
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    refuse_others_in_state(settings.state_dir)
    for lock in locks(settings):
        if lock.path not in {mine.path for mine in held}:
            lock.take()
            held.append(lock)


def _until_told(settings: Settings, notify: SdNotify, held: list[Lock], build: Build) -> int:
    keeper = Keeper(held, settings.state_dir)
    while True:
        parts = build(settings)
        log.info("mode %s", MODES[settings.mode])
        daemon = Daemon(parts, notify, functools.partial(_reloadable, parts, held), keep_locks=keeper.look)
        asyncio.run(daemon.run())
        if daemon.displaced:
            return 1
        if daemon.reloaded is None:
            return 0
        settings = daemon.reloaded
        logs.set_up(settings.secrets())
        log.info("the configuration was read again from %s", settings.path)


def _reloadable(parts: Parts, held: list[Lock]) -> Settings | None:
    """The new settings, or None when they cannot be taken over: the old ones then stay in force."""
    try:
        settings = config.load(parts.settings.path)
        make_bot(settings, None)
        ControlFolder(settings.control_dir).prepare()
        _refuse_what_is_fixed(settings, parts.settings)
        take_locks(settings, held)  # of a watchdog that only observed, the registry's is missing
    except (ConfigError, UnsupportedError, OrderError, RightsError, LockedError, OSError) as error:
        parts.world.teller.tell(
            "reload",
            f"the new configuration was not taken over; the old one stays in force\n{error}",
            "warning",
            coalesce=False,
        )
        return None
    return settings


def _refuse_what_is_fixed(new: Settings, old: Settings) -> None:
    """UnsupportedError for changes that would make it another watchdog."""
    fixed = {
        "bot.name": (new.bot.name, old.bot.name),
        "bot.control": (new.bot.control, old.bot.control),
        "state_dir": (new.state_dir, old.state_dir),
        "registry.path": (new.registry.path, old.registry.path),
    }
    changed = [name for name, (now, before) in fixed.items() if now != before]
    if changed:
        raise UnsupportedError(f"{', '.join(changed)} can only be changed by a restart of the watchdog")
