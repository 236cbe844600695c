"""The commands, with and without a daemon: what they do, say, and exit with."""

import json
import re
import threading
from pathlib import Path

from tests.acceptance.conftest import MakeHouse
from tests.acceptance.hostile import HostileBot, make_hostile
from tests.acceptance.house import House
from watchdog.assemble import locks
from watchdog.lock import Lock


def started(house: House, bot: HostileBot) -> int:
    house.start()
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot runs")
    return house.bot_pid()


def test_orders_to_a_running_daemon(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot, rollback={"monitor_for": "30s"})
    pid = started(house, bot)
    before = (bot.models / "registry.json").read_bytes()

    dry = house.cli("rollback", "--dry-run")
    assert dry.returncode == 0
    assert "switch the registry from v2.1.0 to v2.0.0" in dry.stdout
    paused = house.cli("pause", "--reason", "a test")
    assert paused.returncode == 0
    house.wait(lambda: house.status()["state"] == "paused", "paused")
    resumed = house.cli("resume", "--reason", "the test is over")
    assert resumed.returncode == 0, resumed.stdout
    house.wait(lambda: house.status()["state"] == "watching", "watching")
    assert house.bot_pid() == pid
    assert (bot.models / "registry.json").read_bytes() == before
    refused = house.cli("rollback", "--to", "v9.9.9")
    assert refused.returncode == 1, refused.stdout
    assert "refused" in refused.stdout

    back = house.cli("rollback", "--reason", "odd trades")
    assert back.returncode == 0, back.stdout + back.stderr
    assert "the bot runs on v2.0.0" in back.stdout
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    assert house.step() == "monitor"
    assert house.incidents()[-1].reason == "odd trades"

    halted = house.cli("halt", "--reason", "enough")
    assert halted.returncode == 0, halted.stdout
    assert house.bots() == []
    status = house.cli("status")
    assert status.returncode == 1
    why = r"odd trades \(v2.1.0\); then on v2.0.0: enough"
    assert re.search(rf"halted since [-0-9]{{10}} [:0-9]{{8}} UTC by .* \(by command\): {why}", status.stdout)
    resumed = house.cli("resume", "--reason", "go on")
    assert resumed.returncode == 0, resumed.stdout
    assert f"the bot runs on v2.0.0, pid {house.bot_pid()}: its log says: " in resumed.stdout
    assert len(bot.loaded("v2.0.0")) == 2


def test_a_rollback_without_a_daemon_runs_the_same_procedure(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    pid = started(house, bot)
    assert house.stop() == 0
    assert house.bot_pid() == pid
    done = house.cli("rollback", "--reason", "by hand")
    assert done.returncode == 0, done.stdout + done.stderr
    incident = house.wait_closed()
    assert (incident.outcome, incident.automatic, incident.reason) == ("rolled_back", False, "by hand")
    house.assert_rolled_back("v2.1.0", "v2.0.0")
    house.assert_report(incident)
    assert house.lock_holder() is None
    said = house.cli_all(["incidents"], ["incidents", "1"], ["incidents", "1", "--json"], ["incidents", "7"])
    table, one, as_json, _ = (text for _, text in said)
    assert [code for code, _ in said] == [0, 0, 0, 1]
    assert "rolled back" in table
    assert "**Reason:** by hand" in one
    body = json.loads(as_json)
    assert (body["from_version"], body["to_version"], body["outcome"]) == ("v2.1.0", "v2.0.0", "rolled_back")
    assert [row["step"] for row in body["steps"]] == [
        "assess", "stop_bot", "settle_orders", "roll_back", "start_bot", "confirm_loaded", "monitor", "close",
    ]  # fmt: skip
    again = house.cli("rollback", "--to", "v2.1.0")
    assert again.returncode == 1, "a version that was rolled back from is rolled back to"
    house.assert_rolled_back("v2.1.0", "v2.0.0")


def test_a_halt_without_a_daemon_holds_for_the_next_one(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    started(house, bot)
    assert house.stop() == 0
    assert house.cli("halt", "--reason", "no more").returncode == 0
    assert house.bots() == []
    assert house.status()["state"] == "halted"
    house.start()
    house.ticks(3)
    assert house.bots() == []
    assert house.stop() == 0
    assert house.cli("resume", "--reason", "it is mended").returncode == 0
    house.start()
    house.wait(lambda: len(bot.loaded("v2.1.0")) == 2, "the bot runs again")
    assert house.status()["state"] == "watching"


def test_a_pause_without_a_daemon_holds_for_the_next_one(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot")
    house = make_house(bot)
    (code, text), (_, as_json) = house.cli_all(["incidents"], ["incidents", "--json"])
    assert (code, text.strip(), json.loads(as_json)) == (0, "no incident so far", [])
    assert house.cli("pause", "--reason", "not yet").returncode == 0
    house.start()
    house.ticks(3)
    assert bot.ran("began") == [], "a bot was started in a pause"
    assert house.status()["state"] == "paused"
    assert house.cli("resume").returncode == 0
    house.wait(lambda: bot.loaded("v2.1.0"), "the bot is started")


def test_a_rollback_without_a_target_is_bad_news(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot", versions=["v2.1.0"])
    house = make_house(bot)
    dry = house.cli("rollback", "--dry-run")
    assert dry.returncode == 1
    assert "No previous version found" in dry.stdout
    done = house.cli("rollback")
    assert done.returncode == 1
    assert house.bots() == []
    assert house.status()["state"] == "halted"


def test_a_command_does_not_wait_for_a_daemon_that_died(tmp_path: Path, make_house: MakeHouse) -> None:
    bot = make_hostile(tmp_path / "bot", sigterm="flatten", flatten_s=2.0)
    house = make_house(bot)
    started(house, bot)
    following = house.begin("rollback", "--reason", "slow")
    house.wait_at("stop_bot")
    house.kill()
    assert following.wait(20) == 1
    said, _ = following.communicate()
    assert "no watchdog" in said, said


def test_a_broken_configuration_is_exit_code_2(tmp_path: Path, make_house: MakeHouse) -> None:
    house = make_house(make_hostile(tmp_path / "bot"))
    house.path.write_text("bot: {name: 7}\nno_such_key: 1\n")
    for code, said in house.cli_all(
        *[[name] for name in ("run", "check", "status", "rollback", "incidents")]
    ):
        assert code == 2, said
        assert f"{house.path}:2:1: no_such_key" in said


def test_check_is_content_with_a_good_house_and_names_what_is_not(
    tmp_path: Path, make_house: MakeHouse
) -> None:
    bot = make_hostile(tmp_path / "bot", paths="container")
    house = make_house(bot)
    started(house, bot)
    house.flag("PAUSE")
    good = house.cli("check")
    assert good.returncode == 0, good.stdout
    bot.model_file("v2.1.0").write_bytes(b"")
    bad = house.cli("check")
    assert bad.returncode == 1
    assert re.search(r"BAD\s+version v2\.1\.0 \(current\)", bad.stdout), bad.stdout


def test_asking_for_the_status_keeps_no_daemon_from_its_lock(tmp_path: Path, make_house: MakeHouse) -> None:
    house = make_house(make_hostile(tmp_path / "bot"))
    settings = house.settings
    settings.state_dir.mkdir()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            locks(settings)[0].holder()

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    try:
        for _ in range(200):
            lock = Lock(settings.state_dir / "watchdog.lock")
            lock.take()
            lock.release()
    finally:
        stop.set()
        for asker in askers:
            asker.join()
