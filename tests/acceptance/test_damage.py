"""The journal's file, damaged, deleted or replaced: under a running daemon, and between two of them."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import House, thorough
from tests.fakes.telegram import TelegramServer
from tests.watchdog.damage import all_deleted, cut, header, middle, replaced_by_another, text, zeros
from watchdog.upkeep import fault

Damage = Callable[[Path], object]


def watched(
    make_house: MakeHouse, folder: Path, telegram: TelegramServer
) -> tuple[House, HostileBot, Trades]:
    """A daemon at work for a while, and a bot that has traded."""
    bot = make_hostile(folder)
    house = make_house(bot, telegram, rollback={"cooldown": "0s"})
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    trades = Trades(bot.trade_log)
    trades.trade(5.0)
    house.ticks(2)
    return house, bot, trades


def database(house: House) -> Path:
    return house.state / "watchdog.db"


def set_aside(house: House) -> list[Path]:
    found = house.state.glob("watchdog.db.set-aside-*")
    return [path for path in found if not path.name.endswith(("-wal", "-shm"))]


def some_thorough(always: Sequence[Damage], others: Sequence[Damage]) -> pytest.MarkDecorator:
    """They differ little, and each takes its seconds."""
    return pytest.mark.parametrize(
        "damage", [*always, *(pytest.param(one, marks=thorough) for one in others)]
    )


@some_thorough([middle, all_deleted], [header, zeros, cut, text, replaced_by_another])
def test_a_daemon_goes_on_over_a_journal_that_is_gone(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, damage: Damage
) -> None:
    """Whenever the damage is met, or if it is only met by the next start: the cause is found, the counter holds, the
    people are told."""
    house, bot, trades = watched(make_house, tmp_path / "bot", telegram)
    pid = house.bot_pid()
    damage(database(house))
    trades.lose(9)
    house.ticks_later(8)
    assert house.bot_pid() == pid, "nothing is stopped or started for it"
    trades.lose(1)
    house.wait(lambda: bot.ran("began")[1:] or not house.bots(), "the version that loses is stopped")
    house.wait(lambda: bot.loaded("v2.0.0") or telegram_said(telegram, "stays stopped"), "a safe end")
    house.kill()
    start_anew(house)
    if house.bots():
        assert house.current() == "v2.0.0"
        trades.lose(10)
        house.wait(lambda: not house.bots(), "the day's rollback is used up: the bot is halted")
    assert house.current() in {"v2.0.0", "v2.1.0"}
    assert len(house.rollbacks()) <= 1
    a_person_resumes(house)


def start_anew(house: House) -> None:
    """A daemon over a journal that nobody can read before it did."""
    house.start(ready=False)
    house.wait(lambda: fault(database(house)) == "" and database(house).exists(), "a sound journal")
    house.ticks(3)


def a_person_resumes(house: House) -> None:
    """Once the halt is done with, for until then a resume is refused."""
    house.wait(lambda: house.status()["state"] == "halted" and house.step() is None, "the halt")
    house.flag("RESUME")
    house.wait(house.bots, "a person resumes")


def telegram_said(telegram: TelegramServer, part: str) -> bool:
    return any(part in message for message in telegram.texts)


@some_thorough([replaced_by_another], [all_deleted])
def test_people_are_told_at_once_of_a_file_that_is_gone_and_nothing_is_lost(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, damage: Damage
) -> None:
    house, _, trades = watched(make_house, tmp_path / "bot", telegram)
    trades.lose(10)
    before = house.wait_closed()
    damage(database(house))
    telegram.wait_for_text("halts, counters and the open incident are as they were", 30)
    house.wait(lambda: fault(database(house)) == "", "a sound journal")
    (kept,) = house.incidents()
    assert (kept.id, kept.outcome, kept.closed_at) == (before.id, before.outcome, before.closed_at)
    assert [s.step for s in house.steps(kept.id)][-1] == "close"
    house.kill()
    house.start()
    trades.lose(10)
    assert "1 of 1 automatic rollbacks a day are used up" in house.wait_closed(2).reason


@some_thorough([header], [middle, zeros, cut, text, all_deleted])
@pytest.mark.parametrize("halted", [True, False])
def test_a_start_over_a_damaged_journal(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, damage: Damage, halted: bool
) -> None:
    """A halted bot stays stopped, a running one goes on running, and people are told."""
    house, bot, trades = watched(make_house, tmp_path / "bot", telegram)
    trades.lose(10)
    house.wait_closed()
    if halted:
        house.flag("HALT")
        house.wait_closed(2)
    assert house.stop() == 0
    damage(database(house))
    began = len(bot.ran("began"))
    start_anew(house)
    telegram.wait_for_text("What happened since, or is lost, is not known", 30)
    assert len(bot.ran("began")) == began, "it was started, or started again"
    assert house.status()["state"] == ("halted" if halted else "watching")
    if damage is not all_deleted:
        assert len(set_aside(house)) == 1
    if not halted:
        trades.lose(10)
        house.wait(lambda: not house.bots(), "the next cause halts")
        assert len(house.rollbacks()) == 1
    a_person_resumes(house)
    assert (house.state / "incidents" / "0001" / "report.md").stat().st_size > 0
    assert house.incidents()[-1].id > 1, "the report of incident 1 is not written over"


def test_a_restored_copy_of_before_a_rollback(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer
) -> None:
    """Somebody copies the state folder, and puts it back when more has happened: the registry and the reports tell."""
    house, bot, trades = watched(make_house, tmp_path / "bot", telegram)
    assert house.stop() == 0
    shutil.copytree(house.state, tmp_path / "copy")
    house.start()
    trades.lose(10)
    house.wait_closed()
    house.flag("HALT")
    house.wait_closed(2)
    assert house.stop() == 0
    shutil.rmtree(house.state)
    (tmp_path / "copy").rename(house.state)
    began = len(bot.ran("began"))
    house.start()
    house.ticks(3)
    assert house.status()["state"] == "halted", "the halt that the copy does not know of"
    assert len(bot.ran("began")) == began
    telegram.wait_for_text("it is an older copy", 30)
    assert house.incidents()[-1].id == 2
