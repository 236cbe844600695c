"""A bench for the exchange: the real python-binance against the local server, on a clock that moves only by sleeping.

One house and one server serve many runs; each run has an incident and an account of its own.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from config.settings import Exchange
from tests.fakes.binance import KEY, SECRET, BinanceServer, Desk
from tests.fakes.binance.state import fresh
from tests.watchdog.fakes import Killed
from tests.watchdog.house import House
from watchdog.exchange import pages
from watchdog.exchange.access import Access
from watchdog.exchange.client import Client
from watchdog.exchange.line import Limits
from watchdog.exchange.step import BUDGET_S, settle
from watchdog.incident import Incident

CALL_TIMEOUT_S = 0.15
"""Real seconds: a call that hangs is given up quickly."""

Stage = Callable[[Desk], None]


class MortalClient(Client):
    """A process that may end just before, or just `after`, its request number `ends` (-1: never)."""

    bench: "Bench"

    async def _request(self, *args: Any, **kwargs: Any) -> Any:
        bench = self.bench
        bench.calls += 1
        if bench.calls == bench.ends and not bench.after:
            raise Killed("before a request")
        try:
            return bench.forge(str(args[1]), await super()._request(*args, **kwargs))
        finally:
            if bench.calls == bench.ends and bench.after:
                raise Killed("after a request")


@dataclass
class Bench:
    """One run after the other, of one configuration of the exchange."""

    house: House
    server: BinanceServer
    options: dict[str, Any]
    calls: int = 0
    ends: int = -1
    after: bool = False
    forge: Callable[[str, Any], Any] = lambda _, answer: answer
    """Given an address and its answer: what is taken for the answer."""
    incident: Incident = field(init=False)
    began: float = 0.0
    banned_until: datetime | None = None
    """As the journal has it."""

    @property
    def desk(self) -> Desk:
        return self.server.desk

    def fresh(self, stage: Stage) -> None:
        """A new account, a new incident, nothing told yet."""
        self.desk.heal()
        gate = self.server.gate
        gate.exchange.state = fresh()
        gate.exchange._before.clear()
        gate.journal.clear()
        gate.limits.too_early = 0
        self.house.told.alerts.clear()
        self.calls, self.ends, self.banned_until = 0, -1, None
        stage(self.desk)
        gate.exchange._before.clear()
        world = self.house.world
        world.exchange = self.access()
        self.incident = self.house.open()
        self.began = self.house.machine.monotonic_s

    def access(self) -> Access:
        """The way to the account, with clients that can be ended."""

        def make(settings: Exchange) -> Client:
            client = MortalClient(KEY, SECRET, self.server.base_url, CALL_TIMEOUT_S)
            client.bench = self
            return client

        exchange = self.house.settings.exchange
        assert exchange is not None
        changed = exchange.model_copy(update={"base_url": self.server.base_url})
        clock = self.house.world.clock
        return Access(changed, clock, Limits(clock, self.banned_until, self._banned), make=make)

    def _banned(self, until: datetime) -> None:
        self.banned_until = until

    async def settle(self) -> str:
        """The step, once."""
        world = self.house.world

        async def wait(seconds: float) -> None:
            await world.interrupts.wait(seconds, halting=self.incident.plan == "halt")

        said = await settle(self.incident, world, wait)
        assert said is not None
        return said

    async def settle_though_killed(self, number: int, *, after: bool) -> bool:
        """The step, in a process that is killed around its nth request, and then again in a new one. Whether it was."""
        self.ends, self.after = number, after
        try:
            await self.settle()
        except Killed:
            kept = self.house.world.journal.incident(self.incident.id)
            assert kept is not None
            self.incident, self.ends = kept, -1
            self.house.world.exchange = self.access()
            await self.settle()
            return True
        self.ends = -1
        return False

    # -- what was, and is

    @property
    def took_s(self) -> float:
        """Seconds of the bench's clock since the account was made."""
        return self.house.machine.monotonic_s - self.began

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.incident.facts[pages.FACTS]
        return found

    @property
    def requests(self) -> list[str]:
        """`GET /fapi/v1/openOrders`, as they came."""
        return [f"{entry['method']} {entry['path']}" for entry in self.desk.journal()]

    @property
    def pages(self) -> str:
        """All critical alerts."""
        return "\n".join(alert.text for alert in self.house.told.alerts if alert.severity == "critical")

    def oracle(self, most_s: float = BUDGET_S + 1) -> list[str]:
        """What must hold after any run, whatever went wrong. Sentences about what does not."""
        wrong = list(self._about_orders())
        wrong += [f"asked {self.desk.too_early()} times during a ban"] * (self.desk.too_early() > 0)
        wrong += [f"it took {self.took_s:.0f} s"] * (self.took_s > most_s)
        wrong += self._about_words()
        everything = repr(self.facts) + "".join(self.house.told.texts)
        wrong += [f"a secret was told: {part}" for part in (KEY, SECRET, "signature=") if part in everything]
        return wrong

    def _about_orders(self) -> list[str]:
        state = self.desk.state()
        wrong = []
        for market in ("usdm", "spot"):
            ours = [o["client_id"] for o in state[market]["orders"] if o["client_id"].startswith("mw")]
            wrong += [f"{one} was sent twice" for one in set(ours) if ours.count(one) > 1]
        return wrong

    def _about_words(self) -> list[str]:
        """What is claimed to be known is true, and what is not so is paged."""
        wrong = []
        for symbol, body in self.facts["symbols"].items():
            told = {row["side"]: row for row in body["holdings"]}
            unknown = any(row["state"] == "unknown" for row in told.values())
            if not unknown:
                amounts = {side: row["amount"] for side, row in told.items()}
                if amounts != self.truth(symbol):
                    wrong.append(f"told that {symbol} holds {amounts}, and it is {self.truth(symbol)}")
            left = self.doomed(symbol, maybe_held=unknown)
            if body["orders_state"] == "settled" and left:
                wrong.append(f"told that the orders of {symbol} are settled, and {left} are open")
            unsettled = unknown or body["orders_state"] != "settled"
            if unsettled and symbol not in self.pages:
                wrong.append(f"nobody was paged about {symbol}")
        return wrong

    def truth(self, symbol: str) -> dict[str, str]:
        """Amounts by side, as the exchange has them."""
        if self.options.get("kind") == "binance_spot":
            asset = symbol.removesuffix("USDT")
            free, locked = self.desk.balances().get(asset, ("0", "0"))
            amount = f"{float(free) + float(locked):.8f}".rstrip("0").rstrip(".")
            return {} if amount == "0" else {"BOTH": amount}
        return {
            (name.partition(" ")[2] or "BOTH"): amount
            for name, amount in self.desk.positions().items()
            if name.partition(" ")[0] == symbol
        }

    def doomed(self, symbol: str, *, maybe_held: bool) -> list[str]:
        """Open orders that the configuration wants gone: all that do not protect what is, or may be, held."""
        if self.options.get("open_orders") == "keep":
            return []
        held = maybe_held or bool(self.truth(symbol))
        if self.options.get("kind") == "binance_spot":
            protects = held and self.options.get("positions") != "close"
            return [kind for kind in self.waiting(symbol) if kind == "LIMIT" or not protects]
        return [kind for kind in self.waiting(symbol) if not (held and kind == "STOP_MARKET")]

    def waiting(self, symbol: str) -> list[str]:
        """The types of all open orders, as the exchange has them."""
        if self.options.get("kind") == "binance_spot":
            return sorted(str(o["type"]) for o in self.desk.open_spot_orders() if o["symbol"] == symbol)
        basic = [str(o["type"]) for o in self.desk.open_orders() if o["symbol"] == symbol]
        return sorted(
            basic + [str(o["orderType"]) for o in self.desk.open_algo_orders() if o["symbol"] == symbol]
        )


@asynccontextmanager
async def benched(top: Path, **options: Any) -> AsyncIterator[Bench]:
    """A bench in this folder; `options` of the section exchange."""
    section = {
        "kind": "binance_usdm",
        "api_key": KEY,
        "api_secret": SECRET,
        "symbols": ["SOLUSDT"],
        **options,
    }
    house = House(top, ("v2.0.0", "v2.1.0"), exchange=section)
    server = BinanceServer(clock=lambda: _seconds(house.machine.wall))
    try:
        async with server:
            yield Bench(house, server, section)
    finally:
        house.close()


def _seconds(at: datetime) -> float:
    return at.timestamp()
