"""kill -9 just before and just after every request of the settling; the next process goes on with the same incident."""

from pathlib import Path

import pytest

from tests.watchdog.exchange.bench import benched
from tests.watchdog.exchange.stages import SCENES, THOROUGH

EACH = 1 if THOROUGH else 7


@pytest.mark.parametrize("name", SCENES)
async def test_a_killed_watchdog_sends_no_order_twice_and_settles_it_all(name: str, tmp_path: Path) -> None:
    scene, wrong, number = SCENES[name], list[str](), 0
    async with benched(tmp_path / "house", **scene.options) as bench:
        killed = True
        while killed:
            number += 1
            for after in (False, True):
                if (2 * number + after) % EACH and number > 1:
                    continue
                bench.fresh(scene.stage)
                killed = await bench.settle_though_killed(number, after=after)
                found = bench.oracle()
                if (bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")) != (scene.held, list(scene.left)):
                    found.append(f"{bench.truth('SOLUSDT')} is held, {bench.waiting('SOLUSDT')} wait")
                for order in bench.desk.state()["usdm"]["orders"]:
                    if order["client_id"].startswith("bot") and order["client_id"] not in repr(bench.facts):
                        found.append(f"{order['client_id']} was cancelled and is not named")
                wrong += [f"killed at request {number}, {after=}: {sentence}" for sentence in found]
            assert number < 100
    assert number > 15
    assert wrong == []


async def test_an_order_whose_answer_was_lost_with_the_process_is_found_and_not_sent_again(
    tmp_path: Path,
) -> None:
    scene = SCENES["close"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        bench.desk.fault("POST *", "hang", done=True, seconds=0.3)
        posted = 10  # time, 4 reads, 2 cancels, asked after, exchangeInfo, POST
        assert await bench.settle_though_killed(posted, after=True)
        assert bench.requests[posted - 1] == "POST /fapi/v1/order"
        assert bench.requests.count("POST /fapi/v1/order") == 1
        assert (bench.oracle(), bench.pages, bench.truth("SOLUSDT")) == ([], "", {})


async def test_an_order_that_never_arrived_is_sent_again_under_the_same_id_once_it_can_no_longer_come(
    tmp_path: Path,
) -> None:
    scene = SCENES["close"]
    async with benched(tmp_path / "house", **scene.options) as bench:
        bench.fresh(scene.stage)
        bench.desk.fault("POST *", "drop")
        await bench.settle()
        sent = bench.desk.journal("POST /fapi/v1/order")
        assert len({entry["params"]["newClientOrderId"] for entry in sent}) == 1
        assert [entry["done"] for entry in sent] == [False, True]
        assert sent[1]["at_ms"] - sent[0]["at_ms"] >= 8000
        assert (bench.oracle(), bench.pages, bench.truth("SOLUSDT")) == ([], "", {})
