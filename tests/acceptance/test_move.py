"""A backup, restored on another host: other paths, another boot, other inodes, logs that went along or did not."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import House
from tests.fakes.telegram import TelegramServer

OTHER_BOOT = "11111111-2222-3333-4444-555555555555"


def backup_of(house: House, to: Path) -> Path:
    """As an operator makes it, while the watchdog runs."""
    done = subprocess.run(
        [sys.executable, "-m", "watchdog.backup", "--config", str(house.path), "--to", str(to)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return max(to.iterdir())


def another_host(house: House, backup: Path, top: Path, *, with_logs: bool) -> tuple[House, HostileBot]:
    """The bot's folder, copied to another place, and the backup put back as RESTORE.txt says."""
    top.mkdir()
    ignored = None if with_logs else shutil.ignore_patterns("*.log", "*.jsonl")
    shutil.copytree(house.bot.folder, top / "bot", ignore=ignored)
    bot = HostileBot(top / "bot", house.bot.links)
    bot.log.parent.mkdir(exist_ok=True)
    shutil.copy(backup / "registry.json", bot.models / "registry.json")
    there = House(top, bot, house.changes, house.telegram)
    there.state.mkdir(mode=0o700)
    shutil.copy(backup / "watchdog.db", there.state)
    if (backup / "incidents").exists():
        shutil.copytree(backup / "incidents", there.state / "incidents")
    shutil.copytree(backup / "control", there.control)
    there.control.chmod(0o700)
    with closing(sqlite3.connect(there.state / "watchdog.db")) as db:
        row = db.execute("SELECT value FROM named WHERE name = 'bot'").fetchone()
        if row is not None:  # this machine's boot id would be taken for the same boot
            pid, ticks, _ = json.loads(row[0])
            db.execute(
                "UPDATE named SET value = ? WHERE name = 'bot'", (json.dumps([pid, ticks, OTHER_BOOT]),)
            )
            db.commit()
    return there, bot


@pytest.mark.parametrize("with_logs", [True, False], ids=["logs went along", "no logs"])
def test_a_halted_bot_stays_halted_and_what_waited_is_sent(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer, with_logs: bool
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, telegram)
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    telegram.stop()
    house.flag("HALT", "moving to another host")
    house.wait_closed()
    backup = backup_of(house, tmp_path / "backups")
    assert house.stop() == 0
    before = len(telegram.messages)
    telegram.start()
    there, its_bot = another_host(house, backup, tmp_path / "there", with_logs=with_logs)
    try:
        began = len(its_bot.ran("began"))
        there.start()
        there.ticks(3)
        assert there.status()["state"] == "halted"
        assert there.bots() == []
        telegram.wait_for_text("moving to another host", 45)
        telegram.wait_for_text("is in force, as it was then", 45)
        assert len(telegram.messages) > before + 2, "what waited in the outbox is sent"
        there.flag("RESUME")
        there.wait(lambda: len(its_bot.ran("began")) == began + 1, "it is started there, once")
        there.ticks(3)
        assert len(its_bot.ran("began")) == began + 1
        assert there.status()["state"] == "watching"
        Trades(its_bot.trade_log).lose(10)
        incident = there.wait_closed(2)
        assert incident.outcome == "halted", "the rollbacks of a day are taken for used up"
    finally:
        there.leave()


def test_counters_hold_and_a_bot_that_runs_there_already_is_taken_over_and_not_started_again(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, telegram, rollback={"cooldown": "0s"})
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    Trades(bot.trade_log).lose(10)
    house.wait_closed()
    backup = backup_of(house, tmp_path / "backups")
    house.flag("HALT")
    house.wait_closed(2)
    assert house.stop() == 0
    there, its_bot = another_host(house, backup, tmp_path / "there", with_logs=True)
    began = len(its_bot.ran("began"))
    process = subprocess.Popen(its_bot.command, cwd=its_bot.folder, start_new_session=True)
    there.others.append(process)
    try:
        there.wait(lambda: len(its_bot.ran("loaded")) > began, "a person started it there")
        there.start()
        there.ticks(4)
        assert there.bot_pid() == process.pid
        assert len(its_bot.ran("began")) == began + 1
        assert there.current() == "v2.0.0"
        Trades(its_bot.trade_log).lose(10)
        incident = there.wait_closed(2)
        assert (
            "1 of 1 automatic rollbacks a day are used up" in incident.reason or "2 of 1" in incident.reason
        )
        assert there.bots() == []
    finally:
        there.leave()


def test_a_backup_that_was_made_in_the_middle_of_a_rollback(
    tmp_path: Path, make_house: MakeHouse, telegram: TelegramServer
) -> None:
    """The rollback went on, and its version was promoted again once it was mended: the old incident does nothing."""
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, telegram, rollback={"monitor_for": "60s"})
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    Trades(bot.trade_log).lose(10)
    house.wait_at("monitor")
    backup = backup_of(house, tmp_path / "backups")
    assert house.stop() == 0
    with closing(sqlite3.connect(backup / "watchdog.db")) as db:  # a moment earlier
        (text,) = db.execute("SELECT body FROM incidents").fetchone()
        body = json.loads(text) | {"step": "stop_bot"}
        db.execute("UPDATE incidents SET body = ?", (json.dumps(body),))
        db.commit()
    shutil.rmtree(house.state)
    house.state.mkdir(mode=0o700)
    shutil.copy(backup / "watchdog.db", house.state)
    house.registry.promote_model("v2.1.0", {})
    pid, began = house.bot_pid(), len(bot.ran("began"))
    house.start()
    house.ticks(4)
    assert house.bot_pid() == pid
    assert len(bot.ran("began")) == began
    assert house.current() == "v2.1.0"
    assert house.incidents()[-1].outcome == "superseded"
    telegram.wait_for_text("Incident 1 was open in it, at stop_bot: it is closed", 30)
