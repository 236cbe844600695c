"""The way to the account: a client for as long as it is needed, and what has to be remembered between two of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from config.settings import Exchange
from watchdog.caller import not_set
from watchdog.clock import Budget, Clock
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.line import Limits, Line, Wait
from watchdog.exchange.market import Market
from watchdog.exchange.spot import SpotMarket
from watchdog.exchange.usdm import UsdmMarket

CALL_TIMEOUT_S = 5.0
"""Of one call. The exchange drops requests of that age, too (`client.RECV_WINDOW_MS`)."""

MOST_GAP_S = CALL_TIMEOUT_S + 1.0
"""Of the time between two looks at the budget so much counts. The budget is looked at before each call and after each
second of a pause: what is longer than a call may take, and a note on disk, is a process that did not run."""

Make = Callable[[Exchange], Any]


def make_client(settings: Exchange) -> Any:
    """A client. Slow the first time, for it imports python-binance: to be called in a thread first, see `Access`."""
    from watchdog.exchange.client import Client

    return Client(
        settings.api_key.get_secret_value(),
        settings.api_secret.get_secret_value(),
        settings.base_url,
        CALL_TIMEOUT_S,
    )


def _import() -> None:
    import watchdog.exchange.client  # noqa: F401


@dataclass(frozen=True)
class Session:
    """An open client. `ahead_ms`: by how much the exchange's clock is ahead of this machine's; None: it did not say."""

    market: Market
    line: Line
    client: Any
    ahead_ms: int | None


class Access:
    """One account of the configuration. `make`: what makes a client, in the running loop."""

    def __init__(
        self, settings: Exchange, clock: Clock, limits: Limits | None = None, make: Make = make_client
    ) -> None:
        self.settings, self.clock = settings, clock
        self.limits = limits or Limits(clock)
        self._make = make

    @asynccontextmanager
    async def open(self, wait: Wait, budget_s: float) -> AsyncIterator[Session]:
        """A client for `budget_s` from now; time in which the process was frozen does not count. ExchangeError without
        a key, or when python-binance cannot be used."""
        for secret in (self.settings.api_key, self.settings.api_secret):
            if missing := not_set(secret.get_secret_value()):
                raise ExchangeError("exchange", f"{missing} is not set in this shell", "refused")
        try:
            await asyncio.to_thread(_import)
        except Exception as error:  # noqa: BLE001 - a damaged environment must not hold up the rollback
            raise ExchangeError(
                "python-binance",
                "is not installed, or not whole: install the requirements anew"
                if isinstance(error, ImportError)
                else "is damaged: install the requirements anew",
                "refused",
            ) from None
        client = self._make(self.settings)
        try:
            kind = "usdm" if self.settings.kind == "binance_usdm" else "spot"
            line = Line(
                self.limits,
                self.clock.monotonic,
                wait,
                Budget(self.clock.monotonic, budget_s, MOST_GAP_S),
                lambda: client.set_clock(kind),
            )
            known = await line.try_clock()
            symbols = list(dict.fromkeys(self.settings.symbols))
            market: Market = UsdmMarket(client, line) if kind == "usdm" else SpotMarket(client, line, symbols)
            yield Session(market, line, client, client.timestamp_offset if known else None)
        finally:
            await client.close_connection()
