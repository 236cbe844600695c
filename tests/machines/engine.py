"""A container engine of its own, for tests: a throw-away dockerd in a folder, with one tiny image.

It starts in a second, needs root, and has no network. Its images and containers, its containerd, its mounts (in a mount
namespace of their own) and its control groups are gone afterwards. The image has no files of its own: the service that
`service()` describes mounts the host's interpreter into it, read-only.
"""

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

PROGRAMS = ("dockerd", "containerd", "runc", "docker", "docker-compose", "unshare")
BOOT_S = 60.0
CALL_S = 60.0
TRIES = 3
"""A dockerd whose forerunner was killed sometimes gives up waiting for its own containerd."""

IMAGE = "bot:1"
_MERGED = ("bin", "lib", "lib64")


class EngineError(Exception):
    """The engine does not start, or a command failed."""


class Engine:
    """A dockerd on a Unix socket in `base`. `options` are further ones of dockerd."""

    def __init__(self, base: Path, *options: str) -> None:
        self.base, self._options = base, options
        self.socket = base / "engine.sock"
        self.group = base.name
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def environ(self) -> dict[str, str]:
        """What a program needs to find this engine, and no other one."""
        return {"DOCKER_HOST": f"unix://{self.socket}", "DOCKER_CONFIG": str(self.base / "config")}

    @property
    def log(self) -> Path:
        """What dockerd says."""
        return self.base / "dockerd.log"

    # -- dockerd

    def start(self) -> None:
        """Starts dockerd, and returns once it answers."""
        for _ in range(TRIES):
            self._spawn()
            deadline = time.monotonic() + BOOT_S
            while self._processes[-1].poll() is None and time.monotonic() < deadline:
                if self.docker("version", check=False).returncode == 0:
                    return
                time.sleep(0.05)
            self.kill()
        raise EngineError(f"dockerd does not start:\n{self.log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        """SIGTERM to dockerd, which then stops its containers (there is no live-restore)."""
        self._processes[-1].terminate()
        self._processes[-1].wait(CALL_S)

    def kill(self) -> None:
        """SIGKILL to dockerd; containers live on without it."""
        self._processes[-1].kill()
        self._processes[-1].wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """A dockerd that hangs: it takes calls and answers none."""
        self._processes[-1].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._processes[-1].send_signal(signal.SIGCONT)

    def _spawn(self) -> None:
        (self.base / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [
                        # Mounts of containers go with their processes; what the host mounts later is seen.
                        "unshare", "--mount", "--propagation", "slave",
                        "dockerd", "--host", f"unix://{self.socket}", "--data-root", str(self.base / "data"),
                        "--exec-root", str(self.base / "exec"), "--pidfile", str(self.base / "dockerd.pid"),
                        "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--bridge=none",
                        "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{self.group}",
                        *self._options,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip

    # -- commands

    def docker(self, *arguments: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """`docker ...`, as a person types it."""
        return self.run("docker", *arguments, check=check, **more)

    def run(
        self,
        *command: str,
        check: bool = True,
        cwd: Path | None = None,
        environ: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Any command, with this engine; EngineError with all it said if it fails."""
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **self.environ, **(environ or {})},
            timeout=CALL_S,
            check=False,
        )
        out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        if check and done.returncode:
            raise EngineError(f"{' '.join(command)}: exit {done.returncode}\n{out}{err}")
        return subprocess.CompletedProcess(command, done.returncode, out, err)

    def containers(self, *, running: bool = False) -> list[str]:
        """The ids of all containers, the newest first."""
        return self.docker("ps", *([] if running else ["--all"]), "--quiet", "--no-trunc").stdout.split()

    def inspect(self, container: str, template: str = "{{json .}}") -> str:
        """`docker inspect --format`."""
        return self.docker("inspect", "--format", template, container).stdout.strip()

    def clean(self) -> None:
        """Removes all containers."""
        if found := self.containers():
            self.docker("rm", "--force", *found)

    def load(self) -> None:
        """Makes the image."""
        tar = BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for name in ("usr", "sbin", "app", "tmp", "etc", "proc", "sys", "dev"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(folder)
            for name in _MERGED:
                if Path("/", name).is_symlink():
                    link = tarfile.TarInfo(name)
                    link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
                    archive.addfile(link)
        self.docker("import", "-", IMAGE, stdin=tar.getvalue())

    # -- the end

    def close(self) -> None:
        """Leaves nothing: containers, processes, mounts, control groups, files."""
        if self._processes and self._processes[-1].poll() is None:
            self._processes[-1].send_signal(signal.SIGCONT)
            with suppress(EngineError, subprocess.TimeoutExpired):
                self.clean()
            self._processes[-1].terminate()
            with suppress(subprocess.TimeoutExpired):
                self._processes[-1].wait(20)
        quiet = 0
        while quiet < 2:
            found = self._processes_left()
            quiet = 0 if found else quiet + 1
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        for process in self._processes:
            process.wait()
        for mounted in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()[::-1]:
            if mounted.split()[1].startswith(f"{self.base}/"):
                subprocess.run(["umount", "--lazy", mounted.split()[1]], check=False)
        for top in Path("/sys/fs/cgroup").glob(f"**/{self.group}"):
            for folder, _, _ in os.walk(top, topdown=False):
                Path(folder).rmdir()
        shutil.rmtree(self.base)

    def _processes_left(self) -> list[int]:
        """dockerd, containerd and shims name the folder in their arguments; containers are in the control group."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    ours = str(self.base).encode() in (entry / "cmdline").read_bytes()
                    ours = ours or f"/{self.group}" in (entry / "cgroup").read_text(encoding="utf-8")
                    dead = (entry / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
                except OSError:
                    continue
                if ours and not dead:
                    found.append(int(entry.name))
        return found


def service(folder: Path, *command: str, **more: Any) -> dict[str, Any]:
    """A service of a compose file: `command` in /app, which is `folder`; the interpreter is the tests' own.

    `more` are further keys; `volumes` are added.
    """
    prefix = Path(sys.base_prefix)
    mounts = ["/usr", *(f"/{name}" for name in _MERGED if Path("/", name).is_dir())]
    mounts = [path for path in mounts if not Path(path).is_symlink()]
    mounts += [] if prefix.is_relative_to("/usr") else [str(prefix)]
    return {
        "image": IMAGE,
        "command": list(command),
        "working_dir": "/app",
        "network_mode": "none",
        "stop_grace_period": "1s",
        **more,
        "volumes": [*(f"{path}:{path}:ro" for path in mounts), f"{folder}:/app", *more.get("volumes", [])],
    }


def compose_file(path: Path, **services: Mapping[str, Any]) -> Path:
    """Writes a compose file with these services."""
    path.write_text(yaml.safe_dump({"version": "3.8", "services": services}), encoding="utf-8")
    return path


PYTHON = str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
"""The interpreter within a container of `service()`."""


def why_not() -> str | None:
    """What is missing here for an engine, None if it can be tried."""
    if os.geteuid() != 0:
        return "a container engine of its own needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"not installed: {', '.join(missing)}" if missing else None


@contextmanager
def running_engine(*options: str) -> Iterator[Engine]:
    """One engine with its image, which is gone afterwards."""
    engine = Engine(Path(tempfile.mkdtemp(prefix="model-watchdog-engine-")), *options)
    try:
        engine.start()
        engine.load()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def engines() -> Iterator[Engine]:
    """One for all tests of a run (of a worker, with pytest-xdist). In CI it must start; elsewhere its tests are skipped
    with the reason. Mark them `privileged`."""
    needed = bool(os.environ.get("CI"))
    reason = why_not()
    if reason is not None and not needed:
        pytest.skip(reason)
    context = running_engine()
    try:
        found = context.__enter__()
    except EngineError as error:
        if needed:
            raise
        pytest.skip(str(error))
    try:
        yield found
    finally:
        context.__exit__(None, None, None)


@pytest.fixture
def engine(engines: Engine) -> Iterator[Engine]:
    """The engine, without the containers of the tests before."""
    yield engines
    engines.clean()
