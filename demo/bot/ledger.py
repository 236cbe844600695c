"""The trade log: one JSON object a line, the file opened, appended to and closed for each."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .market import Trade

TAIL_BYTES = 65_536


def stamp(at: datetime, utc_offset_h: float = 0.0) -> str:
    """ISO 8601 without an offset, as such bots write it."""
    return (at.astimezone(UTC) + timedelta(hours=utc_offset_h)).replace(tzinfo=None).isoformat()


def entry_line(trade: Trade, timestamp: str) -> dict[str, Any]:
    return {
        "type": "entry",
        "timestamp": timestamp,
        "direction": trade.direction,
        "entry_price": trade.entry_price,
        "size": trade.size,
        "stop_loss": trade.stop_loss,
        "take_profit": trade.take_profit,
        "ml_confidence": trade.ml_confidence,
    }


def exit_line(trade: Trade, timestamp: str) -> dict[str, Any]:
    return {
        "type": "exit",
        "timestamp": timestamp,
        "direction": trade.direction,
        "entry_price": trade.entry_price,
        "exit_price": trade.exit_price,
        "size": trade.size,
        "pnl": trade.pnl,
        "pnl_pct": trade.pnl_pct,
        "duration": trade.duration,
    }


def equity_line(equity: float, pnl: float, timestamp: str) -> dict[str, Any]:
    return {"type": "equity", "timestamp": timestamp, "equity": round(equity, 4), "pnl": pnl}


class Ledger:
    """Appends to a trade log; `utc_offset_h` is the clock of the container that the bot believes to be in."""

    def __init__(self, path: Path, utc_offset_h: float = 0.0) -> None:
        self._path = path
        self._utc_offset_h = utc_offset_h

    def entry(self, trade: Trade) -> None:
        self._append(entry_line(trade, self._now()))

    def exit(self, trade: Trade) -> None:
        self._append(exit_line(trade, self._now()))

    def equity(self, equity: float, pnl: float) -> None:
        self._append(equity_line(equity, pnl, self._now()))

    def last_equity(self) -> float | None:
        """The newest believable equity of the log, or of the one that was rotated away last."""
        for path in (self._path, self._path.with_name(self._path.name + ".1")):
            for line in reversed(_tail(path)):
                if '"equity"' in line and (equity := _equity_of(line)) is not None:
                    return equity
        return None

    def _now(self) -> str:
        return stamp(datetime.now(UTC), self._utc_offset_h)

    def _append(self, record: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _equity_of(line: str) -> float | None:
    try:
        equity = json.loads(line)["equity"]
    except (ValueError, KeyError, TypeError):
        return None
    # An account call that failed is logged as 0.
    return float(equity) if isinstance(equity, int | float) and math.isfinite(equity) and equity > 0 else None
