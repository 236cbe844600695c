"""The shipped units in a real systemd: the service starts and rolls back under all of its hardening, and is hung,
killed and restarted in the middle of it."""

from collections.abc import Callable, Iterator

import pytest

from tests.fakes.telegram import TelegramServer
from tests.machines.systemd import Machine, long, machine
from tests.systemd.guarded import BOT, FOLDER, OF_MAIN, STATE, WATCHDOG, Census, Guarded

__all__ = ["machine"]

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(300), long]

SLOW = {"load_s": 0.7, "sigterm": "flatten", "flatten_s": 1.5, "trades_per_second": 20}
"""Each step of a rollback takes long enough to be met."""
PATIENT = {"stays_up_for": "1.5s", "stop_timeout": "20s"}
QUICK_UNIT = "[Service]\nRestartSec=200ms\nWatchdogSec=8s\n"

Guard = Callable[[str], Guarded]


@pytest.fixture
def guard(machine: Machine) -> Iterator[Guard]:
    made: list[Guarded] = []
    with TelegramServer() as telegram:

        def make(control: str) -> Guarded:
            made.append(Guarded(machine, telegram, control))
            return made[-1]

        yield make
        for guarded in made:
            guarded.remove()


def begin(guarded: Guarded) -> int:
    """Starts bot and watchdog; the bot's pid."""
    if guarded.control == "systemd":
        guarded.machine.systemctl("start", BOT)
    guarded.machine.systemctl("start", WATCHDOG)
    guarded.wait(lambda: len(guarded.bots()) == 1, "the bot runs")
    return guarded.bots()[0].pid


def rolled_back(guarded: Guarded) -> None:
    """Returns once the incident is closed; all that must be true then."""
    outcome = guarded.wait(guarded.closed, "the incident is closed")
    steps = guarded.journal()["steps"]
    assert (outcome, len(guarded.journal()["incidents"])) == ("rolled_back", 1), guarded.story()
    assert (steps[-1]["step"], steps[-1]["result"]) == ("close", "done"), guarded.story()
    assert guarded.current() == "v2.0.0"
    assert guarded.registry().is_quarantined("v2.1.0")
    assert len(guarded.bots()) == 1, guarded.story()
    log = guarded.machine.read(FOLDER / "logs/trading_bot.log")
    assert "models_saved/ensemble_v2.0.0" in log.rpartition("Loading ML models")[2]
    guarded.wait(lambda: guarded.told("is closed: v2.0.0 has run without a rule firing"), "people are told")
    if guarded.control == "systemd":
        assert guarded.machine.prop(BOT, "ActiveState") == "active"


@pytest.mark.parametrize("control", ["systemd", "process"])
def test_the_shipped_service_rolls_a_bot_back_under_its_hardening(guard: Guard, control: str) -> None:
    guarded = guard(control)
    guarded.install(flavour="drawdown", trades_per_second=30)
    first = begin(guarded)
    unit = guarded.machine
    assert unit.prop(WATCHDOG, "ActiveState") == "active"  # Type=notify: it said READY=1
    assert "User=trading" in unit.systemctl("show", "--property=User", WATCHDOG)
    rolled_back(guarded)
    assert guarded.bots()[0].pid != first
    assert unit.prop(WATCHDOG, "NRestarts") == "0"
    guarded.wait(lambda: "watching v2.0.0" in unit.prop(WATCHDOG, "StatusText"), "the status says so")
    report = unit.read(STATE / "incidents/0001/report.md")
    assert "**To Version:** v2.0.0" in report
    denied = [
        line
        for line in unit.journal(WATCHDOG, 400).splitlines()
        if "ermission" in line or "not permitted" in line
    ]
    assert denied == []
    group = unit.run("cat", f"/proc/{guarded.inside()[0]}/cgroup").stdout
    assert group.strip().endswith(BOT if control == "systemd" else WATCHDOG)


@pytest.mark.parametrize("control", ["systemd", "process"])
def test_a_stop_or_a_restart_of_the_service_leaves_the_bot_alone(guard: Guard, control: str) -> None:
    guarded = guard(control)
    guarded.install(flavour="sound", trades_per_second=5)
    bot = begin(guarded)
    guarded.machine.systemctl("restart", WATCHDOG)
    guarded.machine.systemctl("stop", WATCHDOG)
    assert [p.pid for p in guarded.bots()] == [bot]
    if control == "process":
        pid = guarded.inside()[0]
        for folder in ("/tmp", "/var/tmp"):  # what it has open there is not pulled from under its feet
            guarded.machine.run("nsenter", "-t", str(pid), "-m", "touch", f"{folder}/goes-on")
    guarded.machine.systemctl("start", WATCHDOG)
    before = guarded.tick()
    guarded.wait(lambda: guarded.tick() != before, "a tick")
    assert [p.pid for p in guarded.bots()] == [bot]
    starts = [text for text in guarded.telegram.texts if "was started on" in text]
    assert len(starts) == (0 if control == "systemd" else 1), "of a `process` bot there was a first one"
    assert "running, pid" in guarded.cli("status")


ACCIDENTS: dict[str, tuple[str, ...]] = {
    "killed": ("kill", *OF_MAIN),
    "restarted": ("restart", "--no-block"),
    "hung": ("kill", "--signal=STOP", "--kill-who=main"),
}


@pytest.mark.parametrize("control", ["systemd", "process"])
@pytest.mark.parametrize(
    "accidents",
    [("killed", "restarted", "hung"), ("hung", "killed", "restarted"), ("restarted", "hung", "killed")],
)
def test_a_rollback_is_carried_on_whatever_happens_to_the_service(
    guard: Guard, control: str, accidents: tuple[str, ...]
) -> None:
    """Three accidents in one incident, at three steps."""
    guarded = guard(control)
    guarded.configure(bot=PATIENT, rollback={"monitor_for": "3s"})
    guarded.install(flavour="drawdown", **SLOW)
    guarded.drop_in(WATCHDOG, QUICK_UNIT)
    begin(guarded)
    with Census(guarded) as census:
        for step, accident in zip(("stop_bot", "start_bot", "monitor"), accidents, strict=True):
            guarded.wait_at(step)
            pid = guarded.pid(WATCHDOG)
            guarded.machine.systemctl(*ACCIDENTS[accident], WATCHDOG)
            guarded.wait_for_another(WATCHDOG, pid)
        rolled_back(guarded)
    assert census.most == 1
    told = "Main process exited, code=killed, status=9/KILL"
    assert told in guarded.machine.journal(WATCHDOG, 1000)
    assert "Watchdog timeout" in guarded.machine.journal(WATCHDOG, 1000)


def test_everything_of_the_service_is_killed_and_the_bots_unit_is_not_touched(guard: Guard) -> None:
    guarded = guard("systemd")
    guarded.configure(bot=PATIENT, rollback={"monitor_for": "2s"})
    guarded.install(flavour="drawdown", **SLOW)
    guarded.drop_in(WATCHDOG, QUICK_UNIT)
    begin(guarded)
    with Census(guarded) as census:
        for step in ("stop_bot", "roll_back", "start_bot", "confirm_loaded"):
            guarded.wait_at(step, "monitor")
            guarded.machine.systemctl("kill", "--signal=KILL", WATCHDOG)
        rolled_back(guarded)
    assert census.most == 1


def test_who_brings_a_halted_unit_back_is_named_and_it_is_stopped_again(guard: Guard) -> None:
    guarded = guard("systemd")
    guarded.install(flavour="sound")
    guarded.drop_in(BOT, "[Service]\nRestart=always\nRestartSec=100ms\n")
    begin(guarded)
    guarded.cli("halt", "--reason", "a test")
    guarded.wait(lambda: guarded.closed() == "halted", "the halt is closed")
    assert guarded.bots() == []

    guarded.machine.systemctl("start", BOT)  # a person
    guarded.wait(lambda: guarded.told("whoever gave systemctl start trading-bot.service"), "it is told")
    guarded.wait(lambda: not guarded.bots(), "the bot is down again")

    guarded.machine.install("trading-bot.timer", "[Timer]\nOnActiveSec=100ms\nAccuracySec=1ms\n")
    guarded.machine.systemctl("start", "trading-bot.timer")
    guarded.wait(
        lambda: guarded.told("systemd unit trading-bot.timer, which triggers it"), "the timer is named"
    )
    guarded.wait(lambda: not guarded.bots(), "the bot is down again")
    guarded.machine.remove("trading-bot.timer")

    guarded.cli("resume", "--reason", "a test")
    guarded.wait(lambda: len(guarded.bots()) == 1, "the bot is up")


def test_a_watchdog_without_the_right_says_so_and_goes_on_once_it_has_it(guard: Guard) -> None:
    guarded = guard("systemd")
    guarded.install(flavour="drawdown", trades_per_second=30)
    guarded.deny()
    begin(guarded)
    guarded.wait(lambda: guarded.told("may not systemctl stop trading-bot.service"), "it is told")
    assert len(guarded.bots()) == 1
    assert guarded.current() == "v2.1.0", "nothing is switched under a bot that runs"
    said = guarded.cli("check")
    assert "may not start, stop, kill trading-bot.service" in said
    guarded.allow()
    rolled_back(guarded)
    assert "may stop, kill and start trading-bot.service" in guarded.cli("check")


def test_the_bots_user_may_do_nothing_else(guard: Guard) -> None:
    guarded = guard("systemd")
    guarded.install(flavour="sound")
    for forbidden in (
        ("stop", "dbus.service"),
        ("restart", BOT),
        ("mask", BOT),
        ("enable", BOT),
        ("daemon-reload",),
    ):
        said = guarded.as_trading("systemctl", "--no-ask-password", *forbidden, check=False)
        assert "authentication required" in said or "Access denied" in said, (forbidden, said)
    for allowed in (("start", BOT), ("kill", "--signal=URG", BOT), ("reset-failed", BOT), ("stop", BOT)):
        guarded.as_trading("systemctl", "--no-ask-password", *allowed)
