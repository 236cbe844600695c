"""One watchdog a bot, with real processes where the kernel is what matters."""

import fcntl
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.lock import Lock, LockedError

HOLD = (
    "import sys, time; from pathlib import Path; from watchdog.lock import Lock\n"
    "Lock(Path(sys.argv[1])).take(); print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.lock"


@pytest.fixture
def other(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another watchdog, which holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_watchdog_is_told_the_pid_of_the_first(path: Path, other: subprocess.Popen[str]) -> None:
    with pytest.raises(LockedError, match=rf"another watchdog \(pid {other.pid}\).*kill {other.pid}"):
        Lock(path).take()
    assert Lock(path).holder() == other.pid


def test_nobody_else_can_open_the_lock_and_so_hold_it(path: Path) -> None:
    """To hold a lock it is enough to open the file for reading."""
    before = os.umask(0)
    lock = Lock(path)
    try:
        lock.take()
    finally:
        os.umask(before)
        lock.release()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_lock_of_a_watchdog_that_was_killed_is_free(path: Path, other: subprocess.Popen[str]) -> None:
    other.kill()
    other.wait()
    lock = Lock(path)
    assert lock.holder() is None
    lock.take()
    assert path.read_text(encoding="ascii") == f"{os.getpid()}\n"
    lock.release()


def test_a_released_lock_can_be_taken_again(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    first.take()
    with pytest.raises(LockedError, match=f"pid {os.getpid()}"):
        second.take()
    first.release()
    first.release()  # once more does no harm
    second.take()
    second.release()
    assert path.exists()


def test_a_refused_lock_leaves_the_holders_pid_and_no_descriptor(
    path: Path, other: subprocess.Popen[str]
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(2):
        with pytest.raises(LockedError):
            Lock(path).take()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert path.read_text(encoding="ascii") == f"{other.pid}\n"


def test_nobody_holds_a_lock_that_was_never_made(path: Path) -> None:
    assert Lock(path).holder() is None
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "garbage"])
def test_a_holder_that_has_not_written_its_pid_is_a_holder(path: Path, content: str) -> None:
    path.write_text(content, encoding="ascii")
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert Lock(path).holder() == 0
        with pytest.raises(LockedError, match=r"pid (unknown|garbage)"):
            Lock(path).take()


def test_who_only_asks_for_the_holder_keeps_no_watchdog_from_starting(path: Path) -> None:
    path.touch()
    asking = threading.Event()

    def ask() -> None:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            asking.set()
            time.sleep(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    asking.wait(10)
    lock = Lock(path)
    lock.take()
    thread.join()
    lock.release()


def test_a_child_does_not_inherit_the_lock(path: Path) -> None:
    """The bot outlives the watchdog: it must not hold its lock."""
    lock = Lock(path)
    lock.take()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False) as child:
        lock.release()
        deadline = time.monotonic() + 10  # the kernel closes it a moment after the new program has begun
        while Lock(path).holder() is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        found = Lock(path).holder()
        child.kill()
    assert found is None


def test_a_link_in_place_of_the_lock_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Lock(path).take()
    assert not (tmp_path / "elsewhere").exists()
