"""The contract suite once more, for units: within a machine whose PID 1 is a real systemd."""

import pytest

from tests.machines.systemd import PYTHON, Machine, long, machine
from tests.watchdog.bots.stages import IN_MACHINE

__all__ = ["machine"]


@long
@pytest.mark.privileged
@pytest.mark.timeout(300)
def test_units_of_a_real_systemd_keep_the_contract(machine: Machine) -> None:
    suite = "tests/watchdog/bots/test_contract.py"
    command = [PYTHON, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", suite]
    done = machine.run(
        "sh", "-c", 'cd /srv/project && exec "$@"', "sh", *command,
        check=False, environ={IN_MACHINE: "1"}, timeout_s=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
