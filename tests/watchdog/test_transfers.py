"""The exchange is asked about a suspected withdrawal, beside the ticks."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.binance import KEY, SECRET, BinanceServer
from tests.watchdog.fakes import START, ManualClock
from tests.watchdog.house import House
from triggers import DrawdownSettings, Engine, Equity, Transferred, build
from watchdog.exchange.access import Access
from watchdog.transfers import TransferWatch


@dataclass
class Bench:
    """A rule that suspects a withdrawal of 800, an exchange, and the one who asks it."""

    server: BinanceServer
    house: House
    access: Access
    engine: Engine
    watch: TransferWatch
    observed: list[Any] = field(default_factory=list)

    @property
    def machine(self) -> ManualClock:
        return self.house.machine

    async def tick(self) -> None:
        """A tick, and time for what it began."""
        self.watch.look(self.observe)
        for _ in range(200):
            if self.watch._asking is None or self.watch._asking[1].done():
                break
            await asyncio.sleep(0.005)

    def observe(self, record: Transferred) -> None:
        self.observed.append(record)
        self.engine.observe(record)

    @property
    def asked(self) -> int:
        return len(self.server.desk.journal("GET /*/income")) + len(self.server.desk.journal("GET /sapi/*"))

    @property
    def verdict(self) -> str:
        (found,) = self.engine.evaluate(self.machine.wall)
        return found.state


async def bench_of(tmp_path: Path, server: BinanceServer, kind: str) -> Bench:
    section = {"kind": kind, "api_key": KEY, "api_secret": SECRET, "symbols": ["SOLUSDT"]}
    house = House(tmp_path / "house", ("v2.1.0",), exchange={**section, "base_url": server.base_url})
    server.gate.exchange.clock = server.gate.limits.clock = lambda: house.machine.wall.timestamp()
    clock = house.world.clock
    exchange = house.settings.exchange
    assert exchange is not None
    access = Access(exchange, clock)
    engine = build([(DrawdownSettings(), timedelta(0))], START - timedelta(hours=1))
    engine.observe(Equity(START - timedelta(minutes=30), 2000.0))
    engine.observe(Equity(START, 1200.0))
    return Bench(server, house, access, engine, TransferWatch(access, clock, engine))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with BinanceServer() as server:
        found = await bench_of(tmp_path, server, "binance_usdm")
        yield found
        found.house.close()


def ms(bench: Bench, minutes: float) -> int:
    return int((START + timedelta(minutes=minutes)).timestamp() * 1000)


async def test_a_withdrawal_in_the_history_is_confirmed_at_once(bench: Bench) -> None:
    bench.server.desk.add_income("-800", ms(bench, -10))
    bench.server.desk.add_income("-55", ms(bench, -10), kind="REALIZED_PNL")
    bench.server.desk.add_income("-500", ms(bench, -300))  # long before
    await bench.tick()
    await bench.tick()
    assert [record.net for record in bench.observed] == [-800.0]
    assert (bench.verdict, bench.asked) == ("ok", 1)
    bench.machine.go(3600)
    await bench.tick()
    assert bench.asked == 1


async def test_that_there_was_none_is_believed_after_a_second_answer(bench: Bench) -> None:
    for _ in range(5):
        await bench.tick()
    assert (bench.asked, bench.observed, bench.verdict) == (1, [], "ok")
    bench.machine.go(31)
    await bench.tick()
    await bench.tick()
    assert [record.net for record in bench.observed] == [0.0]
    assert (bench.asked, bench.verdict) == (2, "firing")


async def test_a_history_that_lags_is_waited_for(bench: Bench) -> None:
    await bench.tick()
    bench.server.desk.add_income("-800", ms(bench, -10))
    bench.machine.go(31)
    await bench.tick()
    await bench.tick()
    assert ([record.net for record in bench.observed], bench.verdict) == ([-800.0], "ok")


async def test_an_exchange_that_does_not_answer_makes_no_loss_of_it(bench: Bench) -> None:
    bench.server.desk.fault("*", "server_error", times=None)
    for _ in range(240):
        bench.machine.go(15)
        await bench.tick()
    assert (bench.observed, bench.verdict) == ([], "ok")
    assert 5 < bench.asked < 20  # in an hour: less and less often
    bench.server.desk.heal()
    for _ in range(200):
        bench.machine.go(15)
        await bench.tick()
    assert bench.verdict == "firing"


async def test_a_ban_is_respected(bench: Bench) -> None:
    bench.server.desk.fault("*", "ban", retry_after_s=600)
    for _ in range(30):
        bench.machine.go(15)
        await bench.tick()
    assert bench.server.desk.too_early() == 0
    assert bench.observed == []


async def test_a_tick_never_waits_for_it(bench: Bench) -> None:
    bench.server.desk.fault("*", "hang", times=None, seconds=5)
    bench.watch.look(bench.observed.append)
    bench.watch.look(bench.observed.append)
    assert bench.watch._asking is not None
    bench.watch._asking[1].cancel()
    await asyncio.wait({bench.watch._asking[1]})
    bench.watch.look(bench.observed.append)
    assert bench.observed == []


async def test_on_spot_only_a_withdrawal_is_proof(tmp_path: Path) -> None:
    async with BinanceServer() as server:
        bench = await bench_of(tmp_path, server, "binance_spot")
        for _ in range(4):
            bench.machine.go(120)
            await bench.tick()
        assert (bench.observed, bench.verdict) == ([], "ok")
        server.desk.set_balance("USDT", "2000")
        server.desk.add_withdrawal("USDT", "800", ms(bench, -10))
        for _ in range(4):
            bench.machine.go(600)
            await bench.tick()
        assert [record.net for record in bench.observed] == [-800.0]
        assert bench.verdict == "ok"
        bench.house.close()
