"""`positions`: what is held and what waits, unknown where the exchange did not say; 1 then, 2 without an exchange."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.fakes.binance import KEY, SECRET, BinanceServer
from tests.watchdog.yard import Yard
from watchdog import cli, positions_cli
from watchdog.assemble import BANNED
from watchdog.journal import Journal
from watchdog.lock import Lock


@pytest.fixture
def server() -> Iterator[BinanceServer]:
    with BinanceServer() as found:
        found.desk.set_position("SOLUSDT", "1.3", "152")
        found.desk.add_order("SOLUSDT", "BUY", "1", "140")
        found.desk.add_algo_order("SOLUSDT", "SELL", "140", "0.5", reduce_only=True)
        yield found


def exchange(server: BinanceServer, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "binance_usdm",
        "api_key": KEY,
        "api_secret": SECRET,
        "symbols": ["SOLUSDT", "BTCUSDT"],
        "base_url": server.base_url,
        **changes,
    }


@pytest.fixture
def yard(tmp_path: Path, server: BinanceServer) -> Yard:
    return Yard(tmp_path / "bot", exchange=exchange(server))


def test_a_table_of_what_is_held_and_what_waits(yard: Yard, server: BinanceServer) -> None:
    said = yard.cli("positions")
    assert said.code == 0, said.out + said.err
    assert said.out.splitlines() == [
        "symbol   what",
        "SOLUSDT  open         SOLUSDT long 1.3, entry 152, worth 195.00, unrealised P&L -2.60; 0.8 of it naked",
        "SOLUSDT  order        BUY LIMIT 1 SOLUSDT at 140 (bot1001)",
        "SOLUSDT  conditional  SELL STOP_MARKET 0.5 SOLUSDT, triggered at 140 (bot1002)",
        "BTCUSDT  flat         BTCUSDT: flat",
    ]
    assert {entry["method"] for entry in server.desk.journal()} == {"GET"}


def test_for_programs_null_is_unknown_and_an_empty_list_is_nothing(yard: Yard, server: BinanceServer) -> None:
    server.desk.fault("GET /fapi/v1/openAlgoOrders", "error", times=None, code=-2015, status=401)
    said = yard.cli("positions", "--json")
    assert said.code == 1
    symbols = said.json["symbols"]
    assert symbols["SOLUSDT"]["orders"] is None
    assert "code -2015" in symbols["SOLUSDT"]["trouble"]
    (held,) = symbols["SOLUSDT"]["positions"]
    assert (held["amount"], held["entry"], held["unrealised"], held["naked"]) == ("1.3", "152", "-2.6", None)
    assert symbols["BTCUSDT"]["positions"] == []
    server.desk.heal()
    said = yard.cli("positions", "--json")
    assert (said.code, said.json["why"]) == (0, None)
    assert [order["client_id"] for order in said.json["symbols"]["SOLUSDT"]["orders"]] == [
        "bot1001",
        "bot1002",
    ]
    assert said.json["symbols"]["SOLUSDT"]["positions"][0]["naked"] == "0.8"
    assert said.json["symbols"]["BTCUSDT"]["orders"] == []


def test_what_cannot_be_read_is_unknown_and_never_flat(yard: Yard, server: BinanceServer) -> None:
    server.desk.fault("*", "error", times=None, code=-2015, status=401)
    said = yard.cli("positions")
    assert said.code == 1
    assert said.out.splitlines()[1:5] == [
        "SOLUSDT  unknown  position",
        "SOLUSDT  unknown  open orders",
        "BTCUSDT  unknown  position",
        "BTCUSDT  unknown  open orders",
    ]
    (why,) = [line for line in said.out.splitlines() if line.startswith("SOLUSDT, BTCUSDT: ")]
    assert "code -2015: the key is unknown" in why
    assert "Unknown is not flat" in said.out
    assert not any(word in said.out for word in ("BTCUSDT: flat", KEY, SECRET, "signature"))


def test_an_exchange_that_banned_the_daemon_is_not_asked(yard: Yard, server: BinanceServer) -> None:
    yard.state.mkdir()
    journal = Journal(yard.state / "watchdog.db")
    until = datetime.now(UTC) + timedelta(minutes=5)
    journal.put(BANNED, until.isoformat())
    journal.close()
    said = yard.cli("positions")
    assert (said.code, server.desk.journal()) == (1, [])
    assert f"not before {until:%Y-%m-%d %H:%M:%S} UTC" in said.out


def test_it_works_beside_a_watchdog_that_holds_the_locks(yard: Yard) -> None:
    yard.state.mkdir()
    lock = Lock(yard.state / "watchdog.lock")
    lock.take()
    try:
        assert yard.cli("positions").code == 0
    finally:
        lock.release()


def test_without_an_exchange_it_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    said = Yard(tmp_path / "bot").cli("positions")
    assert said.code == 2
    assert "there is no section exchange" in said.err


def test_without_the_key_in_this_shell_its_variable_is_named(
    tmp_path: Path, server: BinanceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("YARD_BINANCE_KEY", raising=False)
    said = Yard(tmp_path / "bot", exchange=exchange(server, api_key="${YARD_BINANCE_KEY}")).cli("positions")
    assert said.code == 2
    assert (
        "YARD_BINANCE_KEY is not set in this shell: without the key the exchange cannot be asked" in said.err
    )
    assert "does without" not in said.err, "it does not"
    assert server.desk.journal() == []


def test_without_the_key_programs_are_told_the_cause_and_that_all_is_unknown(
    tmp_path: Path, server: BinanceServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"api_key": "YARD_BINANCE_KEY", "api_secret": "YARD_BINANCE_SECRET"}
    for name in names.values():
        monkeypatch.delenv(name, raising=False)
    keys = {key: f"${{{name}}}" for key, name in names.items()}
    said = Yard(tmp_path / "bot", exchange=exchange(server, **keys)).cli("positions", "--json")
    assert said.code == 2
    assert said.json["why"].startswith("YARD_BINANCE_KEY and YARD_BINANCE_SECRET are not set in this shell")
    nothing = {"positions": None, "orders": None, "trouble": None}
    assert said.json["symbols"] == {"SOLUSDT": nothing, "BTCUSDT": nothing}


@pytest.mark.parametrize("as_json", [False, True])
def test_an_exchange_that_nobody_answers_at_is_told_in_words(
    tmp_path: Path, server: BinanceServer, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    settings = Yard(tmp_path / "bot", exchange=exchange(server, base_url=url)).settings
    assert positions_cli.show(settings, as_json, Console(), cli.fail, budget_s=0.5) == 1
    said = capsys.readouterr().out
    assert "Error" not in said
    if as_json:
        assert "no connection: Connection refused" in json.loads(said)["symbols"]["SOLUSDT"]["trouble"]
    else:
        assert "SOLUSDT, BTCUSDT: GET fapi/v3/positionRisk: no connection: Connection refused" in said
