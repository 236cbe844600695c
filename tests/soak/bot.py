"""The soak's bot: trades by simulated time, as its model file says. Standard library only; it is copied.

A model file is JSON: {"version": "v3", "kind": "good" | "loses" | "plunges" | "unloadable"}.
"""

import json
import random
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TRADES = Path("logs/trades.jsonl")
LOG = Path("logs/trading_bot.log")
EQUITY = Path("equity.json")


class Bot:
    """One run of it."""

    def __init__(self) -> None:
        scale = json.loads(Path("clock.json").read_text())
        self._base_s, self._epoch_s, self._speed = (scale[k] for k in ("monotonic_s", "epoch_s", "speed"))
        self._dice = random.Random(time.monotonic_ns())
        self.kind = "good"

    def now(self) -> datetime:
        """The simulated time."""
        seconds = self._epoch_s + (time.monotonic() - self._base_s) * self._speed
        return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)

    def sleep(self, simulated_s: float) -> None:
        time.sleep(simulated_s / self._speed)

    def log(self, name: str, message: str, level: str = "INFO") -> None:
        at = self.now()
        with LOG.open("a", encoding="utf-8") as file:
            file.write(
                f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} - {name} - {level} - {message}\n"
            )

    def record(self, **fields: Any) -> None:
        """A line of the trade log, the file opened and closed for it."""
        line = json.dumps({**fields, "timestamp": self.now().isoformat()})
        with TRADES.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def load(self) -> None:
        """As an ensemble bot does, with its very words."""
        registry = json.loads(Path("models_saved/registry.json").read_text(encoding="utf-8"))
        path = registry["models"][registry["current_version"]]["path"]
        self.log("bot.trading_bot", "Loading ML models...")
        self.log("models.ensemble", f"Loading ensemble model from {path}")
        try:
            self.kind = json.loads(Path(path).read_text(encoding="utf-8"))["kind"]
        except (OSError, ValueError, KeyError) as error:
            self.kind = f"unloadable ({error})"
        if self.kind.startswith("unloadable"):
            self.log("models.ensemble", f"Error loading model: {self.kind}. Using dummy model.", "ERROR")
            self.log("models.ensemble", "Initializing dummy model for testing", "WARNING")
        else:
            self.log("models.ensemble", "Ensemble model loaded successfully")

    def trade(self, every_s: float) -> None:
        """One position: entry, exit, equity."""
        equity = json.loads(EQUITY.read_text()) if EQUITY.exists() else 2000.0
        self.log("bot.trading_bot", f"Prediction: {self._dice.uniform(-1, 1):+.2f}")
        self.record(type="entry", direction=1, entry_price=150.0, size=1.0, ml_confidence=0.7)
        self.sleep(0.6 * every_s)
        share = {"loses": -0.01, "plunges": -0.3}.get(self.kind)
        if share is None:
            share = 0.004 if self._dice.random() < 0.7 else -0.004
        before, equity = equity, min(max(equity * (1 + share), 500.0), 50_000.0)
        pnl = equity - before
        self.record(type="exit", direction=1, pnl=round(pnl, 4), pnl_pct=round(100 * share, 3), size=1.0)
        part = EQUITY.with_suffix(".part")
        part.write_text(json.dumps(equity))
        part.replace(EQUITY)
        self.record(type="equity", equity=round(equity, 4), pnl=round(pnl, 4))
        self.log("bot.trading_bot", f"Closed: P&L {pnl:+.2f}, equity {equity:.2f}")
        self.sleep(0.4 * every_s)


def main(arguments: list[str]) -> int:
    bot = Bot()
    if "--dry-run" in arguments:
        registry = json.loads(Path("models_saved/registry.json").read_text(encoding="utf-8"))
        print(f"dry run ok: {registry['current_version']}")
        return 0
    every_s = float(arguments[0])
    bot.load()
    while True:
        bot.trade(every_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
