"""One container as the engine tells it: recorded answers of real engines."""

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.watchdog.bots.recorded import LABEL, inspected
from watchdog.bots import proc
from watchdog.bots.container import Container, lives_in, parse, processes_of, signed, time_of


def container(state: str, compose: int = 1, **changes: object) -> Container:
    return parse(inspected(state, compose=compose, **changes))


@pytest.mark.parametrize("compose", [1, 2])
def test_a_container_that_runs(compose: int) -> None:
    found = container("running", compose)
    assert (found.service, found.project, found.oneoff, found.number) == ("bot", "sol", False, 1)
    assert (found.up, found.resting, found.pid, found.restarts) == (True, False, 12803, 0)
    assert found.name == ("sol_bot_1" if compose == 1 else "sol-bot-1")
    assert found.files[0] == Path("/srv/bot/docker-compose.yml")
    assert found.command == f"container {found.name}: {found.argv[0]} main.py"
    assert time_of(found.started) == datetime(2026, 11, 23, 16, 4, 2, 431868, UTC)
    assert time_of(found.finished) is None
    assert (found.policy, found.trouble(0)) == ("unless-stopped", None)


def test_no_secret_is_in_its_text() -> None:
    found = container("running")
    assert "hunter2" in str(found.details)
    assert "hunter2" not in f"{found} {found!r} {found.command}"


def test_a_paused_one_is_up_and_frozen() -> None:
    found = container("paused")
    assert (found.up, found.resting) == (True, False)
    assert found.trouble(0) == (
        "container sol_bot_1 is paused: the bot is frozen, and neither trades nor minds its positions"
    )


def test_a_stopped_one_is_simply_down() -> None:
    found = container("stopped")
    assert (found.up, found.resting, found.pid, found.exit_code) == (False, False, 0, -9)
    assert (found.trouble(0), found.how_it_ended()) == (None, "killed by signal 9")


def test_one_that_waits_to_be_restarted_is_down_though_the_engine_calls_it_running() -> None:
    assert inspected("restarting")["State"]["Running"] is True
    found = container("restarting")
    assert (found.up, found.resting) == (False, True)
    times = f"{found.restarts} restarts until now"
    assert found.trouble(0) == (
        f"the engine restarts container sol_bot_1 again and again ({times}, last exit code 3)"
    )


def test_one_that_is_up_between_two_crashes_is_in_a_loop_all_the_same() -> None:
    found = container("running")
    assert found.trouble(1) is None
    assert "again and again" in str(found.trouble(2))


def test_one_that_the_kernel_killed_for_its_memory_says_so() -> None:
    found = container("out of memory")
    assert (found.up, found.exit_code) == (False, -9)
    assert found.trouble(0) == "container sol_bot_1 is down: the kernel killed it for the memory it took"


def test_one_that_could_not_be_executed_says_why() -> None:
    found = container("not executed")
    assert (found.up, found.exit_code, time_of(found.started)) == (False, 127, None)
    assert "stat /nonexistent/python: no such file or directory" in str(found.trouble(0))


def test_one_that_its_health_check_calls_unhealthy_is_told() -> None:
    assert container("running", 2).trouble(0) is None
    found = container("running", Health={"Status": "unhealthy"})
    assert found.trouble(0) == "the engine calls container sol_bot_1 unhealthy: its health check fails"


def test_one_that_could_not_be_removed_is_dead() -> None:
    assert "dead" in str(container("stopped", Status="dead", Dead=True).trouble(0))


@pytest.mark.parametrize(
    ("said", "meant"), [("True", True), ("true", True), ("False", False), ("", False), (None, False)]
)
def test_a_one_off_is_told_by_its_label(said: str | None, meant: bool) -> None:
    entry = inspected("running")
    entry["Config"]["Labels"][f"{LABEL}oneoff"] = said
    assert parse(entry).oneoff is meant


@pytest.mark.parametrize(
    ("names", "paths"),
    [
        ("docker-compose.yml", ["/srv/bot/docker-compose.yml"]),  # v1, in the folder
        ("deploy/prod.yml", ["/srv/bot/prod.yml"]),  # v1, from the folder above
        ("/a/b.yml,/a/c.yml", ["/a/b.yml", "/a/c.yml"]),
        ("", []),
    ],
)
def test_where_its_compose_files_are(names: str, paths: list[str]) -> None:
    entry = inspected("running")
    entry["Config"]["Labels"][f"{LABEL}project.config_files"] = names
    assert [str(path) for path in parse(entry).files] == paths


def test_an_engine_that_says_little_is_understood() -> None:
    found = parse({"Id": "a" * 64})
    assert (found.up, found.resting, found.status, found.exit_code) == (False, False, "exited", 0)
    assert parse({"Id": "b", "State": {"Running": True, "Pid": 5}}).up
    assert parse({"Id": "b", "State": {"Dead": True}}).status == "dead"


def test_exit_codes_above_128_are_signals() -> None:
    codes = [0, 1, 125, 128, 129, 137, 143, 192, 193, 255]
    assert [signed(code) for code in codes] == [0, 1, 125, 128, -1, -9, -15, -64, -65, 255]
    assert signal.NSIG == 65


@pytest.mark.parametrize("text", ["", "0001-01-01T00:00:00Z", "yesterday", "2026-11-23T16:04:02"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert time_of(text) is None


def test_processes_are_found_by_the_id_in_their_control_group() -> None:
    own = Path("/proc/self/cgroup").read_text()
    assert processes_of([]) == {}
    assert processes_of(["f" * 64]) == {"f" * 64: []}
    # Whatever is in every group stands for an id: then this very process is found.
    found = processes_of([own.splitlines()[-1][:3]])
    assert os.getpid() in [stat.pid for stats in found.values() for stat in stats]
    assert lives_in(os.getpid(), own.splitlines()[0])
    assert not lives_in(2**22 + 1, "/")
    assert all(isinstance(stat, proc.Stat) for stats in found.values() for stat in stats)
