"""What containers alone do, in a real engine; the rest is in the contract suite."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.machines.engine import Engine, running_engine
from tests.watchdog.bots.compose_stage import ComposeStage
from tests.watchdog.bots.conftest import alive, until
from tests.watchdog.bots.stages import LONG, said
from watchdog.bots.base import BotError, EndedAtOnceError
from watchdog.bots.compose import ComposeBot
from watchdog.bots.compose_client import Service
from watchdog.bots.container import processes_of
from watchdog.bots.engine import Engine as Asked

pytestmark = pytest.mark.privileged
long = pytest.mark.skipif(not LONG, reason="takes long: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1")

OBEYS = "here('bot'); forever()"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN); here('bot'); forever()"


@pytest.fixture
def stage(tmp_path: Path, engine: Engine) -> Iterator[ComposeStage]:
    stage = ComposeStage(tmp_path, tmp_path.name, engine)
    try:
        yield stage
    finally:
        stage.close()


def new(stage: ComposeStage) -> ComposeBot:
    return stage.control(None, asyncio.sleep)


async def up(stage: ComposeStage) -> ComposeBot:
    bot = new(stage)
    await bot.start()
    await said(stage, "bot")
    return bot


async def seen(bot: ComposeBot, true: Callable[[], object]) -> None:
    """Looks until it is true."""
    end = asyncio.get_running_loop().time() + 30
    while not true():
        assert asyncio.get_running_loop().time() < end, bot.trouble
        await bot.find()
        await asyncio.sleep(0.05)


async def test_a_service_is_made_found_stopped_and_started_again(stage: ComposeStage, engine: Engine) -> None:
    stage.install(OBEYS, restarts=True)
    bot = await up(stage)
    [container] = engine.containers()
    [found] = await bot.find()
    assert (found.pid, found.started_by) == (int(engine.inspect(container, "{{.State.Pid}}")), "the watchdog")
    stopped = await bot.stop(10)
    assert (stopped.pids, stopped.how) == ((found.pid,), "SIGTERM")
    assert (await bot.find(), bot.exit_code(found), stage.processes()) == ([], -15, [])
    again = await bot.start()
    assert again.pid != found.pid
    assert engine.containers() == [container], "the container was made anew"


@long
async def test_a_paused_bot_is_up_with_trouble_and_can_be_stopped(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    engine.docker("pause", *engine.containers())
    [found] = await bot.find()
    assert "is paused" in str(bot.trouble)
    assert (await bot.stop(10)).pids == (found.pid,)
    assert (stage.processes(), await bot.find(), bot.trouble) == ([], [], None)


@long
async def test_a_bot_that_is_frozen_by_a_signal_is_killed(stage: ComposeStage) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    [pid] = stage.processes()
    os.kill(pid, signal.SIGSTOP)
    assert (await bot.stop(1)).how == "SIGKILL"
    assert stage.processes() == []


@long
async def test_docker_kill_by_a_person_is_a_bot_that_is_down(stage: ComposeStage, engine: Engine) -> None:
    stage.install(OBEYS, restarts=True)
    bot = await up(stage)
    [found] = await bot.find()
    engine.docker("kill", *engine.containers())
    assert await bot.find() == []
    assert (bot.exit_code(found), bot.trouble) == (-9, None)


@long
async def test_docker_restart_by_a_person_is_another_run(stage: ComposeStage, engine: Engine) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    [first] = await bot.find()
    engine.docker("restart", "-t", "5", *engine.containers())
    [second] = await bot.find()
    assert second.pid != first.pid
    assert (second.adopted, bot.exit_code(first)) == (True, -15)
    assert "whoever gave `docker restart` for" in str(second.started_by)


@long
async def test_a_bot_that_the_kernel_kills_for_its_memory_is_told(stage: ComposeStage) -> None:
    eats = "here('bot')\nblock = bytearray(400 << 20)\nfor at in range(0, len(block), 4096): block[at] = 1\nforever()"
    stage.install(eats, mem_limit="64m")
    stage.start_by_hand()
    bot = new(stage)
    await seen(bot, lambda: bot.trouble)
    assert "the kernel killed it for the memory it took" in str(bot.trouble)
    assert await bot.find() == []


@long
async def test_a_bot_that_ends_at_once_tells_why(stage: ComposeStage) -> None:
    stage.install("print('no exchange today', flush=True); sys.exit(3)", restarts=True)
    bot = new(stage)
    said_so = ""
    try:
        running = await bot.start()
    except EndedAtOnceError as error:
        said_so = str(error)
    else:
        await seen(bot, lambda: bot.exit_code(running) is not None)
        assert bot.exit_code(running) == 3
    assert not said_so or "exit code 3; its last words: no exchange today" in said_so
    await seen(bot, lambda: bot.trouble and "again and again" in bot.trouble)
    assert bot.output_tail(1) == ["no exchange today"]
    await bot.stop(5)
    await asyncio.sleep(2)
    assert (await bot.find(), stage.processes()) == ([], [])


@long
async def test_a_stop_does_not_depend_on_a_compose_file_without_mistakes(stage: ComposeStage) -> None:
    stage.install(OBEYS, restarts=True)
    bot = await up(stage)
    good = stage.file.read_text()
    stage.file.write_text(good + "\n  x: : :\n")
    assert (await bot.stop(10)).how == "SIGTERM"
    assert stage.processes() == []
    assert (await bot.start()).pid == stage.processes()[0], "nor does a start of a container that is there"
    stage.file.unlink()
    assert (await bot.stop(10)).how == "SIGTERM"
    stage.program("docker-compose", "#!/bin/sh\nexit 127\n")
    await bot.start()
    assert (await bot.stop(10)).how == "SIGTERM"


@long
async def test_a_missing_variable_stops_no_stop(stage: ComposeStage) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    body = yaml.safe_load(stage.file.read_text())
    body["services"]["bot"]["environment"]["API_SECRET"] = "${API_SECRET?must be set}"
    stage.file.write_text(yaml.safe_dump(body))
    assert (await bot.stop(10)).how == "SIGTERM"


@long
async def test_compose_as_a_plugin(stage: ComposeStage, engine: Engine) -> None:
    stage.install(OBEYS, restarts=True)
    stage.use_plugin()
    bot = await up(stage)
    [first] = engine.containers()
    engine.docker("rename", first, "sol-bot-1")  # as v2 names them
    assert (await bot.stop(10)).how == "SIGTERM"
    running = await bot.start()
    assert ([running.pid], engine.containers()) == (stage.processes(), [first])
    assert running.command.startswith("container sol-bot-1: ")


@long
async def test_a_service_that_was_scaled_is_two_bots_and_one_is_started(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(OBEYS)
    stage.compose("up", "--detach", "--scale", "bot=2", "bot")
    bot = new(stage)
    found = await bot.find()
    assert sorted(r.pid for r in found) == stage.processes()
    assert len(found) == 2
    with pytest.raises(BotError, match="already runs"):
        await bot.start()
    assert set((await bot.stop(10)).pids) == {r.pid for r in found}
    assert stage.processes() == []
    assert [(await bot.start()).pid] == stage.processes()


@long
async def test_a_one_off_of_the_same_command_is_a_second_bot_and_a_shell_is_none(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    [main] = stage.processes()
    stage.compose("run", "--detach", "bot", "sleep", "1000")
    assert [r.pid for r in await bot.find()] == [main]
    stage.compose("run", "--detach", "bot")
    await said(stage, "bot")
    found = await bot.find()
    assert (found[0].pid, len(found)) == (main, 2)
    stopped = await bot.stop(10)
    assert set(stopped.pids) == {r.pid for r in found}
    assert await bot.find() == []
    assert len(engine.containers(running=True)) == 1, "the shell was stopped, too"


@long
async def test_a_bot_under_another_projects_name_is_never_taken_for_down(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(OBEYS)
    stage.compose("--project-name", "trading", "up", "--detach", "bot")
    bot = new(stage)
    for ask in (bot.find, bot.start, lambda: bot.stop(1)):
        with pytest.raises(
            BotError, match=r"runs in the compose project trading .* set bot\.compose\.project"
        ):
            await ask()
    named = ComposeBot(Service(stage.file, "bot", project="trading"), Asked(), 20.0)
    assert (await named.stop(10)).how == "SIGTERM"
    assert stage.processes() == []


@long
async def test_a_container_that_was_removed_is_made_anew_and_never_pulled(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    stage.compose("rm", "--stop", "--force", "bot")
    assert await bot.find() == []
    await bot.start()
    await said(stage, "bot")
    assert len(engine.containers()) == 1
    stage.compose("rm", "--stop", "--force", "bot")
    stage.file.write_text(stage.file.read_text().replace("image: bot:1", "image: other:7"))
    with pytest.raises(
        BotError, match=r"its image other:7 is not on this machine\. Pull or build it"
    ) as error:
        await bot.start()
    assert not isinstance(error.value, EndedAtOnceError)
    assert engine.containers() == []


@long
@pytest.mark.parametrize(
    ("more", "why"),
    [
        (
            {"volumes": [{"type": "bind", "source": "/nonexistent", "target": "/x"}]},
            "bind source path does not exist",
        ),
        ({"command": ["/etc/hostname"]}, "could not be started: .*(permission denied|no such file)"),
        ({"network_mode": "container:nobody"}, "could not be started"),
    ],
)
async def test_what_no_other_version_would_mend_is_no_fault_of_the_version(
    stage: ComposeStage, more: dict[str, Any], why: str
) -> None:
    stage.install(OBEYS)
    body = yaml.safe_load(stage.file.read_text())
    volumes = body["services"]["bot"]["volumes"] + more.pop("volumes", [])
    body["services"]["bot"] |= {**more, "volumes": volumes}
    stage.file.write_text(yaml.safe_dump(body))
    with pytest.raises(BotError, match=why) as error:
        await new(stage).start()
    assert not isinstance(error.value, EndedAtOnceError), error.value
    assert stage.processes() == []


@long
async def test_a_stopped_bot_that_the_engine_brings_back_as_it_is_restarted_is_named(tmp_path: Path) -> None:
    with running_engine() as engine:
        stage = ComposeStage(tmp_path, tmp_path.name, engine)
        try:
            stage.install(OBEYS, restarts=True)  # restart: always
            bot = await up(stage)
            await bot.stop(10)
            engine.stop()
            with pytest.raises(BotError, match="the container engine cannot be reached"):
                await bot.find()
            engine.start()
            await said(stage, "bot")
            [found] = await bot.find()
            assert found.started_by == "the engine as it was itself started (restart: always)"
            assert (await bot.stop(10)).pids == (found.pid,)
            stage.install(OBEYS, restart="unless-stopped")
            stage.compose("up", "--detach", "bot")
            await until(lambda: stage.processes())
            await bot.stop(10)
            engine.stop()
            engine.start()
            await asyncio.sleep(2)
            assert (await bot.find(), stage.processes()) == ([], [])
        finally:
            stage.close()


@long
async def test_an_engine_that_hangs_is_told_within_the_bound_and_the_bot_goes_on(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(DEAF)
    await up(stage)
    [pid] = stage.processes()
    bot = ComposeBot(Service(stage.file, "bot"), Asked(answer_s=1.0), 20.0)
    await bot.find()
    with engine.frozen():
        for ask in (bot.find, bot.start, lambda: bot.stop(1)):
            with pytest.raises(BotError, match=rf"did not answer within 1 s.* \(pid {pid}\) lives on"):
                await ask()
        assert alive(pid)
    assert [r.pid for r in await bot.find()] == [pid]
    assert (await bot.stop(1)).how == "SIGKILL"


@long
async def test_an_engine_that_dies_in_the_middle_of_a_stop_is_told_and_the_next_stop_ends_the_bot(
    tmp_path: Path,
) -> None:
    with running_engine() as engine:
        stage = ComposeStage(tmp_path, tmp_path.name, engine)
        try:
            stage.install(DEAF)
            bot = await up(stage)
            [pid] = stage.processes()
            task = asyncio.ensure_future(bot.stop(4))
            await asyncio.sleep(2)
            engine.kill()
            with pytest.raises(BotError, match="the container engine cannot be reached"):
                await task
            assert alive(pid), "it lives on without the engine"
            engine.start()
            await bot.stop(1)
            assert (stage.processes(), await bot.find()) == ([], [])
        finally:
            stage.close()


@long
async def test_processes_of_a_container_are_seen_and_no_others(stage: ComposeStage, engine: Engine) -> None:
    stage.install("if not os.fork(): os.setsid(); forever()\n" + OBEYS)
    stage.start_by_hand()
    await said(stage, "bot")
    [container] = engine.containers()
    assert sorted(s.pid for s in processes_of([container])[container]) == stage.processes()
    assert len(stage.processes()) == 2


SHARES = """
if not os.fork():
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    forever()
"""


@long
async def test_workers_that_share_the_hosts_pids_do_not_outlive_a_stop(stage: ComposeStage) -> None:
    """`pid: host`: the kernel does not end them with the main process, so the engine has to."""
    stage.install(SHARES + OBEYS, pid="host")
    bot = await up(stage)
    both = stage.processes()
    assert len(both) == 2
    stopped = await bot.stop(5)
    assert set(stopped.pids) == set(both)
    assert (stage.processes(), await bot.find()) == ([], [])


@contextmanager
def left_behind(engine: Engine, container: str) -> Iterator[int]:
    """A process in the control groups of a container that is down, as a runtime that crashed leaves it; its pid."""
    tops = [g for g in Path("/sys/fs/cgroup").glob(f"**/{engine.group}") if (g / "cgroup.procs").exists()]
    groups = [top / container for top in tops]
    process = subprocess.Popen(["sleep", "1000"])
    try:
        for group in groups:
            group.mkdir()
            for name in ("cpuset.cpus", "cpuset.mems"):
                if (group / name).exists():
                    (group / name).write_text((group.parent / name).read_text())
            (group / "cgroup.procs").write_text(str(process.pid))
        yield process.pid
    finally:
        process.kill()
        process.wait()
        for group in groups:
            group.rmdir()


@long
async def test_processes_that_the_engine_lost_track_of_are_the_bot_and_are_ended(
    stage: ComposeStage, engine: Engine
) -> None:
    stage.install(OBEYS)
    bot = await up(stage)
    [container] = engine.containers()
    await bot.stop(5)
    with left_behind(engine, container) as pid:
        [found] = await bot.find()
        assert found.pid == pid
        assert f"down, but processes of it are left (pid {pid})" in str(bot.trouble)
        with pytest.raises(BotError, match=f"already runs as pid {pid}"):
            await bot.start()
        stopped = await bot.stop(5)
        assert (stopped.pids, stopped.how) == ((pid,), "SIGKILL")
        assert await bot.find() == []
