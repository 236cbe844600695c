"""What bounds the watchdog: relapse, max_per_day, cooldown, observe; and bots that die, hide or come from people."""

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from demo.bot.make import make_bot
from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, Trades, make_hostile
from tests.acceptance.house import THOROUGH, House, in_order, thorough


def started(house: House, bot: HostileBot, version: str = "v2.1.0") -> int:
    """A daemon, and the pid of the bot that has loaded its model."""
    house.start()
    house.wait(lambda: bot.loaded(version), f"the bot runs on {version}")
    return house.bot_pid()


def test_a_relapse_while_monitored_halts(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, rollback={"monitor_for": "30s", "max_per_day": 5, "cooldown": "0s"})
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(10)
    house.wait_at("monitor")
    house.ticks(2)
    trades.lose(10)
    incident = house.wait_closed()
    assert incident.outcome == "halted"
    assert "it fired while the restored version was watched" in incident.reason
    assert house.bots() == []
    assert house.current() == "v2.0.0"
    assert len(house.rollbacks()) == 1
    assert "**Status:** Under Investigation" in house.assert_report(incident)
    assert house.alerted("stays stopped")
    house.flag("RESUME")
    house.wait(lambda: len(bot.loaded("v2.0.0")) == 2, "the bot runs again")
    house.ticks(3)
    assert house.status()["state"] == "watching"


def test_max_per_day_halts_at_the_next_cause_also_after_a_restart(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, rollback={"cooldown": "0s"})
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(10)
    house.wait_closed()
    house.kill()
    house.start()
    trades.lose(10)
    incident = house.wait_closed(2)
    assert (incident.outcome, incident.automatic) == ("halted", True)
    assert "1 of 1 automatic rollbacks a day are used up" in incident.reason
    assert house.bots() == []
    assert house.current() == "v2.0.0"
    assert house.stop() == 0
    house.start()
    house.ticks(3)
    assert house.bots() == [], "the halt does not hold across a restart"


@thorough
def test_a_persons_rollback_counts_for_no_limit(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)  # the default cooldown, and one automatic rollback a day
    started(house, bot)
    house.flag("ROLLBACK")
    house.wait_closed()
    Trades(bot.trade_log).lose(10)
    incident = house.wait_closed(2)
    assert (incident.outcome, incident.target) == ("rolled_back", "v1.9.0"), house.story()
    house.assert_rolled_back("v2.0.0", "v1.9.0", events=2)


@thorough
def test_a_cause_in_the_cooldown_waits_and_is_told(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, rollback={"cooldown": "5s", "max_per_day": 3})
    started(house, bot)
    trades = Trades(bot.trade_log)
    trades.lose(10)
    first = house.wait_closed()
    trades.lose(10)
    house.wait(lambda: house.alerted("the cooldown after the last rollback is not over"), "it is told")
    assert len(house.rollbacks()) == 1
    second = house.wait_closed(2)
    assert (second.opened_at - first.opened_at).total_seconds() >= 5
    house.assert_rolled_back("v2.0.0", "v1.9.0", events=2)


def test_observe_tells_and_touches_nothing(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, mode="observe")
    by_a_person = subprocess.Popen(bot.command, cwd=bot.folder, stdin=subprocess.DEVNULL)
    house.others.append(by_a_person)
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    before = (bot.models / "registry.json").read_bytes()
    Trades(bot.trade_log).lose(10)
    house.wait(lambda: house.alerted("would have rolled back v2.1.0"), "it is told")
    house.ticks(3)
    assert (bot.models / "registry.json").read_bytes() == before
    assert house.bot_pid() == by_a_person.pid
    assert house.incidents() == []
    assert "observe" in house.status()["sentence"]
    os.kill(by_a_person.pid, signal.SIGKILL)
    by_a_person.wait()
    house.ticks(4)
    assert house.bots() == []


def test_a_bot_that_dies_by_itself_is_started_again_and_at_last_halted(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", dies_on=["v2.1.0"], dies_after_s=0.2)
    house = make_house(bot, bot={"max_restarts": 2})
    house.start()
    incident = house.wait_closed()
    assert incident.outcome == "halted"
    assert "ended by itself more than 2 times in 10 min" in incident.reason
    assert len(bot.ran("died")) == 3
    assert house.bots() == []
    assert house.current() == "v2.1.0"
    starts = [line["at"] for line in bot.ran("began")]
    assert starts[2] - starts[1] >= 0.6, "no back-off"  # 1 s, less what their own starts differ by
    told = house.alerts()
    assert in_order(["was started on", "restart 1 of 2", "restart 2 of 2", "HALT"], told), told
    assert any("exit code 3" in text for text in told)


def test_a_bot_that_never_loads_its_model_is_a_load_error(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_bot(tmp_path / "bot", flavour="sound", dies="before_loading", dies_on="v2.1.0")
    house = make_house(bot, bot={"max_restarts": 2})
    house.start()
    incident = house.wait_closed()
    assert (incident.outcome, incident.by) == ("rolled_back", "rule load_error")
    assert "before it had loaded its model" in incident.reason
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_a_bot_that_a_person_started_is_adopted(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot", load_s=1.0)
    house = make_house(bot)
    first = subprocess.Popen(["python3", "./main.py"], cwd=bot.folder, stdin=subprocess.DEVNULL)
    house.others.append(first)
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    house.start()
    house.ticks(2)
    assert house.status()["bot"] == {"name": "house-bot", "running": True, "pid": first.pid}
    assert len(bot.ran("began")) == 1

    # A person restarts it, and ticks come while the new one loads: that is no load error.
    house.flag("PAUSE")
    house.wait(lambda: house.status()["state"] == "paused", "paused")
    first.kill()
    first.wait()
    second = subprocess.Popen(["python3", "./main.py"], cwd=bot.folder, stdin=subprocess.DEVNULL)
    house.others.append(second)
    house.wait(lambda: len(bot.loaded("v2.1.0")) == 2, "the new one has loaded its model")
    house.ticks(2)
    assert not house.alerted("would have"), house.alerts()
    (house.control / "PAUSE").unlink()
    house.ticks(2)
    assert house.incidents() == []
    assert house.status()["bot"]["pid"] == second.pid

    Trades(bot.trade_log).lose(10)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert second.poll() is not None


@pytest.mark.parametrize("how", ["dummy", *(["crash"] * THOROUGH)])
def test_a_target_that_cannot_be_loaded_either_is_passed_over_once(
    tmp_path: Path, make_house: MakeHouse, how: str
) -> None:
    versions = ("v1.8.0", "v1.9.0", "v2.0.0", "v2.1.0")
    bot = make_hostile(
        tmp_path / "bot", versions=versions, unloadable=["v2.0.0", "v2.1.0"],
        on_error={"v2.1.0": "dummy", "v2.0.0": how},
    )  # fmt: skip
    house = make_house(bot)
    house.start()
    incident = house.wait_closed()
    assert (incident.outcome, incident.target, incident.attempt) == ("rolled_back", "v1.9.0", 2)
    house.assert_rolled_back("v2.0.0", "v1.9.0", events=2)
    assert bot.ran("loaded")[-1]["version"] == "v1.9.0"
    models = house.registry.read()["models"]
    assert [models[v]["status"] for v in versions] == ["archived", "production", "quarantined", "quarantined"]
    assert house.alerted("v2.0.0 is no good either")
    assert len(house.incidents()) == 1


def test_two_targets_that_cannot_be_loaded_halt(tmp_path: Path, make_house: MakeHouse) -> None:
    versions = ("v1.8.0", "v1.9.0", "v2.0.0", "v2.1.0")
    bot = make_hostile(tmp_path / "bot", versions=versions, unloadable=["v1.9.0", "v2.0.0", "v2.1.0"])
    house = make_house(bot)
    house.start()
    incident = house.wait_closed()
    assert incident.outcome == "halted"
    assert house.bots() == []
    assert bot.loaded("v1.8.0") == []
    assert house.alerted("neither of v2.0.0 and v1.9.0 could be proved")


def test_without_a_target_the_bot_is_stopped_and_people_are_told(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", versions=["v2.1.0"])
    house = make_house(bot)
    started(house, bot)
    house.wait(lambda: house.alerted("there is no version to roll back to"), "it is said before it matters")
    Trades(bot.trade_log).lose(10)
    incident = house.wait_closed()
    assert incident.outcome == "halted"
    assert house.bots() == []
    assert house.alerted("No previous version found")
    assert "To Version:** none" in house.assert_report(incident)
    assert house.current() == "v2.1.0"


@thorough
def test_a_target_whose_file_is_damaged_is_passed_over(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    house.wait(lambda: house.status()["rollback_target"] == "v2.0.0", "the target is known")
    bot.model_file("v2.0.0").write_bytes(b"damaged")
    house.wait(lambda: house.status()["rollback_target"] == "v1.9.0", "status tells the target that verifies")
    Trades(bot.trade_log).lose(10)
    house.wait_closed()
    house.assert_rolled_back("v2.1.0", "v1.9.0")


def test_a_bot_that_loads_another_version_than_it_should_is_not_believed(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    """A fixed file name that nobody switches: the restarted bot would run the bad model under the good one's name."""
    bot = make_hostile(tmp_path / "bot", name="ensemble_v2.1.0.pkl")
    house = make_house(bot)
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    Trades(bot.trade_log).lose(10)
    incident = house.wait_closed()
    assert incident.outcome == "halted", house.story()
    assert house.bots() == []
    assert house.alerted("the bot loaded v2.1.0")


@thorough
def test_workers_in_other_sessions_end_with_the_bot(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_bot(tmp_path / "bot", flavour="loss_streak", children=2, trades_per_second=10)
    house = make_house(bot)
    house.start()
    house.wait_at("monitor")
    house.wait(lambda: len(_streams(bot.folder)) == 2, "two data streams beside the good bot")
    asked_for = {stream[-1] for stream in _streams(bot.folder)}
    assert asked_for == {str(house.bot_pid())}, "data streams of the bad bot live on"
    house.wait_closed()


def _streams(folder: Path) -> list[list[str]]:
    """The command lines of the bot's data streams: `python -m bot.stream PID`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            if "bot.stream" in command and process.cwd() == str(folder):
                found.append(command)
    return found
