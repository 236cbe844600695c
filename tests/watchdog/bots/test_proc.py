import os
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import Zoo, until
from watchdog.bots import proc
from watchdog.bots.base import Running

NO_PID = 2**22 + 1  # above every pid_max


def test_a_name_with_blanks_and_parentheses_is_read_right(zoo: Zoo) -> None:
    program = zoo.folder / "x) S (1 2"
    shutil.copy("/bin/sleep", program)
    pid = zoo.run(str(program), "60")
    found = proc.stat(pid)
    assert found is not None
    assert (found.pid, found.comm, found.ppid, found.session) == (pid, "x) S (1 2", os.getpid(), pid)


def test_a_process_that_is_gone_reads_as_nothing(tmp_path: Path) -> None:
    assert proc.stat(NO_PID) is None
    assert proc.arguments(NO_PID) == ()
    assert proc.executable(NO_PID) is None
    assert not proc.works_in(NO_PID, tmp_path)
    assert not proc.has_variable(NO_PID, b"A=1")
    assert proc.effective_uid(NO_PID) is None
    assert proc.describe(NO_PID) == "already gone"


async def test_a_zombie_is_dead(zoo: Zoo) -> None:
    pid = zoo.run("/bin/true")
    await until(lambda: (s := proc.stat(pid)) is not None and s.state == "Z")
    found = proc.stat(pid)
    assert found is not None
    assert found.dead
    assert proc.describe(pid) == "[true]"
    assert pid not in [s.pid for s in proc.Table.read().alive()]


async def test_a_process_whose_main_thread_alone_has_ended_is_alive(zoo: Zoo) -> None:
    zoo.script(
        "bot.py",
        """
        import ctypes, threading
        threading.Thread(target=forever).start()
        ctypes.CDLL(None).pthread_exit(None)
        """,
    )
    pid = zoo.run()
    await until(lambda: (s := proc.stat(pid)) is not None and s.state == "Z")
    assert pid in [s.pid for s in proc.Table.read().alive()]


def test_kernel_threads_are_no_candidates() -> None:
    line = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0"
    assert list(proc.Table([proc.parse_stat(line)]).alive()) == []


def test_the_environment_is_searched_for_whole_entries(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARK_OF_TEST", "bot-10")
    pid = zoo.run("sleep", "60")
    assert proc.has_variable(pid, b"MARK_OF_TEST=bot-10")
    assert not proc.has_variable(pid, b"MARK_OF_TEST=bot-1")
    assert not proc.has_variable(pid, b"OF_TEST=bot-10")


def test_a_working_directory_is_the_same_by_any_name(zoo: Zoo) -> None:
    pid = zoo.run("sleep", "60")
    other = zoo.folder / "link"
    other.symlink_to(zoo.folder)
    assert proc.works_in(pid, zoo.folder)
    assert proc.works_in(pid, other)
    assert not proc.works_in(pid, Path("/"))


def test_the_age_of_a_process_gives_its_start_in_wall_time(zoo: Zoo) -> None:
    pid = zoo.run("sleep", "60")
    found = proc.stat(pid)
    assert found is not None
    now = datetime(2020, 1, 1, tzinfo=UTC)  # whatever the wall clock says
    started = Running(pid, found.started_ticks, True, "sleep 60").started_at(now)
    assert timedelta(0) <= now - started + timedelta(seconds=0.02) < timedelta(seconds=5)


def test_the_ancestors_of_this_test_end_at_the_first_process() -> None:
    chain = proc.Table.read().ancestors(os.getpid())
    assert chain[0].pid == os.getppid()
    assert chain[-1].ppid == 0


def test_a_table_with_a_circle_in_it_ends() -> None:
    def line(pid: int, ppid: int) -> proc.Stat:
        return proc.parse_stat(f"{pid} (x) S {ppid} 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0".encode())

    table = proc.Table([line(10, 12), line(11, 10), line(12, 11)])
    assert [s.pid for s in table.ancestors(10)] == [12, 11]
    assert table.ancestors(99) == []


def test_users_are_told_by_name_and_number() -> None:
    assert proc.user_name(0) == "root (uid 0)"
    assert proc.user_name(987_654) == "uid 987654"
    assert proc.effective_uid(os.getpid()) == os.geteuid()


def test_the_boot_id_stays_the_same() -> None:
    assert proc.boot_id() == proc.boot_id() != ""


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("python", "main.py"), "python main.py"),
        (("sh", "-c", "while :; do\n  python main.py\ndone"), "sh -c 'while :; do python main.py done'"),
        (("x", "--api-key=abc", "--token", "def", "-v"), "x --api-key=*** --token *** -v"),
        (
            ("curl", "https://h/bot123456789:AAEhBOweik9ai2o01SDFsdfIJsdf8asdf_-/getMe"),
            "curl https://h/bot***/getMe",
        ),
        (("a" * 200,), "a" * 119 + "…"),
        (("\udcff",), "'�'"),
        ((), ""),
    ],
)
def test_a_command_line_for_people_is_short_and_holds_no_secret(args: tuple[str, ...], text: str) -> None:
    assert proc.command_text(args) == text


def test_a_shell_is_known_by_its_name_and_by_its_file() -> None:
    assert proc.is_shell(("-bash",), None)
    assert proc.is_shell(("./run.sh",), "/usr/bin/dash")
    assert not proc.is_shell(("python",), sys.executable)
    assert not proc.is_shell((), None)


def test_nothing_in_the_zoo_outlives_it(zoo: Zoo) -> None:
    pid = zoo.run("sh", "-c", "trap '' TERM; setsid sleep 60 & wait")
    assert pid in zoo.clean()
    assert zoo.clean() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIG_DFL)
