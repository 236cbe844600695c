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

from watchdog.lock import GIVES_WAY_S, Keeper, Lock, LockedError

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


# -- a lock whose file is deleted while it is held


@pytest.fixture
def held(tmp_path: Path) -> Iterator[list[Lock]]:
    """The locks of a running watchdog: the state folder's, and the registry's."""
    locks = []
    for name in ("state/watchdog.lock", "models/registry.json.watchdog"):
        (tmp_path / name).parent.mkdir()
        locks.append(Lock(tmp_path / name))
        locks[-1].take()
    yield locks
    for lock in locks:
        lock.release()


@pytest.fixture
def hands() -> list[float]:
    """What a clock shows that is set by hand."""
    return [0.0]


@pytest.fixture
def keeper(held: list[Lock], hands: list[float]) -> Keeper:
    return Keeper(held, held[0].path.parent, lambda: hands[0])


@pytest.mark.parametrize("how", ["deleted", "replaced", "folder deleted"])
def test_a_lock_whose_file_is_gone_is_taken_anew(held: list[Lock], keeper: Keeper, how: str) -> None:
    keeper.look()
    assert not held[0].lost
    path = held[0].path
    path.unlink()
    if how == "replaced":
        path.write_text("1\n", encoding="ascii")
    elif how == "folder deleted":
        path.parent.rmdir()
    assert held[0].lost
    assert Lock(path).holder() is None
    before = len(list(Path("/proc/self/fd").iterdir()))
    keeper.look()
    assert not held[0].lost
    assert Lock(path).holder() == os.getpid()
    assert path.read_text(encoding="ascii") == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o022 == 0
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "the deleted file is still open"


def test_a_watchdog_whose_locks_are_all_taken_by_another_gives_way_at_once(
    held: list[Lock], keeper: Keeper
) -> None:
    others = []
    for lock in held:
        lock.path.unlink()
        others.append(Lock(lock.path))
        others[-1].take()
    with pytest.raises(LockedError, match=r"another watchdog \(pid"):
        keeper.look()
    for other in others:
        other.release()


def test_another_that_is_turned_away_at_the_second_lock_displaces_nobody(
    held: list[Lock], keeper: Keeper, hands: list[float]
) -> None:
    """It was started in the moment in which the first lock was nobody's, and meets the second one."""
    held[0].path.unlink()
    other = Lock(held[0].path)
    other.take()
    keeper.look()
    other.release()
    hands[0] = GIVES_WAY_S
    keeper.look()
    assert not held[0].lost
    held[0].path.unlink()
    other.take()
    keeper.look()
    hands[0] += GIVES_WAY_S
    with pytest.raises(LockedError):
        keeper.look()
    other.release()


def test_a_lock_that_cannot_be_taken_anew_is_tried_again_and_told_once(
    held: list[Lock], keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    folder = held[1].path.parent
    held[1].path.unlink()
    folder.rmdir()  # the registry's folder is not the watchdog's to make
    for _ in range(3):
        keeper.look()
    assert [record.message for record in caplog.records] == [
        f"{held[1].path} was deleted or replaced, and cannot be taken anew: "
        f"[Errno 2] No such file or directory: '{held[1].path}'"
    ]
    folder.mkdir()
    keeper.look()
    assert not held[1].lost


def test_the_holder_of_a_deleted_lock_is_still_known_by_what_it_has_open(
    path: Path, other: subprocess.Popen[str]
) -> None:
    lock = Lock(path)
    assert lock.is_open_in(other.pid)
    path.unlink()
    assert lock.is_open_in(other.pid)
    assert not lock.is_open_in(os.getpid())
    other.kill()
    other.wait()
    assert not lock.is_open_in(other.pid)
