"""`check` on the exchange: the key and its rights, the clock, the symbols, what would be done now."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.binance import KEY, SECRET, BinanceServer
from tests.watchdog.test_cli_check import bad, line
from tests.watchdog.yard import Said, Yard


@pytest.fixture
def server() -> Iterator[BinanceServer]:
    with BinanceServer() as found:
        yield found


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "bot")


def check(yard: Yard, server: BinanceServer, **changes: Any) -> Said:
    section = {"kind": "binance_usdm", "api_key": KEY, "api_secret": SECRET, "symbols": ["SOLUSDT"]}
    yard.configure(exchange={**section, "base_url": server.base_url, **changes})
    yard.path.chmod(0o600)
    said = yard.cli("check")
    assert not any(secret in said.out + said.err for secret in (KEY, SECRET, "signature="))
    return said


def lines(said: Said, what: str) -> str:
    return "\n".join(row for row in said.out.splitlines() if what in row)


@pytest.mark.parametrize("kind", ["binance_usdm", "binance_spot"])
def test_a_good_account_is_good(yard: Yard, server: BinanceServer, kind: str) -> None:
    said = check(yard, server, kind=kind)
    assert (said.code, bad(said)) == (0, []), said.out
    assert "ms " in line(said, "exchange")
    assert f"SOLUSDT: known in {kind}" in line(said, "exchange symbols")
    assert "it may not withdraw money" in said.out
    assert "SOLUSDT: a rollback now would find no open orders; find no position" in said.out
    assert {entry["method"] for entry in server.desk.journal()} == {"GET"}


def test_what_would_be_done_with_orders_and_positions_is_said_before_it_matters(
    yard: Yard, server: BinanceServer
) -> None:
    server.desk.set_position("SOLUSDT", "1.3", "152")
    server.desk.add_order("SOLUSDT", "BUY", "1", "140")
    server.desk.add_algo_order("SOLUSDT", "SELL", "140", close_position=True)
    said = check(yard, server)
    assert (
        "SOLUSDT: a rollback now would cancel BUY LIMIT 1 SOLUSDT at 140 (bot1001); leave, for it protects what is "
        "held, SELL STOP_MARKET whole position SOLUSDT, triggered at 140 (bot1002); keep SOLUSDT long 1.3, entry 152, "
        "worth 195.00, unrealised P&L -2.60; a stop order protects it"
    ) in said.out
    assert "would leave BUY LIMIT" in check(yard, server, open_orders="keep", positions="close").out
    assert "close SOLUSDT long 1.3" in check(yard, server, positions="close").out


def test_a_key_that_may_withdraw_makes_it_warn(yard: Yard, server: BinanceServer) -> None:
    server.desk.set_key(enableWithdrawals=True, ipRestrict=False)
    said = check(yard, server)
    assert said.code == 0
    (warning,) = [row for row in said.out.splitlines() if "WARNING" in row]
    assert warning.split()[:3] == ["note", "exchange", "key"]
    assert "it may withdraw money, which the watchdog never needs" in warning
    assert "it works from any address" in said.out


def test_a_key_that_may_not_trade_is_bad(yard: Yard, server: BinanceServer) -> None:
    server.desk.set_key(enableFutures=False)
    said = check(yard, server)
    assert (said.code, bad(said)) == (1, ["exchange key"])
    assert "enableFutures is off" in said.out
    assert check(yard, server, kind="binance_spot").code == 0


def test_rights_that_cannot_be_read_are_unknown(yard: Yard, server: BinanceServer) -> None:
    server.desk.fault("GET /sapi/*", "error", times=None, code=-5000, status=404)
    said = check(yard, server)
    assert said.code == 0
    assert (
        "whether it may withdraw money is unknown: GET sapi/v1/account/apiRestrictions: HTTP 404" in said.out
    )


def test_a_wrong_key_or_secret_is_bad(yard: Yard, server: BinanceServer) -> None:
    said = check(yard, server, api_key="x" * 64)
    assert (said.code, bad(said)[0]) == (1, "exchange key")
    assert "code -2015: the key is unknown, or its IP list or permissions" in said.out
    said = check(yard, server, api_secret="y" * 64)
    assert "code -1022: the signature does not fit: exchange.api_secret" in said.out


def test_a_symbol_that_does_not_exist_is_bad(yard: Yard, server: BinanceServer) -> None:
    for kind in ("binance_usdm", "binance_spot"):
        said = check(yard, server, kind=kind, symbols=["SOLUSDT", "SOLUSDC"])
        assert said.code == 1
        assert f"SOLUSDC: no such symbol in {kind}" in line(said, "exchange symbols")
        assert "SOLUSDT: a rollback now would find no open orders" in said.out


def test_a_clock_that_is_off_is_told(yard: Yard, server: BinanceServer) -> None:
    server.desk.shift_clock(30)
    said = check(yard, server)
    assert said.code == 0
    assert "ahead of this machine's" in line(said, "exchange")
    assert "let NTP set this machine's clock" in said.out


def test_hedge_mode_is_told(yard: Yard, server: BinanceServer) -> None:
    assert "in one-way mode" in lines(check(yard, server), "exchange key")
    server.desk.set_hedge_mode(True)
    assert "in hedge mode" in lines(check(yard, server), "exchange key")


def test_an_exchange_that_cannot_be_reached_is_bad_once(yard: Yard, server: BinanceServer) -> None:
    server.stop()
    said = check(yard, server)
    assert (said.code, bad(said)) == (1, ["exchange"])
    assert f"see that this machine reaches {server.base_url}" in line(said, "exchange")
