"""A bot's folder with models and a registry, for the tests of this package."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from registry import ModelRegistry

LINKS = {"ensemble_model.pkl": "main", "rl_agent.zip": "rl_agent"}
START = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def clock() -> Callable[[], datetime]:
    """A clock that is a minute later each time it is asked."""
    asked = 0

    def now() -> datetime:
        nonlocal asked
        asked += 1
        return START + timedelta(minutes=asked)

    return now


def model_bytes(version: str, artifact: str = "main") -> bytes:
    return f"{artifact} of {version}".encode()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main_file(folder: Path, version: str) -> Path:
    return folder / f"ensemble_{version}.pkl"


def agent_file(folder: Path, version: str) -> Path:
    return folder / f"rl_agent_{version}.zip"


def stock(
    folder: Path, *versions: str, links: Mapping[str, str] | None = None, promote: bool = True
) -> ModelRegistry:
    """A registry in `folder` with these versions, two artifacts each, promoted one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    registry = ModelRegistry(folder, links, now=clock(), lock_timeout_s=2.0)
    for version in versions:
        add(registry, version)
        if promote:
            registry.promote_model(version, {"sharpe": 2.0})
    return registry


def add(registry: ModelRegistry, version: str) -> None:
    main, agent = main_file(registry.folder, version), agent_file(registry.folder, version)
    main.write_bytes(model_bytes(version))
    agent.write_bytes(model_bytes(version, "rl_agent"))
    registry.register_model(main, version, {"trained_on": "tests"}, artifacts={"rl_agent": agent})


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


def edit(registry: ModelRegistry, change: Callable[[dict[str, Any]], object]) -> None:
    """What another program does: reads registry.json, changes it, writes it in place."""
    data = json.loads(registry.path.read_text())
    change(data)
    registry.path.write_text(json.dumps(data))


def statuses(registry: ModelRegistry) -> dict[str, str]:
    return {version: entry["status"] for version, entry in registry.read()["models"].items()}


def picture(folder: Path) -> dict[str, str]:
    """Every name in the folder but the lock, with what it holds: what a failed call must leave as it was."""
    return {
        path.name: f"-> {path.readlink()}" if path.is_symlink() else sha(path.read_bytes())
        for path in folder.iterdir()
        if path.name != "registry.json.lock"
    }


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user whom permissions stop: root becomes `nobody` for a while."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)
