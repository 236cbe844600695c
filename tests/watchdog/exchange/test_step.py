"""settle_orders as a step of the procedure: it holds up nothing, any wait may be interrupted, the report has it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import Exchange
from tests.watchdog.exchange.bench import Bench, benched
from tests.watchdog.exchange.stages import one_way
from watchdog import report
from watchdog.exchange import pages
from watchdog.exchange.access import Access
from watchdog.exchange.step import BUDGET_S, last_look, settle
from watchdog.incident import Incident


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An account with all that a bot leaves behind, and the bot running; positions are to be closed."""
    async with benched(tmp_path / "house", positions="close") as found:
        found.fresh(one_way)
        found.house.world.journal.save(found.incident)
        found.incident.closed_at = found.house.world.now()  # the tests open their own
        found.house.world.journal.save(found.incident)
        found.house.bot.begin(by_hand=True)
        yield found


async def rolled_back(bench: Bench) -> Incident:
    """The incident, after it was worked off."""
    bench.house.condemn()
    await bench.house.finish()
    (incident, *_) = bench.house.world.journal.incidents()
    bench.incident = incident
    return incident


def written(bench: Bench, incident: Incident) -> str:
    """The report."""
    path = report.folder(bench.house.settings.state_dir, incident.id) / "report.md"
    return path.read_text(encoding="utf-8")


async def test_a_rollback_settles_the_account_before_the_bot_is_started_again(bench: Bench) -> None:
    at_start: list[Any] = []
    bench.house.bot.at_start = lambda: at_start.append((bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")))
    incident = await rolled_back(bench)
    assert (incident.outcome, at_start) == ("rolled_back", [({}, [])])
    text = written(bench, incident)
    assert "orders and positions were settled, see below" in text
    assert "- Cancelled: BUY LIMIT 1 SOLUSDT at 140 (bot1001)" in text
    assert "- SOLUSDT: flat; long 1.3 was closed by 1 market order" in text
    assert "not looked at" not in text + "".join(bench.house.told.texts)
    assert "While the bot was down: SOLUSDT: flat; long 1.3" in bench.house.told.texts[-1]


async def test_an_exchange_that_is_down_delays_the_rollback_by_a_minute_and_is_asked_once_more_at_the_end(
    bench: Bench,
) -> None:
    bench.desk.fault("*", "drop", times=None)
    incident = await rolled_back(bench)
    assert incident.outcome == "rolled_back"
    assert bench.oracle(most_s=BUDGET_S + 30) == []
    text = written(bench, incident)
    assert "SOLUSDT: open orders and position unknown (GET fapi/v" in text
    assert "### Read again at the end" in text
    assert "Still unknown, and so not flat: SOLUSDT" in bench.house.told.texts[-1]
    assert bench.house.told.alerts[-1].severity == "warning"
    assert "should be gone" not in bench.pages


async def test_a_watchdog_that_was_frozen_settles_the_account_when_it_goes_on(bench: Bench) -> None:
    frozen: list[float] = []

    def freeze(path: str, answer: Any) -> Any:
        if "openOrders" in path and not frozen:
            frozen.append(BUDGET_S + 5)
            bench.house.machine.go(BUDGET_S + 5)
        return answer

    bench.forge = freeze
    incident = await rolled_back(bench)
    assert (incident.outcome, frozen) == ("rolled_back", [BUDGET_S + 5])
    assert (bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")) == ({}, [])
    assert "unknown" not in bench.pages


async def test_what_was_unknown_is_read_again_before_the_incident_is_closed(bench: Bench) -> None:
    bench.desk.fault("*", "drop", times=None)
    bench.house.bot.at_start = bench.desk.heal
    incident = await rolled_back(bench)
    summary = bench.house.told.alerts[-1]
    assert summary.severity == "warning"
    assert "While the bot was down: SOLUSDT: open orders and position unknown (" in summary.text
    read = "Read now, and not touched, for the bot runs again: "
    missed = "Open, though to be cancelled as configured, for the exchange could not be read while the bot was down: "
    assert f"{read}Left open, for they protect what is held or may be: SELL STOP_MARKET" in summary.text
    assert f"{missed}BUY LIMIT 1 SOLUSDT at 140 (bot1001); SELL TAKE_PROFIT_MARKET" in summary.text
    held = "SOLUSDT long 1.3, entry 152, worth 195.00, unrealised P&L -2.60"
    assert f"{held}: not closed, for the exchange could not be read while the bot was down" in summary.text
    assert f"orders are open, or positions held, that should be gone (incident {incident.id})" in bench.pages
    assert "BUY LIMIT 1 SOLUSDT at 140 (bot1001)\nSELL TAKE_PROFIT" in bench.pages
    assert "what it has opened since may be among it" in bench.pages
    assert f"- {missed}BUY LIMIT" in written(bench, incident)
    assert "as configured: BUY" not in written(bench, incident).replace(missed, "")
    # By now the orders may be those of the bot that was started: nothing of them is touched.
    assert {entry["method"] for entry in bench.desk.journal() if entry["done"]} == {"GET"}


async def test_what_was_unknown_and_is_held_without_a_stop_at_the_end_is_paged_once(tmp_path: Path) -> None:
    async with benched(tmp_path / "kept") as bench:
        bench.fresh(lambda desk: desk.set_position("SOLUSDT", "1.3", "152"))
        bench.incident.facts["monitor_from"] = bench.house.world.now().isoformat()
        bench.desk.fault("*", "drop", times=None)
        await bench.settle()
        bench.desk.heal()
        assert "is held naked" not in bench.pages
        for _ in range(2):  # the second time after a crash
            bench.incident.facts.pop(pages.LATER, None)
            await last_look(bench.incident, bench.house.world, bench.house.world.interrupts.wait)
        assert bench.pages.count("SOLUSDT long 1.3 is held naked, without a stop order on the exchange") == 1
        assert "should be gone" not in bench.pages
        assert ": kept; naked, without a stop order" in pages.in_short(bench.incident.facts)
        assert pages.severity(bench.incident.facts) == "warning"


async def test_what_was_known_while_the_bot_was_down_is_its_own_affair_after_it(bench: Bench) -> None:
    bench.desk.fault("GET /fapi/v1/openAlgoOrders", "drop", times=None)
    began: list[bool] = []

    def begin() -> None:
        bench.desk.heal()
        bench.desk.set_position("SOLUSDT", "0.7", "150")
        began.append(True)

    bench.house.bot.at_start = begin
    incident = await rolled_back(bench)
    assert began == [True]
    summary = bench.house.told.alerts[-1]
    assert "long 1.3 was closed by 1 market order" in summary.text
    assert "SOLUSDT long 0.7" in summary.text
    assert ": held now; " in summary.text
    assert "0.7" not in bench.pages
    assert pages.severity(incident.facts) == "warning"  # orders are left that should be gone


async def test_what_was_done_is_told_though_a_part_is_unknown(bench: Bench) -> None:
    bench.desk.fault("GET /fapi/v1/openAlgoOrders", "error", times=None, status=404)
    await rolled_back(bench)
    (account,) = [a for a in bench.house.told.alerts if "were looked after" in a.text]
    assert account.severity == "warning"
    assert "Were to be cancelled, and it is not known whether they are gone: BUY LIMIT 1" in account.text
    assert "long 1.3 was closed by 1 market order" in account.text
    assert "long 1.3 was closed by 1 market order" in bench.house.told.texts[-1]


async def test_an_order_that_was_sent_is_told_though_what_is_held_is_unknown_since(bench: Bench) -> None:
    def goes_dark(path: str, answer: Any) -> Any:
        sent = any(entry["method"] == "POST" for entry in bench.desk.journal())
        return {"code": 0, "msg": "ok"} if sent and "positionRisk" in path else answer

    bench.forge = goes_dark
    await rolled_back(bench)
    (account,) = [a for a in bench.house.told.alerts if "were looked after" in a.text]
    for text in (account.text, bench.house.told.texts[-1]):
        assert "SOLUSDT long 1.3: 1 market order sent to close it" in text
    assert "Cancelled: BUY LIMIT 1 SOLUSDT at 140" in account.text
    assert "SOLUSDT: position unknown" in bench.pages


async def test_a_halt_settles_the_account_too(bench: Bench) -> None:
    bench.house.incidents.halt("too risky", "alice", automatic=False)
    await bench.house.finish()
    assert (bench.truth("SOLUSDT"), bench.waiting("SOLUSDT"), bench.house.bot.pid) == ({}, [], None)
    assert "While the bot was down: SOLUSDT: flat" in bench.house.told.texts[-1]


async def test_a_halt_does_not_wait_for_an_exchange_that_is_down(bench: Bench) -> None:
    bench.desk.fault("*", "drop", times=None)
    house = bench.house

    def halt() -> None:
        incident = house.incidents.current
        if incident is not None and incident.plan == "rollback" and incident.step == "settle_orders":
            house.incidents.halt("enough", "alice", automatic=False)
            bench.desk.heal()

    house.machine.at_sleep.append(halt)
    incident = await rolled_back(bench)
    assert (incident.plan, incident.outcome, house.bot.starts) == ("halt", "halted", [])
    assert bench.took_s < 15
    assert (bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")) == ({}, [])


async def test_a_hand_over_leaves_the_rest_to_the_next_process(bench: Bench) -> None:
    bench.desk.fault("*", "drop", times=None)
    house = bench.house

    def hand_over() -> None:
        if house.incidents.current is not None and house.incidents.current.step == "settle_orders":
            house.world.interrupts.ask_hand_over()

    house.machine.at_sleep.append(hand_over)
    incident = await rolled_back(bench)
    assert (incident.open, incident.step) == (True, "settle_orders")
    house.machine.at_sleep.remove(hand_over)
    bench.desk.heal()
    house.wake()
    house.world.exchange = bench.access()
    house.incidents.resume()
    await house.finish()
    (incident, *_) = house.world.journal.incidents()
    assert (incident.outcome, bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")) == ("rolled_back", {}, [])


async def test_a_journal_that_cannot_be_written_keeps_no_order_open(bench: Bench) -> None:
    bench.house.faults.refuse = lambda _: True
    bench.house.incidents.halt("too risky", "alice", automatic=False)
    for _ in range(200):
        await bench.house.machine.sleep(0.1)
        if bench.truth("SOLUSDT") == {} and bench.waiting("SOLUSDT") == []:
            break
    else:
        raise AssertionError((bench.truth("SOLUSDT"), bench.waiting("SOLUSDT")))
    bench.house.faults.refuse = lambda _: False
    await bench.house.finish()
    assert bench.house.bot.pid is None


async def test_a_mistake_of_ours_is_unknown_and_not_the_end_of_the_rollback(bench: Bench) -> None:
    def broken(_: Exchange) -> Any:
        raise ZeroDivisionError("api_key=hunter2")

    exchange = bench.house.settings.exchange
    assert exchange is not None
    bench.house.world.exchange = Access(exchange, bench.house.world.clock, make=broken)
    incident = await rolled_back(bench)
    assert incident.outcome == "rolled_back"
    assert "SOLUSDT: open orders and position unknown (the look failed: ZeroDivisionError)" in bench.pages
    assert not bench.house.told.said("hunter2")


async def test_without_an_exchange_nothing_is_claimed(bench: Bench) -> None:
    bench.house.world.exchange = None

    async def wait(_: float) -> None: ...

    assert await settle(bench.incident, bench.house.world, wait) is None
    incident = await rolled_back(bench)
    assert pages.FACTS not in incident.facts
    assert "orders and positions on the exchange were not looked at" in written(bench, incident)


async def test_a_step_that_is_run_again_tells_nothing_twice(bench: Bench) -> None:
    bench.fresh(one_way)
    await bench.settle()
    told = len(bench.house.told.alerts)
    await bench.settle()
    assert len(bench.house.told.alerts) == told
    assert bench.house.told.refused != []
