"""The ways for a model to be bad that `model-watchdog demo --cause` shows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from demo.bot.make import DemoBot, make_bot


@dataclass(frozen=True)
class Cause:
    """One way for a model to be bad."""

    story: str
    make: Callable[[Path], DemoBot]
    damaged_after_s: float | None = None
    """When its file is damaged, counted from the first tick that finds it running; None: never."""
    started_by_hand: bool = False
    """Whether the bot runs already when the watchdog is started, which then adopts it."""


CAUSES = {
    "drawdown": Cause(
        "v2.1.0 was promoted an hour ago and loses money", lambda folder: make_bot(folder, flavour="drawdown")
    ),
    "loss_streak": Cause(
        "v2.1.0 was promoted an hour ago and loses a little with every trade",
        lambda folder: make_bot(folder, flavour="loss_streak"),
    ),
    "load_error": Cause(
        "v2.1.0 cannot be loaded; its bot would go on with a dummy model that trades at random",
        lambda folder: make_bot(folder, flavour="unloadable"),
    ),
    "checksum": Cause(
        "v2.1.0 is sound, but its file is damaged while the bot runs",
        lambda folder: make_bot(folder, flavour="sound"),
        damaged_after_s=3.0,
    ),
    "sharpe": Cause(
        "v2.1.0 has lost slowly for 26 hours: only the Sharpe ratio tells",
        lambda folder: make_bot(
            folder,
            flavour="drifting",
            trades="low_sharpe",
            history_hours=26,
            promoted_ago=timedelta(hours=26),
        ),
        started_by_hand=True,
    ),
}
