"""`positions`: what is held and what waits on the exchange, as a table or JSON. The playbook's look at positions."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, NoReturn

from rich.console import Console

from config import Settings
from watchdog.caller import not_set
from watchdog.clock import utc_now
from watchdog.exchange import words
from watchdog.exchange.look import BUDGET_S, look
from watchdog.exchange.sheet import dump, load
from watchdog.reading import open_exchange
from watchdog.screen import say, table

STATES = {"open": "bold", "flat": "green", "unknown": "bold red"}


def show(
    settings: Settings,
    as_json: bool,
    out: Console,
    fail: Callable[[str, int], NoReturn],
    budget_s: float = BUDGET_S,
) -> int:
    """Prints what is known after `budget_s` at the most; 1 when anything is unknown."""
    if settings.exchange is None:
        fail(f"{settings.path}: there is no section exchange: orders and positions cannot be looked at", 2)
    secrets = (settings.exchange.api_key, settings.exchange.api_secret)
    if missing := [name for secret in secrets if (name := not_set(secret.get_secret_value())) is not None]:
        why = _without_key(list(dict.fromkeys(missing)))
        if as_json:
            sheets = load(settings.exchange.symbols, None)
            print(json.dumps(_body(dump(sheets, utc_now(), why)), indent=1))  # noqa: T201
        fail(why, 2)
    facts = _look(settings, budget_s)
    if as_json:
        print(json.dumps(_body(facts), indent=1))  # noqa: T201
    else:
        _show(facts, out)
    return 1 if words.unknown(facts) else 0


def _without_key(missing: list[str]) -> str:
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"{' and '.join(missing)} {verb} not set in this shell: without the key the exchange cannot be asked, and what "
        f"is held there is unknown, which is not flat. Export what is missing, or set CREDENTIALS_DIRECTORY to the "
        f"folder of the service's credentials"
    )


def _look(settings: Settings, budget_s: float) -> dict[str, Any]:
    with open_exchange(settings) as access:
        sheets, why = asyncio.run(look(access, budget_s))
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
            rows.append((cells, "position" if row["state"] == "unknown" else words.position(row)))
        if body["orders_state"] == "unknown":
            rows.append(([(symbol, ""), ("unknown", STATES["unknown"])], "open orders"))
        for waiting in (row for row in body["orders"].values() if row["fate"] == "kept"):
            kind = "conditional" if waiting["book"] == "algo" else "order"
            rows.append(([(symbol, ""), (kind, "")], words.order(waiting)))
    table(out, rows, header=(("symbol", "what"), ""))
    whose: dict[str, list[str]] = {}
    for symbol, why in words.causes(facts).items():
        whose.setdefault(why, []).append(symbol)
    for why, those in whose.items():
        say(out, f"{', '.join(those)}: {why}", "bold red")
    if whose:
        say(out, words.NEVER_FLAT, "red")
