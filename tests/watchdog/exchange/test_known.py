"""What an order means for a holding."""

from dataclasses import replace
from decimal import Decimal

import pytest

from watchdog.exchange.known import ANY, Holding, OpenOrder, naked, plain, protectors, stops, unknown

LONG = Holding("SOLUSDT", "BOTH", Decimal("1.3"), entry=Decimal(150), mark=Decimal(148))
STOP = OpenOrder(
    "SOLUSDT", "SELL", "STOP_MARKET", Decimal("1.3"), None, Decimal(140), "1", "bot1", "algo", reduces=True
)


@pytest.mark.parametrize(
    ("order", "protects"),
    [
        (STOP, True),
        (replace(STOP, type="TRAILING_STOP_MARKET", trigger=None), True),
        (replace(STOP, type="STOP", price=Decimal(139)), True),
        (replace(STOP, closes_all=True, quantity=Decimal(0)), True),
        (replace(STOP, book="basic"), True),
        (replace(STOP, type="TAKE_PROFIT_MARKET"), False),
        (replace(STOP, type="LIMIT"), False),
        (replace(STOP, side="BUY"), False),
        (replace(STOP, symbol="BTCUSDT"), False),
        (replace(STOP, position_side="LONG"), False),
        (replace(STOP, reduces=False), False),
    ],
)
def test_which_orders_protect_a_long_position(order: OpenOrder, protects: bool) -> None:
    assert protectors([order], [LONG]) == ({order.key} if protects else set())


def test_what_may_be_held_keeps_its_stops_whatever_their_direction() -> None:
    both = [STOP, replace(STOP, side="BUY", ident="2", position_side="SHORT")]
    assert len(protectors(both, [unknown("SOLUSDT")])) == 2
    assert protectors(both, []) == set()
    assert protectors(both, [replace(LONG, amount=Decimal(0))]) == set()


def test_a_list_lives_and_dies_as_a_whole() -> None:
    legs = [
        replace(STOP, type="STOP_LOSS_LIMIT", list_id="7"),
        replace(STOP, type="LIMIT_MAKER", ident="2", list_id="7"),
        replace(STOP, type="LIMIT_MAKER", ident="3", list_id="8"),
    ]
    assert protectors(legs, [LONG]) == {"algo 1", "algo 2"}


def test_how_much_is_naked() -> None:
    assert naked(LONG, []) == Decimal("1.3")
    assert naked(LONG, [replace(STOP, quantity=Decimal("0.5"))]) == Decimal("0.8")
    assert naked(LONG, [replace(STOP, quantity=Decimal(9))]) == 0
    assert naked(LONG, [replace(STOP, closes_all=True, quantity=Decimal(0))]) == 0
    assert naked(LONG, [replace(STOP, reduces=False)]) == 0  # it would stop the loss, whatever else it may do
    assert naked(replace(LONG, dust=True), []) == 0
    assert naked(unknown("SOLUSDT"), [STOP]) is None


def test_unknown_is_a_state_of_its_own() -> None:
    assert [replace(LONG, amount=amount).state for amount in (None, Decimal(0), Decimal("-0.1"))] == [
        "unknown", "flat", "open",
    ]  # fmt: skip
    assert unknown("SOLUSDT").side == ANY
    assert unknown("SOLUSDT").dump()["amount"] is None
    assert not stops(STOP, replace(LONG, amount=Decimal(0)))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1.300", "1.3"), ("0.00001", "0.00001"), ("1E-5", "0.00001"), ("30", "30"), ("3E+4", "30000"),
        ("100", "100"), ("0.000", "0"), ("-0", "0"), ("-2.50", "-2.5"),
    ],
)  # fmt: skip
def test_numbers_are_written_without_exponents(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text


def test_no_number_is_none() -> None:
    assert plain(None) is None
    assert LONG.notional == Decimal("192.4")
    assert replace(LONG, mark=None).notional is None
    assert unknown("SOLUSDT").notional is None
