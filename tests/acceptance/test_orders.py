"""Orders of people to a running daemon: flag files and signals, at every stage."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import THOROUGH, House, merged, thorough


def running(house: House, bot: HostileBot, version: str = "v2.1.0") -> int:
    """Starts a daemon; the pid of the bot once it has loaded its model."""
    house.start()
    house.wait(lambda: bot.loaded(version), f"the bot runs on {version}")
    return house.bot_pid()


def test_rollbacks_by_flag_go_back_version_by_version_until_there_is_none(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, rollback={"monitor_for": "30s", "cooldown": "1h"})
    running(house, bot)
    house.flag("ROLLBACK")
    house.wait_at("monitor")
    assert house.current() == "v2.0.0"
    house.flag("ROLLBACK", json.dumps({"reason": "worse still", "by": "alice"}))
    house.wait(lambda: bot.loaded("v1.9.0"), "v1.9.0 is loaded")
    house.wait_at("monitor")
    house.assert_rolled_back("v2.0.0", "v1.9.0", events=2)
    assert house.registry.read()["models"]["v2.1.0"]["status"] == "quarantined"
    first, second = house.incidents()
    assert (first.outcome, first.automatic, first.reason) == ("superseded", False, "no reason given")
    assert second.reason == "worse still"
    assert second.by.startswith("alice (flag file of ")
    assert house.alerted("ordered by alice (flag file of ")
    house.assert_superseded_report(first)

    house.flag("ROLLBACK", "and further back")
    incident = house.wait_closed(3)
    assert incident.outcome == "halted"
    assert house.bots() == []
    assert house.current() == "v1.9.0"
    assert house.status()["state"] == "halted"
    assert house.status()["rollback_target"] is None
    assert house.alerted("No previous version found")
    assert house.cli("status").returncode == 1
    assert sorted(path.name.partition("-")[2] for path in (house.control / "handled").iterdir()) == [
        "ROLLBACK", "ROLLBACK", "ROLLBACK",
    ]  # fmt: skip
    assert not list(house.control.glob("R*"))

    house.flag("RESUME")
    house.wait(lambda: len(bot.loaded("v1.9.0")) == 2, "the bot runs again")
    house.wait(lambda: house.status()["state"] == "watching", "watching")
    assert len(house.rollbacks()) == 2


@pytest.mark.parametrize("wanted", ["v9.9.9", "v2.1.0", "v2.0.0"])
def test_a_rollback_that_cannot_be_is_refused_and_touches_nothing(
    tmp_path: Path, make_house: MakeHouse, wanted: str
) -> None:
    bot = make_hostile(tmp_path / "bot")
    bot.model_file("v2.0.0").write_bytes(b"damaged")
    house = make_house(bot)
    pid = running(house, bot)
    before = (bot.models / "registry.json").read_bytes()
    house.flag("ROLLBACK", json.dumps({"version": wanted}))
    house.wait(lambda: house.alerted("refused"), "it is refused")
    house.ticks(2)
    assert (bot.models / "registry.json").read_bytes() == before
    assert house.bot_pid() == pid
    assert [(i.outcome, i.open) for i in house.incidents()] == [("refused", False)]
    assert house.status()["state"] == "watching"


def test_halt_and_resume(tmp_path: Path, make_house: MakeHouse) -> None:
    """A halt holds against people, restarts and time; a resume begins anew."""
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, mode="act")
    trades = Trades(bot.trade_log)
    running(house, bot)
    trades.lose(9)
    house.flag("HALT", "risk manager: too large positions")
    house.wait_closed()
    assert house.bots() == []
    status = house.status()
    assert (status["state"], status["bot"]["running"], status["bot"]["pid"]) == ("halted", False, None)
    assert "risk manager: too large positions" in status["sentence"]
    assert house.cli("status").returncode == 1

    by_a_person = subprocess.Popen(bot.command, cwd=bot.folder, stdin=subprocess.DEVNULL)
    house.others.append(by_a_person)
    house.wait(lambda: house.alerted("somebody started the halted bot"), "it is told")
    house.wait(lambda: by_a_person.poll() is not None, "it is stopped again")

    assert house.stop() == 0
    house.start()
    house.ticks(3)
    assert house.bots() == []

    house.flag("RESUME", "it was the test account")
    house.wait(lambda: house.bots(), "the bot runs again")
    house.wait(lambda: house.status()["state"] == "watching", "watching")
    trades.lose(1)
    house.ticks(3)
    assert house.current() == "v2.1.0", "losses from before the resume count"
    trades.lose(9)
    house.wait_closed(2)
    house.assert_rolled_back("v2.1.0", "v2.0.0")


@pytest.mark.parametrize("step", ["stop_bot", "confirm_loaded", *(["monitor"] * THOROUGH)])
def test_a_halt_in_the_middle_of_a_rollback(tmp_path: Path, make_house: MakeHouse, step: str) -> None:
    bot = make_hostile(tmp_path / "bot", sigterm="flatten", flatten_s=0.8, load_s=1.5)
    house = make_house(bot, rollback={"monitor_for": "30s"})
    running(house, bot)
    house.flag("ROLLBACK")
    house.wait_at(step)
    house.flag("HALT", "stop it all")
    incident = house.wait_closed()
    house.ticks(2)
    assert house.bots() == []
    assert house.status()["state"] == "halted"
    assert [i.outcome for i in house.incidents()] == ["halted"]
    assert "stop it all" in incident.reason
    assert len(house.rollbacks()) == (0 if step == "stop_bot" else 1)
    assert house.current() == ("v2.1.0" if step == "stop_bot" else "v2.0.0")


def test_a_pause_holds_while_its_file_exists(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    pid = running(house, bot)
    house.flag("PAUSE", "maintenance")
    house.wait(lambda: house.alerted("paused by"), "the pause is told")
    Trades(bot.trade_log).lose(10)
    house.wait(lambda: house.alerted("would have rolled back v2.1.0"), "what it leaves undone is told")
    assert house.status()["state"] == "paused"
    assert house.stop() == 0
    house.start()
    house.ticks(2)
    assert house.status()["state"] == "paused"
    assert house.incidents() == []
    assert house.bot_pid() == pid
    os.kill(pid, signal.SIGKILL)
    house.wait(lambda: house.alerted("paused, so it is not started"), "a bot that is down is told")
    assert house.bots() == []
    (house.control / "PAUSE").unlink()
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert sum("paused by" in text for text in house.alerts()) == 1


def test_signals(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, rollback={"monitor_for": "30s"})
    pid = running(house, bot)
    house.signal(signal.SIGUSR2)
    house.wait(lambda: house.status()["state"] == "paused", "paused")
    assert (house.control / "PAUSE").exists()
    house.signal(signal.SIGUSR2)
    house.wait(lambda: house.status()["state"] == "watching", "watching")
    assert house.bot_pid() == pid
    house.signal(signal.SIGUSR1)
    house.wait_at("monitor")
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert house.incidents()[0].by == "signal SIGUSR1"
    house.signal(signal.SIGUSR1)
    house.wait(lambda: bot.loaded("v1.9.0"), "one version further back")
    house.assert_rolled_back("v2.0.0", "v1.9.0", events=2)
    assert [order.who for order in house.orders() if order.what == "rollback"] == ["signal SIGUSR1"] * 2


def test_a_hangup_reloads_the_configuration_and_a_bad_one_changes_nothing(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    pid = running(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(3)
    good = house.path.read_text()
    others = tmp_path / "open-to-all"
    others.mkdir()
    others.chmod(0o777)
    mistakes: list[dict[str, Any]] = [
        {"no_such_key": 1},
        {"bot": {"name": "another"}},
        {"state_dir": str(tmp_path / "elsewhere")},
        {"control_dir": str(others)},
        {"bot": {"control": "systemd", "process": None, "systemd": {"unit": "bot.service"}}},
        {"registry": {"links": {"../ensemble_model.pkl": "main"}}},
    ]
    for number, bad in enumerate(mistakes):
        house.path.write_text(yaml.safe_dump(merged(yaml.safe_load(good), bad)))
        house.signal(signal.SIGHUP)
        house.wait(
            lambda: _refused(house.logs()) > number or house.daemon.poll() is not None,  # noqa: B023
            "it is refused",
        )
        assert house.daemon.poll() is None, f"{bad} ended the daemon\n{house.logs()}"
    house.path.write_text(good)
    assert house.lock_holder() == house.daemon.pid

    house.configure(triggers={"loss_streak": {"at_least": 4}})
    house.signal(signal.SIGHUP)
    house.wait(lambda: _limit(house) == 4, "the new limit is in force")
    assert house.bot_pid() == pid
    trades.lose(1)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert house.lock_holder() == house.daemon.pid


def _refused(log: str) -> int:
    return log.count("was not taken over")


def _limit(house: House) -> float | None:
    return next((t["limit"] for t in house.status()["triggers"] if t["name"] == "loss_streak"), None)


def test_a_storm_of_signals_kills_neither_the_daemon_nor_the_bot(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    pid = running(house, bot)
    for number in range(60):
        house.signal(signal.SIGHUP if number % 3 else signal.SIGUSR2)
        time.sleep(0.02)
        assert house.daemon.poll() is None, f"the daemon died of signal {number}\n{house.story()}"
    house.ticks(3)
    assert house.bot_pid() == pid
    assert house.stop() == 0
    os.kill(pid, signal.SIGKILL)
    house.start()
    house.wait(lambda: house.bots() or house.status()["state"] == "paused", "the bot is started again")
    for process in house.bots():
        blocked = re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        assert blocked is not None
        assert int(blocked[1], 16) == 0, "the bot inherits signals that are blocked"


def test_term_at_every_stage_leaves_the_bot_alone_and_the_next_start_goes_on(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", sigterm="flatten", flatten_s=0.6, load_s=1.2)
    house = make_house(bot, bot={"stays_up_for": "0.8s"}, rollback={"monitor_for": "1.5s"})
    pid = running(house, bot)
    assert house.stop() == 0
    assert house.bot_pid() == pid
    house.start()
    Trades(bot.trade_log).lose(10)
    for step in ("stop_bot", "start_bot", "confirm_loaded", "monitor"):
        house.wait_at(step)
        before = [p.pid for p in house.bots()]
        assert house.stop() == 0, step
        after = [p.pid for p in house.bots()]
        assert after == ([] if step == "stop_bot" else before or after), step
        incident = house.incidents()[0]
        assert incident.open
        time.sleep(0.3)
        assert [p.pid for p in house.bots()] == after, "the bot is not left alone"
        house.start(ready=False)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert len(bot.loaded("v2.0.0")) == 1
    assert len(house.incidents()) == 1


@thorough
def test_term_while_halting_finishes_the_stop(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot", sigterm="flatten", flatten_s=0.8)
    house = make_house(bot)
    running(house, bot)
    house.flag("HALT")
    house.wait_at("stop_bot")
    assert house.stop() == 0
    assert house.bots() == []
    assert house.cli("status", "--json").returncode == 1
    house.start()
    house.wait_closed()
    assert house.bots() == []
    assert house.status()["state"] == "halted"


def test_a_control_folder_that_everybody_can_write_to_is_refused(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    house.control.mkdir()
    house.control.chmod(0o777)
    house.start(ready=False)
    assert house.daemon.wait(20) == 2
    assert f"chmod o-w {house.control}" in house.logs()
    assert house.bots() == []
    house.control.chmod(0o700)
    running(house, bot)
    house.control.chmod(0o777)
    house.flag("HALT", "by a stranger")
    house.wait(lambda: house.alerted("chmod o-w"), "it is told")
    house.ticks(3)
    assert house.bots()
    assert house.incidents() == []
    assert house.cli("halt").returncode == 1
    house.control.chmod(0o700)
    house.wait_closed()
    assert house.bots() == []


def test_a_second_daemon_names_the_first_and_ends(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    pid = running(house, bot)
    first = house.daemon
    house.start(ready=False)
    assert house.daemon.wait(20) == 1
    assert f"pid {first.pid}" in house.logs()
    # One registry is rolled back by one watchdog, whatever the state folder is called.
    house.configure(state_dir=str(tmp_path / "other-state"))
    house.start(ready=False)
    assert house.daemon.wait(20) == 1
    assert first.poll() is None
    assert house.bot_pid() == pid
    assert len(bot.ran("began")) == 1
