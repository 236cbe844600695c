"""What the API asks of a new USD-M order before it takes it."""

from dataclasses import dataclass
from decimal import Decimal

from .errors import ApiError, missing, not_required, reduce_only_rejected, too_precise
from .exchange import Exchange
from .params import Params
from .state import D0, Rules
from .usdm_book import closable, position, rules

CONDITIONAL = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")


@dataclass
class Wanted:
    """What a new order asks for, on either endpoint; `close` stands for closePosition."""

    symbol: Rules
    side: str
    position_side: str
    reduce_only: bool
    close: bool
    quantity: Decimal
    price: Decimal
    time_in_force: str


def symbol_of(exchange: Exchange, params: Params) -> Rules:
    return rules(exchange, params.text("symbol"))


def wanted(exchange: Exchange, params: Params, order_type: str) -> Wanted:
    """Read and check what both kinds of order have in common. Raises ApiError."""
    symbol = symbol_of(exchange, params)
    side = params.choice("side", ("BUY", "SELL"), ApiError(-1117, "Invalid side."))
    position_side = _position_side(exchange, params)
    if exchange.state.usdm.hedge_mode and "reduceOnly" in params:
        raise not_required("reduceOnly")
    close = params.flag("closePosition")
    if close and order_type not in ("STOP_MARKET", "TAKE_PROFIT_MARKET"):
        raise ApiError(-4136, f"Target strategy invalid for orderType {order_type},closePosition true")
    if close and ("quantity" in params or "reduceOnly" in params):
        raise not_required("quantity" if "quantity" in params else "reduceOnly")
    limit = order_type in ("LIMIT", "STOP", "TAKE_PROFIT")
    time_in_force = params.sent.get("timeInForce", "GTC")
    if order_type == "LIMIT" and "timeInForce" not in params:
        raise missing("timeInForce")
    if time_in_force not in ("GTC", "IOC", "FOK", "GTX", "GTD", "GTE_GTC"):
        raise ApiError(-1115, "Invalid timeInForce.")
    return Wanted(
        symbol,
        side,
        position_side,
        params.flag("reduceOnly"),
        close,
        D0 if close else quantity(params, symbol, market=not limit),
        price(params, "price", symbol) if limit else D0,
        time_in_force,
    )


def _position_side(exchange: Exchange, params: Params) -> str:
    found = params.sent.get("positionSide", "BOTH")
    if (found in ("LONG", "SHORT")) != exchange.state.usdm.hedge_mode or found not in (
        "LONG",
        "SHORT",
        "BOTH",
    ):
        raise ApiError(-4061, "Order's position side does not match user's setting.")
    return found


def quantity(params: Params, symbol: Rules, *, market: bool) -> Decimal:
    found = params.number("quantity")
    if found is None:
        raise missing("quantity")
    if found <= 0:
        raise ApiError(-4003, "Quantity less than or equal to zero.")
    if found % symbol.step:
        raise too_precise()
    if found > (symbol.max_market_quantity if market else symbol.max_quantity):
        raise ApiError(-4005, "Quantity greater than max quantity.")
    return found


def price(params: Params, name: str, symbol: Rules) -> Decimal:
    found = params.number(name)
    if found is None:
        raise missing(name)
    if found <= 0:
        raise ApiError(-4001, "Price less than or equal to zero.")
    if found != found.quantize(symbol.tick):
        raise too_precise()
    if found % symbol.tick:
        raise ApiError(-4014, "Price not increased by tick size.")
    return found


def reducing(exchange: Exchange, order: Wanted) -> None:
    """Refuse what may only reduce and would not; in hedge mode, also what closes more than there is."""
    held = position(exchange, order.symbol.name, order.position_side).amount
    can_close = closable(exchange, order.symbol.name, order.position_side, order.side)
    if order.reduce_only and can_close == 0:
        raise reduce_only_rejected()
    opens = {"LONG": "BUY", "SHORT": "SELL"}.get(order.position_side)
    if opens and order.side != opens and order.quantity > abs(held):
        raise reduce_only_rejected()


def notional(order: Wanted, price: Decimal) -> None:
    closes = order.reduce_only or (order.position_side, order.side) in (("LONG", "SELL"), ("SHORT", "BUY"))
    if not closes and order.quantity * price < order.symbol.min_notional:
        raise ApiError(
            -4164,
            f"Order's notional must be no smaller than {order.symbol.min_notional} "
            "(unless you choose reduce only).",
        )
