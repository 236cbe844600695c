"""The machine itself: what other tests take for granted of it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.machines.systemd import ENVIRONMENT, PROJECT, PYTHON, Machine, MachineError, cgroup2

pytestmark = pytest.mark.privileged


def test_units_run_in_it_and_their_journal_is_read(machine: Machine) -> None:
    machine.install(
        "hello.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/echo good morning\n"
    )
    machine.systemctl("start", "hello.service")
    assert machine.prop("hello.service", "ActiveState") == "active"
    assert "good morning" in machine.journal("hello.service")
    machine.remove("hello.service")
    assert machine.prop("hello.service", "LoadState") == "not-found"


def test_the_project_runs_as_a_service_of_an_ordinary_user(machine: Machine) -> None:
    machine.user("trading")
    environ = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    machine.install(
        "ours.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nUser=trading\n"
        f"Environment={environ}\nExecStart={PYTHON} -m watchdog --help\n",
    )
    machine.systemctl("start", "ours.service")
    assert "rollback" in machine.journal("ours.service")
    machine.remove("ours.service")


def test_a_user_has_a_systemd_of_his_own(machine: Machine) -> None:
    environ = machine.user_manager("trading")
    as_user = ("setpriv", "--reuid=trading", "--regid=trading", "--init-groups")
    assert machine.run(*as_user, "systemctl", "--user", "is-active", "default.target", environ=environ)


def test_a_command_that_fails_says_what_it_said(machine: Machine) -> None:
    with pytest.raises(MachineError, match=r"exit 3\nout\nerr"):
        machine.run("sh", "-c", "echo out; echo err >&2; exit 3")


def test_the_host_is_out_of_reach(machine: Machine) -> None:
    machine.write("/etc/only-in-the-machine", "")
    assert not Path("/etc/only-in-the-machine").exists()
    for path in ("/srv/project/README.md", "/proc/sys/kernel/printk", "/sys/kernel/mm/ksm/run"):
        assert machine.run("sh", "-c", f"echo >>{path}", check=False).returncode != 0
    assert machine.run("kill", "-0", str(os.getpid()), check=False).returncode != 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, None])
def test_nothing_is_left_when_the_test_run_ends_or_is_killed(
    end: signal.Signals | None, machine: Machine, tmp_path: Path
) -> None:
    script = """
        import sys
        from tests.machines.systemd import boot
        with boot() as machine:
            machine.run("systemd-run", "--unit=busy", "sleep", "1000")
            print(machine.pid, flush=True)
            sys.stdin.read()
    """
    run = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert run.stdout is not None
    init = psutil.Process(int(run.stdout.readline()))
    inside = [init, *init.children(recursive=True)]
    assert any(process.cmdline() == ["/usr/bin/sleep", "1000"] for process in inside)
    groups = cgroup2()
    assert groups is not None
    (base,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert (groups / base.name / "system.slice").is_dir()
    if end is not None:
        run.send_signal(end)
    run.communicate()
    deadline = time.monotonic() + 30
    while (groups / base.name).exists() or any(tmp_path.iterdir()):
        assert time.monotonic() < deadline, f"left behind: {groups / base.name}, {list(tmp_path.iterdir())}"
        time.sleep(0.02)
    assert not any(_lives(process) for process in inside)
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
