"""Asking systemd: what is asked, what is made of the answer, and that nobody waits for ever."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import until
from tests.watchdog.bots.fake_systemctl import FakeSystemctl
from watchdog.bots.base import BotError
from watchdog.bots.systemctl import DeniedError, Scope, Systemctl, runtime_dir


@pytest.fixture
def fake(tmp_path: Path) -> FakeSystemctl:
    return FakeSystemctl(tmp_path)


async def test_properties_come_in_the_order_of_the_units(fake: FakeSystemctl) -> None:
    fake.shows({"Id": "a.service", "Result": "x=y"}, {"Id": "b.timer", "Job": ""})
    a, b = await fake.client().show(("Id", "Result", "Job"), "a.service", "b.timer")
    assert (a, b) == ({"Id": "a.service", "Result": "x=y"}, {"Id": "b.timer", "Job": ""})
    assert fake.calls == ["--no-pager --no-ask-password show --property=Id,Result,Job a.service b.timer"]


async def test_an_answer_about_fewer_units_is_an_error(fake: FakeSystemctl) -> None:
    fake.shows({"Id": "a.service"})
    with pytest.raises(BotError, match=r"show a\.service b\.timer` said: Id=a\.service"):
        await fake.client().show(("Id",), "a.service", "b.timer")


@pytest.mark.parametrize(
    "text",
    [
        "Failed to stop bot.service: Interactive authentication required.\nSee system logs and 'systemctl status'.\n",
        "Failed to kill unit bot.service: Access denied\n",
    ],
)
async def test_a_missing_right_is_told_with_the_rule_that_gives_it(fake: FakeSystemctl, text: str) -> None:
    fake.says("stop", err=text, code=1)
    with pytest.raises(DeniedError) as error:
        await fake.client().order("stop", "--no-block", "bot.service")
    assert "may not `systemctl stop bot.service`" in str(error.value)
    assert "systemd/50-model-watchdog.rules" in str(error.value)
    assert "See system logs" not in str(error.value)


async def test_any_other_refusal_is_quoted(fake: FakeSystemctl) -> None:
    fake.says(
        "start", err="Failed to start bot.service: Unit bot.service has a bad unit file setting.\n", code=1
    )
    with pytest.raises(
        BotError, match=r"`systemctl start bot.service` failed: .* bad unit file setting$"
    ) as error:
        await fake.client().order("start", "bot.service")
    assert not isinstance(error.value, DeniedError)


@pytest.mark.parametrize(
    ("scope", "part"),
    [("system", "this machine runs systemd and dbus.socket"), ("user", "loginctl enable-linger")],
)
@pytest.mark.parametrize(
    "text",
    [
        "Failed to connect to bus: No such file or directory",
        "System has not been booted with systemd as init system (PID 1). Can't operate.",
    ],
)
async def test_a_systemd_out_of_reach_is_never_read_as_an_answer(
    fake: FakeSystemctl, scope: Scope, part: str, text: str
) -> None:
    fake.says("show", err=text, code=1)
    with pytest.raises(BotError, match="systemd cannot be reached") as error:
        await fake.client(scope).show(("Id",), "bot.service")
    assert part in str(error.value)


async def test_a_systemctl_that_hangs_is_ended(fake: FakeSystemctl) -> None:
    fake.hangs("show")
    began = time.monotonic()
    with pytest.raises(BotError, match=r"did not answer within 0\.2 s .*reboot"):
        await fake.client(answer_s=0.2).show(("Id",), "bot.service")
    assert time.monotonic() - began < 5
    await until(lambda: not _children("sleep"))


async def test_who_is_no_longer_waited_for_is_ended_too(fake: FakeSystemctl) -> None:
    fake.hangs("start")
    task = asyncio.ensure_future(fake.client().ask("start", "bot.service"))
    await until(lambda: _children("sleep"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not _children("sleep")


def _children(name: str) -> list[int]:
    """Living children of this process with that name."""
    found = []
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        stat = Path(f"/proc/{pid}/stat").read_text()
        if f"({name})" in stat and stat.rpartition(")")[2].split()[0] != "Z":
            found.append(int(pid))
    return found


async def test_a_machine_without_systemd_is_said_so() -> None:
    with pytest.raises(BotError, match=r"/nonexistent/systemctl cannot be run: .*another bot\.control"):
        await Systemctl(program=("/nonexistent/systemctl",)).show(("Id",), "bot.service")


async def test_it_is_asked_in_english_without_secrets(
    fake: FakeSystemctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123:secret")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    fake.shows({"Id": "bot.service"})
    await fake.client("user").show(("Id",), "bot.service")
    assert {"LC_ALL=C", "TZ=UTC", f"XDG_RUNTIME_DIR={runtime_dir()}"} <= set(fake.environment)
    assert not [line for line in fake.environment if line.startswith(("LANG", "TELEGRAM", "NOTIFY"))]
    assert fake.calls == ["--no-pager --no-ask-password --user show --property=Id bot.service"]


def test_a_runtime_folder_that_is_gone_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert runtime_dir() == tmp_path
    own = Path(f"/run/user/{os.geteuid()}")
    for other in ("/proc/1/root/nonexistent", str(tmp_path / "gone")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", other)
        assert runtime_dir() == own
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert runtime_dir() == own
