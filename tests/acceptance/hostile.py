"""Hostile bots: folders with a registry that was written by hand, and the trades that a test writes itself."""

import hashlib
import json
import pickle
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from tests.acceptance.house import read_json_lines

VERSIONS = ("v1.9.0", "v2.0.0", "v2.1.0")
Paths = Literal["relative", "absolute", "container"]


@dataclass(frozen=True)
class HostileBot:
    """A folder with `hostile_bot.py` in it."""

    folder: Path
    links: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "main.py"]

    @property
    def models(self) -> Path:
        return self.folder / "models_saved"

    @property
    def trade_log(self) -> Path:
        return self.folder / "logs" / "trades.jsonl"

    @property
    def log(self) -> Path:
        return self.folder / "logs" / "trading_bot.log"

    def model_file(self, version: str) -> Path:
        return self.models / f"ensemble_{version}.pkl"

    def habits(self, **changes: Any) -> None:
        """What the bot does from its next start on."""
        path = self.folder / "habits.json"
        before = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**before, **changes}))

    def ran(self, event: str) -> list[dict[str, Any]]:
        """What the bot itself noted, with times."""
        return [line for line in read_json_lines(self.folder / "ran.jsonl") if line["event"] == event]

    def loaded(self, version: str) -> list[float]:
        """When it had loaded this version, unix time."""
        return [line["at"] for line in self.ran("loaded") if line["version"] == version]


def make_hostile(
    folder: Path,
    *,
    paths: Paths = "relative",
    aware: bool = False,
    promoted_ago: timedelta = timedelta(hours=1),
    versions: Sequence[str] = VERSIONS,
    offset_h: float = 0.0,
    links: dict[str, str] | None = None,
    unloadable: Sequence[str] = (),
    **habits: Any,
) -> HostileBot:
    """A bot whose registry was written by hand, in place, as `json.dump` does. Its last version is the current one.

    `aware`: timestamps carry an offset. `offset_h`: the clock of whoever wrote it is so many hours ahead of UTC.
    `unloadable`: versions that were registered with a damaged file, so that their checksums are right.
    """
    bot = HostileBot(folder, links or {})
    bot.models.mkdir(parents=True)
    bot.log.parent.mkdir()
    shutil.copy(Path(__file__).with_name("hostile_bot.py"), folder / "main.py")
    bot.habits(**habits)
    history: list[dict[str, Any]] = []
    models: dict[str, Any] = {}
    promoted = datetime.now(UTC) - promoted_ago - timedelta(days=3) * (len(versions) - 1)
    for index, version in enumerate(versions):
        file = bot.model_file(version)
        body = pickle.dumps({"version": version, "weights": [0.1 * n for n in range(500)]})
        file.write_bytes(bytes(16) + body[16:] if version in unloadable else body)
        at = promoted + timedelta(days=3) * index
        models[version] = {
            "version": version,
            "model_type": "ensemble",
            "path": written_path(bot, version, paths),
            "checksum": hashlib.sha256(file.read_bytes()).hexdigest(),
            "metadata": {"of_their_own": [1, None]},
            "registered_at": stamp(at - timedelta(hours=1), aware=aware, offset_h=offset_h),
            "status": "production" if version == versions[-1] else "archived",
            "unknown_key": "kept",
        }
        history.append(
            {
                "version": version,
                "action": "promoted",
                "previous_version": versions[index - 1] if index else None,
                "validation_metrics": {"sharpe": 1.9},
                "timestamp": stamp(at, aware=aware, offset_h=offset_h),
            }
        )
    with (bot.models / "registry.json").open("w") as out:
        json.dump({"models": models, "current_version": versions[-1], "history": history, "theirs": 7}, out)
    for link, artifact in bot.links.items():
        assert artifact == "main"
        shutil.copy(bot.model_file(versions[-1]), bot.models / link)
    return bot


def written_path(bot: HostileBot, version: str, paths: Paths) -> str:
    """The path as this bot's registry has it."""
    name = bot.model_file(version).name
    if paths == "absolute":
        return str(bot.model_file(version))
    return f"/app/models_saved/{name}" if paths == "container" else f"models_saved/{name}"


def stamp(at: datetime, *, aware: bool = False, offset_h: float = 0.0) -> str:
    """ISO 8601: naive in the local time of a clock, or with its offset."""
    local = at.astimezone(UTC) + timedelta(hours=offset_h)
    if not aware:
        return local.replace(tzinfo=None).isoformat()
    sign, minutes = ("-", -offset_h * 60) if offset_h < 0 else ("+", offset_h * 60)
    return f"{local.replace(tzinfo=None).isoformat()}{sign}{int(minutes) // 60:02d}:{int(minutes) % 60:02d}"


class Trades:
    """Writes a trade log as a bot would: opened, appended to and closed for each line."""

    def __init__(
        self, path: Path, *, equity: float = 2000.0, aware: bool = False, offset_h: float = 0.0
    ) -> None:
        self.path = path
        self.equity = equity
        self._aware, self._offset_h = aware, offset_h

    def raw(self, data: bytes) -> None:
        """These very bytes."""
        with self.path.open("ab") as file:
            file.write(data)

    def line(self, **record: Any) -> None:
        """One object; NaN and Infinity as bare words."""
        self.raw(json.dumps(record).encode() + b"\n")

    def now(self, at: datetime | None = None) -> str:
        """The time as this bot writes it."""
        return stamp(at or datetime.now(UTC), aware=self._aware, offset_h=self._offset_h)

    def entry(self, at: datetime | None = None) -> None:
        self.line(type="entry", timestamp=self.now(at), direction=1, entry_price=150.2, size=1.3)

    def exit(self, pnl: float, at: datetime | None = None, *, reading: float | None = None) -> None:
        """An exit, and the equity after it (`reading`: what the bot logs in place of it)."""
        self.equity += pnl
        self.line(
            type="exit",
            timestamp=self.now(at),
            direction=1,
            entry_price=150.2,
            exit_price=149.1,
            size=1.3,
            pnl=pnl,
            pnl_pct=-0.7,
        )
        self.reading(self.equity if reading is None else reading, at)

    def reading(self, equity: float, at: datetime | None = None) -> None:
        self.line(type="equity", timestamp=self.now(at), equity=equity)

    def trade(self, pnl: float, at: datetime | None = None) -> None:
        """A whole trade."""
        self.entry(at)
        self.exit(pnl, at)

    def lose(self, count: int, pnl: float = -1.0) -> None:
        """So many losing trades, now."""
        for _ in range(count):
            self.trade(pnl)
