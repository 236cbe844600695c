"""What systemd's properties mean: pure, but for the process table."""

import os
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.watchdog.bots.fake_systemctl import DOWN, UP
from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.unit import UnitState, parse, parse_span, parse_time

ME = {"MainPID": str(os.getpid())}
RESTING = UP | {
    "ActiveState": "activating",
    "SubState": "auto-restart",
    "Result": "exit-code",
    "Restart": "always",
}
EXITED_3 = {"ExecMainPID": "4711", "ExecMainCode": "1", "ExecMainStatus": "3"}
FAILED = DOWN | {"ActiveState": "failed", "SubState": "failed", "Result": "exit-code"}


def state(*parts: dict[str, str]) -> UnitState:
    shown: dict[str, str] = {}
    for part in parts:
        shown |= part
    return parse(shown)


def test_a_unit_that_runs_has_its_main_process() -> None:
    found = state(UP, ME)
    assert found.main == proc.stat(os.getpid())
    assert (found.down, found.starting, found.resting, found.trouble(0)) == (False, False, False, None)


def test_a_process_that_died_just_now_is_told_apart_from_a_unit_that_is_down() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    zombie = state(UP, {"MainPID": str(pid)})
    os.waitpid(pid, 0)
    reaped = state(UP, {"MainPID": str(pid)})
    assert [(s.main, s.gone_pid) for s in (zombie, reaped)] == [(None, pid), (None, pid)]
    assert (state(UP, ME).gone_pid, state(DOWN).gone_pid) == (0, 0)


def test_a_unit_is_one_bot_however_many_processes_it_has() -> None:
    with subprocess.Popen(["sleep", "1000"]) as one, subprocess.Popen(["sleep", "1000"]) as other:
        try:
            both = [proc.stat(one.pid), proc.stat(other.pid)]
            first, second = (found for found in both if found is not None)
            left = replace(state(UP), processes=(first, second))
            assert left.bot(None) == first
            assert left.bot((second.pid, second.started_ticks)) == second
            assert left.bot((second.pid, second.started_ticks - 1)) == first
            assert replace(state(UP, ME), processes=(first, second)).bot(None) == proc.stat(os.getpid())
            assert replace(left, active="activating", sub="start-pre").bot(None) is None
        finally:
            one.kill()
            other.kill()
    assert state(UP).bot(None) is None


def test_a_unit_that_is_down_is_down() -> None:
    found = state(DOWN)
    assert (found.main, found.down, found.starting, found.trouble(0)) == (None, True, False, None)


def test_a_start_that_waits_its_turn_is_not_down() -> None:
    found = state(DOWN, {"Job": "137"})
    assert (found.down, found.starting, found.trouble(0)) == (False, True, None)


@pytest.mark.parametrize("sub", ["start-pre", "start", "condition"])
def test_a_unit_on_its_way_up_is_no_trouble(sub: str) -> None:
    found = state(UP, {"ActiveState": "activating", "SubState": sub, "Job": "9"})
    assert (found.down, found.starting, found.trouble(0)) == (False, True, None)


@pytest.mark.parametrize("sub", ["auto-restart", "auto-restart-queued"])
def test_a_unit_that_waits_for_its_restart_is_not_down(sub: str) -> None:
    found = state(RESTING, EXITED_3, {"SubState": sub})
    assert (found.down, found.starting, found.resting) == (False, False, True)
    assert found.trouble(0) == "its process ended (exit code 3) and systemd is about to start it again"


def test_a_crash_loop_is_told_with_its_count_and_the_last_exit_code() -> None:
    found = state(RESTING, EXITED_3, {"NRestarts": "4"})
    assert found.trouble(4) == "systemd restarts it again and again (4 restarts until now, last exit code 3)"
    up = state(UP, ME, {"NRestarts": "4"})
    assert up.trouble(4) is not None
    assert up.trouble(1) is None  # it was restarted long ago, and once


@pytest.mark.parametrize(
    ("shown", "part"),
    [
        (
            FAILED | EXITED_3 | {"NRestarts": "3", "Restart": "always"},
            "gave it up after 3 restarts: exit code 3",
        ),
        (FAILED | {"Result": "start-limit-hit"}, "gave it up: it was started too often (StartLimitBurst=)"),
        (FAILED | EXITED_3, "systemd calls it failed: exit code 3"),
        (
            FAILED | EXITED_3 | {"ExecMainCode": "2", "ExecMainStatus": "9", "Result": "signal"},
            "failed: signal 9",
        ),
        (
            FAILED | EXITED_3 | {"ExecMainCode": "3", "ExecMainStatus": "6", "Result": "core-dump"},
            "failed: signal 6",
        ),
        (FAILED | {"Result": "oom-kill"}, "failed: the kernel killed it for the memory it took"),
        (FAILED | {"Result": "timeout"}, "failed: a time-out of the unit ran out"),
        (FAILED, "failed: a command of the unit failed"),
        (UP | {"SubState": "exited"}, "systemd calls it active, but no process of it is there"),
        (DOWN | {"LoadState": "masked"}, "its unit file is masked"),
        (
            DOWN
            | {
                "LoadState": "bad-setting",
                "LoadError": 'org.x.BadUnitSetting "Unit bot.service has a bad setting."',
            },
            "its unit file is bad-setting (Unit bot.service has a bad setting)",
        ),
    ],
)
def test_what_is_neither_up_nor_simply_down_is_said(shown: dict[str, str], part: str) -> None:
    trouble = parse(shown).trouble(0)
    assert trouble is not None
    assert part in trouble


@pytest.mark.parametrize(
    ("code", "part"), [(203, "ExecStart="), (217, "User="), (226, "sandbox"), (233, "systemd.exec(5)")]
)
def test_what_systemd_could_not_execute_is_known_by_its_exit_code(code: int, part: str) -> None:
    why = state(FAILED, EXITED_3, {"ExecMainStatus": str(code)}).never_executed
    assert why is not None
    assert f"exit code {code}" in why
    assert part in why


@pytest.mark.parametrize("code", [0, 1, 199, 246, 255])
def test_the_bots_own_exit_codes_are_its_own(code: int) -> None:
    assert state(FAILED, EXITED_3, {"ExecMainStatus": str(code)}).never_executed is None


def test_a_process_that_systemd_has_not_executed_yet_is_not_the_bot() -> None:
    pid = os.fork()
    if pid == 0:
        with open("/proc/self/comm", "w") as comm:  # noqa: PTH123
            comm.write("(python)")
        os.read(os.pipe()[0], 1)
        os._exit(0)
    try:
        while proc.stat(pid).comm != "(python)":  # type: ignore[union-attr]
            pass
        assert state(UP, {"MainPID": str(pid)}).main is None
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1min 30s", 90),
        ("30s", 30),
        ("500ms", 0.5),
        ("1h 2min", 3720),
        ("2d", 172800),
        ("0", None),
        ("1.5s", 1.5),
    ],
)
def test_spans_are_read_as_systemd_writes_them(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="is no span of time"):
            parse_span(text)
    else:
        assert parse_span(text) == timedelta(seconds=seconds)


def test_infinity_is_no_limit_and_never_is_no_time() -> None:
    assert parse_span("infinity") is None
    assert parse_time("") is None
    assert parse_time("n/a") is None
    assert parse_time("Mon 2026-11-23 15:02:18 UTC") == datetime(2026, 11, 23, 15, 2, 18, tzinfo=UTC)


@pytest.mark.parametrize("odd", [{"MainPID": "[not set]"}, {"NRestarts": "many"}, {"ActiveState": None}])
def test_an_answer_that_makes_no_sense_is_an_error_and_no_bot_that_is_down(
    odd: dict[str, str | None],
) -> None:
    shown = {key: value for key, value in (DOWN | odd).items() if value is not None}
    with pytest.raises(BotError, match="said what no systemd says"):
        parse(shown)
