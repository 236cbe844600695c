"""Every kind of fault at every call of the settling, over the real python-binance; one oracle over all of them."""

from pathlib import Path
from typing import Any, get_args

import pytest

from tests.fakes.binance.faults import DONE, Kind
from tests.watchdog.exchange.bench import Bench, benched
from tests.watchdog.exchange.stages import SCENES, THOROUGH, Scene

OPTIONS: dict[str, dict[str, Any]] = {
    "hang": {"seconds": 0.3},
    "slow": {"seconds": 0.3},
    "moves": {"symbol": "SOLUSDT", "price": "138"},
    "error": {"code": -2015, "status": 401},
}
USELESS = {"spare"}
"""No cancel-all is ever sent."""

FAULTS: list[tuple[Kind, bool | None]] = [
    (kind, done)
    for kind in get_args(Kind)
    if kind not in USELESS
    for done in ((None,) if kind in DONE or kind in {"rate_limit", "ban", "error"} else (None, True))
]
EACH = 1 if THOROUGH else 47


async def one_run(bench: Bench, scene: Scene, call: int, kind: Kind, done: bool | None) -> list[str]:
    """What is wrong after a run with one fault."""
    bench.fresh(scene.stage)
    bench.desk.fault("*", kind, nth=call, done=done, **OPTIONS.get(kind, {}))
    await bench.settle()
    wrong = bench.oracle()
    if kind == "moves":  # it changes what is there: after the last look nothing of it can be known
        return [] if call >= len(bench.requests) - 4 else wrong
    if bench.truth("SOLUSDT") != scene.held or bench.waiting("SOLUSDT") != list(scene.left):
        wrong.append(f"{bench.truth('SOLUSDT')} is held, {bench.waiting('SOLUSDT')} wait")
    if bench.pages and "naked" not in bench.pages:
        wrong.append(f"one fault was enough to page: {bench.pages}")
    return wrong


@pytest.mark.parametrize("name", SCENES)
async def test_one_fault_at_any_call_costs_some_seconds_and_nothing_else(name: str, tmp_path: Path) -> None:
    scene, wrong = SCENES[name], []
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        await bench.settle()
        calls = bench.requests
        assert bench.oracle() == []
        assert (bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")) == (scene.held, list(scene.left))
        for turn, (call, fault) in enumerate((c, f) for c in range(1, len(calls) + 1) for f in FAULTS):
            if turn % EACH == len(name) % EACH:
                found = await one_run(bench, scene, call, *fault)
                wrong += [f"{fault} at call {call}, {calls[call - 1]}: {sentence}" for sentence in found]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("close", kind)
            for kind in ("drop", "server_error", "html", "empty", "nothing", "ban", "rate_limit")
        ),
        ("spot sold", "nothing"),
        ("spot sold", "drop"),
    ],
)
async def test_an_exchange_that_never_answers_is_paged_as_unknown_in_time(
    name: str, kind: Kind, tmp_path: Path
) -> None:
    scene = SCENES[name]
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        options: dict[str, Any] = {"retry_after_s": 300} if kind in {"ban", "rate_limit"} else {}
        bench.desk.fault("*", kind, times=None, **options)
        said = await bench.settle()
        assert bench.oracle() == []
        assert "unknown" in said
        assert "flat" not in said.replace("which is not flat", "")
        assert "Unknown is not flat" in bench.pages
        if options:
            assert bench.took_s < 1  # a ban that outlasts the time for it is not waited for
            assert len(bench.requests) == 1
            assert "not before 2026-03-01 10:05" in bench.pages


@pytest.mark.parametrize("endpoint", ["GET /fapi/v3/positionRisk", "GET /fapi/*/positionRisk"])
async def test_positions_that_are_lied_away_for_ever_are_never_flat(endpoint: str, tmp_path: Path) -> None:
    scene = SCENES["close"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        bench.desk.fault(endpoint, "nothing", times=None)
        await bench.settle()
        assert bench.oracle() == []
        (held,) = bench.facts["symbols"]["SOLUSDT"]["holdings"]
        assert held["state"] == "unknown"
        assert bench.waiting("SOLUSDT") == ["STOP_MARKET"]  # what may be held is not stripped of its stop
        assert "SOLUSDT: position unknown (positions: the answer makes no sense: two answers" in bench.pages


@pytest.mark.parametrize(
    ("endpoint", "left"),
    [
        ("GET /fapi/v1/openAlgoOrders", ["STOP_MARKET", "TAKE_PROFIT_MARKET"]),
        ("GET /fapi/v1/openOrders", ["LIMIT", "STOP_MARKET"]),
    ],
)
@pytest.mark.parametrize("status", [404, 503])
async def test_what_one_list_tells_is_cancelled_though_the_other_cannot_be_read(
    endpoint: str, left: list[str], status: int, tmp_path: Path
) -> None:
    scene = SCENES["keep"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        bench.desk.fault(endpoint, "error", times=None, code=-5000, status=status)
        await bench.settle()
        assert bench.oracle() == []
        assert bench.waiting("SOLUSDT") == left
        assert bench.facts["symbols"]["SOLUSDT"]["orders_state"] == "unknown"
        assert "SOLUSDT: open orders unknown" in bench.pages


SILENT: list[tuple[Kind, dict[str, Any]]] = [("nothing", {}), ("error", {"code": -5000, "status": 404})]
"""An endpoint that has nothing to say, and one that is no more."""


async def test_one_of_the_sources_may_fall_silent_for_ever(tmp_path: Path) -> None:
    scene = SCENES["close"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        for kind, options in SILENT:
            bench.fresh(scene.stage)
            bench.desk.fault("GET /fapi/v2/positionRisk", kind, times=None, **options)
            await bench.settle()
            assert (kind, bench.oracle(), bench.pages, bench.truth("SOLUSDT")) == (kind, [], "", {})


@pytest.mark.parametrize("missing", ["v2", "v3"])
async def test_where_only_one_source_exists_it_is_asked_twice(tmp_path: Path, missing: str) -> None:
    scene = SCENES["close"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        for endpoint in (f"GET /fapi/{missing}/positionRisk", "GET /fapi/v2/account"):
            bench.desk.fault(endpoint, "error", times=None, code=-5000, status=404)
        await bench.settle()
        assert (bench.oracle(), bench.pages, bench.truth("SOLUSDT")) == ([], "", {})


async def test_a_clock_that_is_wrong_by_hours_is_put_right_in_the_midst_of_it(tmp_path: Path) -> None:
    scene = SCENES["close"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        for call in range(1, 12):
            bench.fresh(scene.stage)
            bench.desk.fault("*", "error", nth=call, code=-1021, status=400)
            bench.desk.shift_clock(5 * 3600 * (-1) ** call)
            await bench.settle()
            assert bench.oracle() == []
            assert bench.truth("SOLUSDT") == {}
