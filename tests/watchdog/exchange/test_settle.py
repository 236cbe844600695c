"""What the settling does on a sound exchange: what goes, what stays, what is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.binance import Desk
from tests.watchdog.exchange.bench import Bench, benched
from tests.watchdog.exchange.stages import one_way, spot

Made = Callable[..., AbstractAsyncContextManager[Bench]]
SPOT = {"kind": "binance_spot"}


@pytest.fixture
def on(tmp_path: Path) -> Made:
    """A bench, made of the options of the section exchange."""
    return partial(benched, tmp_path / "house")


@pytest.fixture
async def bench(on: Made) -> AsyncIterator[Bench]:
    """With the defaults: open orders are cancelled, positions kept."""
    async with on() as found:
        yield found


async def settled(bench: Bench, stage: Callable[[Desk], None]) -> str:
    """What is told of a run."""
    bench.fresh(stage)
    said = await bench.settle()
    assert bench.oracle() == []
    return said


def posted(bench: Bench) -> list[dict[str, Any]]:
    """The parameters of all new orders."""
    return [entry["params"] for entry in bench.desk.journal("POST *")]


def of_positions(change: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> Callable[[str, Any], Any]:
    """Every answer about positions, each row of which was changed into these."""

    def forge(uri: str, answer: Any) -> Any:
        return [new for row in answer for new in change(row)] if "positionRisk" in uri else answer

    return forge


class TestWhatIsKept:
    async def test_a_position_with_its_stop_is_left_and_told(self, bench: Bench) -> None:
        said = await settled(bench, one_way)
        assert (
            "Cancelled: BUY LIMIT 1 SOLUSDT at 140 (bot1001); SELL TAKE_PROFIT_MARKET whole position" in said
        )
        assert (
            "protect what is held or may be: SELL STOP_MARKET whole position SOLUSDT, triggered at 139"
            in said
        )
        assert (
            "SOLUSDT long 1.3, entry 152, worth 195.00, unrealised P&L -2.60: kept; a stop order protects it"
            in said
        )
        assert bench.pages == ""
        (told,) = bench.house.told.alerts
        assert (told.severity, told.text.splitlines()[0]) == (
            "info",
            "sol-perp: orders and positions on the exchange were looked after (incident 1)",
        )

    async def test_a_position_without_a_stop_is_paged_as_naked(self, bench: Bench) -> None:
        def stage(desk: Desk) -> None:
            desk.set_position("SOLUSDT", "-2.5", "150")
            desk.add_algo_order("SOLUSDT", "BUY", "120", close_position=True, type="TAKE_PROFIT_MARKET")
            desk.set_mark("SOLUSDT", "160.5")

        await settled(bench, stage)
        assert bench.pages.splitlines() == [
            "sol-perp: SOLUSDT short 2.5 is held naked, without a stop order on the exchange (incident 1)",
            "SOLUSDT short 2.5, entry 150, worth 401.25, unrealised P&L -26.25",
            "The bot that managed it was stopped; the one that is started may not know of it.",
            "Asked of you: place a stop order, or close it, on the exchange by hand.",
        ]

    async def test_a_stop_for_a_part_leaves_the_rest_naked(self, bench: Bench) -> None:
        def stage(desk: Desk) -> None:
            desk.set_position("SOLUSDT", "1.3")
            desk.add_algo_order("SOLUSDT", "SELL", "140", "0.5", reduce_only=True)

        await settled(bench, stage)
        assert "long 1.3 is held naked, with a stop order for a part; 0.8 bare" in bench.pages
        assert bench.waiting("SOLUSDT") == ["STOP_MARKET"]

    @pytest.mark.parametrize(
        ("side", "options"),
        [
            ("SELL", {"quantity": "1.3"}),  # not reduce-only: once the position is gone it would open one
            ("BUY", {"quantity": "1.3", "reduce_only": True, "trigger_price": "170"}),  # of a short that was
        ],
    )
    async def test_a_stop_that_may_open_a_position_or_is_of_the_other_direction_goes(
        self, bench: Bench, side: str, options: dict[str, Any]
    ) -> None:
        def stage(desk: Desk) -> None:
            desk.set_position("SOLUSDT", "1.3")
            desk.add_algo_order("SOLUSDT", side, options.pop("trigger_price", "140"), **options)

        await settled(bench, stage)
        assert bench.waiting("SOLUSDT") == []
        assert "naked" in bench.pages

    async def test_stops_without_a_position_go(self, bench: Bench) -> None:
        def stage(desk: Desk) -> None:
            desk.add_algo_order("SOLUSDT", "SELL", "140", close_position=True)

        assert "SOLUSDT: no open orders; SOLUSDT: flat" in await settled(bench, stage)
        assert (bench.waiting("SOLUSDT"), bench.pages) == ([], "")

    async def test_orders_that_are_to_be_kept_are_only_listed(self, on: Made) -> None:
        async with on(open_orders="keep") as bench:
            said = await settled(bench, one_way)
            assert "Left open, as configured: BUY LIMIT 1 SOLUSDT at 140 (bot1001); SELL STOP_MARKET" in said
            assert {entry["method"] for entry in bench.desk.journal()} == {"GET"}
            assert bench.pages == ""

    async def test_other_symbols_are_nobodys_business(self, bench: Bench) -> None:
        def stage(desk: Desk) -> None:
            desk.set_position("BTCUSDT", "0.5")
            desk.add_order("BTCUSDT", "BUY", "0.1", "50000")
            desk.add_algo_order("BTCUSDT", "SELL", "50000", close_position=True)

        assert "BTCUSDT" not in await settled(bench, stage)
        assert bench.waiting("BTCUSDT") == ["LIMIT", "STOP_MARKET"]
        assert bench.desk.positions() == {"BTCUSDT": "0.5"}

    async def test_whose_order_was_cancelled_can_be_seen(self, bench: Bench) -> None:
        def stage(desk: Desk) -> None:
            desk.add_order("SOLUSDT", "SELL", "1", "170", client_id="ios_A8f9GG0ab12cd34ef56gh78")

        assert "SELL LIMIT 1 SOLUSDT at 170 (ios_A8f9GG0ab1...)" in await settled(bench, stage)

    async def test_a_symbol_that_does_not_exist_is_unknown_and_keeps_no_other_from_being_settled(
        self, on: Made
    ) -> None:
        async with on(symbols=["NOSUCH", "SOLUSDT"]) as bench:
            said = await settled(bench, one_way)
            assert (
                "NOSUCH: open orders and position unknown (GET fapi/v3/positionRisk: HTTP 400, code -1121"
                in said
            )
            assert bench.waiting("SOLUSDT") == ["STOP_MARKET"]
            assert "NOSUCH" in bench.pages
            assert bench.took_s < 5

    async def test_an_order_that_is_filled_while_it_is_cancelled_shows_in_the_position(
        self, bench: Bench
    ) -> None:
        def stage(desk: Desk) -> None:
            desk.add_order("SOLUSDT", "BUY", "1", "140")
            desk.fault("DELETE *", "moves", symbol="SOLUSDT", price="139")

        said = await settled(bench, stage)
        assert (
            "Not open any more when they were to be cancelled (filled, or cancelled by somebody): BUY" in said
        )
        assert "SOLUSDT long 1, entry 140" in said
        assert "naked" in bench.pages


class TestWhatIsClosed:
    async def test_one_way_reduce_only_with_the_stop_in_place_until_it_is_flat(self, on: Made) -> None:
        async with on(positions="close") as bench:
            said = await settled(bench, one_way)
            (sent,) = posted(bench)
            assert {name: sent[name] for name in ("side", "type", "quantity", "reduceOnly")} == {
                "side": "SELL", "type": "MARKET", "quantity": "1.3", "reduceOnly": "true",
            }  # fmt: skip
            assert "positionSide" not in sent
            assert sent["newClientOrderId"].startswith("mw1-")
            assert "SOLUSDT: flat; long 1.3 was closed by 1 market order" in said
            assert "SELL STOP_MARKET whole position SOLUSDT, triggered at 139 (bot1002)" in said
            assert bench.waiting("SOLUSDT") == []
            requests = bench.requests
            last_cancel = len(requests) - 1 - requests[::-1].index("DELETE /fapi/v1/algoOrder")
            assert requests.index("POST /fapi/v1/order") < last_cancel

    async def test_in_hedge_mode_each_side_by_its_name(self, on: Made) -> None:
        def stage(desk: Desk) -> None:
            desk.set_hedge_mode(True)
            desk.set_position("SOLUSDT", "1.3", side="LONG")
            desk.set_position("SOLUSDT", "-0.5", side="SHORT")

        async with on(positions="close") as bench:
            await settled(bench, stage)
            sent = {p["positionSide"]: (p["side"], p["quantity"], p.get("reduceOnly")) for p in posted(bench)}
            assert sent == {"LONG": ("SELL", "1.3", None), "SHORT": ("BUY", "0.5", None)}

    async def test_quantities_are_fixed_decimals(self, on: Made) -> None:
        def stage(desk: Desk) -> None:
            desk.set_position("1000PEPEUSDT", "30000")
            desk.set_position("BTCUSDT", "0.001")

        async with on(positions="close", symbols=["1000PEPEUSDT", "BTCUSDT"]) as bench:
            await settled(bench, stage)
            assert [p["quantity"] for p in posted(bench)] == ["30000", "0.001"]

    async def test_what_is_larger_than_one_order_may_be_goes_in_parts(self, on: Made) -> None:
        def stage(desk: Desk) -> None:
            desk._exchange.state.usdm.symbols["SOLUSDT"].max_market_quantity = Decimal("0.5")
            desk.set_position("SOLUSDT", "1.3")

        async with on(positions="close") as bench:
            said = await settled(bench, stage)
            assert [p["quantity"] for p in posted(bench)] == ["0.5", "0.5", "0.3"]
            assert "long 1.3 was closed by 3 market orders" in said
            assert bench.pages == ""

    async def test_what_is_filled_in_part_is_followed_by_an_order_for_the_rest(self, on: Made) -> None:
        def stage(desk: Desk) -> None:
            desk.set_position("SOLUSDT", "1.3")
            desk.fault("POST *", "partial", share="0.5")

        async with on(positions="close") as bench:
            await settled(bench, stage)
            assert [p["quantity"] for p in posted(bench)] == ["1.3", "0.65"]
            assert bench.truth("SOLUSDT") == {}

    async def test_less_than_a_step_is_told_as_dust_and_no_order_is_sent_for_it(self, on: Made) -> None:
        async with on(positions="close") as bench:
            bench.forge = of_positions(lambda row: [row | {"positionAmt": "0.003"}])
            bench.fresh(one_way)
            said = await bench.settle()
            assert "SOLUSDT long 0.003" in said
            assert "dust, too little for an order, left" in said
            assert "the rest" not in said
            assert (posted(bench), bench.pages) == ([], "")
            assert bench.took_s < 5

    async def test_two_rows_for_one_side_are_never_traded_on(self, on: Made) -> None:
        async with on(positions="close") as bench:
            bench.forge = of_positions(lambda row: [row, row | {"positionAmt": "2.6"}])
            bench.fresh(one_way)
            await bench.settle()
            assert posted(bench) == []
            assert "position unknown (positions: the answer makes no sense: two rows about" in bench.pages

    async def test_a_close_that_is_refused_again_and_again_is_paged_and_not_tried_for_ever(
        self, on: Made
    ) -> None:
        def stage(desk: Desk) -> None:
            one_way(desk)
            desk.fault("POST *", "error", times=None, code=-2019)

        async with on(positions="close") as bench:
            await settled(bench, stage)
            assert len(posted(bench)) == 3
            assert bench.took_s < 5
            assert (
                "orders are still open, or positions still held, that should be gone (incident 1)"
                in bench.pages
            )
            assert "SOLUSDT long 1.3, entry 152" in bench.pages
            assert "POST fapi/v1/order: HTTP 400, code -2019: the margin does not suffice" in bench.pages
            assert bench.waiting("SOLUSDT") == ["STOP_MARKET"]  # its stop is all that it has

    async def test_orders_that_may_not_be_cancelled_are_paged_before_the_minute_is_over(
        self, bench: Bench
    ) -> None:
        def stage(desk: Desk) -> None:
            one_way(desk)
            desk.fault("DELETE *", "error", times=None, code=-2015, status=401)

        await settled(bench, stage)
        assert bench.took_s < 5
        assert (
            "still held, that should be gone (incident 1)\nBUY LIMIT 1 SOLUSDT at 140 (bot1001)"
            in bench.pages
        )

    async def test_a_bot_that_was_brought_back_and_opened_the_same_again_is_closed_again(
        self, on: Made
    ) -> None:
        async with on(positions="close") as bench:
            await settled(bench, one_way)
            bench.desk.set_position("SOLUSDT", "1.3")
            bench.incident.facts["settled"] = 1
            await bench.settle()
            assert (bench.oracle(), bench.truth("SOLUSDT")) == ([], {})
            first, second = posted(bench)
            assert first["newClientOrderId"] != second["newClientOrderId"]


class TestSpot:
    async def test_what_is_held_of_the_base_asset_is_the_position(self, on: Made) -> None:
        async with on(**SPOT) as bench:
            said = await settled(bench, spot)
            assert "Cancelled: BUY LIMIT 1 SOLUSDT at 140" in said
            assert (
                "SELL LIMIT_MAKER 1 SOLUSDT at 170 (bot1003); SELL STOP_LOSS_LIMIT 1 SOLUSDT at 139" in said
            )
            assert (
                "SOLUSDT long 1.3005, entry unknown, worth 195.08, unrealised P&L unknown: kept; 0.3005"
                in said
            )
            assert "naked, with a stop order for a part; 0.3005 bare" in bench.pages
            assert bench.waiting("SOLUSDT") == ["LIMIT_MAKER", "STOP_LOSS_LIMIT"]

    async def test_it_is_sold_in_whole_steps_after_its_orders_have_let_it_go(self, on: Made) -> None:
        async with on(positions="close", **SPOT) as bench:
            said = await settled(bench, spot)
            assert bench.waiting("SOLUSDT") == []
            assert sum(Decimal(p["quantity"]) for p in posted(bench)) == Decimal("1.3")
            assert "SOLUSDT long 0.0005, entry unknown, worth 0.08, unrealised P&L unknown: dust" in said
            assert "the rest was closed by 2 market orders" in said
            assert bench.pages == ""

    async def test_dust_is_told_and_left(self, on: Made) -> None:
        async with on(positions="close", **SPOT) as bench:
            said = await settled(bench, lambda desk: desk.set_balance("SOL", "0.02"))
            assert "worth 3.00, unrealised P&L unknown: dust, too little for an order, left" in said
            assert (posted(bench), bench.pages) == ([], "")

    async def test_what_kept_orders_lock_is_not_sold(self, on: Made) -> None:
        async with on(positions="close", open_orders="keep", **SPOT) as bench:
            await settled(bench, spot)
            assert {p["quantity"] for p in posted(bench)} == {"0.3"}
            assert "all of it is locked by open orders" in bench.pages
            assert bench.took_s < 5

    async def test_an_asset_that_two_symbols_trade_counts_once(self, on: Made) -> None:
        def stage(desk: Desk) -> None:
            symbols = desk._exchange.state.spot.symbols
            sol = symbols["SOLUSDT"]
            symbols["SOLFDUSD"] = type(sol)(
                "SOLFDUSD", "SOL", "FDUSD", sol.tick, sol.step, sol.min_notional, sol.price
            )
            desk.set_balance("SOL", "2")

        async with on(symbols=["SOLUSDT", "SOLFDUSD"], positions="close", **SPOT) as bench:
            bench.fresh(stage)
            said = await bench.settle()
            assert [(p["symbol"], p["quantity"]) for p in posted(bench)] == [("SOLUSDT", "2")]
            assert "SOLUSDT: flat; long 2 was closed by 1 market order" in said
