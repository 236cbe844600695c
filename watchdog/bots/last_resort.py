"""When its owner does not stop a bot that has to stop: SIGKILL to the process that was last known to be it."""

import contextlib
import os
import signal

from watchdog.bots import proc


def kill_known(known: tuple[int, int, str] | None) -> int | None:
    """Kills the process that `BotControl.remember` named (pid, started_ticks, boot id), if it is still that one, and
    returns its pid; None when there is none, or it may not be killed from here. The first process of a container takes
    all of the container along."""
    if known is None or known[2] != proc.boot_id():
        return None
    pid, ticks, _ = known
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return None
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, process)
        found = proc.stat(pid)
        if found is None or found.started_ticks != ticks:
            return None
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
        except OSError:
            return None
    return pid
