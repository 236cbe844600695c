"""What is known of an account and what was done there, in words. Everything is made from the facts of an incident
(`sheet.dump`), so that alerts, report and terminal say the same, after a crash, too."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from watchdog.exchange.closing import given_up
from watchdog.exchange.known import plain
from watchdog.exchange.sheet import Closing

Facts = Mapping[str, Any]

MOST_LISTED = 12
"""Orders of one kind in an alert; the report has them all."""

ID_SHOWN = 14
"""Of a client order id: enough to see whose it is (`web_`, `ios_`, `x-`, the bot's own)."""

FATES = {
    "cancelled": "Cancelled",
    "gone": "Not open any more when they were to be cancelled (filled, or cancelled by somebody)",
    "kept": "Left open, as configured",
    "protects": "Left open, for they protect what is held or may be",
    "cancelling": "Still open, could not be cancelled",
    "unsure": "Were to be cancelled, and it is not known whether they are gone",
}

FACTS, LATER = "exchange", "exchange_later"
"""Of an incident: what was settled, and what was read again when it was closed."""

NEVER_FLAT = "Unknown is not flat: open orders may be filled, and a position may be losing money."


def order(row: Facts) -> str:
    """`SELL STOP_MARKET 1.3 SOLUSDT at 149, triggered at 148 (bot1012)`."""
    size = "whole position" if row["closes_all"] else row["quantity"]
    side = "" if row["position_side"] == "BOTH" else f" {row['position_side']}"
    price = f" at {row['price']}" if row["price"] else ""
    trigger = f", triggered at {row['trigger']}" if row["trigger"] else ""
    ident = row["client_id"]
    ident = ident if len(ident) <= ID_SHOWN else f"{ident[:ID_SHOWN]}..."
    whose = f" ({ident})" if ident else ""
    return f"{row['side']} {row['type']} {size} {row['symbol']}{side}{price}{trigger}{whose}"


def holding(row: Facts) -> str:
    """`SOLUSDT long 1.3, entry 150.2, worth 195.00, unrealised P&L -2.60`."""
    if row["state"] == "unknown":
        return f"{row['symbol']}: position unknown"
    if row["state"] == "flat":
        return f"{row['symbol']}: flat"
    amount = Decimal(row["amount"])
    worth = f", worth {_money(row['notional'])}" if row["notional"] is not None else ", worth unknown"
    profit = (
        f", unrealised P&L {_money(row['unrealised'])}"
        if row["unrealised"] is not None
        else ", unrealised P&L unknown"
    )
    entry = row["entry"] or "unknown"
    return f"{row['symbol']} {direction(row)} {plain(abs(amount))}, entry {entry}{worth}{profit}"


def direction(row: Facts) -> str:
    """long or short."""
    return "long" if Decimal(row["amount"]) > 0 else "short"


def _money(text: str) -> str:
    return f"{Decimal(text):,.2f}"


def symbols(facts: Facts) -> Iterator[tuple[str, Facts]]:
    """Each symbol, with what is known of it."""
    yield from facts["symbols"].items()


def unknown(facts: Facts) -> list[str]:
    """What could not be read, each with why."""
    found = []
    for symbol, body in symbols(facts):
        parts = ["open orders"] if body["orders_state"] == "unknown" else []
        parts += ["position"] if any(row["state"] == "unknown" for row in body["holdings"]) else []
        if parts:
            why = body["trouble"] or facts["why"] or "it was not confirmed in time"
            found.append(f"{symbol}: {' and '.join(parts)} unknown ({why})")
    return found


def still_open(facts: Facts) -> list[str]:
    """Orders that should be gone, and positions that should be closed."""
    found = []
    for _, body in symbols(facts):
        if body["orders_state"] == "open":
            found += [order(row) for row in body["orders"].values() if row["fate"] == "cancelling"]
        for row in body["holdings"]:
            closing = _closing(body, row)
            if closing is not None and row["state"] == "open" and not row["dust"]:
                tried = f"{closing.attempt} orders" if given_up(closing) else "the time was over"
                found.append(f"{holding(row)}: not closed ({closing.why or tried})")
    return found


def bare(facts: Facts) -> list[Facts]:
    """Holdings that no stop order on the exchange covers, or not wholly."""
    return [
        row
        for _, body in symbols(facts)
        for row in body["holdings"]
        if row["state"] == "open" and row["naked"] is not None and Decimal(row["naked"]) > 0
    ]


def held(facts: Facts) -> list[str]:
    """What is held, a line each: kept, closed, flat, unknown, dust."""
    lines = []
    for symbol, body in symbols(facts):
        lines += [_held(body, row) for row in body["holdings"]]
        sides = {row["side"] for row in body["holdings"]}
        gone = {side: row for side, row in body["before"].items() if side not in sides}
        if all(row["state"] != "unknown" for row in body["holdings"]):
            lines += [_gone(body, row) for row in gone.values()]
            lines += [f"{symbol}: flat"] if not body["holdings"] and not gone else []
    return lines


def _held(body: Facts, row: Facts) -> str:
    if row["state"] != "open":
        return f"{holding(row)}, which is not flat"
    if row["dust"]:
        return f"{holding(row)}: dust, too little to be sold, left"
    stop = "whether a stop order protects it is unknown"
    if row["naked"] is not None:
        left = Decimal(row["naked"])
        part = (
            f"{plain(left)} of it naked"
            if left < abs(Decimal(row["amount"]))
            else "naked, without a stop order"
        )
        stop = part if left > 0 else "a stop order protects it"
    return f"{holding(row)}: {'not closed' if _closing(body, row) else 'kept'}; {stop}"


def _gone(body: Facts, row: Facts) -> str:
    closing = _closing(body, row)
    by = (
        f"closed by {closing.attempt} market order{'s' * (closing.attempt > 1)}"
        if closing
        else "not held any more"
    )
    return f"{row['symbol']}: flat; {direction(row)} {plain(abs(Decimal(row['amount'])))} was {by}"


def _closing(body: Facts, row: Facts) -> Closing | None:
    kept = body["closing"].get(row["side"])
    return None if kept is None else Closing(**kept)


def orders(facts: Facts, most: int | None = None) -> list[str]:
    """What became of each order, by fate."""
    lines = []
    every = [(_fate(body, row), row) for _, body in symbols(facts) for row in body["orders"].values()]
    for fate, title in FATES.items():
        those = [order(row) for its, row in every if its == fate]
        if those:
            shown = those if most is None else those[:most]
            more = f"; and {len(those) - len(shown)} more" if len(those) > len(shown) else ""
            lines.append(f"{title}: {'; '.join(shown)}{more}")
    lines += [
        f"{symbol}: no open orders"
        for symbol, body in symbols(facts)
        if body["orders_state"] == "settled"
        and not any(row["fate"] in {"kept", "protects"} for row in body["orders"].values())
    ]
    return lines


def _fate(body: Facts, row: Facts) -> str:
    unsure = row["fate"] == "cancelling" and body["orders_state"] == "unknown"
    return "unsure" if unsure else str(row["fate"])


def page_unknown(number: int, lines: list[str]) -> str:
    """The exchange could not be read."""
    return "\n".join(
        [
            f"orders and positions on the exchange are unknown (incident {number})",
            *lines,
            NEVER_FLAT,
            "The incident goes on meanwhile.",
            "Asked of you: look at the exchange now; `model-watchdog positions` asks it again.",
        ]
    )


def page_open(number: int, lines: list[str]) -> str:
    """Something should be gone and is not."""
    return "\n".join(
        [
            f"orders or positions that should be gone are still open (incident {number})",
            *lines,
            "The incident goes on meanwhile.",
            "Asked of you: cancel or close them on the exchange by hand.",
        ]
    )


def page_naked(number: int, row: Facts) -> str:
    """A position without a stop order."""
    left, amount = Decimal(row["naked"]), abs(Decimal(row["amount"]))
    part = (
        "without a stop order on the exchange"
        if left == amount
        else f"with a stop order for a part; {plain(left)} bare"
    )
    return "\n".join(
        [
            f"{row['symbol']} {direction(row)} {plain(amount)} is held naked, {part} (incident {number})",
            holding(row),
            "The bot that managed it was stopped; the one that is started may not know of it.",
            "Asked of you: place a stop order, or close it, on the exchange by hand.",
        ]
    )


def account(number: int, lines: list[str]) -> str:
    """What was done and is held."""
    return "\n".join([f"orders and positions on the exchange were looked after (incident {number})", *lines])


def impact(incident: Facts) -> str:
    """In the report's line of that name. `incident`: all of its facts."""
    facts = incident.get(FACTS)
    if facts is None:
        return "orders and positions on the exchange were not looked at"
    return "; ".join([*unknown(facts), *still_open(facts)]) or "orders and positions were settled, see below"


def in_short(incident: Facts) -> str:
    """For the summary: what was held when the bot was down, and whether it is known by now. "" without an exchange."""
    facts, later = incident.get(FACTS), incident.get(LATER)
    if facts is None:
        return ""
    if later is None:
        return f"While the bot was down: {'; '.join([*still_open(facts), *held(facts)])}\n"
    if missing := unknown(later):
        return f"Still unknown, and so not flat: {'; '.join(missing)}. Look at the exchange.\n"
    return f"Unknown while the bot was down; read now: {'; '.join(held(later))}\n"


def section(incident: Facts) -> list[str]:
    """Of the report: every order, everything that was held. [] without an exchange."""
    lines = []
    for name, title in ((FACTS, "Orders and positions"), (LATER, "Read again at the end")):
        if (facts := incident.get(name)) is not None:
            found = [*unknown(facts), *orders(facts), *held(facts)]
            lines += ["", f"### {title} ({facts['at'][:19].replace('T', ' ')} UTC)", ""]
            lines += [f"- {line}" for line in found]
    return lines
