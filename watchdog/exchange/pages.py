"""The account in alerts, in the summary and in the report of an incident."""

from decimal import Decimal

from watchdog.exchange.known import plain
from watchdog.exchange.words import (
    MOST_LISTED,
    NEVER_FLAT,
    UNSEEN,
    Facts,
    bare,
    direction,
    held,
    holding,
    missed,
    orders,
    still_open,
    unknown,
)
from watchdog.tell import Severity

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


def page_missed(number: int, lines: list[str], *, runs: bool) -> str:
    """Something should be gone, and was seen too late. `runs`: the bot was started since."""
    untouched, asked = "Nothing of it was touched.", "cancel or close it"
    if runs:
        untouched = (
            "The bot runs again, so nothing of it was touched: what it has opened since may be among it."
        )
        asked = "cancel or close what is not the running bot's"
    return "\n".join(
        [
            f"orders are open, or positions held, that should be gone (incident {number})",
            *lines,
            f"They were not cancelled or closed, for {UNSEEN}.",
            untouched,
            f"Asked of you: {asked}, on the exchange by hand.",
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
    told = f"While the bot was down: {'; '.join([*unknown(facts), *still_open(facts), *held(facts, known=True)])}\n"
    if later is None:
        return told
    if read := [*orders(later, MOST_LISTED), *held(later, known=True)]:
        untouched = ", and not touched, for the bot runs again" if later.get("runs") else ""
        told += f"Read now{untouched}: {'; '.join(read)}\n"
    if missing := unknown(later):
        told += f"Still unknown, and so not flat: {'; '.join(missing)}. Look at the exchange.\n"
    return told


def severity(incident: Facts) -> Severity:
    """Of the summary: people have been paged, and it must not say in silence that it is still so."""
    later = incident.get(LATER)
    return "info" if later is None or not (unknown(later) or missed(later) or bare(later)) else "warning"


def section(incident: Facts) -> list[str]:
    """Of the report: every order, everything that was held. [] without an exchange."""
    lines = []
    for name, title in ((FACTS, "Orders and positions"), (LATER, "Read again at the end")):
        if (facts := incident.get(name)) is not None:
            found = [*unknown(facts), *orders(facts), *held(facts)]
            lines += ["", f"### {title} ({facts['at'][:19].replace('T', ' ')} UTC)", ""]
            lines += [f"- {line}" for line in found]
    return lines
