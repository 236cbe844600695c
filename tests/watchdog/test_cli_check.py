"""`check`: what is good, what is not, and how to mend it; exit 1 when something is bad."""

import getpass
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.telegram import TOKEN, TelegramServer
from tests.watchdog.yard import Said, Yard
from watchdog.check_rights import rights
from watchdog.check_state import _folder
from watchdog.journal import Journal
from watchdog.lock import Lock


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "bot")


def line(said: Said, what: str) -> str:
    """The line about `what`, with the lines below that belong to it."""
    found = re.search(rf"^(?:good|note|BAD ) +{re.escape(what)} .*\n(?: .*\n)*", said.out, re.MULTILINE)
    assert found, f"nothing about {what}:\n{said.out}"
    return found[0]


def grade(said: Said, what: str) -> str:
    return line(said, what).split()[0]


def bad(said: Said) -> list[str]:
    return re.findall(r"^BAD +(.+?)  ", said.out, re.MULTILINE)


def telegram(server: TelegramServer, token: str = TOKEN) -> dict[str, Any]:
    return {"token": token, "chat_id": -100123, "base_url": server.base_url}


def test_a_good_house_is_good_from_the_first_line_to_the_last(yard: Yard) -> None:
    said = yard.cli("check")
    assert said.code == 0, said.out
    assert bad(said) == []
    for what in ("configuration", "state_dir", "registry.path", "control_dir", "bot command", "trade log"):
        assert grade(said, what) == "good", said.out
    for what in ("version v1.9.0", "version v2.0.0", "version v2.1.0 (current)", "rollback target"):
        assert grade(said, what) == "good", said.out
    assert "v2.0.0, verified" in line(said, "rollback target")
    assert grade(said, "bot log") == "good"
    assert grade(said, "import name") == "good"
    for what in ("exchange", "bot process", "watchdog", "telegram"):
        assert grade(said, what) == "note", said.out
    assert "ready to guard this bot" in said.out


def test_looking_changes_nothing(yard: Yard) -> None:
    before = sorted((str(path), path.stat().st_mtime_ns) for path in yard.top.rglob("*"))
    yard.cli("check")
    assert sorted((str(path), path.stat().st_mtime_ns) for path in yard.top.rglob("*")) == before


# -- folders and rights


def test_a_control_folder_for_everybody_is_bad_and_the_chmod_is_said(yard: Yard) -> None:
    yard.control.mkdir()
    yard.control.chmod(0o777)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["control_dir"])
    assert f"-> chmod o-w {yard.control}" in said.out
    yard.control.chmod(stat.S_IMODE(yard.control.stat().st_mode) & ~stat.S_IWOTH)
    assert yard.cli("check").code == 0, "the remedy is not enough"


def test_a_state_folder_for_everybody_is_bad(yard: Yard) -> None:
    yard.state.mkdir()
    yard.state.chmod(0o777)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["state_dir"])
    assert f"-> chmod o-w {yard.state}" in said.out
    yard.state.chmod(0o700)
    assert yard.cli("check").code == 0, "the remedy is not enough"


def test_a_state_folder_that_cannot_be_made_is_bad_and_its_parent_stays_its_owners(tmp_path: Path) -> None:
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        found = _folder("state_dir", Path("/var/lib/no-such-watchdog"), private=True)
        who = os.geteuid()
    finally:
        if user == 0:
            os.seteuid(0)
    assert found.grade == "bad"
    assert found.mend == f"as root: install -d -m 0700 -o {who} /var/lib/no-such-watchdog"


def test_a_journal_for_everybody_is_bad(yard: Yard) -> None:
    yard.state.mkdir()
    Journal(yard.state / "watchdog.db").close()
    (yard.state / "watchdog.db").chmod(0o666)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["state_dir"])
    assert f"-> chmod o-w {yard.state}/watchdog.db" in said.out


def test_a_configuration_for_everybody_is_bad(yard: Yard) -> None:
    yard.path.chmod(0o666)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["configuration"])
    assert f"and so decide what is run as {getpass.getuser()}" in said.out
    assert f"-> chmod o-w {yard.path}" in said.out


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://proxy.example", True),
        ("http://192.0.2.7:8081", True),
        ("https://proxy.example", False),
        ("http://127.0.0.1:1", False),
        ("http://[::1]:1", False),
        ("http://localhost:1", False),
    ],
)
def test_a_secret_that_leaves_the_machine_unencrypted_is_told(yard: Yard, url: str, told: bool) -> None:
    yard.configure(telegram={"token": TOKEN, "chat_id": 1, "base_url": url})
    found = [f for f in rights(yard.settings) if "unencrypted" in f.found]
    assert [(f.what, f.grade) for f in found] == ([("telegram", "note")] if told else [])


def test_a_folder_on_the_way_for_everybody_is_told(yard: Yard) -> None:
    yard.top.chmod(0o777)
    said = yard.cli("check")
    assert said.code == 0
    for what in ("state_dir", "control_dir", "configuration"):
        assert re.search(rf"note +{what} .*everybody on this machine can write to {yard.top}", said.out), what


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_folders_that_may_not_be_written_to_are_bad(yard: Yard) -> None:
    (yard.top / "models_saved").chmod(0o500)
    yard.top.chmod(0o500)
    try:
        said = yard.process("check", without_rights=True)
    finally:
        yard.top.chmod(0o700)
        (yard.top / "models_saved").chmod(0o700)
    assert said.code == 1
    assert {"state_dir", "registry.path"} <= set(bad(said)), said.out
    assert f"-> chown {os.geteuid()} {yard.top / 'models_saved'}" in said.out


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere")
def test_who_only_observes_needs_no_right_to_write_the_registry(yard: Yard) -> None:
    yard.configure(mode="observe")
    (yard.top / "models_saved").chmod(0o500)
    said = yard.process("check", without_rights=True)
    (yard.top / "models_saved").chmod(0o700)
    assert said.code == 0, said.out
    assert grade(said, "registry.path") == "note"
    assert grade(said, "mode") == "note"


def test_a_file_in_the_place_of_a_folder_is_bad(yard: Yard) -> None:
    yard.state.write_text("")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["state_dir"])


def test_a_secret_in_a_file_that_everybody_reads_is_bad(yard: Yard) -> None:
    with TelegramServer() as server:
        yard.configure(telegram=telegram(server))
        yard.path.chmod(0o644)
        said = yard.cli("check")
        assert (said.code, bad(said)) == (1, ["secrets"])
        assert f"chmod o-r {yard.path}" in line(said, "secrets")
        assert TOKEN not in said.out + said.err
        yard.path.chmod(0o640)
        assert yard.cli("check").code == 0
        yard.configure(telegram=telegram(server, "${YARD_TOKEN}"))
        yard.path.chmod(0o644)
        said = yard.cli("check", YARD_TOKEN=TOKEN)
        assert said.code == 0, said.out
        assert "secrets" not in said.out


# -- the bot and its logs


def test_a_command_that_is_not_there_is_bad(yard: Yard) -> None:
    yard.configure(bot={"process": {"command": ["no-such-program", "main.py"]}})
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["bot command"])
    assert "full path" in line(said, "bot command")


def test_a_program_is_looked_for_where_the_bot_runs_and_must_be_executable(yard: Yard) -> None:
    program = yard.top / "run-bot"
    program.write_text("#!/bin/sh\n")
    yard.configure(bot={"process": {"command": ["./run-bot"]}})
    assert "may not be executed" in line(yard.cli("check"), "bot command")
    program.chmod(0o755)
    assert grade(yard.cli("check"), "bot command") == "good"


def test_a_script_that_is_not_there_is_bad(yard: Yard) -> None:
    (yard.top / "main.py").rename(yard.top / "bot.py")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["bot command"])
    assert str(yard.top / "main.py") in said.out


def test_a_directory_that_is_not_there_is_bad(yard: Yard) -> None:
    yard.configure(bot={"process": {"command": ["python"], "directory": "elsewhere"}})
    assert bad(yard.cli("check")) == ["bot directory"]


def test_the_python_of_the_watchdog_itself_is_worth_a_note(yard: Yard) -> None:
    if not Path(sys.prefix, "bin", "python").exists():
        pytest.skip("this Python is in no environment")
    yard.configure(bot={"process": {"command": ["python", "main.py"]}})
    said = yard.cli("check", PATH=f"{sys.prefix}/bin")
    assert said.code == 0
    assert re.search(r"^note +bot command", said.out, re.MULTILINE), said.out


def test_a_bot_that_runs_will_be_adopted_and_a_second_one_is_bad(yard: Yard) -> None:
    with yard.bot() as first:
        said = yard.cli("check")
        assert said.code == 0, said.out
        assert f"pid {first.pid}; it will be adopted" in line(said, "bot process")
        with yard.bot() as second:
            said = yard.cli("check")
        assert (said.code, bad(said)) == (1, ["bot process"])
        assert "2 bots run at once" in said.out
        assert str(first.pid) in said.out
        assert str(second.pid) in said.out


def test_a_bot_that_has_never_run_has_no_logs_yet(yard: Yard) -> None:
    yard.log.unlink()
    yard.trades.unlink()
    said = yard.cli("check")
    assert said.code == 0, said.out
    assert grade(said, "trade log") == grade(said, "bot log") == "note"


def test_a_missing_trade_log_beside_another_log_is_a_slip_of_the_pen(yard: Yard) -> None:
    yard.configure(trade_log={"path": "logs/trade.jsonl", "initial_equity": 2000})
    (yard.top / "logs" / "predictions.jsonl").touch()
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["trade log"])
    assert "trade.jsonl is not there, but predictions.jsonl, trades.jsonl beside it" in line(
        said, "trade log"
    )
    yard.trades.unlink()
    predictions = {"predictions": "logs/predictions.jsonl"}
    yard.configure(trade_log={"path": "logs/trade.jsonl", "initial_equity": 2000}, monitor=predictions)
    said = yard.cli("check")
    assert (said.code, grade(said, "trade log")) == (0, "note"), said.out


def test_keys_that_a_bot_of_the_watchdog_would_lack_are_named_and_never_shown(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "hunter2")
    monkeypatch.setenv("DB_PASSWORD", "hunter3")
    monkeypatch.setenv("COLOUR", "hunter4")
    with yard.bot():
        said = yard.process("check", BINANCE_API_KEY="", DB_PASSWORD="another")
        assert grade(said, "bot keys") == "note", said.out
        assert (
            "started with BINANCE_API_KEY in its environment; one that a watchdog with this command's"
            in said.out
        )
        assert "EnvironmentFile=" in said.out
        assert "hunter" not in said.out
        assert "bot keys" not in yard.process("check").out
        with yard.daemon():  # this process, which was itself started without it
            said = yard.process("check")
    assert f"one that the watchdog (pid {os.getpid()}) starts would lack" in line(said, "bot keys")


def test_model_files_that_no_version_names_are_told(yard: Yard) -> None:
    for name in ("rl_agent_v2.1.0.zip", "config.json", "model.yaml"):
        (yard.top / "models_saved" / name).write_bytes(b"x")
    yard.write_log(
        "Loading RL agent from ./models_saved/rl_agent_v2.1.0.zip",
        "Loading ensemble model from ./models_saved/gone_v2.1.0.bin",
        "Ensemble model loaded successfully in 2.5s",
        "Loading model from models_saved/model.yaml",
        "Loading model from models_saved/registry.json",
        "Reading models_saved/config.json",
        "the end",
    )
    said = yard.cli("check")
    assert (said.code, grade(said, "model files")) == (0, "note"), said.out
    assert "the bot loads ./models_saved/rl_agent_v2.1.0.zip, which no version" in line(said, "model files")
    agent = {"rl_agent": yard.top / "models_saved" / "rl_agent_v2.1.0.zip"}
    yard.registry.register_model(yard.model("v2.1.0"), "v2.1.1", {}, artifacts=agent)
    assert "model files" not in yard.cli("check").out


def test_a_bot_that_runs_and_logs_nothing_where_it_should_is_bad(yard: Yard) -> None:
    yard.configure(bot={"log": "logs/other.log"})
    with yard.bot():
        said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["bot log"])
    assert "set bot.log" in line(said, "bot log")


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root reads everything")
def test_logs_that_may_not_be_read_are_bad(yard: Yard) -> None:
    yard.log.chmod(0)
    yard.trades.chmod(0)
    said = yard.process("check", without_rights=True)
    assert said.code == 1
    assert set(bad(said)) == {"trade log", "bot log"}, said.out
    assert "permission denied" in line(said, "trade log")


def test_a_folder_in_the_place_of_a_log_is_bad(yard: Yard) -> None:
    yard.trades.unlink()
    yard.trades.mkdir()
    assert bad(yard.cli("check")) == ["trade log"]


def test_another_file_is_no_trade_log(yard: Yard) -> None:
    yard.trades.write_text('{"type": "prediction", "value": 1}\nnonsense\n')
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["trade log"])
    assert "nonsense" in line(said, "trade log")


def test_unusable_lines_are_counted_and_do_no_harm(yard: Yard) -> None:
    yard.trades.write_text(yard.trades.read_text() + "nonsense\n")
    said = yard.cli("check")
    assert said.code == 0
    assert "1 records, 1 lines that cannot be used" in line(said, "trade log")


def test_a_log_that_never_names_what_the_bot_loads_is_bad(yard: Yard) -> None:
    yard.log.write_text("2026-03-01 10:00:00,000 - bot - INFO - Trading\n")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["bot log"])
    assert "no restart can be proved" in said.out


def test_a_log_of_another_format_is_bad(yard: Yard) -> None:
    yard.log.write_text("INFO:root:Loading ensemble_v2.1.0.bin\n")
    assert bad(yard.cli("check")) == ["bot log"]


def test_an_empty_log_is_worth_a_note(yard: Yard) -> None:
    yard.log.write_text("")
    said = yard.cli("check")
    assert (said.code, grade(said, "bot log")) == (0, "note")


# -- the time zone


@pytest.mark.parametrize(("off", "side"), [(timedelta(hours=2), "ahead of"), (timedelta(hours=-2), "behind")])
def test_records_in_another_time_zone_are_worth_a_note(yard: Yard, off: timedelta, side: str) -> None:
    at = (datetime.now(UTC) + off).replace(tzinfo=None)
    yard.write_trades({"type": "exit", "timestamp": at.isoformat(), "pnl": 1.0})
    said = yard.cli("check")
    assert said.code == 0
    note = line(said, "time zone")
    assert note.startswith("note")
    assert f"2 h {side}" in note
    assert "check bot.timezone (now UTC)" in note


def test_records_in_the_time_zone_of_the_configuration_are_not_worth_one(yard: Yard) -> None:
    yard.configure(bot={"timezone": "Etc/GMT-2"})
    at = (datetime.now(UTC) + timedelta(hours=2)).replace(tzinfo=None)
    yard.write_trades({"type": "exit", "timestamp": at.isoformat(), "pnl": 1.0})
    assert "time zone" not in yard.cli("check").out


def test_a_quarter_of_an_hour_is_no_time_zone(yard: Yard) -> None:
    written = datetime.fromtimestamp(yard.trades.stat().st_mtime, UTC).timestamp()
    os.utime(yard.trades, (written, written + 14 * 60))
    assert "time zone" not in yard.cli("check").out
    os.utime(yard.trades, (written, written + 16 * 60))
    assert "time zone" in yard.cli("check").out


# -- the registry


def test_a_registry_that_is_not_there_is_bad(yard: Yard) -> None:
    yard.configure(registry={"path": "elsewhere"})
    said = yard.cli("check")
    assert said.code == 1
    assert {"registry.path", "registry"} <= set(bad(said))
    assert "set registry.path" in said.out


def test_a_registry_that_is_no_json_is_bad(yard: Yard) -> None:
    yard.registry.path.write_text('{"models": ')
    said = yard.cli("check")
    assert said.code == 1
    assert "registry" in bad(said)


def test_a_registry_without_a_current_version_is_bad(yard: Yard) -> None:
    yard.registry.path.write_text('{"models": {}, "current_version": null, "history": []}')
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["registry"])


def test_a_damaged_current_version_is_bad(yard: Yard) -> None:
    yard.model("v2.1.0").write_bytes(b"")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["version v2.1.0 (current)"])
    assert "restore the file from a backup" in line(said, "version v2.1.0 (current)")


def test_a_damaged_target_is_bad_although_an_older_one_would_do(yard: Yard) -> None:
    yard.model("v2.0.0").write_bytes(b"damaged")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["version v2.0.0"])
    assert "v1.9.0, verified" in line(said, "rollback target")


def test_a_damaged_old_version_is_worth_a_note(yard: Yard) -> None:
    yard.model("v1.9.0").unlink()
    said = yard.cli("check")
    assert said.code == 0, said.out
    assert grade(said, "version v1.9.0") == "note"


def test_without_a_version_to_go_back_to_a_rollback_would_be_a_halt(yard: Yard) -> None:
    yard.model("v2.0.0").unlink()
    yard.model("v1.9.0").unlink()
    said = yard.cli("check")
    assert said.code == 1
    assert "rollback target" in bad(said)
    assert "v2.0.0" in line(said, "rollback target")


def test_a_current_version_that_was_rolled_back_from_is_bad(yard: Yard) -> None:
    yard.registry.rollback()
    data = yard.registry.path.read_text().replace(
        '"current_version": "v2.0.0"', '"current_version": "v2.1.0"'
    )
    yard.registry.path.write_text(data)
    said = yard.cli("check")
    assert "version v2.1.0 (current)" in bad(said), said.out


def test_a_fixed_name_that_points_elsewhere_is_bad_and_the_remedy_works(yard: Yard) -> None:
    yard.configure(registry={"path": "models_saved", "links": {"ensemble_model.bin": "main"}})
    (yard.top / "models_saved" / "ensemble_model.bin").symlink_to("ensemble_v1.9.0.bin")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["links"])
    command = re.search(r'\S+ -P -c ".+"', said.out)
    assert command
    subprocess.run(shlex.split(command[0]), check=True, cwd=yard.top)
    said = yard.cli("check")
    assert (said.code, grade(said, "links")) == (0, "good"), said.out


# -- watchdogs, journal, Telegram, the name


def test_a_running_watchdog_is_good_and_named(yard: Yard) -> None:
    with yard.daemon():
        said = yard.cli("check")
    assert said.code == 0
    assert f"runs as pid {os.getpid()}" in line(said, "watchdog")


def test_a_watchdog_with_another_state_folder_on_the_same_registry_is_bad(yard: Yard) -> None:
    other = Lock(yard.top / "models_saved" / "registry.json.watchdog")
    other.take()
    try:
        said = yard.cli("check")
    finally:
        other.release()
    assert (said.code, bad(said)) == (1, ["watchdog"])
    assert f"another watchdog (pid {os.getpid()}) acts on the same registry" in said.out


def test_a_halt_and_a_pause_in_force_are_worth_a_note(yard: Yard) -> None:
    with yard.journal() as journal:
        journal.put("halted", {"since": AT_TEXT, "why": "it lost", "by": "ops", "incident": 1})
    yard.control.mkdir(mode=0o700)
    (yard.control / "PAUSE").write_text("deploying")
    said = yard.cli("check")
    assert said.code == 0
    assert "it lost" in line(said, "halt")
    assert "deploying" in line(said, "pause")


AT_TEXT = "2026-03-01T10:00:00+00:00"


def test_a_journal_that_is_no_database_is_bad(yard: Yard) -> None:
    yard.state.mkdir()
    (yard.state / "watchdog.db").write_text("this is no database, however long it may be")
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["journal"])


def test_telegram_is_asked_who_the_bot_is(yard: Yard) -> None:
    with TelegramServer() as server:
        yard.configure(telegram=telegram(server))
        yard.path.chmod(0o600)
        said = yard.cli("check")
        assert said.code == 0, said.out
        assert "@model_watchdog_bot" in line(said, "telegram")
        assert server.calls == [("getMe", "ok")]
        assert server.messages == []


def test_a_wrong_token_is_bad_and_is_not_repeated(yard: Yard) -> None:
    wrong = "123456:AAAA-wrong-token-wrong-token-wrong"
    with TelegramServer() as server:
        yard.configure(telegram=telegram(server, wrong))
        yard.path.chmod(0o600)
        said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["telegram"])
    assert "@BotFather" in line(said, "telegram")
    assert wrong.partition(":")[2] not in said.out + said.err


def test_a_telegram_that_cannot_be_reached_is_bad(yard: Yard) -> None:
    with TelegramServer() as server:
        yard.configure(telegram=telegram(server))
        yard.path.chmod(0o600)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["telegram"])
    assert server.base_url in line(said, "telegram")


def test_the_unrelated_package_of_the_same_name_is_named(yard: Yard, tmp_path: Path) -> None:
    info = tmp_path / "site" / "watchdog-6.0.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watchdog\nVersion: 6.0.0\n")
    said = yard.process("check", PYTHONPATH=str(info.parent))
    assert (said.code, bad(said)) == (1, ["import name"])
    assert "watchdog 6.0.0" in said.out
    assert "environment of its own" in said.out


def test_what_is_switched_off_is_said(yard: Yard) -> None:
    yard.configure(triggers={"sharpe": {"enabled": False}})
    assert "switched off: sharpe" in line(yard.cli("check"), "rules")


def test_one_part_that_fails_stops_no_other(yard: Yard) -> None:
    yard.configure(registry={"path": "models_saved"})
    data = yard.registry.path.read_text().replace('"models": {', '"models": {"odd": [], ', 1)
    yard.registry.path.write_text(data)
    said = yard.cli("check")
    assert grade(said, "import name") == "good", said.out
    assert "version odd" in said.out


# -- the dry run


def test_without_a_dry_run_it_is_said_what_that_means(yard: Yard) -> None:
    said = yard.cli("check")
    assert (said.code, grade(said, "dry run")) == (0, "note")
    assert "known only once it is needed" in line(said, "dry run")


def test_a_dry_run_that_can_be_rehearsed_is_good_and_is_not_run_by_a_check(yard: Yard) -> None:
    trap = yard.top / "was-run"
    (yard.top / "main.py").write_text(f"open({str(trap)!r}, 'w')")
    yard.configure(bot={"dry_run": [sys.executable, "main.py", "--dry-run"]})
    said = yard.cli("check")
    assert grade(said, "dry run") == "good"
    assert "daily in a copy of the bot's folder" in line(said, "dry run")
    assert grade(said, "rehearsal") == "note"
    assert "must end by itself and must not trade" in line(said, "rehearsal")
    assert not trap.exists()


def test_a_dry_run_that_cannot_be_rehearsed_is_a_note_with_the_remedy(yard: Yard, tmp_path: Path) -> None:
    log = tmp_path / "elsewhere.log"
    log.write_text((yard.top / "logs" / "trading_bot.log").read_text())
    yard.configure(bot={"dry_run": [sys.executable, "main.py", "--dry-run"], "log": str(log)})
    said = yard.cli("check")
    assert grade(said, "dry run") == "note"
    assert "and not daily: bot.log" in line(said, "dry run")
    assert "-> write {registry} into bot.dry_run" in line(said, "dry run")


def test_a_dry_run_that_cannot_be_executed_is_bad(yard: Yard) -> None:
    yard.configure(bot={"dry_run": ["no-such-program"]})
    said = yard.cli("check")
    assert (said.code, bad(said)) == (1, ["dry run"])


def test_a_dry_run_that_is_none_is_bad(yard: Yard) -> None:
    command = [sys.executable, "main.py", "--dryrun"]
    yard.configure(bot={"dry_run": command})
    found = {
        "version": "v2.0.0",
        "at": datetime.now(UTC).isoformat(),
        "ok": False,
        "seconds": 120.0,
        "told": True,
    }
    with yard.journal() as journal:
        journal.put("rehearsal", found | {"what": "", "said": "it did not end", "no_dry_run": command})
    said = yard.cli("check")
    assert grade(said, "rehearsal") == "BAD"
    assert "bot.dry_run is no dry run" in line(said, "rehearsal")


@pytest.mark.parametrize(("ok", "marked"), [(True, "good"), (False, "BAD"), (None, "note")])
def test_the_last_rehearsal_is_shown(yard: Yard, ok: bool | None, marked: str) -> None:
    yard.configure(bot={"dry_run": [sys.executable, "main.py", "--dry-run"]})
    at = (datetime.now(UTC) - timedelta(hours=3, minutes=5)).isoformat()
    found = {"version": "v2.0.0", "at": at, "ok": ok, "seconds": 38.0, "said": "it ended with exit code 1"}
    found |= {"what": "", "told": False}
    with yard.journal() as journal:
        journal.put("rehearsal", found)
    said = yard.cli("check")
    assert grade(said, "rehearsal") == marked
    assert "v2.0.0" in line(said, "rehearsal")
    if ok:
        assert "ready to roll back to v2.0.0 (rehearsed 3 h ago, 38 s)" in line(said, "rehearsal")


def test_a_bot_that_is_halted_is_not_said_to_be_started(yard: Yard) -> None:
    yard.tick()
    with yard.journal() as journal:
        journal.put("halted", {"since": AT_TEXT, "why": "it lost", "by": "ops", "incident": 1})
    said = yard.cli("check")
    assert "it is halted, and stays down until a resume" in line(said, "bot process")
    assert "will start it" not in said.out
