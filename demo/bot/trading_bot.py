"""The bot itself: loads its models, trades on a random walk, writes its logs. Standard library only."""

import argparse
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path

from .ledger import Ledger
from .loading import Loader, LoadError, current_version
from .market import Market
from .models import FEATURES, Models
from .settings import BotSettings, load

LOGS = Path("logs")
HOLDS = 0.6
"""The share of the time between two trades in which a position is open."""
EMPTY = 0.01
"""Below this share of the initial equity no exchange accepts an order."""
log = logging.getLogger("bot.trading_bot")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 good, 1 the models could not be loaded, 2 bot.json is wrong."""
    parser = argparse.ArgumentParser(description="The demo's trading bot.")
    parser.add_argument("--dry-run", action="store_true", help="load the models, predict once, trade nothing")
    dry_run: bool = parser.parse_args(arguments).dry_run
    try:
        settings = load(Path("bot.json"))
    except (OSError, TypeError, ValueError) as error:
        print(f"bot.json: {error}", file=sys.stderr)
        return 2
    _set_up_logging(settings, to_file=not dry_run)
    try:
        return _dry_run(settings) if dry_run else _run(settings)
    except LoadError as error:
        log.critical("No model, no trading: %s", error)
        return 1
    except KeyboardInterrupt:
        return 130


def _dry_run(settings: BotSettings) -> int:
    """Nothing is written to the bot's log: who reads it would take this for a start of the bot."""
    models = Loader(replace(settings, on_load_error="exit")).load()
    score = models.ensemble.predict((0.001,) * FEATURES)
    version = models.version if settings.fixed_names else current_version() or models.version
    print(f"one prediction: {score:+.2f}")
    print(f"dry run ok: {version}")
    return 0


def _run(settings: BotSettings) -> int:
    # Before any signal is blocked or ignored: children would inherit that.
    for _ in range(settings.children):
        subprocess.Popen([sys.executable, "-m", "bot.stream", str(os.getpid())], start_new_session=True)
    pause = _pause(settings)
    dies = settings.dies if settings.dies_on in (None, current_version()) else "never"
    if dies == "before_loading":
        log.error("Cannot connect to the exchange, giving up")
        return settings.exit_code
    models = Loader(settings, on_file=lambda: _end_if(dies == "while_loading", settings.exit_code)).load()
    ends_at_s = time.monotonic() + settings.dies_after_s if dies == "later" else None
    return Trading(settings, models, pause).run(ends_at_s)


def _end_if(dies: bool, exit_code: int) -> None:
    if dies:
        os._exit(exit_code)  # as a crash in a native library does: nothing is said, nothing is tidied up


class Trading:
    """The loop. `pause(seconds)` answers True when it is time to stop."""

    def __init__(self, settings: BotSettings, models: Models, pause: Callable[[float], bool]) -> None:
        self._settings = settings
        self._pause = pause
        self._ledger = Ledger(LOGS / "trades.jsonl", settings.utc_offset_h)
        self._market = Market(models, settings.seed)
        known = self._ledger.last_equity()
        self._equity = settings.initial_equity if known is None else known
        self._reported = self._equity

    def run(self, ends_at_s: float | None) -> int:
        """Trades until it is stopped, or until `ends_at_s` (monotonic); the exit code."""
        log.info("Trading SOLUSDT with %.2f USDT", self._equity)
        while ends_at_s is None or time.monotonic() < ends_at_s:
            if self._settings.trades_per_second == 0 or self._is_empty():
                stop = self._pause(0.2)
            else:
                stop = self._trade(1.0 / self._settings.trades_per_second)
            if stop:
                log.info("Stopped, no position is open")
                return 0
        log.critical("Unexpected end")
        return self._settings.exit_code

    def _trade(self, cycle_s: float) -> bool:
        started_s = time.monotonic()
        trade = self._market.next_trade(self._equity)
        self._ledger.entry(trade)
        side = "LONG" if trade.direction > 0 else "SHORT"
        log.info(
            "Opened %s %.4f at %.4f, confidence %.2f",
            side,
            trade.size,
            trade.entry_price,
            trade.ml_confidence,
        )
        stop = self._pause(HOLDS * cycle_s)
        if stop:
            log.info("SIGTERM: closing the position")
            time.sleep(self._settings.flatten_s)
            trade = replace(trade, exit_price=trade.entry_price)
        self._equity += trade.pnl
        if not self._settings.paper:
            self._reported = self._equity
        self._ledger.exit(trade)
        self._ledger.equity(self._reported, trade.pnl)
        log.info("Closed %s at %.4f: P&L %+.2f, equity %.2f", side, trade.exit_price, trade.pnl, self._equity)
        if self._is_empty():
            log.warning("Equity %.2f is below what the exchange accepts, no more trades", self._equity)
        return stop or self._pause(max(0.0, started_s + cycle_s - time.monotonic()))

    def _is_empty(self) -> bool:
        return self._equity < EMPTY * self._settings.initial_equity


def _pause(settings: BotSettings) -> Callable[[float], bool]:
    """The pause between two actions, which answers whether SIGTERM asks to stop."""
    if settings.sigterm == "flatten":
        # Blocked and waited for, not handled: no half-written trade, and no handler that could meet a lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        return lambda seconds: signal.sigtimedwait({signal.SIGTERM}, seconds) is not None
    if settings.sigterm == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def asleep(seconds: float) -> bool:
        time.sleep(seconds)
        return False

    return asleep


def _set_up_logging(settings: BotSettings, *, to_file: bool) -> None:
    formatter = logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    formatter.converter = lambda seconds: datetime.fromtimestamp(
        (seconds or 0.0) + settings.utc_offset_h * 3600, UTC
    ).timetuple()
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if to_file:
        LOGS.mkdir(exist_ok=True)
        handlers.append(WatchedFileHandler(LOGS / "trading_bot.log", encoding="utf-8"))
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=handlers)
