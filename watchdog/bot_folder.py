"""What a bot's folder tells: compose file, unit, registry, logs, the program to start. For `init`."""

import json
import os
import re
import shlex
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from registry import ModelRegistry, RegistryError
from registry.hashing import sha256_file

SKIPPED = {".git", ".venv", "venv", "node_modules", "__pycache__", "site-packages"}
OURS = {"watchdog.db", "handled"}
"""A folder with one of these is a watchdog's state_dir or control_dir."""

DEEPEST = 3
MAINS = ("main.py", "bot.py", "run.py", "app.py")
COMPOSE = {"docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml"}
HEAD_BYTES = 256 * 1024
RECORD_TYPES = {"entry", "exit", "equity"}


@dataclass
class Found:
    """Paths are relative to the folder; a None was not found, and watchdog.yaml says so."""

    name: str
    command: list[str] | None = None
    registry: str | None = None
    links: dict[str, str] = field(default_factory=dict)
    log: str | None = None
    trades: str | None = None
    equity: float | None = None
    timezone: str | None = None
    compose: tuple[str, str] | None = None
    unit: str | None = None
    notes: list[str] = field(default_factory=list)


def look(folder: Path) -> Found:
    """Looks at the folder and a few levels below; changes nothing. What cannot be understood becomes a note."""
    files = sorted(_walk(folder))
    found = Found(name=re.sub(r"[^\w.-]+", "-", folder.resolve().name, flags=re.ASCII).strip("-") or "bot")
    _look_at_registry(found, folder, files)
    _look_at_logs(found, folder, files)
    _look_at_compose(found, folder, files)
    _look_at_unit(found, files)
    if found.command is None:
        main = next((name for name in MAINS if (folder / name).is_file()), None)
        python = next((p for p in (".venv/bin/python", "venv/bin/python") if (folder / p).exists()), "python")
        found.command = [python, main] if main else None
    if found.command is None:
        found.notes.append(
            f"how the bot is started was not found (no {', '.join(MAINS)}): set bot.process.command"
        )
    return found


def _walk(folder: Path) -> Iterator[Path]:
    for top, dirs, names in os.walk(folder):
        if OURS & {*dirs, *names}:
            dirs[:] = []
            continue
        depth = len(Path(top).relative_to(folder).parts)
        dirs[:] = [d for d in dirs if d not in SKIPPED and depth < DEEPEST and d.isprintable()]
        # YAML is UTF-8: a name that is not could not be written down. A pipe would be waited for, for ever.
        yield from (path for name in names if name.isprintable() and (path := Path(top, name)).is_file())


def _look_at_registry(found: Found, folder: Path, files: Iterable[Path]) -> None:
    for path in (p for p in files if p.name == "registry.json"):
        registry = ModelRegistry(path.parent)
        try:
            current = registry.get_current_model()
            if current is not None:
                found.links = _links(path.parent, registry.artifacts(current["version"]))
        except RegistryError as error:
            found.notes.append(str(error))
            continue
        found.registry = str(path.parent.relative_to(folder))
        if current is None:
            found.notes.append(f"{path} names no current version: promote one")
        if found.links:
            found.notes.append(
                f"{', '.join(found.links)} in {path.parent} hold what the current version holds: keep registry.links "
                f"if the bot loads these names, or a rollback would change nothing for it"
            )
        return
    found.notes.append("no registry.json was found: set registry.path")


def _links(folder: Path, artifacts: Mapping[str, Path]) -> dict[str, str]:
    """Fixed names: files beside registry.json that are no artifact's own and hold the same as one of the current
    version."""
    own = {path.resolve() for path in artifacts.values() if path.is_file()}
    links = {}
    for file in sorted(folder.iterdir()):
        if not file.is_file() or (file.resolve() in own and not file.is_symlink()):
            continue
        for name, path in artifacts.items():
            if path.is_file() and file.stat().st_size == path.stat().st_size and _same(file, path):
                links[file.name] = name
                break
    return links


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other) or sha256_file(one) == sha256_file(other)
    except OSError:
        return False


def _look_at_logs(found: Found, folder: Path, files: Iterable[Path]) -> None:
    trades = [p for p in files if p.suffix == ".jsonl" and ("trade" in p.name or any(_records(p)))]
    trades.sort(key=lambda p: ("trade" not in p.name, p.name))
    logs = [p for p in files if p.suffix == ".log"]
    logs.sort(key=lambda p: ("bot" not in p.name, p.name))
    found.trades = str(trades[0].relative_to(folder)) if trades else None
    found.log = str(logs[0].relative_to(folder)) if logs else None
    if trades:
        found.equity = next(_equities(trades[0]), None)
    for what, path in (("trade log", found.trades), ("bot log", found.log)):
        if path is None:
            found.notes.append(
                f"no {what} was found: the usual place was written; set it if yours is another"
            )


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Records of a trade log, from the head of the file."""
    try:
        with path.open("rb") as file:
            lines = file.read(HEAD_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and record.get("type") in RECORD_TYPES:
            yield record


def _equities(path: Path) -> Iterator[float]:
    for record in _records(path):
        equity = record.get("equity") if record["type"] == "equity" else None
        if isinstance(equity, int | float) and 1e-6 < equity < float("inf"):
            yield float(equity)


def _look_at_compose(found: Found, folder: Path, files: Iterable[Path]) -> None:
    for path in (p for p in files if p.name in COMPOSE):
        try:
            # The base loader: it merges no keys, which a few lines could make to fill the memory.
            services = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)["services"]
            service = "bot" if "bot" in services else next(iter(services))
            environment = dict(services)[service].get("environment") or {}
            if not re.fullmatch(r"[\w.-]+", service, re.ASCII):
                raise ValueError("a name that compose itself refuses")
        except (
            OSError,
            ValueError,
            yaml.YAMLError,
            RecursionError,
            KeyError,
            TypeError,
            AttributeError,
            StopIteration,
        ):
            found.notes.append(f"{path} could not be understood")
            continue
        found.compose = (str(path.relative_to(folder)), str(service))
        listed = (entry for entry in environment if isinstance(entry, str))
        pairs = environment.items() if isinstance(environment, dict) else _pairs(listed)
        _take_time_zone(found, dict(pairs).get("TZ"))
        found.notes.append(
            f"{path}: the bot seems to be service `{service}` of docker compose; if it is run so, write control: "
            f"compose and its section: else the watchdog would start a second bot beside the service"
        )
        return


def _look_at_unit(found: Found, files: Iterable[Path]) -> None:
    for path in (p for p in files if p.suffix == ".service"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace").replace("\\\n", " ")
        except OSError:
            continue
        start = re.search(r"^ExecStart=[-@:+!]*(.+)$", text, re.MULTILINE)
        if start is None:
            continue
        found.unit = path.name
        _take_time_zone(
            found, dict(_pairs(_words(*re.findall(r"^Environment=(.*)$", text, re.MULTILINE)))).get("TZ")
        )
        command = _words(start[1])
        if not command or re.search(r"[$%]", start[1]):
            found.notes.append(f"{path}: ExecStart holds variables; set bot.process.command without them")
        else:
            found.command = command
        found.notes.append(
            f"{path}: if systemd runs the bot with this unit, write control: systemd and its section: else both would "
            f"start it"
        )
        return


def _words(*lines: str) -> list[str]:
    """As systemd splits them; nothing where a quote is not closed."""
    try:
        return shlex.split(" ".join(lines))
    except ValueError:
        return []


def _pairs(settings: Iterable[str]) -> Iterator[tuple[str, str]]:
    """NAME=value, as systemd and compose lists write it."""
    for setting in settings:
        name, equals, value = setting.partition("=")
        if equals:
            yield name, value


def _take_time_zone(found: Found, name: object) -> None:
    if isinstance(name, str) and name in zoneinfo.available_timezones():
        found.timezone = name
