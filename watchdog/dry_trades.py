"""Does a dry run trade? A bot that does not know the option for a dry run ignores it, runs as ever, and trades: as a
second bot beside the first one. It is seen in the trade log that it writes, while it runs, and in what it logs."""

import re
from collections.abc import Iterable
from pathlib import Path

from config import Settings
from triggers import Entry, Exit, LogLine
from watchdog.dry_run import Wait
from watchdog.trade_log import TradeLogDecoder

MOST_BYTES = 1 << 20
LONGEST = 1_000
QUOTED = 200

_THING = r"(?:orders?|trades?|positions?)"
_DONE = r"(?:placed|submitted|executed|filled|opened|sent)"
_TRADING = re.compile(
    rf"\b{_THING}\b.{{0,20}}?\b{_DONE}\b"
    rf"|\b(?:{_DONE}|placing|submitting|executing|opening|sending)\b.{{0,20}}?\b(?:{_THING}|long|short)\b",
    re.IGNORECASE,
)
_OR_NOT = re.compile(
    r"\b(?:dry|would|could|cannot|no|not|never|none|without|skip\w*|ignor\w*|simulat\w*|paper|mock\w*|fake|test\w*"
    r"|back-?test\w*|disabled|sandbox|if|when|until|last|previous\w*|existing|earlier|histor\w*|load\w*|read\w*"
    r"|restor\w*|book|stream|file)\b|dry[-_]?run|n't\b|\b0 ",
    re.IGNORECASE,
)
"""What makes such a line speak of something else: of a dry run that says what it would do, or of the past."""


class Traded(Exception):
    """The dry run wrote a trade; the text is its line."""


def told(lines: Iterable[LogLine]) -> str | None:
    """The first line that tells of an order or a trade that was made."""
    for line in lines:
        text = line.message[:LONGEST].split("\n", 1)[0]
        if _TRADING.search(text) and not _OR_NOT.search(text):
            return text[:QUOTED]
    return None


def size(trade_log: Path) -> int:
    """In bytes; 0 when it is not there."""
    try:
        return trade_log.stat().st_size
    except OSError:
        return 0


def written(trade_log: Path, begin: int, settings: Settings) -> str | None:
    """The first entry or exit after so many bytes of a trade log."""
    if size(trade_log) <= begin:
        return None
    try:
        with trade_log.open("rb") as file:
            file.seek(begin)
            lines = file.read(MOST_BYTES).split(b"\n")
    except OSError:
        return None
    decoder = TradeLogDecoder(settings.bot.tz)
    for line in lines:
        found = decoder.decode(line)
        if found is not None and isinstance(found.record, Entry | Exit):
            return line.decode("utf-8", "replace")[:QUOTED]
    return None


def watching(wait: Wait, trade_log: Path | None, settings: Settings) -> Wait:
    """`wait`, which also raises `Traded` as soon as an entry or an exit is added to that trade log."""
    if trade_log is None:
        return wait
    log, begin = trade_log, size(trade_log)

    async def look(seconds: float) -> None:
        await wait(seconds)
        line = written(log, begin, settings)
        if line is not None:
            raise Traded(line)

    return look
