import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.cgroup import members, roots_of

GROUP = "/system.slice/bot.service"


@pytest.fixture
def child() -> Iterator[int]:
    """A process that waits."""
    pid = os.fork()
    if pid == 0:
        signal.pause()
    yield pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def groups(root: Path, pids: dict[str, list[int]], kind: str = "cgroup2", options: str = "rw") -> str:
    """Folders as the kernel shows them under `root`; the line of /proc/self/mounts for it."""
    for group, found in pids.items():
        folder = root / group.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in found))
    return f"cgroup {root} {kind} {options} 0 0\n"


def test_all_of_a_group_and_of_those_below_it_are_found_oldest_first(tmp_path: Path, child: int) -> None:
    mounts = groups(
        tmp_path, {GROUP: [child], f"{GROUP}/worker": [os.getpid()], "/system.slice/other.service": [1]}
    )
    found = members(GROUP, mounts)
    assert [s.pid for s in found] == [os.getpid(), child]
    assert [s.pid for s in roots_of(found)] == [os.getpid()]


def test_a_group_that_is_not_there_is_empty(tmp_path: Path) -> None:
    mounts = groups(tmp_path, {"/system.slice/other.service": [os.getpid()]})
    assert members(GROUP, mounts) == []
    assert members("", mounts) == []


def test_the_hierarchy_of_systemd_is_read_where_version_2_is_not_mounted(tmp_path: Path) -> None:
    folders = [tmp_path / "with a blank", tmp_path / "memory"]
    own, other = folders
    mounts = groups(own, {GROUP: [os.getpid()]}, "cgroup", "rw,name=systemd").replace(
        " a blank", r"\040a\040blank"
    )
    mounts += groups(other, {GROUP: [1]}, "cgroup", "rw,memory")
    assert [s.pid for s in members(GROUP, mounts)] == [os.getpid()]


def test_without_control_groups_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(BotError, match="let the watchdog see /sys/fs/cgroup"):
        members(GROUP, f"tmpfs {tmp_path} tmpfs rw 0 0\n")


def test_a_zombie_is_no_process(tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert members(GROUP, groups(tmp_path, {GROUP: [pid]})) == []
    finally:
        os.waitpid(pid, 0)


def test_a_process_that_may_not_be_looked_at_is_an_error_and_not_a_bot_that_is_down(tmp_path: Path) -> None:
    unseen = next(pid for pid in range(4_000_000, 3_000_000, -1) if proc.stat(pid) is None)
    with pytest.raises(BotError, match=rf"pid {unseen} is not in /proc.*hidepid"):
        members(GROUP, groups(tmp_path, {GROUP: [unseen]}))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_group_that_may_not_be_read_is_an_error(tmp_path: Path) -> None:
    mounts = groups(tmp_path, {GROUP: [os.getpid()]})
    (tmp_path / GROUP.lstrip("/") / "cgroup.procs").chmod(0)
    with pytest.raises(BotError, match="cannot be read"):
        members(GROUP, mounts)
