import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import Zoo, alive, down, until
from watchdog.bots.base import BotError

# Writes 'flat' a while after SIGTERM, with the help of a worker if there is one.
TRAPS = """
def flatten(*_):
    time.sleep(0.3)
    Path('flat').write_text(worker_helps())
    sys.exit(0)
def worker_helps():
    return 'yes'
signal.signal(signal.SIGTERM, flatten)
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


async def test_a_bot_that_traps_sigterm_has_the_time_to_flatten(zoo: Zoo) -> None:
    zoo.script("bot.py", TRAPS + "here('bot'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    await zoo.pid("bot")
    stopped = await bot.stop(10)
    assert (zoo.folder / "flat").read_text() == "yes"
    assert (stopped.pids, stopped.how, stopped.brought_back_by) == ((started.pid,), "SIGTERM", None)
    assert 0.3 <= stopped.seconds < 3
    assert (await bot.find()) == []
    assert bot.remember() is None
    assert bot.exit_code(started) == 0


async def test_workers_are_not_disturbed_while_the_main_process_flattens(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        TRAPS
        + """
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
worker = subprocess.Popen(['cat'], start_new_session=True, **pipes)
def worker_helps():
    return worker.communicate('asked the worker')[0]
here('bot')
forever()
""",
    )
    bot = zoo.bot()
    await bot.start()
    await zoo.pid("bot")
    stopped = await bot.stop(10)
    assert (zoo.folder / "flat").read_text() == "asked the worker"
    assert (len(stopped.pids), stopped.how) == (2, "SIGTERM")


async def test_a_deaf_bot_is_killed_after_the_timeout(zoo: Zoo) -> None:
    zoo.script("bot.py", DEAF + "here('bot'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    await zoo.pid("bot")
    stopped = await bot.stop(0.3)
    assert stopped.how == "SIGKILL"
    assert 0.3 <= stopped.seconds < 2
    assert bot.exit_code(started) == -signal.SIGKILL


async def test_stopping_twice_and_stopping_nothing_is_fine(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    bot = zoo.bot()
    assert (await bot.stop(5)).how == "was not running"
    await bot.start()
    await zoo.pid("bot")
    assert (await bot.stop(5)).how == "SIGTERM"
    again = await bot.stop(5)
    assert (again.pids, again.how, again.seconds, again.brought_back_by) == ((), "was not running", 0, None)
    assert (await bot.start()).pid == await zoo.pid("bot")


@pytest.mark.parametrize("started_by", ["watchdog", "person"])
async def test_a_deaf_worker_in_a_session_of_its_own_is_found_and_killed(zoo: Zoo, started_by: str) -> None:
    zoo.script(
        "bot.py",
        """
        if not os.fork():
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            here('worker')
            forever()
        here('bot')
        forever()
        """,
    )
    bot = zoo.bot()
    pid = (await bot.start()).pid if started_by == "watchdog" else zoo.run()
    worker, _ = await zoo.pid("worker"), await zoo.pid("bot")
    stopped = await bot.stop(10)
    assert stopped.how == "SIGKILL"  # of the worker; the main process went by SIGTERM
    assert 1 <= stopped.seconds < 4
    assert stopped.pids == (pid, worker)
    assert not alive(worker)


async def test_an_orphan_in_the_session_of_an_adopted_bot_is_found(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        subprocess.run(['sh', '-c', 'sleep 60 & echo $! >orphan.part; mv orphan.part orphan.pid'])
        forever()
        """,
    )
    zoo.run()
    orphan = await zoo.pid("orphan")
    stopped = await zoo.bot().stop(10)
    assert orphan in stopped.pids
    assert not alive(orphan)


async def test_a_daemon_that_left_session_and_parent_is_found_by_its_mark(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        if not os.fork():
            os.setsid()
            if os.fork(): os._exit(0)
            here('daemon')
            forever()
        os.wait()
        here('bot')
        forever()
        """,
    )
    bot = zoo.bot()
    started = await bot.start()
    daemon, _ = await zoo.pid("daemon"), await zoo.pid("bot")
    assert [found.pid for found in await bot.find()] == [started.pid, daemon]
    stopped = await bot.stop(10)
    assert stopped.pids == (started.pid, daemon)
    assert not alive(daemon)


async def test_a_worker_that_is_forked_while_the_bot_stops_is_found(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        def late(*_):
            time.sleep(0.3)
            if not os.fork():
                os.setsid()
                if os.fork(): os._exit(0)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                here('late')
                forever()
            os.wait()
            sys.exit(0)
        signal.signal(signal.SIGTERM, late)
        here('bot')
        forever()
        """,
    )
    bot = zoo.bot()
    await bot.start()
    await zoo.pid("bot")
    stopped = await bot.stop(10)
    late = await zoo.pid("late")
    assert stopped.how == "SIGKILL"
    assert stopped.brought_back_by is None
    assert late in stopped.pids
    assert not alive(late)


async def test_a_worker_that_an_adopted_bot_forks_while_it_stops_is_found(zoo: Zoo) -> None:
    """It has no mark: it must be seen while the bot that flattens is still its parent."""
    zoo.script(
        "bot.py",
        """
        def late(*_):
            if not os.fork():
                os.setsid()
                os.execlp('sleep', 'sleep', '60')
            time.sleep(0.7)
            sys.exit(0)
        signal.signal(signal.SIGTERM, late)
        here('bot')
        forever()
        """,
    )
    pid = zoo.run()
    await zoo.pid("bot")
    stopped = await zoo.bot().stop(10)
    assert (len(stopped.pids), stopped.pids[0], stopped.how) == (2, pid, "SIGTERM")
    assert not alive(stopped.pids[1])


@pytest.mark.parametrize("who", ["bot", "worker"])
async def test_a_frozen_process_wakes_up_to_stop(zoo: Zoo, who: str) -> None:
    zoo.script(
        "bot.py",
        TRAPS
        + """
child = os.fork()
if not child:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    here('worker')
    forever()
def worker_helps():
    os.kill(child, signal.SIGUSR1)  # ends a worker that runs
    os.wait()
    return 'yes'
here('bot')
forever()
""",
    )
    bot = zoo.bot()
    await bot.start()
    pids = {"worker": await zoo.pid("worker"), "bot": await zoo.pid("bot")}
    os.kill(pids[who], signal.SIGSTOP)
    await until(lambda: ") T " in Path(f"/proc/{pids[who]}/stat").read_text())
    stopped = await bot.stop(10)
    assert stopped.how == "SIGTERM"
    assert (zoo.folder / "flat").exists()


async def test_a_bot_behind_a_shell_script_has_the_time_to_flatten(zoo: Zoo) -> None:
    """The shell dies of SIGTERM at once, and hands nothing on."""
    zoo.script("main.py", TRAPS.replace("0.3", "1.2") + "here('bot'); forever()")
    script = zoo.folder / "run.sh"
    script.write_text(f"#!/bin/sh\nwhile :; do {sys.executable} main.py; sleep 1; done\n")
    script.chmod(0o755)
    bot = zoo.bot("./run.sh")
    shell = await bot.start()
    inner = await zoo.pid("bot")
    assert [found.pid for found in await bot.find()] == [shell.pid]
    stopped = await bot.stop(10)
    assert (zoo.folder / "flat").read_text() == "yes"
    assert (set(stopped.pids), stopped.how) == ({shell.pid, inner}, "SIGTERM")


async def test_a_bot_behind_a_wrapper_has_the_time_to_flatten(zoo: Zoo) -> None:
    zoo.script("main.py", TRAPS.replace("0.3", "1.2") + "here('bot'); forever()")
    zoo.script("wrap.py", "subprocess.run(sys.argv[1:])")
    bot = zoo.bot(sys.executable, "wrap.py", sys.executable, "main.py")
    await bot.start()
    await zoo.pid("bot")
    stopped = await bot.stop(10)
    assert (zoo.folder / "flat").read_text() == "yes"
    assert stopped.how == "SIGTERM"


async def test_the_shell_that_a_person_started_the_bot_from_lives_on(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    shell = zoo.run("sh", "-c", f"sleep 60 & {sys.executable} bot.py; echo $? >code; sleep 60")
    bot = await zoo.pid("bot")
    stopped = await zoo.bot().stop(10)
    assert stopped.pids == (bot,)
    assert alive(shell)
    await until(lambda: (zoo.folder / "code").exists() and (zoo.folder / "code").read_text() == "143\n")


async def test_a_stop_that_was_interrupted_is_taken_up_again(zoo: Zoo) -> None:
    zoo.script("bot.py", DEAF + "here('bot'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    await zoo.pid("bot")
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(bot.stop(30), 0.2)
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert alive(started.pid)
    assert (await bot.stop(0.1)).pids == (started.pid,)


async def test_a_swarm_that_replaces_its_dead_is_killed_in_the_end(zoo: Zoo) -> None:
    """Each of two processes starts the other anew when it dies."""
    zoo.script(
        "bot.py",
        DEAF
        + """
here('bot')
while True:
    if not os.fork():
        os.setsid()
        forever()
    os.wait()
""",
    )
    bot = zoo.bot()
    await bot.start()
    await zoo.pid("bot")
    began = time.monotonic()
    assert (await bot.stop(0.2)).how == "SIGKILL"
    assert time.monotonic() - began < 3


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.mark.privileged
@needs_root
async def test_a_bot_of_another_user_is_said_and_its_workers_are_left_to_it(zoo: Zoo) -> None:
    zoo.script("bot.py", "worker = subprocess.Popen(['sleep', '60']); here('bot'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    await zoo.pid("bot")
    os.setresuid(65534, 65534, 0)
    try:
        with pytest.raises(
            BotError,
            match=rf"pid {started.pid} .* belongs to root \(uid 0\) .* \(uid 65534\): run the watchdog as that",
        ):
            await asyncio.wait_for(bot.stop(60), 5)
    finally:
        os.setresuid(0, 0, 0)
    assert alive(started.pid)
    assert len((await bot.stop(5)).pids) == 2


@pytest.mark.privileged
@needs_root
@pytest.mark.skipif(
    not os.access(FREEZER / "tasks", os.W_OK), reason="needs the freezer of control groups v1"
)
async def test_a_process_that_survives_sigkill_is_said_with_its_state(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    bot = zoo.bot(kill_wait_s=0.3)
    started = await bot.start()
    await zoo.pid("bot")
    ice = FREEZER / zoo.identity
    ice.mkdir()
    (ice / "tasks").write_text(str(started.pid))
    (ice / "freezer.state").write_text("FROZEN")
    try:
        with pytest.raises(
            BotError, match=rf"pid {started.pid} \(`.* bot\.py`\) is still there .* in state D .*/stack"
        ):
            await bot.stop(0.1)
        assert [found.pid for found in await bot.find()] == [started.pid]
        with pytest.raises(BotError, match="already runs"):
            await bot.start()
    finally:
        (ice / "freezer.state").write_text("THAWED")
        await down(bot)
        ice.rmdir()
    assert (await bot.stop(1)).how == "was not running"
