"""Whatever a test starts ends with it: a run that leaves a process behind has failed."""

import os
import time
import uuid

import psutil
import pytest

MARK = "MODEL_WATCHDOG_TEST_RUN"
"""In the environment of every process that this run starts, and that is given the environment of whoever starts it."""

LAST_ACTS_S = 2.0
"""What was told to end may still be ending."""


def pytest_configure(config: pytest.Config) -> None:
    if _is_first(config):
        os.environ[MARK] = uuid.uuid4().hex


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not _is_first(session.config):
        return
    until_s = time.monotonic() + LAST_ACTS_S
    while (left := leftovers(os.environ[MARK])) and time.monotonic() < until_s:
        time.sleep(0.05)
    if left:
        print("\nThe tests left processes behind:", *left, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def leftovers(mark: str) -> list[str]:
    """Processes of the run with this mark, but for this one and the workers of pytest-xdist, which end after it."""
    found = []
    for process in psutil.process_iter():
        try:
            environ = process.environ()
            test = environ.get("PYTEST_CURRENT_TEST")
            ours = process.pid == os.getpid() or (test is None and process.ppid() == os.getpid())
            if ours or environ.get(MARK) != mark:
                continue
            command = " ".join(process.cmdline())
        except psutil.Error:  # it has ended, or is not ours
            continue
        found.append(f"{process.pid} ({command}), started in {test or 'no test'}")
    return found


def _is_first(config: pytest.Config) -> bool:
    """Not a worker of pytest-xdist."""
    return not hasattr(config, "workerinput")
