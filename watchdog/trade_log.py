"""Lines of the trade log as records.

The fast path decodes only the keys that count, straight into a struct. What that refuses (bare NaN and Infinity,
invalid UTF-8, a wrong type under some key) takes the slow path, which saves what is usable.
"""

import json
import math
from collections.abc import Iterable
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

import msgspec

from triggers.records import Entry, Equity, Exit
from watchdog.plain import one_line
from watchdog.times import LocalTimes

_EXCERPT = 120


class Decoded(NamedTuple):
    """A record, and the model version that the line names (None: it names none)."""

    record: Entry | Exit | Equity
    model_version: str | None


class Garbled(msgspec.Struct, frozen=True):
    """A line that could not be read: its number since the decoder was made (from 1), its beginning, and why."""

    line: int
    excerpt: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line} that was read, {self.excerpt!r}: {self.reason}"


class _Line(msgspec.Struct, gc=False):
    type: str | None = None
    timestamp: str | None = None
    pnl: float | None = None
    equity: float | None = None
    size: float | None = None
    symbol: str | None = None
    model_version: str | None = None


# strict=False: numbers that were written as strings, as Decimal values often are.
_decode = msgspec.json.Decoder(_Line, strict=False).decode


class TradeLogDecoder:
    """Decodes lines; counts those that give no record."""

    ignored: int = 0
    """Lines of other types, and empty ones."""
    garbled: int = 0
    """Lines that are no JSON object with a type, and records without a usable timestamp."""
    impossible: int = 0
    """Exits whose pnl is missing or not a finite number."""
    first_garbled: Garbled | None = None

    def __init__(self, tz: tzinfo) -> None:
        self._utc = LocalTimes(tz).utc
        self._lines = 0

    def decode_all(self, lines: Iterable[bytes]) -> list[Decoded]:
        """What the lines hold, in their order; lines that give no record are left out."""
        return [decoded for line in lines if (decoded := self.decode(line)) is not None]

    def decode(self, line: bytes) -> Decoded | None:
        """One line, with or without its line end. Never raises.

        pnl and equity are in quote currency. The equity of a failed reading (0, negative, NaN) is handed on as it
        is, a missing one as NaN.
        """
        self._lines += 1
        try:
            fields = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            if not line.strip():
                self.ignored += 1
                return None
            try:
                fields = _decode_slowly(line)
            except (ValueError, RecursionError) as error:
                self._count_garbled(line, str(error))
                return None
        if fields.type not in ("exit", "equity", "entry"):
            if fields.type is None:
                self._count_garbled(line, "it has no type")
            else:
                self.ignored += 1
            return None
        try:
            at = self._utc(fields.timestamp or "")
        except ValueError as error:
            self._count_garbled(line, str(error) if fields.timestamp else "it has no timestamp")
            return None
        return self._record(fields, at)

    def _record(self, fields: _Line, at: datetime) -> Decoded | None:
        if fields.type == "equity":
            equity = math.nan if fields.equity is None else fields.equity
            return Decoded(Equity(at, equity), fields.model_version)
        size = fields.size
        if size is not None and not math.isfinite(size):
            size = None
        if fields.type == "entry":
            return Decoded(Entry(at, fields.symbol, size), fields.model_version)
        if fields.pnl is None or not math.isfinite(fields.pnl):
            self.impossible += 1  # no P&L to judge by, and yet the position is closed
            return Decoded(Exit(at, math.nan, fields.symbol, size), fields.model_version)
        return Decoded(Exit(at, fields.pnl, fields.symbol, size), fields.model_version)

    def _count_garbled(self, line: bytes, why: str) -> None:
        self.garbled += 1
        if self.first_garbled is None:
            excerpt = one_line(line[:_EXCERPT].decode("utf-8", "replace"))
            self.first_garbled = Garbled(self._lines, excerpt, one_line(why, _EXCERPT))


def _decode_slowly(line: bytes) -> _Line:
    """Key by key, for lines that the fast decoder refuses; ValueError if it is no JSON object."""
    # A byte order mark is what some editors leave at the head of a file.
    found = json.loads(line.decode("utf-8", "replace").lstrip("\ufeff"))
    if not isinstance(found, dict):
        raise ValueError(f"it is no JSON object but a {type(found).__name__}")
    return _Line(
        type=_text(found.get("type")),
        timestamp=_text(found.get("timestamp")),
        pnl=_number(found.get("pnl")),
        equity=_number(found.get("equity")),
        size=_number(found.get("size")),
        symbol=_text(found.get("symbol")),
        model_version=_text(found.get("model_version")),
    )


def _text(value: Any) -> str | None:
    # Half a surrogate pair, which JSON can spell, could be neither stored nor sent later.
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    """As a float, NaN and infinities included; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
    except OverflowError:
        return math.inf if isinstance(value, int) and value > 0 else -math.inf
