"""Copying for `watchdog.scratch`: small files are copied, large ones linked, logs left out; cut short when asked to."""

import os
import shutil
import stat
import threading
from pathlib import Path

from config import Settings

COPIED_BYTES = 1 << 20
"""A larger file is linked: data, which code reads wherever it lies."""

MOST_FILES, MOST_BYTES = 5000, 256 << 20
"""Of the bot's folder; what is beyond is linked."""

NAMING = frozenset({".py", ".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf", ".env", ".properties"})
"""Files in which a path may be written that a dry run would follow."""

WRITTEN = frozenset({".log", ".jsonl", ".out", ".pid", ".sock", ".lock"})
"""Large files of these kinds are left out: they are written to."""

LINKED = frozenset({"venv", "env", "node_modules", "site-packages"})
LEFT_OUT = frozenset({"__pycache__"})


class ScratchError(Exception):
    """No scratch copy can be made; the text says why, and what mends it."""


class CutShort(Exception):
    """Whoever waited for the copy does so no more."""


def real(path: Path) -> Path:
    """Without links, also where nothing is."""
    return Path(os.path.realpath(path))


class Copy:
    """One copy of a bot's folder. `skipped`: what is not in it, with all below."""

    def __init__(self, settings: Settings, source: Path, skipped: set[Path], stop: threading.Event) -> None:
        self._settings, self._source, self._skipped, self._stop = settings, source, skipped, stop
        command = settings.bot.dry_run or []
        trusted = any("{registry}" in part for part in command)
        self._naming = None if trusted or source == Path("/") else {str(source), str(real(source))}
        self._programs = {real(source / part) for part in command}
        logs = (settings.bot.log, settings.trade_log.path, settings.monitor.predictions)
        self._logs = [(real(path.parent), path.name) for path in logs if path is not None]
        self._files = self._bytes = 0

    @property
    def _full(self) -> bool:
        return self._files > MOST_FILES or self._bytes > MOST_BYTES

    def folder(self, source: Path, to: Path) -> None:
        """Copies a folder. ScratchError for a file that leads back to the live one; CutShort."""
        to.mkdir(parents=True, exist_ok=True)
        for entry in sorted(source.iterdir()):
            if self._stop.is_set():
                raise CutShort
            self._entry(entry, to / entry.name)

    def _entry(self, entry: Path, to: Path) -> None:
        target = real(entry)
        if target in self._skipped or entry.name in LEFT_OUT or self._is_log(entry, target):
            return
        mode = entry.lstat().st_mode
        if stat.S_ISLNK(mode):
            if target.is_dir() and self._holds_something_of_ours(target):
                to.mkdir()  # the logs lie elsewhere: what is rehearsed gets a folder of its own for them
            else:
                to.symlink_to(target)
        elif stat.S_ISDIR(mode):
            alone = entry.name.startswith(".") or entry.name in LINKED or (entry / "pyvenv.cfg").exists()
            if (alone or self._full) and not self._holds_something_of_ours(target):
                to.symlink_to(target)
            else:
                self.folder(entry, to)
        elif stat.S_ISREG(mode):
            self._file(entry, to, target)

    def _file(self, entry: Path, to: Path, target: Path) -> None:
        size = entry.stat().st_size
        self._files, self._bytes = self._files + 1, self._bytes + min(size, COPIED_BYTES)
        if self._full or size > COPIED_BYTES or not os.access(entry, os.R_OK, effective_ids=True):
            if entry.suffix not in WRITTEN:
                to.symlink_to(target)
            return
        if entry.suffix in NAMING or target in self._programs:
            self._look_for_paths(entry, target)
        copied_file(entry, to, self._stop)

    def _look_for_paths(self, entry: Path, target: Path) -> None:
        compose = entry.suffix in {".yml", ".yaml"} and "compose" in entry.name
        if self._naming is None or compose or target == real(self._settings.path):
            return
        text = entry.read_bytes()
        for path in self._naming:
            if path.encode() in text:
                raise ScratchError(
                    f"{entry} names the bot's folder by its absolute path, so that a dry run could write into the live "
                    f"log: let it be relative, or write {{registry}} into bot.dry_run and let the dry run log elsewhere"
                )

    def _is_log(self, entry: Path, target: Path) -> bool:
        """The log itself, or a rotated one (trading_bot.log.1, trading_bot.log-20260301.gz)."""
        places = ((real(entry.parent), entry.name), (target.parent, target.name))
        return any(
            where == folder and (found == name or found.startswith((f"{name}.", f"{name}-")))
            for where, found in places
            for folder, name in self._logs
        )

    def _holds_something_of_ours(self, folder: Path) -> bool:
        """Logs, state or registry lie below: a link would lead to them."""
        inside = [*self._skipped, *(path for path, _ in self._logs)]
        return any(path.is_relative_to(folder) for path in inside)


def mirror(
    source: Path, to: Path, copied: set[Path], left_out: set[Path], stop: threading.Event, of_registry: str
) -> None:
    """Links all of a folder but `copied` files, which are copied, with the folders above them made."""
    to.mkdir(exist_ok=True)
    for entry in sorted(source.iterdir()):
        if stop.is_set():
            raise CutShort
        there = to / entry.name
        if entry in left_out or entry.name.startswith(of_registry) or os.path.lexists(there):
            continue
        if entry in copied:
            copied_file(entry, there, stop)
        elif entry.is_dir() and any(path.is_relative_to(entry) for path in copied):
            mirror(entry, there, copied, left_out, stop, of_registry)
        else:
            there.symlink_to(entry)


def copied_file(file: Path, to: Path, stop: threading.Event) -> None:
    """Content and mode; CutShort in the midst of a large one."""
    with file.open("rb") as source, to.open("wb") as target:
        while chunk := source.read(1 << 20):
            if stop.is_set():
                raise CutShort
            target.write(chunk)
    shutil.copymode(file, to)
