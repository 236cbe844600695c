"""The contract suite once more, for units, and what only units do: within a machine whose PID 1 is a real systemd."""

import os
import signal
from pathlib import Path

import pytest

from tests.machines.systemd import PYTHON, Machine, long, machine
from tests.watchdog.bots.stages import IN_MACHINE

__all__ = ["machine"]

pytestmark = pytest.mark.privileged
HERE = "tests/watchdog/bots"


@long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("suite", ["test_contract.py", "in_systemd.py"])
def test_units_of_a_real_systemd_keep_the_contract(machine: Machine, suite: str) -> None:
    command = [PYTHON, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", f"{HERE}/{suite}"]
    done = machine.run(
        "sh", "-c", 'cd /srv/project && exec "$@"', "sh", *command,
        check=False, environ={IN_MACHINE: "1"}, timeout_s=580,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


ASKS = """
import asyncio
from watchdog.bots.base import BotError
from watchdog.bots.systemctl import Systemctl
from watchdog.bots.systemd import SystemdBot

async def main():
    for ask in ("find", "start"):
        try:
            print(await getattr(SystemdBot("bot.service", Systemctl(answer_s=0.5), 5.0), ask)())
        except BotError as error:
            print(error)

asyncio.run(main())
"""


def test_a_systemd_that_hangs_is_said_so(machine: Machine) -> None:
    os.kill(machine.pid, signal.SIGSTOP)
    try:
        said = machine.run(PYTHON, "-", text=ASKS).stdout.splitlines()
    finally:
        os.kill(machine.pid, signal.SIGCONT)
    assert len(said) == 2
    assert all(line.startswith("systemd did not answer within 0.5 s (`systemctl ") for line in said), said


def test_without_a_bus_an_ordinary_user_is_told_what_is_missing(machine: Machine) -> None:
    machine.user("trading")
    machine.systemctl("stop", "dbus.socket", "dbus.service")
    try:
        as_trading = ("setpriv", "--reuid=trading", "--regid=trading", "--init-groups")
        said = machine.run(*as_trading, PYTHON, "-", text=ASKS).stdout.splitlines()
    finally:
        machine.systemctl("start", "dbus.socket")
    assert all(line.startswith("systemd cannot be reached: Failed to connect to bus") for line in said), said
    assert all("dbus.socket" in line for line in said)
    assert Path(f"/proc/{machine.pid}").exists()
