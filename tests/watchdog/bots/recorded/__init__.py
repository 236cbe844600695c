"""What a real engine said: `docker inspect` and `docker events`, of a service `bot` in project `sol`, without what does
not matter here."""

import copy
import json
from pathlib import Path
from typing import Any

_V1: dict[str, Any] = json.loads(Path(__file__).with_name("engine-20.10-compose-1.29.json").read_text())
LABEL = "com.docker.compose."


def inspected(state: str, *, compose: int = 1, **changes: Any) -> dict[str, Any]:
    """running, paused, stopped, restarting, out of memory, not executed. `changes` go into `State`."""
    entry: dict[str, Any] = copy.deepcopy(_V1[state])
    if compose == 2:
        _as_v2(entry)
    entry["State"].update(changes)
    return entry


def events() -> list[dict[str, Any]]:
    """Of a container that was paused, stopped, and crashed after it was started again."""
    return copy.deepcopy(_V1["events"])


def _as_v2(entry: dict[str, Any]) -> None:
    """The labels and names of compose v2, and what engines from 23 on say besides."""
    labels = entry["Config"]["Labels"]
    labels |= {
        f"{LABEL}version": "2.24.5",
        f"{LABEL}image": entry["Image"],
        f"{LABEL}depends_on": "",
        f"{LABEL}project.config_files": "/srv/bot/docker-compose.yml,/srv/bot/docker-compose.override.yml",
        f"{LABEL}project.environment_file": "/srv/bot/.env",
    }
    entry["Name"] = entry["Name"].replace("_", "-")
    entry["State"]["Health"] = {"Status": "healthy", "FailingStreak": 0, "Log": []}
    entry["Config"].pop("StopTimeout", None)
    entry["Config"].pop("StopSignal", None)
