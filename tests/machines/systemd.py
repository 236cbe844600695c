"""A machine with a real systemd, for tests: its PID 1 in namespaces of its own, over a throw-away copy of `/`.

It boots in half a second and needs root. Its network is the host's (127.0.0.1 is the same), its processes have pids of
their own. The project is /srv/project in it, read-only.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).parents[2]
INIT = Path("/lib/systemd/systemd")
PROGRAMS = ("unshare", "nsenter", "setpriv", "systemctl", "bash")
BOOT_S = 60.0
PATIENCE_S = 60.0

long = pytest.mark.skipif(
    not (os.environ.get("CI") or os.environ.get("MODEL_WATCHDOG_THOROUGH") == "1"),
    reason="takes long: CI=true or MODEL_WATCHDOG_THOROUGH=1 runs it",
)
"""For what keeps a machine busy for more than a few seconds."""

PYTHON = f"/srv/python/bin/python3.{sys.version_info.minor}"
"""The interpreter of the tests, as every user of the machine may run it."""
PYTHONPATH = ":".join(
    ["/srv/project", "/srv/project/" + str(Path(sysconfig.get_path("purelib")).relative_to(PROJECT))]
    if Path(sysconfig.get_path("purelib")).is_relative_to(PROJECT)
    else ["/srv/project", sysconfig.get_path("purelib")]
)
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LD_LIBRARY_PATH": "/srv/python/lib",  # where an interpreter was built elsewhere, and has a library of its own
    "PYTHONPATH": PYTHONPATH,
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""Of commands run in the machine, and for units of the project's own programs."""


class MachineError(Exception):
    """The machine does not boot, or a command in it failed."""


@dataclass(frozen=True)
class Machine:
    """A running one. `pid` is its PID 1, as the host counts."""

    pid: int

    def argv(self, *command: str) -> list[str]:
        """`command`, to be run by the host in the machine."""
        return ["nsenter", "--target", str(self.pid), "--all", "--", *command]

    def run(
        self,
        *command: str,
        check: bool = True,
        text: str = "",
        timeout_s: float = PATIENCE_S,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command as root, with `text` as its input; MachineError, with all it said, if it fails."""
        done = subprocess.run(
            self.argv("timeout", "--kill-after=1", str(timeout_s), *command),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env={**ENVIRONMENT, **(environ or {})},
            timeout=timeout_s + 10,
        )
        if check and done.returncode:
            raise MachineError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """What `systemctl` says."""
        return self.run("systemctl", *arguments, check=check).stdout

    def prop(self, unit: str, name: str) -> str:
        """One property of a unit, such as MainPID (as the machine counts pids)."""
        return self.systemctl("show", "--property", name, "--value", unit).strip()

    def path(self, path: str | Path) -> Path:
        """A path of the machine, for the host to read."""
        return Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def write(self, path: str | Path, text: str, mode: int = 0o644, owner: str = "root") -> None:
        """Writes a file, with its folders."""
        target = self.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)
        if owner != "root":
            self.run("chown", f"{owner}:", str(path))

    def read(self, path: str | Path) -> str:
        """The text of a file."""
        return self.path(path).read_text(encoding="utf-8")

    def install(self, unit: str, text: str, folder: str = "/etc/systemd/system") -> None:
        """Writes a unit (or a drop-in: `x.service.d/y.conf`) and has systemd read it."""
        self.write(f"{folder}/{unit}", text)
        self.systemctl("daemon-reload")

    def remove(self, unit: str, folder: str = "/etc/systemd/system") -> None:
        """Kills a unit and forgets it, with its drop-ins."""
        self.systemctl("kill", "--signal=KILL", unit, check=False)
        self.systemctl("stop", unit, check=False)
        self.path(f"{folder}/{unit}").unlink(missing_ok=True)
        shutil.rmtree(self.path(f"{folder}/{unit}.d"), ignore_errors=True)
        self.systemctl("daemon-reload")
        self.systemctl("reset-failed", unit, check=False)

    def journal(self, unit: str, lines: int = 200) -> str:
        """What a unit said, and systemd about it."""
        return self.run("journalctl", "--no-pager", f"--lines={lines}", "--output=cat", "--unit", unit).stdout

    def user(self, name: str) -> int:
        """Makes sure that there is such a user; the uid."""
        if self.run("id", "-u", name, check=False).returncode:
            self.run("useradd", "--create-home", "--shell", "/bin/bash", name)
        return int(self.run("id", "-u", name).stdout)

    def user_manager(self, name: str) -> dict[str, str]:
        """Starts the user's own systemd, as at boot for one who lingers; the environment that `--user` needs."""
        uid = self.user(name)
        self.systemctl("start", "dbus.service", "systemd-logind.service")
        self.run("loginctl", "enable-linger", name)
        self.systemctl("start", f"user@{uid}.service")
        return {"XDG_RUNTIME_DIR": f"/run/user/{uid}"}


def cgroup2() -> Path | None:
    """Where the control groups of version 2 are mounted, None if they are not."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


def why_not() -> str | None:
    """What is missing here for a machine, None if it can be tried."""
    if os.geteuid() != 0:
        return "booting a systemd needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if not INIT.exists() or missing:
        return f"not installed: {', '.join([] if INIT.exists() else ['systemd']) or ', '.join(missing)}"
    if cgroup2() is None:
        return "control groups of version 2 are not mounted"
    return None


@contextmanager
def boot() -> Iterator[Machine]:
    """One machine, which is gone afterwards with all its processes, mounts and control groups."""
    base = Path(tempfile.mkdtemp(prefix="model-watchdog-machine-"))
    groups = cgroup2()
    assert groups is not None
    keeper = subprocess.Popen(
        [
            "bash", "-eu", str(Path(__file__).with_name("boot.sh")),
            str(base), str(groups / base.name), str(PROJECT), sys.base_prefix,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield _booted(keeper, base.with_name(base.name + ".log"))
    finally:
        keeper.communicate(timeout=PATIENCE_S)


def _booted(keeper: subprocess.Popen[str], log: Path) -> Machine:
    assert keeper.stdout is not None
    first = keeper.stdout.readline()
    deadline = time.monotonic() + BOOT_S
    state = "no process"
    while first and time.monotonic() < deadline:
        try:
            children = psutil.Process(int(first)).children()
        except psutil.NoSuchProcess:
            break
        if children and (state := _state(Machine(children[0].pid))) in {"running", "degraded"}:
            return Machine(children[0].pid)
        time.sleep(0.05)
    said = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    raise MachineError(f"the machine did not boot ({state}): {said.strip() or 'it said nothing'}")


def _state(machine: Machine) -> str:
    try:
        if Path(f"/proc/{machine.pid}/exe").readlink().name != "systemd":
            return "laying out its file system"
        return machine.run("systemctl", "is-system-running", check=False).stdout.strip()
    except OSError:
        return "gone"


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """One for all tests of a run (of a worker, with pytest-xdist). To be imported by a conftest.py; mark its tests
    `privileged`. In CI it must boot; elsewhere its tests are skipped with the reason."""
    needed = bool(os.environ.get("CI"))
    reason = why_not()
    if reason is not None and not needed:
        pytest.skip(reason)
    try:
        context = boot()
        booted = context.__enter__()
    except MachineError as error:
        if needed:
            raise
        pytest.skip(str(error))
    try:
        yield booted
    finally:
        context.__exit__(None, None, None)
