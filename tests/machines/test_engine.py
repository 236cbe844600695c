"""The engine itself: what other tests take for granted of it."""

from pathlib import Path

import psutil
import pytest

from tests.machines.engine import PYTHON, Engine, EngineError, compose_file, running_engine, service
from tests.machines.systemd import long

pytestmark = pytest.mark.privileged

TRADES = (
    "import os, time; open('pid', 'w').write(str(os.getpid())); print('hello', flush=True); time.sleep(60)"
)


def bot(folder: Path) -> Path:
    command = [PYTHON, "-c", TRADES]
    return compose_file(folder / "docker-compose.yml", bot=service(folder, *command))


def test_a_compose_service_runs_the_tests_own_interpreter(engine: Engine, tmp_path: Path) -> None:
    path = bot(tmp_path)
    engine.run("docker-compose", "-f", str(path), "up", "-d", "bot")
    [container] = engine.containers(running=True)
    pid = int(engine.inspect(container, "{{.State.Pid}}"))
    assert Path(f"/proc/{pid}/cwd").samefile(tmp_path)
    engine.run("docker-compose", "-f", str(path), "stop", "-t", "1", "bot")
    assert (engine.containers(running=True), engine.containers()) == ([], [container])
    assert (tmp_path / "pid").read_text() == "1"
    assert engine.docker("logs", container).stdout == "hello\n"


def test_every_test_finds_an_empty_engine(engine: Engine) -> None:
    assert engine.containers() == []


def test_a_command_that_fails_says_what_it_said(engine: Engine) -> None:
    with pytest.raises(EngineError, match="No such container: nobody"):
        engine.docker("start", "nobody")


@long
def test_nothing_of_an_engine_is_left_even_when_a_test_fails_with_containers_that_run(tmp_path: Path) -> None:
    mounts = Path("/proc/self/mounts").read_text()
    bases: list[Path] = []

    def fail() -> None:
        with running_engine() as engine:
            bases.append(engine.base)
            engine.run("docker-compose", "-f", str(bot(tmp_path)), "up", "-d", "bot")
            engine.kill()  # and its containers live on
            assert len(engine._processes_left()) >= 2
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    [base] = bases
    assert not base.exists()
    assert [p.pid for p in psutil.process_iter() if base.name in " ".join(_args(p))] == []
    assert [p.pid for p in psutil.process_iter() if base.name in _group(p)] == []
    assert list(Path("/sys/fs/cgroup").glob(f"**/{base.name}")) == []
    assert base.name not in Path("/proc/self/mounts").read_text()
    assert mounts.count("\n") == Path("/proc/self/mounts").read_text().count("\n")


def _args(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _group(process: psutil.Process) -> str:
    try:
        dead = process.status() == psutil.STATUS_ZOMBIE  # its new parent may be slow to bury it
        return "" if dead else Path(f"/proc/{process.pid}/cgroup").read_text()
    except (OSError, psutil.Error):
        return ""
