"""A scratch copy of a bot's folder and registry, with the rollback's target as current version: to rehearse in.

    <state_dir>/rehearsal/bot/...        the bot's folder: small files copied, large ones and environments linked
    <state_dir>/rehearsal/registry/...   the registry, unless it lies in the bot's folder and so in its copy

The live registry and the live logs are not touched: a dry run that logs into the live log would be taken for the bot.
So the copy has no log in it, and a bot that finds its log or its models by an absolute path is not rehearsed, unless
its command takes `{registry}`. Code is copied and not linked, because Python finds its files by the code's real place.
"""

import json
import shutil
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config import Settings
from registry import ModelRegistry, RegistryError
from registry.changes import roll_back
from watchdog.scratch_copy import MOST_BYTES, Copy, ScratchError, mirror, real

MODELS_BYTES = 1 << 30
"""Artifacts are copied up to this together: a container cannot follow a link out of what it mounts."""

FREE_BYTES = 200 << 20
"""What copying must leave free: the journal is on the same disk."""

REGISTRY_FILE = "registry.json"
"""And what lies beside it under longer names: locks, parts, backups."""


@dataclass(frozen=True)
class Scratch:
    """`directory`: where the dry run is run; `registry`: the folder of its registry.json; `log`: where it may log.
    `trade_log`: where what it trades would be written."""

    directory: Path
    registry: Path
    log: Path | None
    trade_log: Path | None = None


def place(settings: Settings) -> Path:
    """Where scratch copies are made."""
    return settings.state_dir / "rehearsal"


def working_directory(settings: Settings) -> Path:
    """Where the bot runs, or (a unit's is not known) where its configuration lies."""
    bot = settings.bot
    if bot.process is not None:
        return bot.process.directory
    return settings.path.parent if bot.compose is None else bot.compose.file.parent


def obstacle(settings: Settings) -> str | None:
    """Why no dry run can be rehearsed without touching production, or None."""
    bot = settings.bot
    if bot.dry_run is None:
        return "bot.dry_run is not set"
    if any("{registry}" in part for part in bot.dry_run):
        return None
    takes = "write {registry} into bot.dry_run, where the command takes the registry's folder"
    if bot.process is None:
        return f"with control: {bot.control} the command would read the live registry; {takes}"
    directory = bot.process.directory
    if _registry_below(settings) is None:
        return f"the registry {settings.registry.path} does not lie in the bot's folder {directory}; {takes}"
    for key, path in (("bot.log", bot.log), ("trade_log.path", settings.trade_log.path)):
        if not real(path).is_relative_to(real(directory)):
            return (
                f"{key} {path} lies outside the bot's folder, so that a dry run would write into it; {takes}"
            )
    return None


def _registry_below(settings: Settings) -> Path | None:
    """Where in the bot's folder the bot finds the registry: itself, or a link to it."""
    process = settings.bot.process
    if process is None:
        return None
    folder, directory = settings.registry.path, process.directory
    for base in (folder, real(folder)):
        for top in (directory, real(directory)):
            if base.is_relative_to(top):
                return base.relative_to(top)
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return None
    return next((Path(e.name) for e in entries if e.is_symlink() and real(e) == real(folder)), None)


def make(settings: Settings, registry: ModelRegistry, target: str, stop: threading.Event) -> Scratch:
    """Makes it, in place of one that was left behind. ScratchError, or CutShort once `stop` is set. Reads and writes
    files: to be run in a thread. `clear` in the end."""
    problem = obstacle(settings)
    if problem is not None:
        raise ScratchError(problem)
    clear(settings)
    top = place(settings)
    try:
        top.mkdir(mode=0o700, parents=True)
        if shutil.disk_usage(top).free < FREE_BYTES + MOST_BYTES:
            least = (FREE_BYTES + MOST_BYTES) >> 20
            raise ScratchError(f"less than {least} MiB are free in {settings.state_dir}: make room")
        below = _registry_below(settings)
        if settings.bot.process is None:
            directory = working_directory(settings)
            log = trade_log = None
        else:
            directory = top / "bot"
            _copy_bot(settings, directory, below, stop)
            log, trade_log = (
                _there(settings, path, directory) for path in (settings.bot.log, settings.trade_log.path)
            )
        place_of_registry = (
            top / "registry" if settings.bot.process is None or below is None else directory / below
        )
        _copy_registry(settings, registry, target, place_of_registry, stop)
    except OSError as error:
        raise ScratchError(f"the scratch copy in {top} cannot be made: {error}") from error
    except RegistryError as error:
        raise ScratchError(str(error)) from error
    return Scratch(directory, place_of_registry, log, trade_log)


def clear(settings: Settings) -> None:
    """Removes what a rehearsal left behind."""
    shutil.rmtree(place(settings), ignore_errors=True)


# -- the bot's folder


def _copy_bot(settings: Settings, to: Path, registry: Path | None, stop: threading.Event) -> None:
    """Copies the folder, without logs, registry and what is the watchdog's."""
    assert settings.bot.process is not None
    source = settings.bot.process.directory
    own = (settings.state_dir, settings.control_dir, settings.registry.path)
    skipped = {real(path) for path in own} | ({real(source / registry)} if registry else set())
    Copy(settings, source, skipped, stop).folder(source, to)


def _there(settings: Settings, path: Path, copy: Path) -> Path | None:
    """Where a file of the bot's folder is in the copy of it."""
    assert settings.bot.process is not None
    file, source = real(path), real(settings.bot.process.directory)
    return copy / file.relative_to(source) if file.is_relative_to(source) else None


# -- the registry


def _copy_registry(
    settings: Settings, registry: ModelRegistry, target: str, to: Path, stop: threading.Event
) -> None:
    """registry.json with the target as current version, its artifacts copied, the links right, all else linked."""
    data: dict[str, Any] = registry.read()
    source = real(settings.registry.path)
    wanted = {real(path) for path in registry.artifacts(target).values()}
    wanted = {path for path in wanted if path.is_relative_to(source)}
    size = sum(path.stat().st_size for path in wanted)
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    copied = size <= MODELS_BYTES and shutil.disk_usage(to).free - size > FREE_BYTES
    left_out = {source / name for name in settings.registry.links}
    mirror(source, to, wanted if copied else set(), left_out, stop, REGISTRY_FILE)
    if data["current_version"] != target:
        roll_back(data, target, "rehearsal", datetime.now(UTC).isoformat())
    (to / REGISTRY_FILE).write_text(json.dumps(data, indent=2), encoding="utf-8")
    ModelRegistry(to, settings.registry.links).sync_links()
