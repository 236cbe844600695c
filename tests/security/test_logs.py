"""Whoever can write the bot's logs can at worst stop the bot: one rollback a day, then a halt; never a version that
does not verify, never a second start of what was left, never an end of the watching.
"""

import asyncio
import gzip
import itertools
import os
import random
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fuzz.logs import LOG_WORDS, TRADE_WORDS
from tests.fuzz.mutate import at_random
from tests.watchdog.house import House
from watchdog.follow import Follower

LIVES = 150 if os.environ.get("MODEL_WATCHDOG_THOROUGH") == "1" else 6
TICKS = 60

LINES = (
    b"%s - models.ensemble - ERROR - Error loading model: bad magic number. Using dummy model.",
    b"%s - models.ensemble - INFO - Loading ensemble model from ./models_saved/ensemble_v1.8.0.pkl",
    b"%s - models.ensemble - INFO - Ensemble model loaded successfully",
    b"%s - models.ensemble - INFO - v9.9.9 loaded successfully",
    b"%s - main - CRITICAL - HALT ROLLBACK to v1.8.0 resume",
    b"%s - main - INFO - tick",
)
TRADES = (
    b'{"type": "exit", "timestamp": "%s", "pnl": -900}',
    b'{"type": "exit", "timestamp": "%s", "pnl": -5, "model_version": "v2.0.0"}',
    b'{"type": "exit", "timestamp": "%s", "pnl": 1e14}',
    b'{"type": "equity", "timestamp": "%s", "equity": 10}',
    b'{"type": "equity", "timestamp": "%s", "equity": 1e300}',
    b'{"type": "entry", "timestamp": "%s", "size": 1, "symbol": "X"}',
    b'{"type": "rollback", "timestamp": "%s", "to": "v1.8.0"}',
)


class Liar:
    """Writes into both logs what rolls back, what denies it, and what is nothing at all."""

    def __init__(self, house: House, seed: int) -> None:
        self.house, self.dice = house, random.Random(seed)
        house.settings.trade_log.path.parent.mkdir(parents=True, exist_ok=True)

    def write(self) -> None:
        """A few lines, some of them changed beyond recognition."""
        at = self.house.machine.wall.replace(tzinfo=None) + timedelta(
            seconds=self.dice.choice((0, 0, 0, -9e6, 9e6))
        )
        for path, kinds, words in (
            (self.house.settings.bot.log, LINES, LOG_WORDS),
            (self.house.settings.trade_log.path, TRADES, TRADE_WORDS),
        ):
            for _ in range(self.dice.randrange(5)):
                line = self.dice.choice(kinds) % str(at)[:23].encode()
                if self.dice.random() < 0.3:
                    line = at_random(line, words, self.dice.randrange(1 << 30), 4000)
                with path.open("ab") as file:
                    file.write(line + b"\n")


def oracle(house: House) -> None:
    """What holds at every moment, whatever the logs say."""
    for start in house.bot.starts:
        assert start.verified
        assert not start.quarantined
    automatic = sorted(house.world.journal.automatic_rollbacks(house.machine.wall - timedelta(days=365)))
    for earlier, later in itertools.pairwise(automatic):
        assert later - earlier >= timedelta(days=1), automatic
    left = [left for left, _ in house.rollbacks]
    assert len(left) == len(set(left)), "it went back to a version that it had left"
    assert house.current not in left
    assert len(house.bot.processes) <= 1
    if house.halted:
        assert house.incidents.current is not None or house.bot.processes == []


async def live(house: House, liar: Liar) -> None:
    for _ in range(TICKS):
        liar.write()
        house.machine.go(liar.dice.choice((1, 10, 600, 7200)))
        await house.watch.tick()
        await house.finish()
        await asyncio.sleep(0)
        oracle(house)


@pytest.mark.parametrize("seed", range(LIVES))
async def test_lies_in_the_logs_can_at_worst_stop_the_bot(build: Callable[..., House], seed: int) -> None:
    house = build(rollback={"monitor_for": "2s", "validate_for": "2s", "cooldown": "0s"})
    house.machine.most_s = 1e9
    house.world.evidence = house.collector.evidence
    house.world.before_start, house.world.after_start = (
        house.collector.before_start,
        house.collector.after_start,
    )
    house.bot.begin(by_hand=True)
    await live(house, Liar(house, seed))
    broken = [text for text in house.told.texts if "is broken" in text or "failed in a way" in text]
    assert broken == []


def test_a_log_that_unpacks_to_a_thousand_times_its_size_takes_a_bounded_memory_and_time_a_read(
    tmp_path: Path,
) -> None:
    """An earlier log, compressed: a line without end, and zeros without end."""
    for number, byte in ((2, b"x"), (1, b"\0")):
        with gzip.open(tmp_path / f"trades.jsonl.{number}.gz", "wb", compresslevel=1) as file:
            for _ in range(48):
                file.write(byte * (1 << 20))
    (tmp_path / "trades.jsonl").write_bytes(b"last\n")
    follower = Follower.from_start(tmp_path / "trades.jsonl", datetime(2000, 1, 1, tzinfo=UTC))
    tracemalloc.start()
    try:
        lines, reads = [], 0
        while not follower.caught_up or reads == 0:
            began = time.process_time()
            lines += follower.read()
            reads += 1
            assert time.process_time() - began < 5.0
            assert reads < 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        follower.close()
    assert lines == [b"last"]
    assert reads > 10, "it was read in one go"
    assert peak < 40 << 20
