"""`python -P -m watchdog.backup --config FILE --to DIR`: all that the watchdog knows, copied while it runs.

    DIR/sol-perp-20260301T100000Z/
        watchdog.db     journal and outbox: one consistent moment, checked, in one file
        incidents/      reports and evidence
        control/        flags that lie in the control folder, a PAUSE above all
        registry.json   which version is current, and which are quarantined
        watchdog.yaml
        RESTORE.txt     how to put it back

The models are the bot's, and large: they are named at the end, to be backed up with the bot. The copy of the journal
bears a mark, so that a watchdog which starts with it knows that it does not know what happened since
(`watchdog.doubt`). The folder appears whole, under its name, or not at all.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

import config
from config import ConfigError, Settings
from registry import RegistryError
from watchdog.assemble import journal_path
from watchdog.caller import become_owner, load_without_secrets
from watchdog.clock import utc_now
from watchdog.doubt import BACKUP
from watchdog.open_registry import open_registry
from watchdog.orders import ORDERS
from watchdog.screen import say
from watchdog.upkeep import fault

LEFT_OVER_S = 3600.0
"""A folder that a killed backup left unfinished is deleted by the next one after so long."""

RESTORE = """\
Backup of the watchdog for {name}, made {at:%Y-%m-%d %H:%M:%S} UTC.

To restore it, on this machine or on another one. The bot may go on running meanwhile.
 1. Stop the watchdog: systemctl stop model-watchdog
    On another machine: first halt the bot where it runs now, so that it never trades twice.
 2. Move {state} aside, and make it anew for the watchdog's user alone (mode 0700).
 3. Copy watchdog.db and incidents/ into it, control/ to {control},
    and watchdog.yaml to {config}, all as that user's. Mend paths that differ.
 4. registry.json belongs into {registry}, beside the model files, if those are
    restored, too. Never put it over a newer one: quarantines would be forgotten.
 5. model-watchdog check, then start the watchdog.
What happened since the backup is not known to it. So it tells you, takes the automatic rollbacks of a day for used up,
puts a halt that is in the backup in force again, and does not start a bot that is down: model-watchdog resume
"""


class BackupError(Exception):
    """Nothing was backed up; the message says why and what mends it."""


def back_up(settings: Settings, folder: Path, now: datetime) -> Path:
    """Makes the backup and returns its folder. BackupError when there is nothing, or it cannot be written."""
    name = re.sub(r"[^\w.-]+", "-", settings.bot.name, flags=re.ASCII).strip("-.") or "bot"
    place = folder / f"{name}-{now:%Y%m%dT%H%M%SZ}"
    part = folder / f".{place.name}.part"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _delete_left_over(folder, name)
        part.mkdir(mode=0o700)
        _copy_database(journal_path(settings), part / "watchdog.db", now)
        _copy_files(settings, part)
        text = RESTORE.format(
            name=settings.bot.name,
            at=now,
            state=settings.state_dir,
            control=settings.control_dir,
            config=settings.path,
            registry=settings.registry.path,
        )
        (part / "RESTORE.txt").write_text(text, encoding="utf-8")
        _sync(part)
        part.rename(place)
        _sync(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise BackupError(
            f"{error.filename or folder}: {error.strerror}: give --to a folder that this user may write to, with room"
        ) from error
    except BackupError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return place


def _copy_database(source: Path, target: Path, now: datetime) -> None:
    """One moment of it, however much is written meanwhile: the copy is made in one read transaction."""
    if not source.exists():
        raise BackupError(
            f"{source}: there is nothing to back up: the watchdog has never run with this state_dir"
        )
    try:
        uri = f"{source.absolute().as_uri()}?mode=ro"
        with (
            contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30.0)) as old,
            contextlib.closing(sqlite3.connect(target, isolation_level=None)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")  # one file, to be copied by whatever means
            new.execute("INSERT OR REPLACE INTO named VALUES (?, ?)", (BACKUP, json.dumps(now.isoformat())))
    except sqlite3.Error as error:
        raise BackupError(f"{source}: cannot be copied: {error}") from error
    if wrong := fault(target):
        raise BackupError(
            f"{source}: is damaged ({wrong}): the watchdog makes it anew at its next hourly look"
        )
    target.chmod(0o600)


def _copy_files(settings: Settings, part: Path) -> None:
    reports = settings.state_dir / "incidents"
    if reports.is_dir():
        shutil.copytree(reports, part / "incidents", ignore=shutil.ignore_patterns("*.part"))
    (part / "control").mkdir(mode=0o700)
    for what in (*ORDERS, "pause"):
        flag = settings.control_dir / what.upper()
        if flag.is_file():
            with contextlib.suppress(FileNotFoundError):  # obeyed at this moment
                shutil.copy2(flag, part / "control" / flag.name)
    shutil.copy2(settings.path, part / "watchdog.yaml")
    (part / "watchdog.yaml").chmod(0o600)
    try:
        data = open_registry(settings).read()  # whole, whoever writes it at this moment
    except RegistryError as error:
        raise BackupError(
            f"the registry cannot be read, and without it a backup is half a one: {error}"
        ) from error
    (part / "registry.json").write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _delete_left_over(folder: Path, name: str) -> None:
    for old in folder.glob(f".{name}-*.part"):
        if time.time() - old.stat().st_mtime > LEFT_OVER_S:
            shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """The files are on disk before the folder gets its name."""
    for path in (*folder.rglob("*"), folder) if folder.name.endswith(".part") else (folder,):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _tell(settings: Settings, place: Path, out: Console) -> int:
    """What is in the backup, and what is not."""
    count = len(list((place / "incidents").glob("*")))
    size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) / 2**20
    say(
        out,
        f"{place}: journal, outbox, {count} incidents, flags, registry.json, watchdog.yaml ({size:.1f} MiB)",
    )
    models = _model_files(settings)
    large = sum(path.stat().st_size for path in models if path.is_file()) / 2**20
    return say(
        out,
        f"not in it: {len(models)} model files ({large:,.1f} MiB). Back them up with the bot, the older ones, too: a "
        f"rollback needs them",
    )


def _model_files(settings: Settings) -> set[Path]:
    registry, found = open_registry(settings), set()
    for version in registry.read()["models"]:
        with contextlib.suppress(RegistryError):  # an entry of another shape names no file
            found |= set(registry.artifacts(version).values())
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 nothing was backed up, 2 wrong usage or configuration."""
    parser = argparse.ArgumentParser(
        prog="python -P -m watchdog.backup", description="Back the watchdog up while it runs."
    )
    parser.add_argument("--config", type=Path, metavar="FILE")
    parser.add_argument(
        "--to", type=Path, metavar="DIR", required=True, help="the backup becomes a folder in it"
    )
    options = parser.parse_args(arguments)
    out, err = Console(), Console(stderr=True)
    try:
        settings, _ = load_without_secrets(config.find(options.config))
    except ConfigError as error:
        return say(err, str(error), "red", 2)
    to = options.to.absolute()
    if (user := become_owner(settings.state_dir)) is not None:
        say(err, f"acting as {user}, who owns {settings.state_dir}", "dim")
    try:
        return _tell(settings, back_up(settings, to, utc_now()), out)
    except (BackupError, RegistryError, OSError) as error:
        return say(err, str(error), "red", 1)


if __name__ == "__main__":
    sys.exit(main())
