"""What a dry run proved, from how it ended and what it said. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from triggers import LoadErrorRule, LogLine, tells_loaded, tells_loading
from watchdog import dry_trades
from watchdog.bot_log import BotLogParser
from watchdog.dry_run import Ran
from watchdog.proof import Names

AT = datetime(2000, 1, 1, tzinfo=UTC)
"""When a line was written plays no part here."""

QUOTED = 200


@dataclass(frozen=True)
class Proof:
    """`said`: a sentence for people. `named`: whether the version was named, so that it is known what was loaded.
    `no_dry_run`: it is none, but the bot itself, or might be: it traded, or did not end. `traded`: it did trade."""

    ok: bool
    said: str
    named: bool = False
    no_dry_run: bool = False
    traded: bool = False


def judge(ran: Ran, timeout_s: float, target: Names, others: Sequence[Names], errors: LoadErrorRule) -> Proof:
    """It must end well and in time, trade nothing, tell of no load error and name no other version when it loads."""
    lines = list(lines_of(ran.lines))
    trade = dry_trades.told(lines)
    if trade is not None:
        return it_traded(trade)
    if ran.code is None:
        why = f"it did not end within {timeout_s:.3g} s and was ended; does the bot know this option?"
        return Proof(False, f"{why}{_last_words(ran.lines)}", no_dry_run=ran.cannot is None)
    if ran.code != 0:
        how = f"was killed by signal {-ran.code}" if ran.code < 0 else f"ended with exit code {ran.code}"
        without = f" (it went without {', '.join(ran.withheld)})" if ran.withheld else ""
        return Proof(False, f"it {how}{without}{_last_words(ran.lines)}")
    named = other = None
    for line in lines:
        errors.observe(line)
        loads = tells_loading(line.message) or tells_loaded(line.message)
        if target.named_in(line.message, about_loading=loads):
            named = named or line.message
        elif loads and any(names.named_in(line.message, about_loading=True) for names in others):
            other = other or line.message
    verdict = errors.evaluate(AT)
    if verdict.state == "firing":
        return Proof(False, verdict.reason)
    if other is not None:
        return Proof(False, f"it loaded another version than {target.version}: {other[:QUOTED]}")
    if named is None:
        return Proof(True, "it ended well, without a word of which version it loaded")
    return Proof(True, f"it says: {named[:QUOTED]}", named=True)


def it_traded(line: str) -> Proof:
    """What it wrote that only a bot writes."""
    return Proof(False, f"it trades: {line}", no_dry_run=True, traded=True)


def lines_of(lines: Iterable[str]) -> Iterable[LogLine]:
    """Lines of a log, and plain ones as if they were errors: what is only printed has no level."""
    for text in lines:
        parser = BotLogParser(UTC)
        found = [*parser.feed([text.encode("utf-8", "replace")]), *parser.flush()]
        yield found[0] if found else LogLine(AT, "ERROR", "", text.strip())


def _last_words(lines: Sequence[str]) -> str:
    last = " / ".join(line.strip() for line in lines[-3:])[-QUOTED:]
    return f"; its last words: {last}" if last else ""
