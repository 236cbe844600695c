"""Who calls, as whom, and without the service's secrets: a root shell at 3 a.m."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import ConfigError
from tests.watchdog.yard import Yard
from watchdog.caller import become_owner, load_without_secrets, who

TELEGRAM = {"token": "${BOT_TOKEN}", "chat_id": "${CHAT_ID}"}
EXCHANGE = {
    "kind": "binance_usdm",
    "api_key": "${API_KEY}",
    "api_secret": "${API_SECRET}",
    "symbols": ["SOLUSDT"],
}
NAMES = ["API_KEY", "API_SECRET", "BOT_TOKEN", "CHAT_ID"]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts as somebody else")
NOBODY = 65534


OTHER = ("setpriv", "--reuid=65533", "--regid=65533", "--clear-groups")


@pytest.fixture
def another_user() -> list[str]:
    """What goes before a command line to run it as somebody else."""
    tried = [*OTHER, sys.executable, "-c", "import watchdog.cli"]
    if subprocess.run(tried, cwd="/", capture_output=True, check=False).returncode:
        pytest.skip("another user cannot come through to the sources or to Python")
    return list(OTHER)


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "bot", telegram=TELEGRAM, exchange=EXCHANGE)


# -- secrets


def test_secrets_that_are_not_set_here_can_be_done_without(yard: Yard) -> None:
    settings, unset = load_without_secrets(yard.path, {})
    assert unset == NAMES
    assert settings.bot.name == "sol-perp"
    settings, unset = load_without_secrets(yard.path, dict.fromkeys(NAMES, "123:abc") | {"CHAT_ID": "-7"})
    assert (unset, settings.telegram and settings.telegram.chat_id) == ([], -7)


def test_what_can_be_had_is_taken(yard: Yard) -> None:
    settings, unset = load_without_secrets(yard.path, {"BOT_TOKEN": "123:abc"})
    assert unset == ["API_KEY", "API_SECRET", "CHAT_ID"]
    assert settings.telegram is not None
    assert settings.telegram.token.get_secret_value() == "123:abc"


def test_a_path_is_no_secret_and_is_never_made_up(yard: Yard) -> None:
    yard.configure(telegram=TELEGRAM, state_dir="${STATE}")
    with pytest.raises(ConfigError, match="state_dir: the variable STATE is not set"):
        load_without_secrets(yard.path, {})


def test_any_other_mistake_is_told_with_all_the_rest(yard: Yard) -> None:
    yard.configure(telegram={**TELEGRAM, "no_such_key": 1})
    with pytest.raises(ConfigError) as caught:
        load_without_secrets(yard.path, {})
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("command", ["status", "incidents", "pause", "resume", "rollback --dry-run"])
def test_commands_of_people_need_no_secrets(yard: Yard, command: str) -> None:
    said = yard.cli(*command.split())
    assert said.code == (1 if command == "status" else 0), said.err
    assert (
        said.err
        == "API_KEY, API_SECRET, BOT_TOKEN, CHAT_ID: not set in this shell; this command does without\n"
    )


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_service_and_its_check_need_them(yard: Yard, command: str) -> None:
    said = yard.cli(command)
    assert said.code == 2
    for name in NAMES:
        assert f"the variable {name} is not set" in said.err


def test_a_bot_is_halted_also_where_nobody_can_be_told(yard: Yard) -> None:
    yard.configure(telegram={**TELEGRAM, "base_url": "http://127.0.0.1:9"})
    with yard.bot() as bot:
        said = yard.process("halt", "--reason", "now")
        assert said.code == 0, said.out + said.err
        assert bot.wait(5) != 0
    found = yard.cli("status", "--json").json
    assert found["state"] == "halted"
    assert found["outbox"]["waiting"] > 0, "the alerts wait for the service"


# -- who


def test_the_person_behind_sudo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.delenv("SUDO_USER", raising=False)
    assert who() == "root"
    monkeypatch.setenv("SUDO_USER", "anna")
    assert who() == "anna as root"
    monkeypatch.setenv("LOGNAME", "anna")
    assert who() == "anna"


# -- as whom


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that other users can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_its_own_folder_changes_nothing(tmp_path: Path) -> None:
    assert become_owner(tmp_path) is None
    assert become_owner(tmp_path / "not there") is None


@needs_root
def test_root_acts_as_the_owner_of_the_state_folder(open_folder: Path) -> None:
    state = open_folder / "state"
    state.mkdir()
    os.chown(state, NOBODY, NOBODY)
    code = (
        "import json, os, sys, pathlib; from watchdog.caller import become_owner\n"
        "name = become_owner(pathlib.Path(sys.argv[1]))\n"
        "print(json.dumps([name, os.getresuid(), os.getresgid(), os.getgroups(), os.environ['LOGNAME']]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, state], capture_output=True, text=True, check=True)
    name, users, groups, others, logname = json.loads(done.stdout)
    assert users == [NOBODY] * 3
    assert groups == [NOBODY] * 3
    assert 0 not in others
    assert name == logname == "nobody"


@needs_root
@pytest.mark.parametrize("command", ["status", "halt", "pause", "incidents", "rollback"])
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_another_user_is_told_as_whom_to_run_it(
    open_folder: Path, another_user: list[str], command: str, mode: int
) -> None:
    yard = Yard(open_folder / "bot")
    with yard.journal():
        pass
    yard.state.chmod(mode)
    os.chown(yard.state, NOBODY, NOBODY)
    with yard.daemon():
        done = subprocess.run(
            [*another_user, *yard.command(command)], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 1
    assert f"run it as nobody, who owns {yard.state} (sudo -u nobody " in done.stdout + done.stderr
    assert "model-watchdog ...)" in done.stdout + done.stderr


@needs_root
def test_who_may_give_orders_and_not_see_the_watchdog_is_not_told_that_none_runs(
    open_folder: Path, another_user: list[str]
) -> None:
    yard = Yard(open_folder / "bot")
    yard.state.mkdir(mode=0o700)
    yard.control.mkdir()
    os.chown(yard.control, 65533, 65533)
    with yard.daemon():
        done = subprocess.run(
            [*another_user, *yard.command("pause")], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 0, done.stdout
    assert (
        "the pause is laid down; whether a watchdog runs and takes it, this user may not see" in done.stdout
    )
    assert (yard.control / "PAUSE").exists()


@needs_root
def test_an_order_of_root_is_one_that_the_watchdogs_user_could_have_given(open_folder: Path) -> None:
    yard = Yard(open_folder / "bot")
    for path in (yard.state, yard.control):
        path.mkdir(mode=0o700)
        os.chown(path, NOBODY, NOBODY)
    said = yard.process("pause", "--reason", "a test", LOGNAME="root", SUDO_USER="")
    assert said.code == 0, said.err
    assert "acting as nobody" in said.err
    flag = yard.control / "PAUSE"
    assert flag.stat().st_uid == NOBODY
    order = json.loads(flag.read_text())
    assert (order["reason"], order["by"]) == ("a test", "root as nobody")
