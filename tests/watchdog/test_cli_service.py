"""`run`: the locks, the exit codes, and a reload that keeps to both."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.watchdog.yard import Yard
from watchdog.assemble import locks
from watchdog.journal import Journal
from watchdog.lock import Lock


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """A paused house, so that no bot is started."""
    yard = Yard(tmp_path / "bot")
    yard.control.mkdir(mode=0o700)
    (yard.control / "PAUSE").touch()
    return yard


class Running:
    """A daemon; `log` is what it has written."""

    def __init__(self, yard: Yard, process: subprocess.Popen[bytes], path: Path) -> None:
        self._yard, self._path = yard, path
        self.process = process

    @property
    def log(self) -> str:
        return self._path.read_text(encoding="utf-8")

    def reload(self, *, says: str) -> None:
        """SIGHUP, and a wait for what comes of it."""
        before = self.log.count(says)
        self.process.send_signal(signal.SIGHUP)
        self._yard.wait(lambda: self.log.count(says) > before)


@contextmanager
def running(yard: Yard, says: str = "watching v2.1.0") -> Iterator[Running]:
    path = yard.top / "watchdog.log"
    with path.open("wb") as log:
        process = subprocess.Popen(yard.command("run"), stdout=log, stderr=log, start_new_session=True)
    try:
        found = Running(yard, process, path)
        yard.wait(lambda: says in found.log)
        yield found
        process.terminate()
        assert process.wait(20) == 0, found.log
    finally:
        process.kill()
        process.wait()


def test_it_runs_until_it_is_told_to_end_and_holds_both_locks(yard: Yard) -> None:
    with running(yard) as daemon:
        assert [lock.holder() for lock in locks(yard.settings)] == [daemon.process.pid] * 2
        assert yard.cli("status", "--json").json["state"] == "paused"
    assert [lock.holder() for lock in locks(yard.settings)] == [None, None]


def test_a_second_one_names_the_first_and_exits_1(yard: Yard) -> None:
    with yard.daemon():
        said = yard.process("run")
    assert said.code == 1
    assert f"another watchdog (pid {os.getpid()})" in said.err
    assert f"kill {os.getpid()}" in said.err


def test_a_second_one_on_the_same_registry_is_refused_as_well(yard: Yard) -> None:
    other = Lock(yard.top / "models_saved" / "registry.json.watchdog")
    other.take()
    try:
        said = yard.process("run")
    finally:
        other.release()
    assert said.code == 1
    assert "registry.json.watchdog" in said.err
    assert locks(yard.settings)[0].holder() is None, "the first lock was kept"


def test_a_control_folder_for_everybody_is_a_wrong_configuration(yard: Yard) -> None:
    yard.control.chmod(0o777)
    said = yard.process("run")
    assert said.code == 2
    assert f"chmod o-w {yard.control}" in said.err


def test_a_state_folder_or_a_journal_for_everybody_is_a_wrong_configuration(yard: Yard) -> None:
    """Who writes the journal lifts halts and names the process that is stopped as the bot."""
    yard.state.mkdir(mode=0o700)
    Journal(yard.state / "watchdog.db").close()
    for path in (yard.state, yard.state / "watchdog.db"):
        before = path.stat().st_mode
        path.chmod(0o777)
        said = yard.process("run")
        assert said.code == 2
        assert f"chmod o-w {path}" in said.err
        by_hand = yard.process("halt")
        assert (by_hand.code, f"chmod o-w {path}" in by_hand.out) == (1, True)
        path.chmod(before)
    assert not locks(yard.settings)[0].path.exists(), "something was begun"


def test_a_state_folder_that_cannot_be_used_is_bad_news(yard: Yard) -> None:
    yard.state.write_text("")
    said = yard.process("run")
    assert (said.code, "Traceback" in said.err) == (1, False)
    assert str(yard.state) in said.err


def test_a_journal_that_is_none_is_set_aside_and_told(yard: Yard) -> None:
    yard.state.mkdir(mode=0o700)
    (yard.state / "watchdog.db").write_text("this is no database at all")
    with running(
        yard, "halted since"
    ) as daemon:  # whoever knows nothing of the past starts no bot that is down
        assert "was damaged" in daemon.log
    aside = [path for path in yard.state.rglob("*") if path.is_file() and path.read_bytes()[:7] == b"this is"]
    assert len(aside) == 1
    assert aside[0].name != "watchdog.db"


def test_a_reload_that_arms_it_takes_the_registrys_lock_too(yard: Yard) -> None:
    yard.configure(mode="observe")
    by_state, by_registry = Lock(yard.state / "watchdog.lock"), locks_of_the_registry(yard)
    with running(yard) as daemon:
        pid = daemon.process.pid
        assert (by_state.holder(), by_registry.holder()) == (pid, None)
        yard.configure(mode="act")
        daemon.reload(says="the configuration was read again")
        assert (by_state.holder(), by_registry.holder()) == (pid, pid)
        yard.configure(mode="observe")
        daemon.reload(says="the configuration was read again")
        assert by_state.holder() == pid


def locks_of_the_registry(yard: Yard) -> Lock:
    return Lock(yard.top / "models_saved" / "registry.json.watchdog")


def test_no_worker_thread_takes_a_signal(yard: Yard) -> None:
    """One that still ends while no daemon listens, between two of them at a reload, would be killed by it."""
    term = 1 << (signal.SIGTERM - 1)

    def blocked(thread: Path) -> bool:
        mask = next(
            line for line in (thread / "status").read_text().splitlines() if line.startswith("SigBlk")
        )
        return bool(int(mask.split()[1], 16) & term)

    with running(yard) as daemon:
        pid = daemon.process.pid
        threads = [path for path in Path(f"/proc/{pid}/task").iterdir() if path.name != str(pid)]
        assert threads
        assert all(blocked(thread) for thread in threads)
        assert not blocked(Path(f"/proc/{pid}"))


def test_a_reload_that_would_make_two_act_on_one_registry_is_not_taken_over(yard: Yard) -> None:
    yard.configure(mode="observe")
    other = locks_of_the_registry(yard)
    with running(yard) as daemon:
        other.take()
        yard.configure(mode="act")
        daemon.reload(says="was not taken over")
        assert f"another watchdog (pid {os.getpid()})" in daemon.log
        assert "(observe)" in yard.cli("status", "--json").json["sentence"]
        other.release()
        daemon.reload(says="the configuration was read again")
        assert other.holder() == daemon.process.pid


def test_what_makes_it_another_watchdog_needs_a_restart(yard: Yard) -> None:
    with running(yard) as daemon:
        yard.configure(bot={"name": "another"}, state_dir="elsewhere")
        daemon.reload(says="can only be changed by a restart")
        assert "bot.name, state_dir can only" in daemon.log
        assert not (yard.top / "elsewhere").exists()
        yard.path.write_text("bot: 7\n")
        daemon.reload(says="must be a section")
        assert daemon.process.poll() is None
