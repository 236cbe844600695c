"""The books of the local Binance add up, whatever is done to them."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from .binance import spot, spot_lists, spot_orders, usdm, usdm_algo, usdm_orders
from .binance.errors import ApiError
from .binance.exchange import KEPT, Exchange
from .binance.params import Params
from .binance.state import D0, fresh
from .binance.usdm_account import unrealised

SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(100, 200)
MOVES = st.tuples(st.just("move"), PRICES)
CANCELS = st.tuples(st.just("cancel"), st.none())


def order(*kinds: str) -> st.SearchStrategy[tuple[str, dict[str, str]]]:
    fields = {"side": SIDES, "type": st.sampled_from(kinds), "price": PRICES, "stopPrice": PRICES}
    flags = {"quantity": st.integers(1, 400), "reduceOnly": st.sampled_from(["true", "false"])}
    found = st.fixed_dictionaries(fields | flags)
    return st.tuples(st.just("order"), found.map(_sent))


def _sent(fields: dict[str, Any]) -> dict[str, str]:
    return {
        "symbol": "SOLUSDT",
        "side": fields["side"],
        "type": fields["type"],
        "quantity": f"{fields['quantity'] / 100:.2f}",
        "price": str(fields["price"]),
        "stopPrice": str(fields["stopPrice"]),
        "triggerPrice": str(fields["stopPrice"]),
        "reduceOnly": fields["reduceOnly"],
        "algoType": "CONDITIONAL",
        "timeInForce": "GTC",
    }


def total(exchange: Exchange) -> Decimal:
    """What the USD-M account is worth, fees paid back."""
    fees = sum((Decimal(trade["commission"]) for trade in exchange.state.usdm.trades), D0)
    open_profit = sum((unrealised(exchange, held) for held in exchange.state.usdm.positions), D0)
    return exchange.state.usdm.wallet + open_profit + fees


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(order("MARKET", "LIMIT", "STOP_MARKET", "TAKE_PROFIT"), MOVES, CANCELS), max_size=25)
)
def test_a_usdm_account_gains_and_loses_by_moves_of_the_price_alone(steps: list[tuple[str, Any]]) -> None:
    exchange = Exchange(fresh(), lambda: 1.7e9)
    state = exchange.state.usdm
    for action, what in steps:
        before, held = total(exchange), sum((p.amount for p in state.positions), D0)
        at = state.symbols["SOLUSDT"].price
        if action == "order":
            with suppress(ApiError):
                algo = what["type"] not in ("MARKET", "LIMIT")
                (usdm_algo if algo else usdm_orders).new_order(exchange, Params(what))
            assert abs(total(exchange) - before) < Decimal("1e-6")
        elif action == "cancel":
            usdm_orders.cancel_all(exchange, Params({"symbol": "SOLUSDT"}))
            assert not usdm_orders.open_orders(exchange, Params({}))
        else:
            resting = bool(usdm_orders.open_orders(exchange, Params({})))
            usdm.move_price(exchange, "SOLUSDT", Decimal(what))
            if not resting:
                assert abs(total(exchange) - before - held * (what - at)) < Decimal("1e-6")
        bought = sum((Decimal(t["qty"]) * (1 if t["side"] == "BUY" else -1) for t in state.trades), D0)
        assert bought == sum((p.amount for p in state.positions), D0)
        assert all(0 <= o.executed <= o.quantity for o in state.orders)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(order(*spot_orders.KINDS), MOVES, CANCELS), max_size=25))
def test_spot_balances_never_go_below_nothing_and_lock_what_orders_may_spend(
    steps: list[tuple[str, Any]],
) -> None:
    exchange = Exchange(fresh(), lambda: 1.7e9)
    state = exchange.state.spot
    for action, what in steps:
        with suppress(ApiError):
            if action == "order":
                if "LIMIT" not in what["type"]:
                    what = {name: value for name, value in what.items() if name != "timeInForce"}
                spot_orders.new_order(exchange, Params(what))
            elif action == "cancel":
                spot_lists.cancel_all(exchange, Params({"symbol": "SOLUSDT"}))
            else:
                spot.move_price(exchange, "SOLUSDT", Decimal(what))
        locked = {"USDT": D0, "SOL": D0}
        for placed in state.orders:
            assert placed.open or placed.locked == 0
            locked["USDT" if placed.side == "BUY" else "SOL"] += placed.locked
        assert all(held.free >= 0 for held in state.balances.values())
        assert {name: held.locked for name, held in state.balances.items() if held.locked} == {
            name: amount for name, amount in locked.items() if amount
        }


def test_what_is_long_over_is_forgotten_and_what_is_open_is_not() -> None:
    exchange = Exchange(fresh(), lambda: 1.7e9)
    market = {"symbol": "SOLUSDT", "side": "BUY", "type": "MARKET", "quantity": "1"}
    resting = market | {"type": "LIMIT", "price": "140", "timeInForce": "GTC"}
    first = usdm_orders.new_order(exchange, Params(resting))
    for _ in range(KEPT + 100):
        usdm_orders.new_order(exchange, Params(market))
    exchange.remember()
    state = exchange.state.usdm
    assert (len(state.orders), len(state.trades), len(state.income)) == (KEPT + 1, KEPT, KEPT)
    assert [o["orderId"] for o in usdm_orders.open_orders(exchange, Params({}))] == [first["orderId"]]
