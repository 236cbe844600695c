"""Positions, fills and what they do to the wallet (USD-M)."""

from decimal import Decimal

from .errors import bad_symbol
from .exchange import Exchange
from .params import fixed, places
from .state import D0, Order, Position, Rules

FEE = Decimal("0.0004")


def rules(exchange: Exchange, symbol: str) -> Rules:
    if symbol not in exchange.state.usdm.symbols:
        raise bad_symbol()
    return exchange.state.usdm.symbols[symbol]


def sides(exchange: Exchange) -> tuple[str, ...]:
    return ("LONG", "SHORT") if exchange.state.usdm.hedge_mode else ("BOTH",)


def position(exchange: Exchange, symbol: str, side: str) -> Position:
    """The position of one side, flat ones too."""
    kept = exchange.state.usdm.positions
    for found in kept:
        if (found.symbol, found.side) == (symbol, side):
            return found
    kept.append(Position(symbol, side))
    return kept[-1]


def signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "BUY" else -quantity


def closable(exchange: Exchange, symbol: str, position_side: str, side: str) -> Decimal:
    """How much an order of `side` can close; 0 when it could only open."""
    amount = position(exchange, symbol, position_side).amount
    return abs(amount) if amount * signed(side, Decimal(1)) < 0 else D0


def fill(exchange: Exchange, order: Order, quantity: Decimal, price: Decimal) -> None:
    """Execute a part of an order: position, wallet, trade and income follow."""
    now = exchange.now_ms()
    held = position(exchange, order.symbol, order.position_side)
    change = signed(order.side, quantity)
    realised = D0
    if held.amount * change < 0:
        closed = min(abs(held.amount), quantity)
        realised = (price - held.entry_price) * closed * (1 if held.amount > 0 else -1)
        if quantity > closed:
            held.entry_price = price
    else:
        total = held.amount + change
        held.entry_price = (held.entry_price * held.amount + price * change) / total
    held.amount += change
    held.updated = now
    if held.amount == 0:
        held.entry_price = D0
    order.executed += quantity
    order.cost += quantity * price
    order.updated = now
    order.status = "FILLED" if order.executed == order.quantity else "PARTIALLY_FILLED"
    _book(exchange, order, quantity, price, realised)
    _expire_useless(exchange, order.symbol)


def _book(exchange: Exchange, order: Order, quantity: Decimal, price: Decimal, realised: Decimal) -> None:
    usdm, fee, now = exchange.state.usdm, quantity * price * FEE, exchange.now_ms()
    usdm.wallet += realised - fee
    trade = exchange.next_id()
    found = rules(exchange, order.symbol)
    usdm.trades.append(
        {
            "buyer": order.side == "BUY",
            "commission": fixed(fee, 8),
            "commissionAsset": "USDT",
            "id": trade,
            "maker": order.type == "LIMIT",
            "orderId": order.order_id,
            "price": fixed(price, places(found.tick)),
            "qty": fixed(quantity, places(found.step)),
            "quoteQty": fixed(quantity * price, 8),
            "realizedPnl": fixed(realised, 8),
            "side": order.side,
            "positionSide": order.position_side,
            "symbol": order.symbol,
            "time": now,
        }
    )
    for kind, amount in (("REALIZED_PNL", realised), ("COMMISSION", -fee)):
        if amount:
            book_income(exchange, kind, amount, order.symbol, now, str(trade))


def book_income(
    exchange: Exchange,
    kind: str,
    amount: Decimal,
    symbol: str,
    at_ms: int,
    trade: str = "",
    asset: str = "USDT",
) -> None:
    exchange.state.usdm.income.append(
        {
            "symbol": symbol,
            "incomeType": kind,
            "income": fixed(amount, 8),
            "asset": asset,
            "info": trade or kind,
            "time": at_ms,
            "tranId": exchange.next_id(),
            "tradeId": trade,
        }
    )


def _expire_useless(exchange: Exchange, symbol: str) -> None:
    """Resting reduce-only orders that have nothing left to reduce are taken away, as the exchange does."""
    for order in exchange.state.usdm.orders:
        if (
            order.open
            and order.reduce_only
            and order.symbol == symbol
            and not closable(exchange, symbol, order.position_side, order.side)
        ):
            order.status = "EXPIRED"
            order.updated = exchange.now_ms()
