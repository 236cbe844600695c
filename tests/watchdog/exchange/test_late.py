"""What was unknown while the bot was down, and is read when the incident is closed."""

from typing import Any, Literal

import pytest

from watchdog.exchange import words
from watchdog.exchange.late import judged
from watchdog.exchange.settle import Policy

LONG = {"symbol": "SOLUSDT", "side": "BOTH", "state": "open", "amount": "1.3", "dust": False, "naked": "1.3"}
MORE = {"entry": None, "notional": None, "unrealised": None}
UNKNOWN = {"symbol": "SOLUSDT", "side": "ANY", "state": "unknown", "dust": False, "naked": None}


def facts(
    *holdings: dict[str, Any], orders_state: str = "settled", fate: str | None = None
) -> dict[str, Any]:
    """Of one symbol, with one order of this fate."""
    row: dict[str, Any] = {
        "type": "LIMIT",
        "side": "BUY",
        "symbol": "SOLUSDT",
        "quantity": "1",
        "price": "140",
    }
    row |= {"trigger": None, "closes_all": False, "position_side": "BOTH", "client_id": "bot1", "fate": fate}
    body = {
        "orders": {} if fate is None else {"basic 1": row},
        "orders_state": orders_state,
        "holdings": [{**MORE, **holding} for holding in holdings],
        "before": {},
        "closing": {},
        "trouble": None,
    }
    return {"at": "", "why": None, "symbols": {"SOLUSDT": body}}


@pytest.mark.parametrize(
    ("positions", "before", "told", "paged"),
    [
        ("close", [UNKNOWN], "not closed, for the exchange could not be read while the bot was down", True),
        ("keep", [UNKNOWN], "kept", True),
        ("keep", [LONG], "kept", True),
        ("close", [LONG], "held now", False),
        ("close", [], "held now", False),
        ("keep", [], "held now", False),
    ],
)
def test_what_is_held_at_the_end_is_told_by_what_is_configured_and_by_what_was_known(
    positions: Literal["close", "keep"], before: list[dict[str, Any]], told: str, paged: bool
) -> None:
    later = judged(facts(LONG), facts(*before), Policy("cancel", positions, too_late=True))
    assert [f": {told}; naked" in line for line in words.held(later)] == [True]
    assert bool(words.bare(later)) == paged
    assert bool(words.missed(later)) == told.startswith("not closed")


@pytest.mark.parametrize(
    ("then", "title"),
    [("unknown", words.FATES["missed"]), ("settled", "Open now"), ("open", "Open now")],
)
def test_an_order_counts_as_missed_only_where_orders_were_unknown(then: str, title: str) -> None:
    policy = Policy("cancel", "keep", too_late=True)
    later = judged(facts(fate="missed"), facts(UNKNOWN, orders_state=then), policy)
    assert words.orders(later) == [f"{title}: BUY LIMIT 1 SOLUSDT at 140 (bot1)"]
    assert words.missed(later) == (["BUY LIMIT 1 SOLUSDT at 140 (bot1)"] if then == "unknown" else [])


def test_an_order_that_came_and_went_between_two_looks_is_nobodys_business() -> None:
    later = judged(facts(fate="gone"), facts(UNKNOWN, orders_state="unknown"), Policy(too_late=True))
    assert words.orders(later) == ["SOLUSDT: no open orders"]
