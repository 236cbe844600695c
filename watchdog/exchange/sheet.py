"""What is known of one symbol, and what was done about it: kept in the incident's facts, so that a run after a crash
goes on where the one before ended, and the report can tell all of it.

Facts are JSON: {"at": time, "why": why the looking ended early, or null, "symbols": {"SOLUSDT": {"orders": {...},
"orders_state": ..., "holdings": [...], ...}}}.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, Self

from watchdog.exchange.known import Holding, OpenOrder, naked, plain, unknown

Fate = Literal["cancelling", "cancelled", "gone", "kept", "protects", "missed", "now"]
"""Of an order: it is to be cancelled and still open; cancelled, as the exchange said; not open any more when it was to
be cancelled (filled, or cancelled by somebody); left as configured; left because it protects what is held. When the
incident is closed (`late`): it should be gone, and was not seen in time; it is open, which may be right."""

QUIET = 2
"""So many looks in a row must find the same, and nothing to cancel: a list may be a lie, once."""


@dataclass
class Closing:
    """Market orders of ours that close one side of a symbol. `attempt` counts them, from 1."""

    attempt: int = 1
    amount: str | None = None
    """What was held when it was sent."""
    sent_at: str | None = None
    """When it was sent, steady UTC; None: it was not, as far as is known."""
    acked: bool = False
    """The exchange said that it has it."""
    executed: str = "0"
    """By the attempts before it."""
    refused: int = 0
    """How often in a row it was refused, and the last time why."""
    why: str | None = None


@dataclass
class Sheet:
    """One symbol."""

    symbol: str
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By key: each that was ever seen, with its `fate`."""
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By side: what was held when that was first known."""
    closing: dict[str, Closing] = field(default_factory=dict)
    trouble: str | None = None
    """What failed in the last round."""
    # What only this run knows.
    waiting: list[OpenOrder] | None = None
    """The orders that were open at the last look; None: it brought nothing."""
    quiet: int = 0
    """Looks in a row that found the same orders, and nothing to cancel among them."""
    holdings: list[Holding] | None = None
    """What is held: read twice with the same result, after the orders; None: not known."""
    refusals: int = 0
    """Rounds in a row that met a definite no when they looked: asking on is of no use."""
    uncancellable: int = 0
    """Rounds in a row in which an order that is open was not allowed to be cancelled."""
    stale_since_s: dict[str, float] = field(default_factory=dict)
    """By side: since when (monotonic) a closing was executed and the holding looks as before."""

    def saw(self, orders: list[OpenOrder], fates: Mapping[str, Fate]) -> None:
        """A look at the open orders, with the fates of all of them."""
        same = self.waiting is not None and {o.key for o in self.waiting} == {o.key for o in orders}
        self.quiet = 0 if "cancelling" in fates.values() else self.quiet + 1 if same else 1
        self.waiting = orders
        for order in orders:
            answered = self.orders.get(order.key, {}).get("answered", False)
            self.orders[order.key] = {**order.dump(), "fate": fates[order.key], "answered": answered}
        for key, row in self.orders.items():
            if key not in fates and row["fate"] not in {"cancelled", "gone"}:
                row["fate"] = "cancelled" if row["answered"] else "gone"

    def saw_some(self, doomed: Iterable[OpenOrder]) -> None:
        """Orders that are to be cancelled, of a look that brought no more than a part."""
        for order in doomed:
            self.orders[order.key] = {**order.dump(), "fate": "cancelling", "answered": False}

    def saw_nothing(self) -> None:
        """A look that brought nothing."""
        self.waiting, self.quiet = None, 0

    def cancelled(self, order: OpenOrder) -> None:
        """The exchange says that it cancelled it, with its list; the next look shows it."""
        for other in self.waiting or []:
            if other.key == order.key or (order.list_id is not None and other.list_id == order.list_id):
                self.orders[other.key]["answered"] = True

    def held(self, holdings: list[Holding] | None) -> None:
        """A reading, or None when there was none that counts."""
        self.holdings = holdings
        for holding in holdings or []:
            self.before.setdefault(holding.side, holding.dump())

    @property
    def orders_state(self) -> Literal["settled", "open", "unknown"]:
        """`open`: some are there that should not be. An exchange that makes no sense about what is held is not believed
        that nothing waits, either."""
        if self.waiting is None:
            return "unknown"
        if any(self.orders[order.key]["fate"] == "cancelling" for order in self.waiting):
            return "open"
        believed = bool(self.waiting) or self.holdings is not None
        return "settled" if self.quiet >= QUIET and believed else "unknown"

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        holdings = [unknown(self.symbol)] if self.holdings is None else self.holdings
        return {
            "orders": self.orders,
            "orders_state": self.orders_state,
            "holdings": [{**holding.dump(), "naked": self._naked(holding)} for holding in holdings],
            "before": self.before,
            "closing": {side: asdict(closing) for side, closing in self.closing.items()},
            "trouble": self.trouble,
        }

    def _naked(self, holding: Holding) -> str | None:
        """How much of it no stop order covers; None where that is not known."""
        bare = None if self.waiting is None else naked(holding, self.waiting)
        return plain(bare)

    @classmethod
    def load(cls, symbol: str, body: Mapping[str, Any] | None) -> Self:
        """What an earlier run left: what was done counts, what was known has to be read again."""
        if body is None:
            return cls(symbol)
        return cls(
            symbol,
            orders={key: dict(row) for key, row in body["orders"].items()},
            before=dict(body["before"]),
            closing={side: Closing(**{**closing, "refused": 0}) for side, closing in body["closing"].items()},
        )


def load(symbols: Iterable[str], facts: Mapping[str, Any] | None) -> list[Sheet]:
    """The sheets of these symbols, from an incident's facts."""
    kept = (facts or {}).get("symbols", {})
    return [Sheet.load(symbol, kept.get(symbol)) for symbol in symbols]


def dump(sheets: Iterable[Sheet], at: datetime, why: str | None = None) -> dict[str, Any]:
    """For the incident's facts."""
    return {"at": at.isoformat(), "why": why, "symbols": {s.symbol: s.dump() for s in sheets}}
