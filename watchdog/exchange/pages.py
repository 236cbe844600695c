"""The account in alerts, in the summary and in the report of an incident."""

from decimal import Decimal

from watchdog.exchange.known import plain
from watchdog.exchange.words import NEVER_FLAT, Facts, direction, held, holding, orders, still_open, unknown

FACTS, LATER = "exchange", "exchange_later"
"""Of an incident: what was settled, and what was read again when it was closed."""


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
            f"orders are still open, or positions still held, that should be gone (incident {number})",
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
