"""Which positions are open, as far as the trade log tells: whether the account is flat decides what a drop of it is."""

import math

import msgspec

from triggers.records import Entry, Exit

REST = 0.01
"""What may be left of a position that was closed, as a share of it: rounding."""

ROUND_TRIPS = 3
"""So many later trades opened and closed beside an old position: its own exit was lost (a cut line, a bot that was
killed), and it must not count as open for ever."""

MOST = 256
"""Symbols kept; a log that names more is garbled, and the oldest are forgotten."""


class Holding(msgspec.Struct, forbid_unknown_fields=True):
    """One symbol's open position: the newest entry, what is left of older ones, and round trips beside those."""

    newest: float
    older: float = 0.0
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
        key, size = record.symbol or "", _usable(record.size)
        held = self.open.get(key)
        if size is None or (held is None and key in self.open):
            self.open[key] = None
        elif held is None:
            self.open[key] = Holding(newest=size)
        else:
            held.older, held.newest = held.older + held.newest, size
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
        key = record.symbol or ""
        if key in self.open:
            return key
        if key == "" and len(self.open) == 1:
            return next(iter(self.open))
        return ""


def _reduced(held: Holding, size: float) -> bool:
    """Takes an exit off the holding; False when nothing is left of it."""
    if abs(size - held.newest) <= REST * held.newest:
        held.newest = 0.0
        held.round_trips += 1
        return held.older > 0 and held.round_trips < ROUND_TRIPS
    whole = held.older + held.newest
    held.older, held.newest, held.round_trips = whole - size, 0.0, 0
    return held.older > REST * whole


def _usable(size: float | None) -> float | None:
    return abs(size) if size is not None and math.isfinite(size) and size != 0 else None
