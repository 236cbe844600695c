"""Predictions that a bot made, from where it tells them: a file of its own, its log, or its trade log's entries."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal

import msgspec

from watchdog.times import LocalTimes

Source = Literal["file", "log", "entries"]

SOURCES: dict[Source, str] = {
    "file": "monitor.predictions",
    "log": "the bot's log",
    "entries": "entries of the trade log: the predictions that were traded on",
}
"""In the order in which they are believed."""

TIMES = ("timestamp", "time", "at", "ts", "datetime")
DIRECTIONS = ("direction", "signal", "side", "prediction", "action")
CONFIDENCES = ("ml_confidence", "confidence", "probability", "score")
_UP = frozenset({"up", "long", "buy", "bullish"})
_DOWN = frozenset({"down", "short", "sell", "bearish"})


@dataclass(frozen=True, slots=True)
class Prediction:
    """`up`: True, False, or None (flat, or not told). `confidence`: a share in 0 .. 1, or None."""

    at: datetime
    up: bool | None = None
    confidence: float | None = None
    version: str | None = None


class PredictionDecoder:
    """Lines of a predictions file: JSON objects with a time (ISO 8601, or seconds since 1970)."""

    garbled: int = 0

    def __init__(self, tz: tzinfo) -> None:
        self._utc = LocalTimes(tz).utc

    def decode(self, line: bytes) -> Prediction | None:
        """None for what is no prediction, which is counted. Never raises."""
        if not line.strip():
            return None
        found = _object(line)
        at = None if found is None else self._time(_first(found, TIMES))
        if found is None or at is None:
            self.garbled += 1
            return None
        version = found.get("model_version")
        return Prediction(
            at,
            up_of(_first(found, DIRECTIONS)),
            confidence_of(_first(found, CONFIDENCES)),
            version if isinstance(version, str) else None,
        )

    def _time(self, value: Any) -> datetime | None:
        try:
            if isinstance(value, str):
                return self._utc(value)
            if isinstance(value, int | float) and not isinstance(value, bool):
                seconds = value / 1000 if abs(value) > 1e11 else value  # since 1970, in ms or in s
                return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            return None
        return None


def traded_on(line: bytes) -> tuple[bool | None, float | None] | None:
    """Direction and confidence that a line of the trade log names; None when it names neither."""
    found = _object(line)
    if found is None:
        return None
    up = up_of(_first(found, ("direction", "side")))
    confidence = confidence_of(_first(found, ("ml_confidence", "confidence")))
    return None if up is None and confidence is None else (up, confidence)


def up_of(value: Any) -> bool | None:
    """1, 0.3, "LONG", "buy" -> True; -1, "short" -> False; 0 and all else -> None."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _UP or word in _DOWN:
            return word in _UP
        try:
            value = float(word)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        return None
    if isinstance(value, float) and math.isnan(value):  # not of an int, which may be too large for it
        return None
    return value > 0


def confidence_of(value: Any) -> float | None:
    """A share in 0 .. 1, also from a text; None for all else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def _first(found: dict[str, Any], names: Iterable[str]) -> Any:
    return next((found[name] for name in names if found.get(name) is not None), None)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        try:
            found = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            found = json.loads(
                line.decode("utf-8", "replace").lstrip("\ufeff")
            )  # bare NaN, a byte order mark
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
