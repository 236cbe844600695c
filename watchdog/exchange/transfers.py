"""What a transfer history says: whether money came in or went out. Pure.

Binance names some thirty kinds of income. Those of trading are known; every other kind may be a transfer, so that a
history is read as "no money was moved" only when it holds nothing else than trading.
"""

from collections.abc import Sequence
from decimal import Decimal

from watchdog.exchange.answers import Row

OF_TRADING = frozenset(
    {
        "REALIZED_PNL",
        "FUNDING_FEE",
        "COMMISSION",
        "INSURANCE_CLEAR",
        "REFERRAL_KICKBACK",
        "COMMISSION_REBATE",
        "API_REBATE",
        "MARKET_MERCHANT_REWARD",
        "FEE_RETURN",
    }
)
IN_DOLLARS = frozenset({"USDT", "USDC", "FDUSD", "BUSD", "BNFCR", "USD1"})
MOST_ROWS = 1000


def net_income(found: Sequence[Row]) -> Decimal | None:
    """The sum of all transfers; None when there may be more of them, or one is in an asset that has no price here."""
    if len(found) >= MOST_ROWS:
        return None
    moved = [row for row in found if row.text("incomeType") not in OF_TRADING]
    if any(row.text("asset") not in IN_DOLLARS for row in moved):
        return None
    return sum((row.amount("income") for row in moved), Decimal(0))


def net_of_wallet(came: Sequence[Row], went: Sequence[Row]) -> Decimal | None:
    """Deposits less withdrawals; None when there are none: transfers to other wallets are not in these histories."""
    into = sum((row.amount("amount") for row in came), Decimal(0))
    out = sum((row.amount("amount") + (row.maybe("transactionFee") or 0) for row in went), Decimal(0))
    return into - out if came or went else None
