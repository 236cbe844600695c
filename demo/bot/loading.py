"""Finding and loading the model files, with the very log lines of the bots that this one stands for."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from . import modelfile
from .models import Agent, Ensemble, Models, agent_from, dummy_agent, dummy_ensemble, ensemble_from
from .settings import BotSettings

FOLDER = Path("models_saved")
FIXED_NAMES = {"main": "ensemble_model.bin", "rl_agent": "rl_agent.bin"}

M = TypeVar("M", Ensemble, Agent)
bot_log = logging.getLogger("bot.trading_bot")
ensemble_log = logging.getLogger("models.ensemble")
agent_log = logging.getLogger("rl.rl_agent")


class LoadError(Exception):
    """A model could not be loaded and the bot does not go on without."""


class Loader:
    """Loads both models, or fails as `settings.on_load_error` says: LoadError, or dummies in their place.

    `on_file` is called when the first "Loading ..." line was written.
    """

    def __init__(self, settings: BotSettings, on_file: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._on_file = on_file
        self._go_on = settings.on_load_error == "dummy"

    def load(self) -> Models:
        """The two models of the current version. LoadError only where `on_load_error` is "exit"."""
        bot_log.info("Loading ML models...")
        try:
            paths = self._paths()
            return Models(self._ensemble(paths["main"]), self._agent(paths["rl_agent"]))
        except (ImportError, OSError, KeyError, TypeError, ValueError) as error:
            bot_log.error("Error loading ML models: %s", error)
            if not self._go_on:
                raise LoadError(str(error)) from error
            return Models(self._dummy_ensemble(), dummy_agent())

    def _paths(self) -> dict[str, Path]:
        if self._settings.fixed_names:
            return {artifact: FOLDER / name for artifact, name in FIXED_NAMES.items()}
        registry = _read_registry()
        entry = registry["models"][registry["current_version"]]
        written = {"main": entry["path"], "rl_agent": entry["artifacts"]["rl_agent"]["path"]}
        return {artifact: _here(path) for artifact, path in written.items()}

    def _ensemble(self, path: Path) -> Ensemble:
        ensemble_log.info("Loading ensemble model from %s", _shown(path))
        self._on_file()
        model = self._read(path, ensemble_from, ensemble_log, "model")
        if model is None:
            return self._dummy_ensemble()
        ensemble_log.info("Ensemble model loaded successfully")
        return model

    def _agent(self, path: Path) -> Agent:
        agent_log.info("Loading RL agent from %s", _shown(path))
        agent = self._read(path, agent_from, agent_log, "agent")
        if agent is None:
            return dummy_agent()
        agent_log.info("RL agent loaded successfully")
        return agent

    def _read(
        self, path: Path, parse: Callable[[dict[str, Any]], M], log: logging.Logger, what: str
    ) -> M | None:
        """The model, or None for a dummy; an ImportError is passed on: the whole bot lacks the module."""
        time.sleep(self._settings.load_s)
        instead = f". Using dummy {what}." if self._go_on else ""
        shown_what = "RL agent" if what == "agent" else what
        try:
            return parse(modelfile.read(path))
        except FileNotFoundError as error:
            log.warning("Model file not found: %s%s", _shown(path), instead)
            cause: Exception = error
        except (modelfile.ModelFileError, OSError) as error:
            log.error("Error loading %s: %s%s", shown_what, error, instead)
            cause = error
        if not self._go_on:
            raise LoadError(str(cause)) from cause
        return None

    def _dummy_ensemble(self) -> Ensemble:
        ensemble_log.warning("Initializing dummy model for testing")
        return dummy_ensemble(self._settings.seed)


def current_version() -> str | None:
    """What the registry calls the current version; None if it cannot be read."""
    try:
        version = _read_registry()["current_version"]
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return version if isinstance(version, str) else None


def _read_registry(attempts: int = 5) -> dict[str, Any]:
    """Some programs write registry.json in place: half a file is read again, a moment later."""
    while True:
        attempts -= 1
        try:
            registry: dict[str, Any] = json.loads((FOLDER / "registry.json").read_text(encoding="utf-8"))
        except ValueError:
            if attempts <= 0:
                raise
            time.sleep(0.05)
        else:
            return registry


def _here(written: str) -> Path:
    """A path written elsewhere (in a container, say) means the file of that name beside registry.json."""
    path = Path(written)
    return path if path.exists() else FOLDER / path.name


def _shown(path: Path) -> str:
    """./models_saved/..., as seen from the bot's folder."""
    absolute = Path.cwd() / path
    return f"./{absolute.relative_to(Path.cwd())}" if absolute.is_relative_to(Path.cwd()) else str(path)
