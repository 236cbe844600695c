"""What the logs tell of spans of time in the past: for comparisons, and for people. To be run in a thread."""

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from config import Settings
from triggers import Entry, Equity, Exit, LogLine
from triggers.records import is_amount
from watchdog.bot_log import BotLogParser
from watchdog.bot_says import ERRORS, BotSays, forecast
from watchdog.comparison import Span
from watchdog.follow import Follower
from watchdog.predictions import SOURCES, Prediction, PredictionDecoder, Source, traded_on
from watchdog.trade_log import TradeLogDecoder

DAY = timedelta(days=1)
"""Dates of log lines are in some time zone, and none is further than a day from UTC."""


MOST_PREDICTIONS = 50_000
"""Of one span; more say nothing new about their distribution."""


class CutShort(Exception):
    """Whoever waited for the reading does so no more."""


@dataclass
class Wanted:
    """One span to be read: `version` made what counts in it."""

    version: str
    begin: datetime
    end: datetime
    pnls: list[float] = field(default_factory=list)
    entries: int = 0
    equity: float | None = None
    predictions: list[tuple[Source, Prediction]] = field(default_factory=list)
    errors: int = 0

    def holds(self, at: datetime) -> bool:
        """From `begin` on, before `end`."""
        return self.begin <= at < self.end

    def predicted(self, source: Source, prediction: Prediction) -> None:
        """Adds one, up to a limit."""
        if len(self.predictions) < MOST_PREDICTIONS:
            self.predictions.append((source, prediction))


def best_source(*spans: Wanted) -> Source | None:
    """The most trusted one that has predictions in any of the spans: two sources cannot be compared, or added up."""
    told = {source for span in spans for source, _ in span.predictions}
    return next((source for source in SOURCES if source in told), None)


class Reader:
    """Reads the logs of one bot, once for all spans. `steady` maps a time that the bot wrote to ours; `versions` are
    those of the registry: a record that names another of them than the span's is not counted."""

    def __init__(
        self,
        settings: Settings,
        versions: Collection[str],
        steady: Callable[[datetime], datetime] = lambda at: at,
        stop: threading.Event | None = None,
    ) -> None:
        self._settings, self._versions, self._steady = settings, versions, steady
        self._stop = stop or threading.Event()
        self.unread: list[str] = []
        """What could not be read, as sentences."""

    def read(self, *spans: Wanted) -> None:
        """Fills the spans. CutShort once `stop` is set."""
        since = min(span.begin for span in spans)
        self._trades(since, spans)
        self.read_log(*spans)
        if self._settings.monitor.predictions is not None:
            self._file(self._settings.monitor.predictions, since, spans)

    def span(self, wanted: Wanted, source: Source | None) -> Span:
        """What was read, with the predictions of that source."""
        equity = self._settings.trade_log.initial_equity if wanted.equity is None else wanted.equity
        unread = any(str(self._settings.bot.log) in text for text in self.unread)
        return Span(
            wanted.version,
            wanted.begin,
            wanted.end,
            wanted.pnls,
            equity,
            [prediction for name, prediction in wanted.predictions if name == source],
            None if unread else wanted.errors,
        )

    def _lines(self, path: Path, since: datetime) -> Iterator[list[bytes]]:
        follower = Follower.from_start(path, since)
        try:
            while True:
                if self._stop.is_set():
                    raise CutShort
                yield follower.read()
                if follower.caught_up:
                    break
            if follower.trouble is not None:
                self.unread.append(follower.trouble)
        finally:
            follower.close()

    def _trades(self, since: datetime, spans: Collection[Wanted]) -> None:
        decoder = TradeLogDecoder(self._settings.bot.tz)
        for lines in self._lines(self._settings.trade_log.path, since):
            for line in lines:
                decoded = decoder.decode(line)
                if decoded is None:
                    continue
                at = self._steady(decoded.record.at)
                for span in spans:
                    if span.holds(at) and self._counts(decoded.model_version, span):
                        _add(span, decoded.record, at, line)

    def _counts(self, made_by: str | None, span: Wanted) -> bool:
        return made_by == span.version or made_by not in self._versions

    def read_log(self, *spans: Wanted) -> None:
        """Of the bot's log alone: errors, and the predictions that it names."""
        since = min(span.begin for span in spans)
        parser, says = BotLogParser(self._settings.bot.tz), BotSays(self._settings.monitor)
        oldest = f"{since - DAY:%Y-%m-%d}".encode()
        for lines in self._lines(self._settings.bot.log, since):
            # Cheaply past what was written long before: most of a large log.
            recent = [line for line in lines if line[:2] != b"20" or line[:10] >= oldest]
            for found in parser.feed(recent):
                self._one_line(found, says, spans)
        for found in parser.flush():
            self._one_line(found, says, spans)

    def _one_line(self, line: LogLine, says: BotSays, spans: Collection[Wanted]) -> None:
        at = self._steady(line.at)
        for span in spans:
            if not span.holds(at):
                continue
            span.errors += line.level in ERRORS
            if says.predicts(line):
                span.predicted("log", Prediction(at, *forecast(line.message)))

    def _file(self, path: Path, since: datetime, spans: Collection[Wanted]) -> None:
        decoder = PredictionDecoder(self._settings.bot.tz)
        for lines in self._lines(path, since):
            for line in lines:
                found = decoder.decode(line)
                if found is None:
                    continue
                at = self._steady(found.at)
                for span in spans:
                    if span.holds(at) and self._counts(found.version, span):
                        span.predicted("file", found)


def _add(span: Wanted, record: Entry | Exit | Equity, at: datetime, line: bytes) -> None:
    if isinstance(record, Exit):
        if is_amount(record.pnl):
            span.pnls.append(record.pnl)
    elif isinstance(record, Equity):
        if span.equity is None and is_amount(record.equity) and record.equity > 0:
            # The equity at the beginning: what the first reading tells, without what was won or lost until then.
            span.equity = record.equity - sum(span.pnls)
    else:
        span.entries += 1
        if (traded := traded_on(line)) is not None:
            span.predicted("entries", Prediction(at, *traded))
