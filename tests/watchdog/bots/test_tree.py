import errno
import os
import signal
import sys

import pytest

from tests.watchdog.bots.conftest import Zoo, alive, until
from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.tree import Member, Tree


def stat_of(pid: int) -> proc.Stat:
    found = proc.stat(pid)
    assert found is not None
    return found


def nobody(_: proc.Table) -> set[int]:
    return set()


def no_pidfds(_: int) -> int:
    raise OSError(errno.ENOSYS, "Function not implemented")


def recycled(found: proc.Stat) -> proc.Stat:
    """What was read of an earlier process with the same pid."""
    return proc.Stat(
        found.pid,
        found.comm,
        found.state,
        found.ppid,
        found.session,
        found.kernel_thread,
        found.threads,
        found.started_ticks - 1,
    )


@pytest.mark.parametrize("pidfd_open", [os.pidfd_open, no_pidfds])
async def test_a_member_is_signalled_and_seen_to_die(zoo: Zoo, pidfd_open: type[object]) -> None:
    pid = zoo.run("sleep", "60")
    member = Member.hold(stat_of(pid), main=True, pidfd_open=pidfd_open)  # type: ignore[arg-type]
    assert member is not None
    assert member.alive()
    assert member.command == "sleep 60"
    member.send(signal.SIGTERM)
    await until(lambda: not member.alive())
    member.send(signal.SIGKILL)  # a zombie now
    zoo.clean()
    member.send(signal.SIGKILL)  # gone
    member.release()
    member.release()


def test_a_pid_that_was_recycled_is_not_held(zoo: Zoo) -> None:
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    found = stat_of(zoo.run("sleep", "60"))
    assert Member.hold(recycled(found), main=True) is None
    assert Member.hold(recycled(found), main=True, pidfd_open=no_pidfds) is None
    assert len(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208


def test_a_process_that_vanished_is_not_held(zoo: Zoo) -> None:
    found = stat_of(zoo.run("sleep", "60"))
    zoo.clean()
    assert Member.hold(found, main=True) is None
    assert Member.hold(found, main=True, pidfd_open=no_pidfds) is None


async def test_without_a_pidfd_a_recycled_pid_is_not_signalled_either(zoo: Zoo) -> None:
    pid = zoo.run("sleep", "60")
    member = Member.hold(stat_of(pid), main=True, pidfd_open=no_pidfds)
    assert member is not None
    member.started_ticks -= 1
    member.send(signal.SIGKILL)
    assert not member.alive()
    assert alive(pid)


def test_a_process_that_is_spared_is_never_a_member(zoo: Zoo) -> None:
    pid = zoo.run("sleep", "60")
    spared = frozenset({pid, os.getpid()})
    tree = Tree([], lambda _: set(spared), spared)
    assert tree.living() == []
    assert tree.pids() == ()


async def test_a_session_whose_number_went_to_another_process_is_not_followed(zoo: Zoo) -> None:
    """The leader's start differs from the member's that led a session of this number."""
    leader = zoo.run("sh", "-c", "sleep 60 & sleep 60")
    tree = Tree([], nobody, frozenset())
    tree._sessions[leader] = stat_of(leader).started_ticks - 1
    assert not tree.scan()
    tree._sessions[leader] = stat_of(leader).started_ticks
    assert tree.scan()
    tree.release()


def test_a_command_that_is_handed_on_is_wrapped(zoo: Zoo) -> None:
    def member(args: str, pid: int = 10, parent: int = 1, shell: bool = False) -> Member:
        return Member(pid, 1, parent, tuple(args.split()), shell, main=True, fd=None)

    child = member("python main.py", 11, parent=10)
    assert member("flock lock python main.py").wraps(child)
    assert member("sh run.sh", shell=True).wraps(child)
    assert not member("python main.py").wraps(child)  # a fork of itself
    assert not member("python other.py").wraps(child)
    assert not member("flock lock python main.py", pid=12).wraps(child)  # not its parent
    assert not member("python main.py").wraps(member("", 11, parent=10))


async def test_processes_without_end_are_given_up_on(zoo: Zoo) -> None:
    """The clock is the test's: at 25 s something is alive that nobody has had the time to kill."""
    zoo.script("bot.py", "here('bot'); forever()")
    pid = zoo.run(sys.executable, "bot.py")
    tree = Tree([stat_of(pid)], nobody, frozenset())
    tree.complain(24.9, timeout_s=15, kill_wait_s=5)
    with pytest.raises(BotError, match=rf"faster than they can be killed: 1 are left, .* pid {pid} \(`"):
        tree.complain(25, timeout_s=15, kill_wait_s=5)
    tree.release()


def test_a_process_that_ended_meanwhile_can_be_complained_about(zoo: Zoo) -> None:
    found = stat_of(zoo.run("sleep", "60"))
    tree = Tree([found], nobody, frozenset())
    [member] = tree.living()
    os.kill(found.pid, signal.SIGSTOP)
    member.killed_s = 0.0
    with pytest.raises(
        BotError, match=rf"pid {found.pid} \(`sleep 60`\) is still there 5 s after SIGKILL, in"
    ):
        tree.complain(5, timeout_s=0, kill_wait_s=5)
    tree.release()
