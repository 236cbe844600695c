"""Makes a throw-away folder with the demo's bot: program, bot.json, models, registry, perhaps a history.

    bot = make_bot(tmp_path / "bot", flavour="drawdown")
    process = bot.start()

The registry then holds v1.9.0 and v2.0.0, which are sound, and v2.1.0 of the flavour asked for.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from registry import ModelRegistry

from . import modelfile, settings
from .history import History, history
from .loading import FIXED_NAMES
from .models import FEATURES
from .settings import BotSettings

Flavour = Literal["sound", "drawdown", "loss_streak", "drifting", "unloadable", "missing_module"]
"""What is wrong with v2.1.0.

sound: nothing. drawdown: loses more than 25 % in about 10 s, with wins in between. loss_streak: every trade
loses a little, ten are there after 2 s. drifting: loses so slowly that for long no rule but Sharpe's can say
so. unloadable: what was registered is a damaged file, so its checksum is right and it cannot be loaded.
missing_module: it needs xgboost.
"""
Damage = Literal["zeroed", "flipped", "truncated"]

VERSIONS = ("v1.9.0", "v2.0.0", "v2.1.0")
SOUND: dict[str, Any] = {"win_rate": 0.7, "take_pct": 0.06, "stop_pct": 0.05, "longest_losing_run": 4}
PARAMETERS: dict[Flavour, dict[str, Any]] = {
    "sound": SOUND,
    "drawdown": {"win_rate": 0.4, "take_pct": 0.3, "stop_pct": 1.0, "longest_losing_run": 6},
    "loss_streak": {"win_rate": 0.0, "take_pct": 0.05, "stop_pct": 0.02, "longest_losing_run": None},
    "drifting": {"win_rate": 0.5, "take_pct": 0.04, "stop_pct": 0.05, "longest_losing_run": 4},
    "unloadable": SOUND,
    "missing_module": SOUND | {"needs": ["xgboost"]},
}
EXPOSURE: dict[Flavour, float] = {"drawdown": 2.0}


@dataclass(frozen=True)
class DemoBot:
    """A bot's folder; `links` is what `registry.links` of watchdog.yaml has to say for it."""

    folder: Path
    links: dict[str, str]

    @property
    def command(self) -> list[str]:
        """To be run in `folder`."""
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

    @property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.models, self.links)

    def model_file(self, version: str, artifact: str = "main") -> Path:
        """The file of an artifact ("main" or "rl_agent")."""
        return self.models / _file_name(artifact, version)

    def settings(self) -> BotSettings:
        """What bot.json says."""
        return settings.load(self.folder / "bot.json")

    def configure(self, **changes: Any) -> None:
        """Changes keys of bot.json; a bot that runs already does not notice."""
        settings.save(self.folder / "bot.json", dataclasses.replace(self.settings(), **changes))

    def start(self) -> subprocess.Popen[bytes]:
        """Starts it as a person would, in its own session; its output goes to the log alone."""
        return subprocess.Popen(
            self.command,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def make_bot(
    folder: Path,
    *,
    flavour: Flavour = "drawdown",
    current: str = "v2.1.0",
    promoted_ago: timedelta | None = None,
    trades: History | None = None,
    history_hours: int = 26,
    now: datetime | None = None,
    **bot_json: Any,
) -> DemoBot:
    """Writes a complete bot into `folder` (made if need be, otherwise empty) and returns where things are.

    `current` is the version that was promoted last, `promoted_ago` before `now` (aware; default: the time it
    is); left out, that is an hour or, with a history, its length. `trades`: a trade log of the last
    `history_hours` is written beforehand. `bot_json`: keys of bot.json, see `BotSettings` (seed, ...).
    """
    now = now or datetime.now(UTC)
    options = BotSettings(**bot_json)
    if promoted_ago is None:
        promoted_ago = timedelta(hours=history_hours) if trades else timedelta(hours=1)
    links = {name: artifact for artifact, name in FIXED_NAMES.items()} if options.fixed_names else {}
    bot = DemoBot(folder, links)
    _copy_program(folder)
    bot.models.mkdir()
    bot.log.parent.mkdir()
    settings.save(folder / "bot.json", options)
    _register(bot, flavour, current, now - promoted_ago)
    if trades:
        lines = history(
            trades,
            hours=history_hours,
            ends_at=now,
            equity=options.initial_equity,
            seed=options.seed,
            utc_offset_h=options.utc_offset_h,
        )
        bot.trade_log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return bot


def damage_file(path: Path, how: Damage = "zeroed") -> None:
    """Damages a model file in place, as a full disk or a bad copy does."""
    data = bytearray(path.read_bytes())
    if how == "zeroed":
        data[:16] = bytes(16)
    elif how == "flipped":
        data[len(data) // 2] ^= 0x01
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)


def _copy_program(folder: Path) -> None:
    here = Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(here / "main.py", folder / "main.py")
    not_needed = shutil.ignore_patterns("main.py", "make.py", "history.py", "__pycache__")
    shutil.copytree(here, folder / "bot", ignore=not_needed)


def _register(bot: DemoBot, flavour: Flavour, current: str, promoted_at: datetime) -> None:
    """Registers all versions and promotes them up to `current`, ten days apart, that one at `promoted_at`."""
    last = VERSIONS.index(current)
    for index, version in enumerate(VERSIONS):
        at = promoted_at - timedelta(days=10) * max(0, last - index)
        _write_models(
            bot, version, flavour if version == VERSIONS[-1] else "sound", at - timedelta(minutes=20)
        )
        _registry_at(bot, at - timedelta(minutes=10)).register_model(
            bot.model_file(version),
            version,
            {"trained_on": "a seeded random walk"},
            artifacts={"rl_agent": bot.model_file(version, "rl_agent")},
        )
        if index <= last:
            _registry_at(bot, at).promote_model(version, {"sharpe": 2.1})
    _make_paths_relative(bot)


def _registry_at(bot: DemoBot, at: datetime) -> ModelRegistry:
    return ModelRegistry(bot.models, bot.links, now=lambda: at)


def _write_models(bot: DemoBot, version: str, flavour: Flavour, written_at: datetime) -> None:
    weights = [round(0.3 - 0.1 * number, 1) for number in range(FEATURES)]
    ensemble = {"kind": "ensemble", "version": version, "weights": weights, **PARAMETERS[flavour]}
    agent = {"kind": "rl_agent", "version": version, "exposure": EXPOSURE.get(flavour, 1.0)}
    modelfile.write(bot.model_file(version), ensemble)
    modelfile.write(bot.model_file(version, "rl_agent"), agent)
    if flavour == "unloadable":
        damage_file(bot.model_file(version))
    for artifact in FIXED_NAMES:
        os.utime(bot.model_file(version, artifact), (written_at.timestamp(),) * 2)


def _make_paths_relative(bot: DemoBot) -> None:
    """The paths as such bots write them, relative to the bot's folder."""
    path = bot.models / "registry.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    for entry in data["models"].values():
        for artifact in (entry, *entry["artifacts"].values()):
            artifact["path"] = f"models_saved/{Path(artifact['path']).name}"
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _file_name(artifact: str, version: str) -> str:
    return {"main": f"ensemble_{version}.bin", "rl_agent": f"rl_agent_{version}.bin"}[artifact]
