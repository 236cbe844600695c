"""A seeded random walk, and the trades that a pair of models makes on it. No clock, no files."""

import math
import random
from collections import deque
from dataclasses import dataclass

from .models import FEATURES, Models

START_PRICE = 150.0
STEP_PCT = 0.02
"""Standard deviation of the walk between two trades."""


@dataclass(frozen=True)
class Trade:
    """One position from its opening to its end; prices and P&L in quote currency, `size` in base currency."""

    direction: int
    entry_price: float
    exit_price: float
    size: float
    stop_loss: float
    take_profit: float
    ml_confidence: float
    duration: int
    """Bars."""

    @property
    def pnl(self) -> float:
        return round(self.direction * (self.exit_price - self.entry_price) * self.size, 4)

    @property
    def pnl_pct(self) -> float:
        """Percent of the position's notional."""
        return round(self.direction * (self.exit_price / self.entry_price - 1.0) * 100.0, 4)


class Market:
    """Same seed, same models, same trades."""

    def __init__(self, models: Models, seed: int) -> None:
        self._models = models
        self._rng = random.Random(f"{seed} {models.version}")
        self._price = START_PRICE
        self._returns = deque((self._step() for _ in range(FEATURES)), maxlen=FEATURES)
        self._losing_run = 0

    def next_trade(self, equity: float) -> Trade:
        """The next trade with `equity` in the account: it ends at its stop loss or at its take profit."""
        entry = round(self._price, 4)
        score = self._models.ensemble.predict(tuple(self._returns))
        direction = 1 if score >= 0 else -1
        stop = round(entry * (1 - direction * self._models.ensemble.stop_pct / 100), 4)
        take = round(entry * (1 + direction * self._models.ensemble.take_pct / 100), 4)
        trade = Trade(
            direction=direction,
            entry_price=entry,
            exit_price=take if self._wins() else stop,
            size=round(self._models.agent.exposure * equity / entry, 4),
            stop_loss=stop,
            take_profit=take,
            ml_confidence=round(0.5 + abs(score) / 2, 2),
            duration=self._rng.randint(1, 12),
        )
        self._returns.append(math.log(trade.exit_price / entry))
        # Drawn towards where it began: a walk of hours must not end at prices that nobody believes.
        self._price = trade.exit_price * math.exp(self._step()) * (START_PRICE / trade.exit_price) ** 0.02
        return trade

    def _wins(self) -> bool:
        longest = self._models.ensemble.longest_losing_run
        # The draw is always taken, so that the limit changes no trade but the one it decides.
        won = self._rng.random() < self._models.ensemble.win_rate
        won = won or (longest is not None and self._losing_run >= longest)
        self._losing_run = 0 if won else self._losing_run + 1
        return won

    def _step(self) -> float:
        return self._rng.gauss(0.0, STEP_PCT / 100)
