"""What was unknown while the bot was down, read when the incident is closed: too late to be acted on, for by now it may
be what the bot that was started has opened. Pure."""

from typing import Any

from watchdog.exchange.settle import Policy
from watchdog.exchange.words import Facts


def judged(later: dict[str, Any], then: Facts, policy: Policy) -> dict[str, Any]:
    """`later`, of a `Policy.too_late`, with fates for what is held, too. `then`: the facts of while the bot was down.
    What was known then is no news: it was told, and what is there in its place came after it."""
    for symbol, body in later["symbols"].items():
        before = then["symbols"][symbol]
        orders = {key: row for key, row in body["orders"].items() if row["fate"] not in {"gone", "cancelled"}}
        for row in orders.values():
            if row["fate"] == "missed" and before["orders_state"] != "unknown":
                row["fate"] = "now"
        body["orders"] = orders
        for row in body["holdings"]:
            row["fate"] = _fate(row["side"], before, policy)
    return later


def _fate(side: str, before: Facts, policy: Policy) -> str:
    if any(row["state"] == "unknown" for row in before["holdings"]):
        return "missed" if policy.positions == "close" else "kept"
    held = any(row["side"] == side for row in before["holdings"])
    return "kept" if held and policy.positions == "keep" else "now"
