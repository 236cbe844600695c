import os
import signal
import sys

from tests.watchdog.bots.conftest import Zoo, alive, down, until
from watchdog.bots import proc
from watchdog.bots.launch import DRY_RUN
from watchdog.bots.process import ProcessBot

SIMPLE = "here('bot'); forever()"


async def test_a_bot_that_a_person_started_is_adopted(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    pid = zoo.run(sys.executable, "-u", "./bot.py")
    await zoo.pid("bot")
    [found] = await zoo.bot("python", "bot.py").find()
    assert (found.pid, found.adopted) == (pid, True)
    assert found.command.endswith("-u ./bot.py")


async def test_the_same_command_in_another_folder_is_another_bot(zoo: Zoo) -> None:
    path = zoo.script("bot.py", SIMPLE)
    other = zoo.folder / "other"
    other.mkdir()
    zoo.run(sys.executable, str(path), cwd=other)
    await until((other / "bot.pid").exists)
    assert (await zoo.bot().find()) == []


async def test_a_dry_run_with_the_very_command_of_the_bot_is_none(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    pid = zoo.run("env", f"{DRY_RUN}={zoo.folder}", sys.executable, "bot.py")
    await zoo.pid("bot")
    command = (sys.executable, "bot.py")
    mine = ProcessBot(command, zoo.folder, zoo.folder / "o", zoo.identity, dry_runs=str(zoo.folder))
    assert await mine.find() == []
    await mine.stop(1.0)
    assert alive(pid)
    others = ProcessBot(command, zoo.folder, zoo.folder / "o", zoo.identity, dry_runs="/another")
    assert [found.pid for found in await others.find()] == [pid]


async def test_a_bot_is_found_again_by_what_was_remembered(zoo: Zoo) -> None:
    zoo.script("bot.py", "here('bot'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    remembered = bot.remember()
    assert remembered == (started.pid, started.started_ticks, proc.boot_id())
    again = ProcessBot(["something", "else"], zoo.folder, zoo.folder / "o", "other identity", remembered)
    [found] = await again.find()
    assert (found.pid, found.started_ticks) == (started.pid, started.started_ticks)


async def test_the_bot_that_was_remembered_comes_before_another_one(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    zoo.run()
    first = await zoo.pid("bot")
    zoo.run()
    second = await zoo.pid("bot")
    assert [found.pid for found in await zoo.bot().find()] == [first, second]
    ticks = getattr(proc.stat(second), "started_ticks", 0)
    assert [f.pid for f in await zoo.bot(remembered=(second, ticks, proc.boot_id())).find()] == [
        second,
        first,
    ]


async def test_a_pid_that_went_to_another_process_is_not_the_bot(zoo: Zoo) -> None:
    stranger = zoo.run("sleep", "60")
    found = proc.stat(stranger)
    assert found is not None
    for remembered in (
        (stranger, found.started_ticks - 1, proc.boot_id()),
        (stranger, found.started_ticks, "another boot"),
    ):
        bot = zoo.bot(remembered=remembered)
        assert (await bot.find()) == []
        assert bot.remember() is None
        assert (await zoo.bot(remembered=remembered).stop(5)).how == "was not running"
    assert alive(stranger)


async def test_workers_with_the_same_command_line_are_not_listed(zoo: Zoo) -> None:
    zoo.script("bot.py", "os.fork() and here('bot'); forever()")
    for start_by_hand in (True, False):
        bot = zoo.bot()
        pid = zoo.run() if start_by_hand else (await bot.start()).pid
        await zoo.pid("bot")
        assert [found.pid for found in await bot.find()] == [pid]
        zoo.clean()


async def test_a_bot_that_replaces_itself_keeps_its_place(zoo: Zoo) -> None:
    zoo.script("bot.py", "os.execv(sys.executable, [sys.executable, 'second.py'])")
    zoo.script("second.py", "here('second'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    assert await zoo.pid("second") == started.pid
    [found] = await bot.find()
    assert (found.pid, found.started_ticks, found.adopted) == (started.pid, started.started_ticks, False)
    assert found.command.endswith("second.py")


async def test_a_bot_that_puts_itself_into_the_background_is_followed(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        if os.fork(): sys.exit(0)
        os.setsid()
        if os.fork(): os._exit(0)
        os.execv(sys.executable, [sys.executable, 'daemon.py'])
        """,
    )
    zoo.script("daemon.py", "here('daemon'); forever()")
    bot = zoo.bot()
    started = await bot.start()
    pid = await zoo.pid("daemon")
    await until(lambda: bot.exit_code(started) == 0)
    [found] = await bot.find()
    assert (found.pid, found.adopted) == (pid, False)
    remembered = bot.remember()
    assert remembered is not None
    assert remembered[0] == pid
    assert [again.pid for again in await zoo.bot(remembered=remembered).find()] == [pid]


async def test_workers_of_a_bot_that_crashed_are_not_the_bot_and_end_with_the_next_start(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        if not os.fork():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            here('worker')
            forever()
        here('bot')
        forever()
        """,
    )
    bot = zoo.bot()
    first = await bot.start()
    worker = await zoo.pid("worker")
    await zoo.pid("bot")
    os.kill(first.pid, signal.SIGKILL)
    await down(bot)
    assert alive(worker)
    assert [found.pid for found in await zoo.bot().find()] == [
        worker
    ]  # who does not know of the crash is careful
    second = await bot.start()
    assert not alive(worker)
    assert [found.pid for found in await bot.find()] == [second.pid]


async def test_a_bot_whose_main_thread_alone_has_ended_is_up(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        import ctypes, threading
        threading.Thread(target=forever).start()
        ctypes.CDLL(None).pthread_exit(None)
        """,
    )
    bot = zoo.bot()
    started = await bot.start()
    await until(lambda: (s := proc.stat(started.pid)) is not None and s.state == "Z")
    assert [found.pid for found in await bot.find()] == [started.pid]
    assert (await bot.stop(5)).how == "SIGTERM"
    assert proc.stat(started.pid) is None


async def test_the_watchdog_and_what_it_runs_under_are_never_the_bot(zoo: Zoo) -> None:
    me, parent = proc.stat(os.getpid()), proc.stat(os.getppid())
    assert me is not None
    assert parent is not None
    for found in (me, parent):
        remembered = (found.pid, found.started_ticks, proc.boot_id())
        assert (await zoo.bot(remembered=remembered).find()) == []


async def test_a_bot_of_which_only_a_worker_is_left_is_still_there(zoo: Zoo) -> None:
    """Adopted, so that nobody knows how its main process ended."""
    zoo.script("bot.py", "os.fork() and here('bot'); forever()")
    pid = zoo.run()
    await zoo.pid("bot")
    bot = zoo.bot()
    assert [found.pid for found in await bot.find()] == [pid]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not alive(pid))
    [worker] = await bot.find()
    assert worker.pid != pid
    assert (await bot.stop(5)).pids == (worker.pid,)
