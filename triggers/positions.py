"""Which positions are open, as far as the trade log tells: whether the account is flat decides what a drop of it is.

Lines get lost, and a position must not count as open for ever. An exit of the very size of the newest entry therefore
closes all that is known of its symbol, and so does one that for the third time in a row comes right after one entry.
Where that was too much (a pyramid that is closed leg by leg), the next exit comes without a known position, and what
looked like a cash flow until then is explained (`triggers.cash_flow`).
"""

import math

import msgspec

from triggers.records import Entry, Exit

REST = 0.01
"""What may be left of a position that was closed, as a share of it: rounding."""

ROUND_TRIPS = 3
"""One entry and one exit in turns, so many times, and still something is left: the sizes do not agree."""

MOST = 256
"""Symbols kept; a log that names more is garbled, and the oldest are forgotten."""

LONGEST = 64
"""Characters of a symbol."""


class Holding(msgspec.Struct, forbid_unknown_fields=True):
    """One symbol's open position. Sizes in the log's own unit: what is left, all that was opened, the newest entry."""

    left: float
    opened: float
    newest: float
    entered: bool = True
    """The newest record of it was an entry."""
    round_trips: int = 0


class Positions(msgspec.Struct, forbid_unknown_fields=True):
    """Streaming, bounded. Records without a symbol are a symbol of their own."""

    open: dict[str, Holding | None] = {}
    """symbol -> its holding, None where a size is missing."""

    @property
    def flat(self) -> bool:
        """No position is open."""
        return not self.open

    def enter(self, record: Entry) -> None:
        """Opens a position, or adds to it."""
        key, size = _key(record.symbol), _usable(record.size)
        held = self.open.get(key)
        if size is None or (held is None and key in self.open):
            self.open[key] = None
        elif held is None:
            self.open[key] = Holding(size, size, size)
        else:
            held.left, held.opened, held.newest = held.left + size, held.opened + size, size
            held.round_trips = 0 if held.entered else held.round_trips
            held.entered = True
        if len(self.open) > MOST:
            del self.open[next(iter(self.open))]

    def leave(self, record: Exit) -> bool:
        """Closes a position, or a part of it; all of it where a size is missing. False: none was known to be open."""
        key, size = self._meant(record), _usable(record.size)
        held = self.open.get(key)
        known = key in self.open
        if held is None or size is None or not _reduced(held, size):
            self.open.pop(key, None)
        return known

    def _meant(self, record: Exit) -> str:
        """Some bots name the symbol in only one of the two lines."""
        key = _key(record.symbol)
        if key in self.open:
            return key
        if key == "" and len(self.open) == 1:
            return next(iter(self.open))
        return ""


def _reduced(held: Holding, size: float) -> bool:
    """Takes an exit off the holding; False when nothing is left of it."""
    held.left -= size
    held.round_trips = held.round_trips + 1 if held.entered else 0
    held.entered = False
    lost_count = abs(size - held.newest) <= REST * held.newest or held.round_trips >= ROUND_TRIPS
    return held.left > REST * held.opened and not lost_count


def _key(symbol: str | None) -> str:
    return (symbol or "")[:LONGEST]


def _usable(size: float | None) -> float | None:
    return abs(size) if size is not None and math.isfinite(size) and size != 0 else None
