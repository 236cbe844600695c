"""Tells a rule what a bot's trade log says, minute by minute, so that a test reads like the log."""

from datetime import UTC, datetime, timedelta
from typing import Self

from triggers import Entry, Equity, Exit, Record, Rule, Verdict

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


class Story:
    """Feeds records; each `wait` moves the clock on. The first record is written a minute after START."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.now = START + MINUTE
        rule.reset(START)

    def tell(self, *records: Record) -> Self:
        for record in records:
            self.rule.observe(record)
        return self

    def wait(self, minutes: float = 30.0) -> Self:
        self.now += minutes * MINUTE
        return self

    def enters(self, size: float | None = 1.0, symbol: str | None = None) -> Self:
        return self.tell(Entry(self.now, symbol, size))

    def exits(self, pnl: float, size: float | None = 1.0, symbol: str | None = None) -> Self:
        return self.tell(Exit(self.now, pnl, symbol, size))

    def reads(self, equity: float) -> Self:
        self.now += timedelta(seconds=1)
        return self.tell(Equity(self.now, equity))

    def trades(self, pnl: float, equity: float) -> Self:
        """A whole trade as real bots log it: entry, half an hour, exit, a reading one second later; then a pause."""
        return self.enters().wait().exits(pnl).reads(equity).wait()

    @property
    def verdict(self) -> Verdict:
        return self.rule.evaluate(self.now)

    @property
    def state(self) -> str:
        return self.verdict.state
