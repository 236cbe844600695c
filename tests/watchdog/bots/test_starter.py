import shutil
import sys
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import Zoo, until
from watchdog.bots.starter import owner_in_cgroup, starter_of, who_started

CONTAINER = "4f1c0e5b7a9d" + "0" * 52


@pytest.mark.parametrize(
    ("cgroup", "text", "remedy"),
    [
        ("0::/system.slice/bot.service\n", "systemd unit bot.service", "`systemctl stop bot.service`"),
        (
            "2:cpu:/\n1:name=systemd:/system.slice/bot@a.service\n0::/\n",
            "systemd unit bot@a.service",
            "`control: systemd` with `unit: bot@a.service`",
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/bot.service\n",
            "systemd user unit bot.service",
            "`systemctl --user stop bot.service`",
        ),
        (
            f"0::/system.slice/docker-{CONTAINER}.scope\n",
            "container 4f1c0e5b7a9d (docker)",
            "docker stop 4f1c",
        ),
        (f"5:cpu:/docker/{CONTAINER}\n", "container 4f1c0e5b7a9d (docker)", "control: compose"),
        (
            f"0::/machine.slice/libpod-{CONTAINER}.scope/container\n",
            "container 4f1c0e5b7a9d (libpod)",
            "podman stop 4f1c0e5b7a9d",
        ),
        (
            f"0::/kubepods/besteffort/pod1b2c/{CONTAINER}\n",
            "container 4f1c0e5b7a9d (kubepods)",
            "crictl stop 4f1c0e5b7a9d",
        ),
    ],
)
def test_the_control_group_names_the_owner(cgroup: str, text: str, remedy: str) -> None:
    found = owner_in_cgroup(cgroup)
    assert found is not None
    assert found.text == text
    assert remedy in found.remedy


@pytest.mark.parametrize(
    "cgroup",
    [
        "",
        "0::/\n",
        "0::/user.slice/user-1000.slice/session-3.scope\n",
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope\n",
        "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
        "0::/system.slice/ssh.service\n",
        "0::/system.slice/system-getty.slice/getty@tty1.service\n",
        "4:cpu:/system.slice/bot.service\n",
    ],
)
def test_a_login_session_is_no_owner(cgroup: str) -> None:
    assert owner_in_cgroup(cgroup) is None


def named(folder: Path, name: str) -> str:
    """A shell under another name: a real process that /proc calls `name`."""
    shutil.copy("/bin/sh", folder / name)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("cron", "cron (pid {pid})", "crontab -l"),
        ("supervisord", "supervisord (pid {pid})", "supervisorctl stop NAME"),
        ("PM2 v5.3.0: God", "PM2 v5.3.0: God (pid {pid})", "pm2 stop NAME"),
    ],
)
async def test_schedulers_and_supervisors_are_known(zoo: Zoo, name: str, text: str, remedy: str) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    pid = zoo.run(named(zoo.folder, name), "-c", f"sh -c '{sys.executable} bot.py; true'; true")
    found = starter_of(await zoo.pid("bot"))
    assert found.text == text.format(pid=pid)
    assert remedy in found.remedy


async def test_a_shell_is_named_with_its_command_its_session_and_what_it_runs_under(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    pid = zoo.run("sh", "-c", f"while :; do {sys.executable} bot.py; done")
    found = starter_of(await zoo.pid("bot"))
    assert found.text.startswith(f"sh (pid {pid}: sh -c 'while :; do {sys.executable} bot.py; done')")
    assert f" in session {pid}, under " in found.text
    assert found.text.endswith("(pid 1)")
    assert found.remedy == f"End the shell loop first: `kill {pid}`."


async def test_another_program_is_named_with_its_command(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    zoo.script("keeper.py", "subprocess.run([sys.executable, 'bot.py'])")
    pid = zoo.run(sys.executable, "keeper.py")
    found = starter_of(await zoo.pid("bot"))
    assert f"(pid {pid}: {sys.executable} keeper.py), under " in found.text
    assert found.remedy == f"End that process first: `kill {pid}`."


async def test_a_process_whose_starter_has_ended_says_so(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    zoo.run("sh", "-c", f"{sys.executable} bot.py & exit")
    bot = await zoo.pid("bot")
    await until(lambda: "(pid 1): the process that started it has ended" in who_started(bot))
    assert "systemctl list-timers" in starter_of(bot).remedy


def test_a_process_that_is_gone_was_started_by_nobody_known() -> None:
    assert who_started(2**22 + 1) == "the first process: the process that started it has ended"
