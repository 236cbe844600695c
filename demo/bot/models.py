"""The bot's two models: the ensemble says which way the price goes, the RL agent how much to put on it."""

import importlib.util
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .modelfile import ModelFileError

FEATURES = 8
"""How many of the last returns a prediction looks at."""


@dataclass(frozen=True)
class Ensemble:
    """`win_rate`, `take_pct`, `stop_pct`: what the market of the demo pays for the predictions of this model.

    A demo must not fire another rule by chance: after `longest_losing_run` losses in a row, the next wins.
    """

    version: str
    weights: tuple[float, ...]
    win_rate: float
    take_pct: float
    stop_pct: float
    longest_losing_run: int | None

    def predict(self, returns: Sequence[float]) -> float:
        """A score in -1 .. 1 from the last returns, newest last: the sign is the direction."""
        total = sum(weight * value for weight, value in zip(self.weights, returns, strict=True))
        return max(-1.0, min(1.0, 50.0 * total))


@dataclass(frozen=True)
class Agent:
    """`exposure`: the notional of a position as a multiple of the equity."""

    version: str
    exposure: float


@dataclass(frozen=True)
class Models:
    """What the bot trades with; a dummy is named "dummy"."""

    ensemble: Ensemble
    agent: Agent

    @property
    def version(self) -> str:
        return self.ensemble.version


def ensemble_from(payload: dict[str, Any]) -> Ensemble:
    """ModelFileError if it is another kind of model; ImportError if it needs a module that is not here."""
    _expect(payload, "ensemble")
    try:
        weights = tuple(float(weight) for weight in payload["weights"])
        run = payload["longest_losing_run"]
        model = Ensemble(
            version=str(payload["version"]),
            weights=weights,
            win_rate=float(payload["win_rate"]),
            take_pct=float(payload["take_pct"]),
            stop_pct=float(payload["stop_pct"]),
            longest_losing_run=None if run is None else int(run),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"not an ensemble: {error!r}") from error
    if len(weights) != FEATURES:
        raise ModelFileError(f"expected {FEATURES} features, the model has {len(weights)}")
    return model


def agent_from(payload: dict[str, Any]) -> Agent:
    """As `ensemble_from`."""
    _expect(payload, "rl_agent")
    try:
        return Agent(version=str(payload["version"]), exposure=float(payload["exposure"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"not an agent: {error!r}") from error


def dummy_ensemble(seed: int) -> Ensemble:
    """Untrained: it wins and loses alike, whatever it predicts."""
    rng = random.Random(seed)
    weights = tuple(rng.uniform(-1, 1) for _ in range(FEATURES))
    return Ensemble("dummy", weights, win_rate=0.5, take_pct=0.1, stop_pct=0.1, longest_losing_run=None)


def dummy_agent() -> Agent:
    """Untrained."""
    return Agent("dummy", exposure=1.0)


def _expect(payload: dict[str, Any], kind: str) -> None:
    if payload.get("kind") != kind:
        raise ModelFileError(f"bad magic number: this is a model of kind {payload.get('kind')!r}")
    for module in payload.get("needs", []):
        if importlib.util.find_spec(module) is None:
            raise ModuleNotFoundError(f"No module named {module!r}")
