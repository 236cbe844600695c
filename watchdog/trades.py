"""The trade log as the rules get it: new records of the current version, and what is wrong with the log."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from datetime import datetime, timedelta

from config import Settings
from triggers import TradeRecord
from watchdog.clock import LIVE, Clock
from watchdog.follow import Follower
from watchdog.messages import span
from watchdog.trade_log import TradeLogDecoder

KEPT = 50
CUT = 500

MOST_S_A_TICK = 5.0
"""A long history is read over several ticks, so that orders and heartbeats are not held up."""

AHEAD = 3
"""So many records in a row from the future, or the past, are no slip: the time zone or a clock is wrong."""

BEHIND = timedelta(minutes=25)
"""What was just written is never so old, but for a wrong time zone (they differ by 30 minutes or more)."""


class Trades:
    """Follows the trade log from where `follower` stands. `last_at`: when the newest record known was written."""

    def __init__(
        self, settings: Settings, clock: Clock, follower: Follower, last_at: datetime | None
    ) -> None:
        self._settings, self._clock = settings, clock
        self.follower = follower
        self._decoder = TradeLogDecoder(settings.bot.tz)
        self._ahead = 0
        self._ahead_by = timedelta(0)
        self._behind = 0
        self._behind_by = timedelta(0)
        self.last_at = last_at
        self.last: deque[str] = deque(maxlen=KEPT)
        """The newest lines as they were written, for evidence."""

    async def read(
        self, current: str, versions: Collection[str], *, live: bool
    ) -> AsyncIterator[TradeRecord]:
        """The new records that count for `current`; those that name another of `versions` do not.

        `live`: all that was written before has been read, so what comes now was just written.
        """
        began = time.monotonic()
        while True:
            lines = self.follower.read()
            self.last.extend(line.decode("utf-8", "replace")[:CUT] for line in lines[-KEPT:])
            for line in lines:
                record = self._record(line, current, versions, live)
                if record is not None:
                    yield record
            if self.follower.caught_up or time.monotonic() - began > MOST_S_A_TICK:
                return
            await asyncio.sleep(0)

    def _record(self, line: bytes, current: str, versions: Collection[str], live: bool) -> TradeRecord | None:
        decoded = self._decoder.decode(line)
        if decoded is None:
            return None
        record, made_by = decoded.record, decoded.model_version
        if self._clock.offset:
            record = replace(record, at=self._clock.steady(record.at))
        now = self._clock.now()
        if record.at - now > LIVE:
            self._ahead, self._ahead_by = self._ahead + 1, record.at - now
            return None
        self._ahead = 0
        self._behind = self._behind + 1 if live and now - record.at > BEHIND else 0
        self._behind_by = now - record.at
        self.last_at = now if live else max(record.at, self.last_at or record.at)
        return None if made_by != current and made_by in versions else record

    @property
    def from_the_future(self) -> str | None:
        """Why the log's times cannot be believed now, or None."""
        if self._ahead < AHEAD:
            return None
        return (
            f"{self.follower.path}: the newest records are {span(self._ahead_by)} ahead of the clock, so "
            f"the trade rules do not judge; check `bot.timezone` ({self._settings.bot.timezone}) and the bot's clock"
        )

    @property
    def from_the_past(self) -> str | None:
        """That what was just written is dated long ago, or None. The rules may miss it, so people are told."""
        if self._behind < AHEAD:
            return None
        return (
            f"{self.follower.path}: records that were just written are dated {span(self._behind_by)} ago, so the trade "
            f"rules may take them for those of an earlier deployment; check `bot.timezone` "
            f"({self._settings.bot.timezone}) and the bot's clock"
        )

    @property
    def garbled(self) -> str | None:
        """That lines were left out, with the first as an example, or None."""
        if not self._decoder.garbled + self._decoder.impossible + self.follower.too_long:
            return None
        first = self._decoder.first_garbled
        example = f" (the first: line {first.line}, {first.reason}: {first.excerpt})" if first else ""
        return f"{self.follower.path}: lines that could not be used were left out{example}"

    def stale(self, since: datetime) -> str | None:
        """That nothing new came for too long, since the last record or since `since`, or None."""
        quiet, limit = self._clock.now() - (self.last_at or since), self._settings.trade_log.stale_after
        if quiet <= limit:
            return None
        return (
            f"{self.follower.path}: nothing new for {span(quiet)} (limit {span(limit)}); is the bot trading?"
        )
