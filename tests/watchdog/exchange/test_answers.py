"""Answers that cannot be right are garbled: never empty, never 0, never an exception of another kind."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.binance.shapes import sample
from watchdog.exchange import spot, usdm
from watchdog.exchange.answers import Row, rows, rules, sent
from watchdog.exchange.errors import ExchangeError
from watchdog.exchange.known import Holding
from watchdog.exchange.transfers import net_income, net_of_wallet

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1.5", "BUY"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def failure(read: Callable[[], object]) -> str | None:
    """The kind of ExchangeError that this raises; None when it raises nothing."""
    try:
        read()
    except ExchangeError as error:
        return error.kind
    return None


def position(**changes: Any) -> Holding:
    return usdm._position(
        Row("positionRisk", {**sample("GET /fapi/v3/positionRisk"), **changes}), "unRealizedProfit"
    )


def test_a_position_as_the_exchange_tells_it() -> None:
    found = position(symbol="SOLUSDT", positionAmt="-1.3", entryPrice="150.2", markPrice="148")
    assert (found.side, found.amount, found.entry, found.mark) == (
        "BOTH", Decimal("-1.3"), Decimal("150.2"), Decimal(148),
    )  # fmt: skip
    assert position(entryPrice="0.0").entry is None


def test_a_0_is_a_short_one_however_it_is_written() -> None:
    """Written out, this one would have a billion digits."""
    assert position(positionAmt="0E-999999999").dump()["amount"] == "0"


@pytest.mark.parametrize("step", ["1e-15", "-0.1", "1e-999999999"])
def test_a_step_by_which_nothing_could_be_counted_is_garbled(step: str) -> None:
    lot = {"filterType": "LOT_SIZE", "stepSize": step, "minQty": "0.1", "maxQty": "1"}
    symbol = {"symbol": "SOLUSDT", "baseAsset": "SOL", "quoteAsset": "USDT", "filters": [lot]}
    assert failure(lambda: rules("exchangeInfo", {"symbols": [symbol]}, "SOLUSDT")) == "garbled"
    lot["stepSize"] = "0.1"
    assert rules("exchangeInfo", {"symbols": [symbol]}, "SOLUSDT").step == Decimal("0.1")


def test_in_hedge_mode_the_side_says_the_direction() -> None:
    amounts = [position(positionSide=side, positionAmt="1").amount for side in ("LONG", "SHORT")]
    assert amounts == [Decimal(1), Decimal(-1)]


@pytest.mark.parametrize(
    "amount",
    [
        None,
        "",
        "NaN",
        "sNaN",
        "Infinity",
        "1e99",
        "lots",
        True,
        [],
        {},
        "1e-999999999",
        "1e-20",
        "1" * 60,
        pytest.param(10**5000, id="endless"),
    ],
)
def test_an_amount_that_is_none_is_not_0(amount: Any) -> None:
    with pytest.raises(ExchangeError, match="positionAmt is no"):
        position(positionAmt=amount)


@given(answer=anything)
def test_whatever_comes_it_is_understood_or_garbled(answer: Any) -> None:
    for read in (
        lambda: [usdm._position(row, "unRealizedProfit") for row in rows("x", answer)],
        lambda: [usdm._basic(row) for row in rows("x", answer)],
        lambda: [usdm._algo(row) for row in rows("x", answer)],
        lambda: [spot._order(row) for row in rows("x", answer)],
        lambda: rules("x", answer, "SOLUSDT"),
        lambda: sent("x", answer),
        lambda: net_income(list(rows("x", answer))),
    ):
        assert failure(read) in (None, "garbled")


@given(data=st.data())
def test_a_true_answer_with_one_thing_wrong_in_it(data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(["GET /fapi/v1/openOrders", "GET /fapi/v1/openAlgoOrders"]))
    row = dict(sample(endpoint))
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(anything)
    read = usdm._algo if "Algo" in endpoint else usdm._basic
    read_row = Row("x", json.loads(json.dumps(row)))
    if failure(lambda: read(read_row)) != "garbled":
        assert read(read_row).quantity.is_finite()
        assert read(read_row).side in {"BUY", "SELL"}


@pytest.mark.parametrize("kept", [{"reduceOnly": "true"}, {"reduceOnly": True}, {"closePosition": True}])
def test_orders_that_can_only_reduce_are_known_by_their_flags_or_their_side(kept: dict[str, Any]) -> None:
    row = {**sample("GET /fapi/v1/openAlgoOrders"), **kept}
    assert usdm._algo(Row("x", row)).reduces
    assert not usdm._algo(Row("x", sample("GET /fapi/v1/openAlgoOrders"))).reduces
    assert usdm._algo(Row("x", {**sample("GET /fapi/v1/openAlgoOrders"), "positionSide": "LONG"})).reduces


def test_what_is_filled_already_is_not_open_any_more() -> None:
    row = {**sample("GET /fapi/v1/openOrders"), "origQty": "1.3", "executedQty": "0.5"}
    assert usdm._basic(Row("x", row)).quantity == Decimal("0.8")


def test_texts_of_the_exchange_are_cut_and_printable() -> None:
    row = Row("x", {"id": "a\x1b[2J\n" + "b" * 100})
    assert row.text("id") == "a?[2J?" + "b" * 42


def test_income_that_is_not_of_trading_is_a_transfer() -> None:
    def income(kind: str, amount: str, asset: str = "USDT") -> Row:
        return Row("income", {"incomeType": kind, "income": amount, "asset": asset})

    trading = [income("REALIZED_PNL", "-500"), income("COMMISSION", "-1"), income("FUNDING_FEE", "-3")]
    assert net_income(trading) == 0
    assert net_income([*trading, income("TRANSFER", "-800"), income("COIN_SWAP_DEPOSIT", "50")]) == -750
    assert net_income([*trading, income("TRANSFER", "-1", "BNB")]) is None
    assert net_income(trading * 334) is None  # there may be more


def test_an_empty_history_of_a_spot_account_says_nothing() -> None:
    came, went = Row("x", {"amount": "5"}), Row("x", {"amount": "100", "transactionFee": "1"})
    assert net_of_wallet([], []) is None
    assert net_of_wallet([came], [went]) == -96
