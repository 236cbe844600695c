"""The stage `compose` of the contract suite: a service of a compose file in a real engine."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from tests.machines.engine import PYTHON, Engine, compose_file, service
from tests.watchdog.bots.conftest import OURS, PREAMBLE, alive
from watchdog.bots.compose import ComposeBot
from watchdog.bots.compose_client import Service
from watchdog.bots.engine import Engine as Asked
from watchdog.bots.process import Remembered

ENDS = "signal.signal(signal.SIGTERM, lambda *_: os._exit(143))\n"
"""PID 1 of a container hears no signal that it does not ask for; with `init: true` in the compose file it would."""

PLUGIN = """#!/bin/sh
# Compose v2, a plugin of docker, in so far as it is called differently: v1 does the work; it knows no --pull, and no
# service behind `config`.
[ "$1" = compose ] || exec {docker} "$@"
shift
[ "$1 $2" = "version --short" ] && echo 2.24.5 && exit 0
for argument; do
  shift
  case "$skip$argument" in
    --pull) skip=yes;;
    yes*) skip=;;
    *) [ "$config" ] || set -- "$@" "$argument"; [ "$argument" = config ] && config=yes;;
  esac
done
exec {compose} "$@"
"""
SLOW = """#!/bin/sh
case " $* " in *" up "* | *" start "*) sleep {slow_s};; esac
exec {compose} "$@"
"""


class ComposeStage:
    """Service `bot` of a compose file in the folder, which is /app in the container."""

    kind = "compose"

    def __init__(self, folder: Path, run_id: str, engine: Engine) -> None:
        self.folder, self._engine, self._run_id = folder, engine, run_id
        self._mark = f"{OURS}={run_id}".encode()
        self._others: list[subprocess.Popen[bytes]] = []
        self._programs = folder / "programs"
        self._programs.mkdir()
        self._real = {name: shlex.quote(str(shutil.which(f"docker{name}"))) for name in ("", "-compose")}
        path = f"{self._programs}{os.pathsep}{os.environ['PATH']}"
        self._before = {name: os.environ.get(name) for name in (*engine.environ, "PATH")}
        os.environ.update(engine.environ, PATH=path)

    @property
    def file(self) -> Path:
        """The compose file."""
        return self.folder / "docker-compose.yml"

    def install(self, body: str, *, restarts: bool = False, slow_s: float = 0.0, **more: Any) -> None:
        (self.folder / "bot.py").write_text(PREAMBLE + ENDS + body)
        self._install([PYTHON, "bot.py"], {"restart": "always" if restarts else "no", **more})
        if slow_s:
            self.program("docker-compose", SLOW, slow_s=slow_s)

    def install_missing(self) -> None:
        self._install(["/nonexistent/python", "bot.py"], {})

    def control(self, remembered: Remembered | None, sleep: Callable[[float], Awaitable[None]]) -> ComposeBot:
        return ComposeBot(Service(self.file, "bot"), Asked(), 20.0, remembered, sleep=sleep)

    def silent(self) -> ComposeBot:
        hangs = self.program("hangs", "#!/bin/sh\nexec sleep 1000\n")
        return ComposeBot(Service(self.file, "bot"), Asked(program=str(hangs), answer_s=0.2), 20.0)

    def start_by_hand(self) -> None:
        self.compose("up", "--detach", "bot")

    def bring_back(self) -> str:
        """A person who forgot a loop in a terminal."""
        self.compose("up", "--no-start", "bot")
        [container] = self._engine.containers()
        name = self._engine.inspect(container, "{{.Name}}").lstrip("/")
        return f"pid {self.loop(f'docker start --attach {name}')}"

    def processes(self) -> list[int]:
        pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208
        return sorted(pid for pid in pids if alive(pid) and self._mark in _environment(pid))

    def close(self) -> None:
        for process in self._others:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._engine.clean()
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        assert self.processes() == []

    # -- what other tests of this kind do besides

    def compose(self, *arguments: str) -> str:
        """Compose, as a person calls it in the folder."""
        return self._engine.run("docker-compose", *arguments, cwd=self.folder).stdout

    def loop(self, command: str) -> int:
        """A shell that runs a command over and over, in the folder; its pid."""
        argv = ["sh", "-c", f"while :; do {command} >/dev/null 2>&1; done"]
        self._others.append(
            subprocess.Popen(argv, cwd=self.folder, stdin=subprocess.DEVNULL, start_new_session=True)
        )
        return self._others[-1].pid

    def program(self, name: str, text: str, **values: object) -> Path:
        """A program that comes before the real one of its name."""
        path = self._programs / name
        path.write_text(text.format(docker=self._real[""], compose=self._real["-compose"], **values))
        path.chmod(0o755)
        return path

    def use_plugin(self) -> None:
        """From now on `docker compose` is there, and `docker-compose` is not."""
        self.program("docker", PLUGIN)
        self.program("docker-compose", "#!/bin/sh\nexit 127\n")

    def _install(self, command: list[str], more: Mapping[str, Any]) -> None:
        environment = {OURS: self._run_id, "PYTHONUNBUFFERED": "1"}
        described = service(self.folder, *command, **{"environment": environment, **more})
        compose_file(self.file, bot=described)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
