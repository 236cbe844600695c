"""What the rules look at. `at` is always aware UTC; money is in quote currency."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

IMPOSSIBLE = 1e15
"""No account holds so much in any quote currency: such an amount is garbage."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A position was opened, or added to. `size`: in base currency, None where the log does not tell it."""

    at: datetime
    symbol: str | None = None
    size: float | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """A position was closed, or a part of it. `pnl` is realised; NaN: the bot could not tell it."""

    at: datetime
    pnl: float
    symbol: str | None = None
    size: float | None = None


@dataclass(frozen=True, slots=True)
class Equity:
    """The account's equity, as the bot read it. 0, below 0 or not finite: the reading failed."""

    at: datetime
    equity: float


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the bot's log; a traceback below it belongs to `message`."""

    at: datetime
    level: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True)
class BotStarted:
    """A process of the bot began."""

    at: datetime


@dataclass(frozen=True, slots=True)
class BotExited:
    """The bot's process ended. `code`: negative is the signal that ended it, None is unknown."""

    at: datetime
    code: int | None = None


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The bot ended by itself so often that it is not started again."""

    at: datetime
    restarts: int
    minutes: float


@dataclass(frozen=True, slots=True)
class ArtifactCheck:
    """What a look at one file of the current version found."""

    at: datetime
    version: str
    artifact: str
    path: str
    state: Literal["ok", "missing", "mismatch", "changing", "unreadable", "unsigned", "forged"]
    """The last two are about the version's signature, where one is asked for: there is none, or it does not fit."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Transferred:
    """What the exchange's transfer history says of a suspected withdrawal. `at`: of the reading that raised it; `net`:
    deposits less withdrawals since the reading before, in quote currency."""

    at: datetime
    net: float


TradeRecord = Entry | Exit | Equity
Record = TradeRecord | LogLine | BotStarted | BotExited | GaveUp | ArtifactCheck | Transferred


def is_amount(value: float) -> bool:
    """Whether it can be an amount of money at all: finite, and less than anybody has."""
    return math.isfinite(value) and abs(value) < IMPOSSIBLE
