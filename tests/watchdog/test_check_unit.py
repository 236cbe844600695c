"""`check` for a bot that is a unit: what systemd will do to it, and what the watchdog may do."""

import os
from pathlib import Path

import pytest

from tests.watchdog.bots.fake_systemctl import DOWN, UP, FakeSystemctl
from tests.watchdog.yard import Yard
from watchdog.check_unit import bot_unit
from watchdog.finding import Finding

UNIT = {
    "FragmentPath": "/etc/systemd/system/bot.service", "UnitFileState": "enabled", "NeedDaemonReload": "no",
    "Type": "exec", "RemainAfterExit": "no", "Restart": "on-failure", "KillMode": "mixed", "TimeoutStopUSec": "30s",
    "User": "trading", "TriggeredBy": "", "UpheldBy": "", "RefuseManualStart": "no", "RefuseManualStop": "no",
    "Transient": "no", "TimeoutStartUSec": "1min 30s", "WatchdogUSec": "0",
}  # fmt: skip
RUNS = UP | UNIT | {"MainPID": str(os.getpid())}
REFUSED = "Failed to stop bot.service: Isolate is only valid for start."
DENIED = "Failed to {} bot.service: Interactive authentication required."


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemctl:
    """The `systemctl` of this machine, which lets everybody do everything."""
    fake = FakeSystemctl(tmp_path)
    monkeypatch.setenv("PATH", f"{fake.folder}:{os.environ['PATH']}")
    fake.shows(RUNS)
    fake.says("stop", err=REFUSED, code=1)
    fake.says(
        "start", err="Failed to start bot.service: --job-mode=triggering is only valid for stop.", code=1
    )
    return fake


def check(folder: Path, unit: str = "bot.service", **changes: object) -> list[Finding]:
    yard = Yard(folder / "bot")
    bot = {
        "control": "systemd",
        "process": None,
        "systemd": {"unit": unit},
        "stop_timeout": "30s",
        "start_timeout": "2m",
    }
    yard.configure(bot=bot, **changes)
    yard.path.write_text(yard.path.read_text().replace("  process: null\n", ""))
    return list(bot_unit(yard.settings))


def found(findings: list[Finding], grade: str) -> str:
    return "\n".join(f"{f.what}: {f.found} -> {f.mend}" for f in findings if f.grade == grade)


def test_a_good_unit_is_good_in_all(fake: FakeSystemctl, tmp_path: Path) -> None:
    findings = check(tmp_path)
    assert {f.grade for f in findings} == {"good"}, findings
    said = found(findings, "good")
    assert f"bot.service (/etc/systemd/system/bot.service) runs as pid {os.getpid()}, user trading" in said
    assert "SIGTERM, and after 30 s SIGKILL (systemd) to all in its control group" in said
    assert "may stop, kill and start bot.service (tried, and nothing was done)" in said


def test_a_right_is_tried_by_what_is_refused_or_does_nothing(fake: FakeSystemctl, tmp_path: Path) -> None:
    check(tmp_path)
    tried = [
        call.removeprefix("--no-pager --no-ask-password ") for call in fake.calls if " show " not in call
    ]
    assert tried == [
        "start --job-mode=triggering bot.service",
        "stop --job-mode=isolate bot.service",
        "kill --signal=SIGURG bot.service",
    ]


def test_rights_that_are_missing_are_named(fake: FakeSystemctl, tmp_path: Path) -> None:
    for verb in ("stop", "kill"):
        fake.says(verb, err=DENIED.format(verb), code=1)
    said = found(check(tmp_path), "bad")
    assert "may not stop, kill bot.service: no rollback could be carried out" in said
    assert "systemd/50-model-watchdog.rules" in said


def test_who_only_observes_needs_no_right(fake: FakeSystemctl, tmp_path: Path) -> None:
    assert not [f for f in check(tmp_path, mode="observe") if f.what == "rights"]
    assert {call.split()[2] for call in fake.calls} == {"show"}


@pytest.mark.parametrize(
    ("shown", "grade", "part"),
    [
        (
            {"LoadState": "masked"},
            "bad",
            "bot.service is masked: it cannot be started -> systemctl unmask bot.service",
        ),
        ({"LoadState": "bad-setting"}, "bad", "it cannot be started -> systemd-analyze verify bot.service"),
        (
            {"TimeoutStopUSec": "5s"},
            "bad",
            "killed 5 s after SIGTERM (TimeoutStopSec=), before the 30 s of bot.stop_timeout",
        ),
        ({"RemainAfterExit": "yes"}, "bad", "counts as active after the bot has ended (RemainAfterExit=)"),
        ({"Type": "oneshot"}, "bad", "waits for ever -> Type=exec in the unit, then systemctl daemon-reload"),
        ({"Transient": "yes"}, "bad", "made by systemd-run: it is gone once it is stopped"),
        (
            {"RefuseManualStop": "yes"},
            "bad",
            "Restart=on-failure may start them again -> RefuseManualStop=no in the unit, then systemctl daemon-reload",
        ),
        ({"RefuseManualStart": "yes"}, "bad", "after a rollback it stays down -> RefuseManualStart=no"),
        (
            {"Type": "notify"},
            "note",
            "killed when it is not up after 1.5 min (TimeoutStartSec=, with Type=notify), before the 2 min of",
        ),
        ({"ExecStartPre": "{ path=/bin/true ; }"}, "note", "with ExecStartPre=), before the 2 min"),
        (
            {"WatchdogUSec": "30s"},
            "note",
            "no sign of life for 30 s (WatchdogSec=), with Type=exec also while it loads its model",
        ),
        ({"KillMode": "process"}, "note", "KillMode=process leaves workers behind"),
        ({"Restart": "no"}, "note", "has no Restart=: after a crash it stays down"),
        ({"NeedDaemonReload": "yes"}, "note", "was changed on the disk"),
        ({"UnitFileState": "disabled"}, "note", "is not enabled"),
        ({"TimeoutStopUSec": "1min 30s"}, "good", "(the watchdog has systemd kill it)"),
        ({"TimeoutStopUSec": "infinity"}, "good", "after 30 s SIGKILL"),
    ],
)
def test_what_is_amiss_with_the_unit_is_told(
    fake: FakeSystemctl, tmp_path: Path, shown: dict[str, str], grade: str, part: str
) -> None:
    fake.shows(RUNS | shown)
    assert part in found(check(tmp_path), grade)


@pytest.mark.parametrize(
    "shown",
    [
        {"TimeoutStartUSec": "10s"},  # of a unit that is up once it is executed
        {"Type": "notify", "TimeoutStartUSec": "2min"},
        {
            "Type": "notify",
            "TimeoutStartUSec": "infinity",
            "WatchdogUSec": "30s",
        },  # which counts from READY=1 on
        {"WatchdogUSec": "infinity"},
        {"WatchdogUSec": "2min"},
    ],
)
def test_time_outs_that_end_no_bot_that_loads_are_good(
    fake: FakeSystemctl, tmp_path: Path, shown: dict[str, str]
) -> None:
    fake.shows(RUNS | shown)
    assert {f.grade for f in check(tmp_path)} == {"good"}


def test_what_may_start_it_whenever_it_is_down_is_told(fake: FakeSystemctl, tmp_path: Path) -> None:
    fake.shows(DOWN | UNIT | {"TriggeredBy": "bot.timer", "UpheldBy": "up.service"})
    said = found(check(tmp_path), "note")
    assert "bot.timer, up.service may start bot.service whenever it is down" in said
    assert "systemctl disable --now bot.timer up.service" in said


def test_a_unit_that_is_down_is_a_note(fake: FakeSystemctl, tmp_path: Path) -> None:
    fake.shows(DOWN | UNIT)
    assert (
        "does not run; systemd and not the watchdog starts it -> start it: systemctl start bot.service"
        in found(check(tmp_path), "note")
    )


def test_a_unit_that_nobody_knows_is_bad(fake: FakeSystemctl, tmp_path: Path) -> None:
    fake.shows(DOWN | UNIT | {"LoadState": "not-found"})
    findings = check(tmp_path)
    assert len(findings) == 1
    assert "there is no unit bot.service in the systemd of the system" in found(findings, "bad")


def test_a_systemd_out_of_reach_is_bad(fake: FakeSystemctl, tmp_path: Path) -> None:
    fake.says("show", err="Failed to connect to bus: No such file or directory", code=1)
    assert "systemd cannot be reached" in found(check(tmp_path), "bad")
