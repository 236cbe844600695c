import errno
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry import RegistryError
from registry.lock import locked
from tests.registry.faults import watching
from tests.registry.shop import unprivileged

HOLD = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another(path: Path) -> Iterator[None]:
    """Another process holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.kill()


class Clock:
    """Time passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_another_holder_is_waited_for_as_long_as_allowed_then_named(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "registry.json.lock"
    with held_by_another(path):
        with (
            pytest.raises(RegistryError, match=r"registry.json.lock: .* held this lock for 10 s; .*fuser"),
            locked(path, 10.0, sleep=clock.sleep, monotonic=clock.monotonic),
        ):
            pytest.fail("the lock was given away twice")
        assert 10.0 <= clock.now < 10.1
    with locked(path, 5.0):
        assert path.exists()


def test_threads_of_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, 1.0), pytest.raises(RegistryError, match="held this lock"), locked(path, 0.0):
        pytest.fail("the lock was given away twice")
    with locked(path, 0.0):
        pass


def test_a_lock_file_that_is_deleted_meanwhile_is_made_anew(tmp_path: Path) -> None:
    """A lock on a file without a name would exclude nobody who comes later."""
    path, clock = tmp_path / "lock", Clock()
    with held_by_another(path):

        def delete(seconds: float) -> None:
            path.unlink()
            clock.sleep(seconds)

        with (
            locked(path, 10.0, sleep=delete, monotonic=clock.monotonic),
            pytest.raises(RegistryError, match="held"),
            locked(path, 0.0),
        ):
            pytest.fail("the lock was given away twice")
    assert clock.now < 1.0


@pytest.mark.parametrize("replaced", [False, True])
def test_a_lock_file_that_is_deleted_between_opening_and_locking_is_not_taken(
    tmp_path: Path, replaced: bool
) -> None:
    path, clock, deletions = tmp_path / "lock", Clock(), 0

    def delete(event: str, args: tuple[object, ...]) -> None:
        nonlocal deletions
        if event == "fcntl.flock" and deletions == 0:
            deletions += 1
            path.unlink()
            if replaced:
                path.touch()

    with watching(delete), locked(path, 10.0, sleep=clock.sleep, monotonic=clock.monotonic):
        assert deletions == 1
        with pytest.raises(RegistryError, match="held"), locked(path, 0.0):
            pytest.fail("the lock was given away twice")


def test_a_file_system_without_locks_says_so(tmp_path: Path) -> None:
    def refuse(event: str, args: tuple[object, ...]) -> None:
        if event == "fcntl.flock":
            raise OSError(errno.ENOLCK, "No locks available")

    refused = pytest.raises(RegistryError, match=r"cannot be locked: No locks available; .*on a local disk")
    with watching(refuse), refused, locked(tmp_path / "lock", 10.0):
        pytest.fail("there is no lock")


def test_another_users_lock_file_serves_if_it_can_be_read(public: Path) -> None:
    path = public / "lock"
    path.touch(mode=0o444)
    denied = pytest.raises(RegistryError, match="Permission denied; give this user access")
    with unprivileged(), locked(path, 0.0):
        pass
    path.chmod(0)
    with unprivileged(), denied, locked(path, 0.0):
        pass


def test_a_folder_that_may_not_be_written_says_so(public: Path) -> None:
    public.chmod(0o555)
    denied = pytest.raises(RegistryError, match="Permission denied; give this user access")
    with unprivileged(), denied, locked(public / "lock", 0.0):
        pass


def test_a_missing_folder_and_a_link_say_so(tmp_path: Path) -> None:
    lock = tmp_path / "none" / "lock"
    with pytest.raises(RegistryError, match="No such file or directory; check the path"), locked(lock, 0.0):
        pass
    (tmp_path / "lock").symlink_to("elsewhere")
    with pytest.raises(RegistryError, match="cannot be opened"), locked(tmp_path / "lock", 0.0):
        pass
    assert not (tmp_path / "elsewhere").exists()
