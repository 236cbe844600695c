import os
import signal
import sys
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import Zoo, alive, down, until
from watchdog.bots import proc
from watchdog.bots.base import BotControl, BotError
from watchdog.bots.launch import Child, bot_environment

SIMPLE = "here('bot'); forever()"


async def test_the_bot_runs_in_its_folder_and_in_a_session_of_its_own(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    control: BotControl = zoo.bot()
    started = await control.start()
    assert await zoo.pid("bot") == started.pid
    found = proc.stat(started.pid)
    assert found is not None
    assert found.session == started.pid
    assert proc.works_in(started.pid, zoo.folder)
    assert os.readlink(f"/proc/{started.pid}/fd/0") == "/dev/null"  # noqa: PTH115
    assert (control.kind, started.adopted) == ("process", False)
    assert started.command == f"{sys.executable} bot.py"
    assert (await control.find()) == [started]


async def test_only_the_three_standard_descriptors_reach_the_bot(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    with (zoo.folder / "open-in-the-watchdog").open("w") as f:
        os.set_inheritable(f.fileno(), True)
        started = await zoo.bot().start()
    await zoo.pid("bot")
    assert sorted(os.listdir(f"/proc/{started.pid}/fd")) == ["0", "1", "2"]  # noqa: PTH208


async def test_output_and_exit_code_tell_how_a_bot_ended_at_once(zoo: Zoo) -> None:
    zoo.script("bot.py", "print('no model', flush=True); raise SystemExit('cannot go on')")
    bot = zoo.bot()
    started = await bot.start()
    await down(bot)
    assert bot.exit_code(started) == 1
    assert bot.output_tail() == ["no model", "cannot go on"]
    assert bot.output_tail(1) == ["cannot go on"]
    assert bot.remember() is None


async def test_the_exit_code_of_a_killed_bot_is_its_signal(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    bot = zoo.bot()
    started = await bot.start()
    assert bot.exit_code(started) is None
    os.kill(started.pid, signal.SIGKILL)
    await until(lambda: bot.exit_code(started) is not None)
    assert bot.exit_code(started) == -9
    assert zoo.bot().exit_code(started) is None  # not the one that started it


def test_an_exit_status_that_somebody_else_took_is_unknown() -> None:
    child = Child(pid=os.getppid(), started_ticks=0)  # not a child of ours
    child.reap()
    assert child.ended
    assert child.code is None


async def test_a_second_bot_is_refused(zoo: Zoo) -> None:
    zoo.script("bot.py", SIMPLE)
    started = await zoo.bot().start()
    await zoo.pid("bot")
    with pytest.raises(
        BotError, match=rf"already runs as pid {started.pid} .*: nothing was started\. Stop it"
    ):
        await zoo.bot().start()
    assert alive(started.pid)


async def test_the_watchdogs_own_variables_stay_with_it(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "CREDENTIALS_DIRECTORY")
    for name in (*names, "INVOCATION_ID", "JOURNAL_STREAM"):
        monkeypatch.setenv(name, "ours")
    zoo.script("bot.py", "Path('env').write_text('\\n'.join(map('='.join, os.environ.items()))); here('bot')")
    await zoo.bot().start()
    await zoo.pid("bot")
    environment = (zoo.folder / "env").read_text().split("\n")
    assert f"MODEL_WATCHDOG_BOT={zoo.identity}" in environment
    assert f"PATH={os.environ['PATH']}" in environment
    assert not [entry for entry in environment if entry.endswith("=ours")]


def test_the_mark_of_another_bot_is_replaced() -> None:
    assert bot_environment("b", {"MODEL_WATCHDOG_BOT": "a", "A": "1"}) == {
        "MODEL_WATCHDOG_BOT": "b",
        "A": "1",
    }


async def test_a_missing_folder_is_said(zoo: Zoo) -> None:
    bot = zoo.bot()
    moved = zoo.folder.rename(zoo.folder.with_name("moved"))
    with pytest.raises(BotError, match=r"No such file or directory\. Mend bot\.process\.directory"):
        await bot.start()
    moved.rename(zoo.folder)


@pytest.mark.parametrize(
    ("content", "mode", "command", "says"),
    [
        (None, 0, "./bot", r"there is no program \./bot that .* may run\. Write its whole path"),
        (None, 0, "no-such-trader", r"there is no program no-such-trader"),
        ("#!/no/such/python\n", 0o755, "./bot", r"an interpreter that does not exist: '#!/no/such/python'"),
        ("#!/bin/sh\r\n", 0o755, "./bot", r"does not exist: '#!/bin/sh\\r'.*sed -i"),
        ("#!/bin/sh\n", 0o644, "./bot", r"may not be executed by .*uid.*chmod \+x"),
        ("print('hello')\n", 0o755, "./bot", r"a script with a `#!` line.*\[bash, \./bot\]"),
    ],
)
async def test_a_program_that_cannot_be_executed_is_said_with_the_remedy(
    zoo: Zoo, content: str | None, mode: int, command: str, says: str
) -> None:
    if content is not None:
        (zoo.folder / "bot").write_bytes(content.encode())
        (zoo.folder / "bot").chmod(mode)
    bot = zoo.bot(command)
    with pytest.raises(BotError, match=says):
        await bot.start()
    assert (await bot.find()) == []
    assert bot.remember() is None


@pytest.fixture
def foreign_program(zoo: Zoo) -> None:
    image = Path("/bin/true").read_bytes()
    assert b"/lib" in image
    (zoo.folder / "bot").write_bytes(image.replace(b"/lib", b"/lob", 1))  # the loader that it asks for
    (zoo.folder / "bot").chmod(0o755)


@pytest.mark.usefixtures("foreign_program")
async def test_a_program_of_another_system_is_said(zoo: Zoo) -> None:
    with pytest.raises(BotError, match="was built for another system"):
        await zoo.bot("./bot").start()


async def test_a_program_in_a_virtual_environment_is_proposed(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = zoo.folder / "venv" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.symlink_to(sys.executable)
    empty = zoo.folder / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    with pytest.raises(BotError, match=rf"Did you mean {program}\?"):
        await zoo.bot("python", "bot.py").start()
    program.unlink()
    (empty / "python3").symlink_to(sys.executable)
    with pytest.raises(BotError, match=rf"Did you mean {empty}/python3\?"):
        await zoo.bot("python", "bot.py").start()


async def test_an_impossible_command_line_is_said(zoo: Zoo) -> None:
    with pytest.raises(BotError, match=r"null byte\. Try the command by hand as"):
        await zoo.bot("/bin/echo", "a\0b").start()
    with pytest.raises(BotError, match=r"Argument list too long\. Try the command by hand"):
        await zoo.bot("/bin/echo", "a" * 200_000).start()


async def test_the_output_of_a_bot_that_runs_can_be_kept_small(zoo: Zoo) -> None:
    zoo.script("bot.py", "print('x' * 11_000_000, flush=True); here('bot'); forever()")
    bot = zoo.bot()
    await bot.start()
    await zoo.pid("bot")
    bot.trim_output()
    assert (zoo.folder / "state" / "bot-output.log").stat().st_size == 0
    assert (zoo.folder / "state" / "bot-output.log.1").stat().st_size == 11_000_001
