"""Targets: a whole look at a bot, over files as anybody may have written them; and what `init` looks at."""

import asyncio
import json
import os
import shutil
from functools import cache
from pathlib import Path

from tests.fuzz.logs import BOT_LOG, LOG_WORDS, TRADE_WORDS, TRADES
from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless
from tests.watchdog.house import House
from watchdog.bot_folder import look
from watchdog.collect import Collector
from watchdog.rules import build_engine

APART = b"\n--\n"
"""Between the bot's log and the trade log, and between what is there at first and what is written then."""

MOST_TROUBLE = 2000


@cache
def house() -> House:
    found = House(fresh("house") / "top")
    found.bot.begin(by_hand=True)
    found.settings.trade_log.path.parent.mkdir(exist_ok=True)
    return found


def collector(data: bytes) -> None:
    """The first byte: what else is odd. A look raises nothing; its troubles are sentences, and its evidence is JSON."""
    odd, parts = (data[:1] or b"\0")[0], [*data[1:].split(APART), b"", b"", b"", b""]
    home = house()
    home.settings.bot.log.unlink(missing_ok=True)
    _put(home.settings.bot.log, parts[0], odd)
    _put(home.settings.trade_log.path, parts[1], odd >> 3)
    for name in ("deployment", "checkpoint"):
        home.world.journal.put(name, None)
    clock = home.machine.clock()
    if odd & 64:
        home.machine.step(86400.0 if odd & 128 else -86400.0)
        clock.now()
    engine = build_engine(home.settings, clock.now())
    found = Collector(home.settings, clock, home.world.journal, home.world.registry, home.bot, engine)
    try:
        asyncio.run(_look_twice(found, home, parts))
        for text in found.troubles.values():
            assert len(text) <= MOST_TROUBLE
            assert is_harmless(text, "\t")
        for verdict in engine.evaluate(clock.now()):
            json.dumps(verdict.as_dict(), allow_nan=False)
        json.dumps(found.evidence())
        json.dumps(found.checkpoint(), allow_nan=False)
        assert not engine.notices() or all(not kind.startswith("broken") for kind, _ in engine.notices())
    finally:
        found.close()


async def _look_twice(found: Collector, home: House, parts: list[bytes]) -> None:
    await found.collect()
    for path, text in ((home.settings.bot.log, parts[2]), (home.settings.trade_log.path, parts[3])):
        if path.is_file() and not path.is_symlink():
            with path.open("ab") as file:
                file.write(text)
    home.machine.go(10)
    await found.collect()


def _put(path: Path, text: bytes, odd: int) -> None:
    path.unlink(missing_ok=True)
    kind = odd & 7
    if kind == 7:
        os.mkfifo(path)
    elif kind == 6:
        path.symlink_to("/dev/zero")
    elif kind == 5:
        path.symlink_to(path.name)
    else:
        path.write_bytes(text)
        seconds = {4: 253_402_300_800, 3: 0, 2: -86_400}.get(kind)
        if seconds is not None:
            os.utime(path, (seconds, seconds))


def bot_folder(data: bytes) -> None:
    """What `init` looks at: notes and guesses, whatever lies in the folder."""
    folder = fresh("bot")
    try:
        compose, trades, unit = [*data.split(APART), b"", b"", b""][:3]
        (folder / "docker-compose.yml").write_bytes(compose)
        (folder / "trades.jsonl").write_bytes(trades)
        (folder / "bot.service").write_bytes(unit)
        os.mkfifo(folder / "more_trades.jsonl")
        os.mkfifo(folder / "compose.yml")
        os.mkfifo(folder / "other.service")
        found = look(folder)
        assert found.equity is None or 0 < found.equity < float("inf")
        assert all(len(note) < MOST_TROUBLE for note in found.notes)
    finally:
        shutil.rmtree(folder)


_COMPOSE = b"""\
x-common: &common
  environment: {TZ: Europe/Berlin}
services:
  bot: {<<: *common, image: bot, command: [python, main.py], environment: ["TZ=UTC"]}
"""
_LAUGHS = (
    b"a: &a {x: 1}\n"
    + b"".join(b"%c: &%c {<<: [*%c, *%c]}\n" % (n, n, n - 1, n - 1) for n in range(98, 120))
    + b"services: {bot: {environment: [*w, *w]}}\n"
)
_UNIT = b'[Service]\nExecStart=/usr/bin/python main.py\nEnvironment=TZ=UTC "X=a b"\nUser=trading\n'
_LATER = b"9999-12-31 23:59:59,999 - a - INFO - Loading model\n0001-01-01 00:00:00 - a - INFO - x\n"
SEEDS = (
    b"\0" + BOT_LOG + APART + TRADES + APART + BOT_LOG + APART + TRADES,
    b"\x40" + _LATER + APART + TRADES + APART + _LATER,
    b"\xc4"
    + BOT_LOG
    + _LATER[:60]
    + APART
    + b'{"type": "equity", "timestamp": "9999-12-31T23:59:59Z", "equity": 1}\n',
    b"\x07" + BOT_LOG,
    b"\x3e" + BOT_LOG,
    b"\x24" + BOT_LOG + APART + TRADES,
)
FOLDERS = (
    _COMPOSE + APART + TRADES + APART + _UNIT,
    _LAUGHS,
    b"services: &a [*a]\n",
    b"services: {bot: {environment: [}}",
)
FOLDER_WORDS = (
    b"services:", b"bot:", b"environment:", b"TZ", b"&a ", b"*a", b"<<: ", b"[", b"]", b"{", b"}", b"- ", b"\n",
    b"!!x ",    b"${X}", b"ExecStart=", b"Environment=", b"'", b'"', b"\\\n", b"\0", b"\xff", APART, b"[" * 200,
    b'{"type": "equity", "equity": ',
)  # fmt: skip
COLLECTING = (
    Target("collector", collector, SEEDS, (APART, b"\n", _LATER, *TRADE_WORDS, *LOG_WORDS)),
    Target("bot_folder", bot_folder, FOLDERS, FOLDER_WORDS, most_cpu_s=30.0),
)
