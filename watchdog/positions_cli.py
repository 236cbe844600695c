"""`positions`: what is held and what waits on the exchange, as a table or JSON. The playbook's look at positions."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NoReturn

from rich.console import Console

from config import Settings
from watchdog.caller import not_set
from watchdog.exchange import words
from watchdog.exchange.look import look
from watchdog.exchange.sheet import dump
from watchdog.reading import open_exchange
from watchdog.screen import say, table

STATES = {"open": "bold", "flat": "green", "unknown": "bold red"}


def show(settings: Settings, as_json: bool, out: Console, fail: Callable[[str, int], NoReturn]) -> int:
    """Prints what is known; 1 when anything is unknown."""
    if settings.exchange is None:
        fail(f"{settings.path}: there is no section exchange: orders and positions cannot be looked at", 2)
    for secret in (settings.exchange.api_key, settings.exchange.api_secret):
        if (missing := not_set(secret.get_secret_value())) is not None:
            fail(f"{missing} is not set in this shell: without it the exchange cannot be asked", 2)
    facts = _look(settings)
    if as_json:
        print(json.dumps(_body(facts), indent=1))  # noqa: T201
    else:
        _show(facts, out)
    return 1 if words.unknown(facts) else 0


def _look(settings: Settings) -> dict[str, Any]:
    with open_exchange(settings) as access:
        sheets, why = asyncio.run(look(access))
        return dump(sheets, access.clock.now(), why)


def _body(facts: dict[str, Any]) -> dict[str, Any]:
    """For programs: null is unknown, an empty list is nothing."""
    found = {}
    for symbol, body in words.symbols(facts):
        unknown = any(row["state"] == "unknown" for row in body["holdings"])
        orders = [
            {name: value for name, value in row.items() if name not in {"fate", "answered"}}
            for row in body["orders"].values()
            if row["fate"] == "kept"
        ]
        found[symbol] = {
            "positions": None if unknown else body["holdings"],
            "orders": None if body["orders_state"] == "unknown" else orders,
            "trouble": body["trouble"],
        }
    return {"at": facts["at"], "why": facts["why"], "symbols": found}


def _show(facts: dict[str, Any], out: Console) -> None:
    rows = []
    for symbol, body in words.symbols(facts):
        held = body["holdings"] or [{"symbol": symbol, "side": "BOTH", "state": "flat"}]
        for row in held:
            cells = [(symbol, ""), (row["state"], STATES[row["state"]])]
            rows.append((cells, words.position(row)))
        if body["orders_state"] == "unknown":
            rows.append(([(symbol, ""), ("unknown", STATES["unknown"])], "open orders"))
        for waiting in (row for row in body["orders"].values() if row["fate"] == "kept"):
            kind = "conditional" if waiting["book"] == "algo" else "order"
            rows.append(([(symbol, ""), (kind, "")], words.order(waiting)))
    table(out, rows, header=(("symbol", "what"), ""))
    for line in words.unknown(facts):
        say(out, line, "bold red")
    if words.unknown(facts):
        say(out, words.NEVER_FLAT, "red")
