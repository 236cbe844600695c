"""`python -m tests.bench`: how fast collecting and verifying are, as ratios to the plain way, side by side in one run.

Nothing is asserted: times depend on the machine, and the ratios are for a person to look at.
"""

import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, tzinfo
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from tests.bench.hashes import rows
from tests.bench.lines import bot_lines, trade_lines
from watchdog.bot_log import BotLogParser
from watchdog.follow import Follower
from watchdog.trade_log import TradeLogDecoder

LINES = 200_000
LOG_BYTES = 100 << 20
ROUNDS = 3
BATCH = 30_000


def best_s(work: Callable[[], object]) -> float:
    """CPU time of the best of a few runs: what else the machine does only ever adds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def batches(lines: list[bytes]) -> Iterator[list[bytes]]:
    """As the follower hands them out."""
    return (lines[n : n + BATCH] for n in range(0, len(lines), BATCH))


def decoded(lines: list[bytes], tz: tzinfo) -> int:
    decoder = TradeLogDecoder(tz)
    return sum(len(decoder.decode_all(batch)) for batch in batches(lines))


def loads(lines: list[bytes]) -> int:
    return sum(len([json.loads(line) for line in batch]) for batch in batches(lines))


def parsed(lines: list[bytes]) -> int:
    parser = BotLogParser(UTC)
    return sum(len(parser.feed(batch)) for batch in batches(lines))


def split(lines: list[bytes]) -> int:
    """The plain way: split the line, and strptime."""
    count = 0
    for line in lines:
        stamp, *_ = line.decode().split(" - ", 3)
        datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").replace(tzinfo=UTC)
        count += 1
    return count


def followed(path: Path) -> int:
    follower = Follower(path)
    count = 0
    while not follower.caught_up:
        count += len(follower.read())
    follower.close()
    return count


def iterated(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def peak_mib(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / (1 << 20)
    finally:
        tracemalloc.stop()


def compare(name: str, count: int, ours: Callable[[], int], plain: Callable[[], int]) -> None:
    """One row of the table; both ways must come to as many lines."""
    if ours() != count or plain() != count:
        raise SystemExit(f"{name}: not every line was read")
    ours_s, plain_s = best_s(ours), best_s(plain)
    print(
        f"{name:<48} {count / ours_s / 1000:>8,.0f} {count / plain_s / 1000:>8,.0f} {plain_s / ours_s:>7.2f}"
    )


def big_log(folder: str, lines: list[bytes]) -> Path:
    path = Path(folder) / "trades.jsonl"
    block = b"\n".join(lines) + b"\n"
    with path.open("wb") as file:
        while file.tell() < LOG_BYTES:
            file.write(block)
    return path


def main() -> None:
    print(
        f"Python {sys.version.split()[0]}, CPU time. Lines a millisecond: ours, the plain way, and their ratio.\n"
    )
    trades, logged = trade_lines(LINES), bot_lines(LINES)
    for tz in (ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")):
        ours = partial(decoded, trades, tz)
        compare(f"trade log to records, {tz} / json.loads", LINES, ours, partial(loads, trades))
    logged.append(logged[0])  # the last message stays open
    compare(
        "bot log to records / split and strptime", LINES, lambda: parsed(logged), lambda: split(logged[:-1])
    )
    with TemporaryDirectory() as folder:
        path = big_log(folder, trades)
        compare(
            "following 100 MB / iterating", iterated(path), lambda: followed(path), lambda: iterated(path)
        )
        size, peak = path.stat().st_size >> 20, peak_mib(lambda: followed(path))
        print(f"\nmemory for following {size} MB: {peak:.1f} MiB at its peak")
    with TemporaryDirectory() as folder:
        print("\nMicroseconds for one check: ours, the other, and their ratio.\n")
        for name, ours_s, other_s in rows(Path(folder), best_s):
            print(f"{name:<48} {ours_s * 1e6:>10,.1f} {other_s * 1e6:>12,.1f} {other_s / ours_s:>12,.2f}")


main()
