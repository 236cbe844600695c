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

UNSEEN = "the exchange could not be read while the bot was down"

FATES = {
    "cancelled": "Cancelled",
    "gone": "Not open any more when they were to be cancelled (filled, or cancelled by somebody)",
    "kept": "Left open, as configured",
    "protects": "Left open, for they protect what is held or may be",
    "cancelling": "Still open, could not be cancelled",
    "unsure": "Were to be cancelled, and it is not known whether they are gone",
    "missed": f"Open, though to be cancelled as configured, for {UNSEEN}",
    "now": "Open now",
}

HELD = {"missed": f"not closed, for {UNSEEN}", "kept": "kept", "now": "held now"}
"""Of what is held when the incident is closed (`late`)."""

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
    whys = causes(facts)
    return [
        f"{symbol}: {' and '.join(_unread(body))} unknown ({whys[symbol]})"
        for symbol, body in symbols(facts)
        if symbol in whys
    ]


def causes(facts: Facts) -> dict[str, str]:
    """Why something of a symbol could not be read, for each of which that is so."""
    return {
        symbol: body["trouble"] or facts["why"] or "it was not confirmed in time"
        for symbol, body in symbols(facts)
        if _unread(body)
    }


def _unread(body: Facts) -> list[str]:
    parts = ["open orders"] if body["orders_state"] == "unknown" else []
    return parts + (["position"] if any(row["state"] == "unknown" for row in body["holdings"]) else [])


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
    """Holdings that no stop order on the exchange covers, or not wholly; not those that were opened since."""
    return [
        row
        for _, body in symbols(facts)
        for row in body["holdings"]
        if row["state"] == "open" and row["naked"] is not None and Decimal(row["naked"]) > 0
        if row.get("fate") != "now"
    ]


def missed(later: Facts) -> list[str]:
    """What should be gone, and was first read when the incident was closed."""
    found = []
    for _, body in symbols(later):
        found += [order(row) for row in body["orders"].values() if row["fate"] == "missed"]
        held_on = [row for row in body["holdings"] if row["state"] == "open" and not row["dust"]]
        found += [holding(row) for row in held_on if row.get("fate") == "missed"]
    return found


def acted(facts: Facts) -> bool:
    """Whether anything was seen or done of which people should hear, although not all of a symbol is known."""
    return any(body["orders"] or any(_sent_for(body)) for _, body in symbols(facts))


def held(facts: Facts, *, known: bool = False) -> list[str]:
    """What is held, a line each: kept, closed, flat, unknown, dust. `known`: without what is unknown."""
    lines = []
    for symbol, body in symbols(facts):
        lines += [_held(body, row) for row in body["holdings"] if row["state"] == "open" or not known]
        sides = {row["side"] for row in body["holdings"]}
        gone = {side: row for side, row in body["before"].items() if side not in sides}
        if all(row["state"] != "unknown" for row in body["holdings"]):
            lines += [_gone(body, row) for row in gone.values()]
            lines += [f"{symbol}: flat"] if not body["holdings"] and not gone else []
        else:
            lines += _sent_for(body)
    return lines


def _sent_for(body: Facts) -> Iterator[str]:
    """The closings that were sent, for a position that is unknown now."""
    for row in body["before"].values():
        closing = _closing(body, row)
        if closing is not None and _sent(closing):
            what = f"{row['symbol']} {direction(row)} {plain(abs(Decimal(row['amount'])))}"
            yield f"{what}: {_by(closing)} sent to close it"


def _held(body: Facts, row: Facts) -> str:
    if row["state"] != "open":
        return f"{holding(row)}, which is not flat"
    closing = _closing(body, row)
    if row["dust"]:
        rest = f"; the rest was closed by {_by(closing)}" if closing is not None and _sent(closing) else ""
        return f"{holding(row)}: dust, too little for an order, left{rest}"
    what = HELD[row["fate"]] if "fate" in row else "kept" if closing is None else "not closed"
    return f"{holding(row)}: {what}; {protection(row)}"


def position(row: Facts) -> str:
    """A holding, and whether a stop order protects it."""
    if row["state"] != "open":
        return holding(row)
    return f"{holding(row)}; {'dust' if row['dust'] else protection(row)}"


def protection(row: Facts) -> str:
    """Whether a stop order on the exchange covers what is held."""
    if row["naked"] is None:
        return "whether a stop order protects it is unknown"
    left = Decimal(row["naked"])
    if left == 0:
        return "a stop order protects it"
    part = left < abs(Decimal(row["amount"]))
    return f"{plain(left)} of it naked" if part else "naked, without a stop order"


def _gone(body: Facts, row: Facts) -> str:
    closing = _closing(body, row)
    ours = closing is not None and _sent(closing) > 0
    how = f"was closed by {_by(closing)}" if closing is not None and ours else "is not held any more"
    return f"{row['symbol']}: flat; {direction(row)} {plain(abs(Decimal(row['amount'])))} {how}"


def _sent(closing: Closing) -> int:
    """How many orders of ours were sent."""
    return closing.attempt - (0 if closing.acked or closing.sent_at else 1)


def _by(closing: Closing) -> str:
    count = _sent(closing)
    return f"{count} market order{'' if count == 1 else 's'}"


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
        and not any(row["fate"] in {"kept", "protects", "missed", "now"} for row in body["orders"].values())
    ]
    return lines


def _fate(body: Facts, row: Facts) -> str:
    unsure = row["fate"] == "cancelling" and body["orders_state"] == "unknown"
    return "unsure" if unsure else str(row["fate"])
