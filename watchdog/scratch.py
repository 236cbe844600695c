"""A scratch copy of a bot's folder and registry, with the rollback's target as current version: to rehearse in.

    <state_dir>/rehearsal/bot/...        the bot's folder: small files copied, large ones and environments linked
    <state_dir>/rehearsal/registry/...   the registry, unless it lies in the bot's folder and so in its copy

The live registry and the live logs are not touched: a dry run that logs into the live log would be taken for the bot.
So the copy has no log in it, and a bot that finds its log or its models by an absolute path is not rehearsed, unless
its command takes `{registry}`. Code is copied and not linked, because Python finds its files by the code's real place.
"""

import json
import os
import shutil
import stat
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config import Settings
from registry import ModelRegistry, RegistryError
from registry.changes import roll_back

COPIED_BYTES = 1 << 20
"""A larger file is linked: data, which code reads wherever it lies."""

MODELS_BYTES = 1 << 30
"""Artifacts are copied up to this together: a container cannot follow a link out of what it mounts."""

MOST_FILES, MOST_BYTES = 5000, 256 << 20
"""Of the bot's folder; what is beyond is linked."""

FREE_BYTES = 200 << 20
"""What copying must leave free: the journal is on the same disk."""

NAMING = frozenset({".py", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".env", ".properties"})
"""Files in which a path may be written that a dry run would follow."""

WRITTEN = frozenset({".log", ".jsonl", ".out", ".pid", ".sock", ".lock"})
"""Large files of these kinds are left out: they are written to."""

LINKED = frozenset({"venv", "env", "node_modules", "site-packages"})
LEFT_OUT = frozenset({"__pycache__"})
REGISTRY_FILE = "registry.json"
"""And what lies beside it under longer names: locks, parts, backups."""


class ScratchError(Exception):
    """No scratch copy can be made; the text says why, and what mends it."""


class CutShort(Exception):
    """Whoever waited for the copy does so no more."""


@dataclass(frozen=True)
class Scratch:
    """`directory`: where the dry run is run; `registry`: the folder of its registry.json; `log`: where it may log."""

    directory: Path
    registry: Path
    log: Path | None


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
        if not _real(path).is_relative_to(_real(directory)):
            return (
                f"{key} {path} lies outside the bot's folder, so that a dry run would write into it; {takes}"
            )
    return None


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _registry_below(settings: Settings) -> Path | None:
    """Where in the bot's folder the bot finds the registry: itself, or a link to it."""
    process = settings.bot.process
    if process is None:
        return None
    folder, directory = settings.registry.path, process.directory
    for base in (folder, _real(folder)):
        for top in (directory, _real(directory)):
            if base.is_relative_to(top):
                return base.relative_to(top)
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return None
    return next((Path(e.name) for e in entries if e.is_symlink() and _real(e) == _real(folder)), None)


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
            directory, log = working_directory(settings), None
        else:
            directory, log = top / "bot", _copy_bot(settings, top / "bot", below, stop)
        place_of_registry = (
            top / "registry" if settings.bot.process is None or below is None else directory / below
        )
        _copy_registry(settings, registry, target, place_of_registry, stop)
    except OSError as error:
        raise ScratchError(f"the scratch copy in {top} cannot be made: {error}") from error
    except RegistryError as error:
        raise ScratchError(str(error)) from error
    return Scratch(directory, place_of_registry, log)


def clear(settings: Settings) -> None:
    """Removes what a rehearsal left behind."""
    shutil.rmtree(place(settings), ignore_errors=True)


# -- the bot's folder


def _copy_bot(settings: Settings, to: Path, registry: Path | None, stop: threading.Event) -> Path | None:
    """Copies the folder, without logs, registry and what is the watchdog's; where the copied bot logs."""
    assert settings.bot.process is not None
    source = settings.bot.process.directory
    own = (settings.state_dir, settings.control_dir, settings.registry.path)
    skipped = {_real(path) for path in own} | ({_real(source / registry)} if registry else set())
    _Copy(settings, source, skipped, stop).folder(source, to)
    log = _real(settings.bot.log)
    if not log.is_relative_to(_real(source)):
        return None
    return to / log.relative_to(_real(source))


class _Copy:
    """One copy of a tree."""

    def __init__(self, settings: Settings, source: Path, skipped: set[Path], stop: threading.Event) -> None:
        self._settings, self._source, self._skipped, self._stop = settings, source, skipped, stop
        command = settings.bot.dry_run or []
        trusted = any("{registry}" in part for part in command)
        self._naming = None if trusted or source == Path("/") else {str(source), str(_real(source))}
        self._programs = {_real(source / part) for part in command}
        logs = (settings.bot.log, settings.trade_log.path, settings.monitor.predictions)
        self._logs = [(_real(path.parent), path.name) for path in logs if path is not None]
        self._files = self._bytes = 0

    @property
    def _full(self) -> bool:
        return self._files > MOST_FILES or self._bytes > MOST_BYTES

    def folder(self, source: Path, to: Path) -> None:
        to.mkdir(parents=True, exist_ok=True)
        for entry in sorted(source.iterdir()):
            if self._stop.is_set():
                raise CutShort
            self._entry(entry, to / entry.name)

    def _entry(self, entry: Path, to: Path) -> None:
        real = _real(entry)
        if real in self._skipped or entry.name in LEFT_OUT or self._is_log(entry, real):
            return
        mode = entry.lstat().st_mode
        if stat.S_ISLNK(mode):
            if real.is_dir() and self._holds_something_of_ours(real):
                to.mkdir()  # the logs lie elsewhere: what is rehearsed gets a folder of its own for them
            else:
                to.symlink_to(real)
        elif stat.S_ISDIR(mode):
            alone = entry.name.startswith(".") or entry.name in LINKED or (entry / "pyvenv.cfg").exists()
            if (alone or self._full) and not self._holds_something_of_ours(real):
                to.symlink_to(real)
            else:
                self.folder(entry, to)
        elif stat.S_ISREG(mode):
            self._file(entry, to, real)

    def _file(self, entry: Path, to: Path, real: Path) -> None:
        size = entry.stat().st_size
        self._files, self._bytes = self._files + 1, self._bytes + min(size, COPIED_BYTES)
        if self._full or size > COPIED_BYTES or not os.access(entry, os.R_OK, effective_ids=True):
            if entry.suffix not in WRITTEN:
                to.symlink_to(real)
            return
        if entry.suffix in NAMING or real in self._programs:
            self._look_for_paths(entry, real)
        _copied(entry, to, self._stop)

    def _look_for_paths(self, entry: Path, real: Path) -> None:
        compose = entry.suffix in {".yml", ".yaml"} and "compose" in entry.name
        if self._naming is None or compose or real == _real(self._settings.path):
            return
        text = entry.read_bytes()
        for path in self._naming:
            if path.encode() in text:
                raise ScratchError(
                    f"{entry} names the bot's folder by its absolute path, so that a dry run could write into the live "
                    f"log: let it be relative, or write {{registry}} into bot.dry_run and let the dry run log elsewhere"
                )

    def _is_log(self, entry: Path, real: Path) -> bool:
        """The log itself, or a rotated one."""
        here = _real(entry.parent)
        return any(
            (here == folder and entry.name.startswith(name))
            or (real.parent == folder and real.name.startswith(name))
            for folder, name in self._logs
        )

    def _holds_something_of_ours(self, folder: Path) -> bool:
        """Logs, state or registry lie below: a link would lead to them."""
        inside = [*self._skipped, *(path for path, _ in self._logs)]
        return any(path.is_relative_to(folder) for path in inside)


# -- the registry


def _copy_registry(
    settings: Settings, registry: ModelRegistry, target: str, to: Path, stop: threading.Event
) -> None:
    """registry.json with the target as current version, its artifacts copied, the links right, all else linked."""
    data: dict[str, Any] = registry.read()
    source = _real(settings.registry.path)
    wanted = {_real(path) for path in registry.artifacts(target).values()}
    wanted = {path for path in wanted if path.is_relative_to(source)}
    size = sum(path.stat().st_size for path in wanted)
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    copied = size <= MODELS_BYTES and shutil.disk_usage(to).free - size > FREE_BYTES
    left_out = {source / name for name in settings.registry.links}
    _mirror(source, to, wanted if copied else set(), left_out, stop)
    if data["current_version"] != target:
        roll_back(data, target, "rehearsal", datetime.now(UTC).isoformat())
    (to / REGISTRY_FILE).write_text(json.dumps(data, indent=2), encoding="utf-8")
    ModelRegistry(to, settings.registry.links).sync_links()


def _mirror(source: Path, to: Path, copied: set[Path], left_out: set[Path], stop: threading.Event) -> None:
    """Links all of a folder but `copied` files, which are copied, with the folders above them made."""
    to.mkdir(exist_ok=True)
    for entry in sorted(source.iterdir()):
        if stop.is_set():
            raise CutShort
        there = to / entry.name
        if entry in left_out or entry.name.startswith(REGISTRY_FILE) or os.path.lexists(there):
            continue
        if entry in copied:
            _copied(entry, there, stop)
        elif entry.is_dir() and any(path.is_relative_to(entry) for path in copied):
            _mirror(entry, there, copied, left_out, stop)
        else:
            there.symlink_to(entry)


def _copied(file: Path, to: Path, stop: threading.Event) -> None:
    """Content and mode; CutShort in the midst of a large one."""
    with file.open("rb") as source, to.open("wb") as target:
        while chunk := source.read(1 << 20):
            if stop.is_set():
                raise CutShort
            target.write(chunk)
    shutil.copymode(file, to)
