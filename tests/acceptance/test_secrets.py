"""No secret in a log line, an alert, a report, the state folder, a command's output or the process list.

The libraries log at DEBUG, Telegram's answers quote the token, and the bot and a person write secrets where they can.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import House
from tests.fakes.binance import BinanceServer
from tests.fakes.telegram import TOKEN, TelegramServer

KEY = "binance-api-key-7Zx3/+=q"
SECRET = 'bina"nce-secret\\9Kd&%'
HALF = TOKEN.partition(":")[2]


@pytest.fixture
def exchange() -> Iterator[BinanceServer]:
    """Refuses the key, and answers with pages now and then."""
    with BinanceServer(key=KEY, secret=SECRET) as server:
        server.desk.fault("*", "html", times=None, probability=0.3)
        yield server


def secret_house(
    make_house: MakeHouse, bot: HostileBot, telegram: TelegramServer, exchange: BinanceServer
) -> House:
    house = make_house(
        bot,
        telegram,
        exchange={
            "kind": "binance_usdm",
            "api_key": "${HOUSE_KEY}",
            "api_secret": "${HOUSE_SECRET}",
            "symbols": ["SOLUSDT"],
            "base_url": exchange.base_url,
        },
    )
    house.environ |= {"HOUSE_KEY": KEY, "HOUSE_SECRET": SECRET, "MODEL_WATCHDOG_LOG": "DEBUG"}
    return house


def test_no_secret_is_written_or_shown(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, exchange: BinanceServer
) -> None:
    bot = make_hostile(tmp_path / "bot", unloadable=["v2.1.0"])
    telegram.fail_next("bad_gateway", times=2)
    telegram.fail_next("unauthorized")
    trades = Trades(bot.trade_log)
    trades.raw(f"a garbled line with {KEY} and {TOKEN} in it\n".encode())
    house = secret_house(make_house, bot, telegram, exchange)
    bot.habits(on_error={}, says={"v2.1.0": [f"signing with {KEY}"]})
    with bot.log.open("a") as log:
        log.write(
            f"{trades.now().replace('T', ' ')[:19]},1 - models.ensemble - ERROR - "
            f"Error loading model: GET https://api?key={KEY}&token={TOKEN} {SECRET}\n"
        )
    house.start()
    assert "DEBUG" in house.logs(), "the libraries do not log at DEBUG"
    house.wait_closed()
    house.flag("ROLLBACK", f"my key is {KEY}, the token {TOKEN}")
    house.wait(lambda: len(house.incidents()) == 2, "a person's incident")
    house.flag("HALT", f"{SECRET}")
    house.wait_closed(2)
    house.signal(signal.SIGHUP)
    house.ticks(2)
    shown = [house.logs(), *telegram.texts, *_command_lines()]
    said = house.cli_all(
        ["status"], ["status", "--json"], ["check"], ["incidents"], ["incidents", "1"], ["incidents", "1", "--json"],
        ["incidents", "--json"], ["rollback", "--dry-run"],
        ["positions"], ["positions", "--json"],
    )  # fmt: skip
    shown += [text for _, text in said]
    assert house.stop() == 0
    leaks = [f"shown: {line[:200]}" for text in shown for line in text.splitlines() if _has_secret(line)]
    for path in (*house.state.rglob("*"), *bot.models.glob("*.json")):
        if path.is_file() and _has_secret(data := path.read_bytes().decode("utf-8", "replace")):
            at = min(place for s in _forms() if (place := data.find(s)) >= 0)
            leaks.append(f"{path}: {data[max(0, at - 150) : at + 80]!r}")
    assert leaks == [], "\n".join(leaks)


def _forms() -> tuple[str, ...]:
    return (KEY, SECRET, HALF, SECRET.replace("\\", "\\\\").replace('"', '\\"'))


def _has_secret(text: str) -> bool:
    return any(form in text for form in _forms())


def _command_lines() -> list[str]:
    """What `ps` shows of every process."""
    return [
        " ".join(process.info["cmdline"] or []) + str(process.info["name"])
        for process in psutil.process_iter(["cmdline", "name"])
    ]


def test_a_mistake_in_the_configuration_repeats_no_secret(tmp_path: Path, make_house: MakeHouse) -> None:
    house = make_house(make_hostile(tmp_path / "bot"))
    text = house.path.read_text()
    house.path.write_text(
        f"{text}\ntelegram:\n  token: [{TOKEN}]\n  chat_id: {{a: {KEY}}}\n  {SECRET[:7]}: 1\n"
    )
    done = house.cli("run")
    assert done.returncode == 2
    assert HALF not in done.stdout + done.stderr
    assert KEY not in done.stdout + done.stderr
