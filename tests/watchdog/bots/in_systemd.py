"""What only units do. Not collected by itself: test_contract_in_systemd.py runs it in a machine with a real systemd."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import PREAMBLE, alive, until
from tests.watchdog.bots.stages import SystemdStage, said
from watchdog.bots.base import BotError, EndedAtOnceError
from watchdog.bots.systemctl import Systemctl
from watchdog.bots.systemd import SystemdBot

OBEYS = "here('bot'); forever()"
LEAVES = """
if not os.fork():
    os.setsid()
    here('worker')
    forever()
here('bot')
forever()
"""


class Unit(SystemdStage):
    """A unit of the machine whose text the test writes."""

    @property
    def name(self) -> str:
        return f"{self._name}.service"

    @property
    def program(self) -> str:
        return f"{sys.executable} bot.py"

    def write(self, service: str = "", unit: str = "", body: str = OBEYS, program: str | None = None) -> None:
        """Lines of [Service] and [Unit] beside what every unit here has."""
        (self.folder / "bot.py").write_text(PREAMBLE + body)
        self._write(
            self.name,
            f"[Unit]\n{unit}\n[Service]\nType=exec\nWorkingDirectory={self.folder}\n"
            f"Environment={self._mark.decode()}\nExecStart={program or self.program}\n{service}\n",
        )

    def other(self, suffix: str, text: str) -> str:
        """Another unit, whose name begins like the bot's."""
        self._write(f"{self._name}{suffix}", text)
        return f"{self._name}{suffix}"

    def systemctl(self, *arguments: str, check: bool = True) -> None:
        self._systemctl(*arguments, check=check)

    def run(self, name: str) -> None:
        """The bot under systemd-run."""
        given = [f"--working-directory={self.folder}", f"--setenv={self._mark.decode()}", "--collect"]
        command = ["systemd-run", f"--unit={name}", *given, *self.program.split()]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def bot(self, start_timeout_s: float = 20.0, kill_wait_s: float = 5.0) -> SystemdBot:
        return SystemdBot(self.name, Systemctl(), start_timeout_s, kill_wait_s=kill_wait_s)


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    unit = Unit(tmp_path, uuid.uuid4().hex)
    try:
        yield unit
    finally:
        unit.close()


async def up(unit: Unit, bot: SystemdBot) -> int:
    pid = (await bot.start()).pid
    await said(unit, "bot")
    return pid


async def told(bot: SystemdBot, part: str) -> str:
    """The trouble, once it says `part`."""
    end = time.monotonic() + 20
    while part not in (bot.trouble or ""):
        assert time.monotonic() < end, bot.trouble
        await bot.find()
        await asyncio.sleep(0.05)
    assert bot.trouble is not None
    return bot.trouble


# -- stopping


@pytest.mark.parametrize("mode", ["process", "none"])
async def test_workers_that_the_unit_leaves_behind_are_told_and_ended(unit: Unit, mode: str) -> None:
    unit.write(f"KillMode={mode}", body=LEAVES)
    bot = unit.bot()
    pid = await up(unit, bot)
    await said(unit, "worker")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: len(unit.processes()) == 1)
    (left,) = unit.processes()
    trouble = await told(bot, "has ended (signal 9) and left others behind")
    (found,) = await bot.find()
    assert (found.pid, str(left) in trouble) == (left, True)
    stopped = await bot.stop(5)
    assert (stopped.pids, stopped.how, unit.processes()) == ((left,), "SIGTERM", [])
    assert await bot.find() == []


async def test_what_a_dead_bot_left_behind_is_ended_before_the_next_start(unit: Unit) -> None:
    unit.write("KillMode=process", body=LEAVES)
    bot = unit.bot()
    pid = await up(unit, bot)
    await said(unit, "worker")
    assert len(unit.processes()) == 2
    worker = next(p for p in unit.processes() if p != pid)
    stopped = await bot.stop(10)
    assert set(stopped.pids) == {pid, worker}
    assert unit.processes() == []


async def test_a_unit_that_is_quicker_to_kill_than_the_watchdog_says_so(unit: Unit) -> None:
    unit.write("TimeoutStopSec=500ms", body="signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + OBEYS)
    bot = unit.bot()
    await up(unit, bot)
    stopped = await bot.stop(30)
    assert stopped.how == "SIGKILL"
    assert 0.5 <= stopped.seconds < 15
    assert bot.trouble is None
    assert await bot.find() == []
    assert bot.trouble is None  # the unit is not left in the state failed


@pytest.mark.parametrize("hangs", ["ExecStop=/bin/sleep 1000", "ExecStopPost=/bin/sleep 1000"])
async def test_a_command_of_the_unit_that_hangs_while_it_stops_is_killed(unit: Unit, hangs: str) -> None:
    unit.write(f"{hangs}\nTimeoutStopSec=infinity")
    bot = unit.bot()
    await up(unit, bot)
    stopped = await bot.stop(1)
    assert stopped.how == "SIGKILL"
    assert unit.processes() == []


async def test_a_unit_that_does_not_end_is_an_error_that_names_what_is_left(unit: Unit) -> None:
    unit.write("ExecStopPost=/bin/sleep 1000\nTimeoutStopSec=infinity")
    bot = unit.bot(kill_wait_s=0.0)
    await up(unit, bot)
    with pytest.raises(
        BotError, match=rf"{unit.name} is still deactivating \(\S+\) 0 s after SIGKILL .*systemctl status"
    ):
        await bot.stop(0.5)
    await unit.bot().stop(5)
    assert unit.processes() == []


async def test_a_start_that_waits_for_another_unit_is_cancelled_by_a_stop(unit: Unit) -> None:
    slow = unit.other("-slow.service", "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n")
    unit.write(unit=f"Requires={slow}\nAfter={slow}")
    unit.systemctl("start", "--no-block", unit.name)
    bot = unit.bot()
    assert (await bot.find(), bot.trouble) == ([], None)
    stopped = await bot.stop(5)
    assert (stopped.how, stopped.brought_back_by) == ("was not running", None)
    unit.systemctl("stop", slow)
    await asyncio.sleep(0.3)
    assert unit.processes() == []


async def test_a_unit_whose_file_is_gone_while_it_runs_is_found_and_stopped(unit: Unit) -> None:
    unit.write()
    bot = unit.bot()
    pid = await up(unit, bot)
    path = Path("/etc/systemd/system") / unit.name
    text = path.read_text()
    path.unlink()
    unit.systemctl("daemon-reload")
    try:
        (found,) = await bot.find()
        assert found.pid == pid
        assert (await bot.stop(10)).pids == (pid,)  # though systemd forgets such a unit as soon as it is down
        assert unit.processes() == []
    finally:
        path.write_text(text)


async def test_a_unit_that_refuses_a_stop_is_stopped_past_it(unit: Unit) -> None:
    unit.write("Restart=on-failure\nRestartSec=100ms", "RefuseManualStop=yes", body=LEAVES)
    bot = unit.bot()
    pid = await up(unit, bot)
    await said(unit, "worker")
    worker = next(p for p in unit.processes() if p != pid)
    stopped = await bot.stop(10)
    assert (set(stopped.pids), unit.processes(), await bot.find()) == ({pid, worker}, [], [])


async def test_one_that_refuses_and_is_restarted_for_ever_says_what_to_mend(unit: Unit) -> None:
    unit.write("Restart=always\nRestartSec=200ms", "RefuseManualStop=yes\nStartLimitIntervalSec=0")
    bot = unit.bot(kill_wait_s=0.5)
    await up(unit, bot)
    with pytest.raises(
        BotError, match=r"Its processes were ended.*Restart=always\. Take RefuseManualStop=yes out"
    ):
        await bot.stop(1)
    unit.write()  # which the test can stop again


async def test_a_unit_of_systemd_run_is_stopped_and_is_gone_then(unit: Unit) -> None:
    unit.write()
    name = unit.name.replace("bot-", "run-")
    unit.run(name)
    bot = SystemdBot(name, Systemctl(), 20.0)
    await said(unit, "bot")
    (found,) = await bot.find()
    stopped = await bot.stop(10)
    assert (stopped.pids, stopped.how, unit.processes()) == ((found.pid,), "SIGTERM", [])
    for ask in (bot.find, bot.start):
        with pytest.raises(BotError, match=rf"there is no unit {name} .*made by systemd-run"):
            await ask()


async def test_two_processes_that_a_dead_bot_left_are_one_bot(unit: Unit) -> None:
    unit.write("KillMode=process", body="os.fork()\n" + LEAVES)
    bot = unit.bot()
    await up(unit, bot)
    await until(lambda: len(unit.processes()) == 4)
    (main,) = await bot.find()
    os.kill(main.pid, signal.SIGKILL)
    await until(lambda: len(unit.processes()) == 3)
    trouble = await told(bot, "left others behind")
    (left,) = await bot.find()
    assert (left.pid in unit.processes(), trouble.count(",") >= 2) == (True, True)
    await bot.stop(5)
    assert unit.processes() == []


# -- who brings it back


async def test_a_unit_that_upholds_it_is_named(unit: Unit) -> None:
    unit.write()
    upholds = unit.other(
        "-up.service", f"[Unit]\nUpholds={unit.name}\n[Service]\nExecStart=/bin/sleep 1000\n"
    )
    bot = unit.bot()
    unit.systemctl("start", upholds)
    await said(unit, "bot")
    with pytest.raises(
        BotError, match=rf"is back each time.*systemd unit {upholds}, which upholds it.*stop {upholds}`"
    ):
        await bot.stop(10)


async def test_a_path_unit_is_named(unit: Unit) -> None:
    unit.write(unit="StartLimitIntervalSec=0")
    path = unit.other(".path", f"[Path]\nPathExists={unit.folder}/bot.py\nTriggerLimitIntervalSec=0\n")
    unit.systemctl("start", path)
    await said(unit, "bot")
    with pytest.raises(BotError, match=rf"systemd unit {path}, which triggers it"):
        await unit.bot().stop(10)


async def test_a_unit_that_pulled_it_in_once_is_named_and_it_is_stopped_again(unit: Unit) -> None:
    unit.write()
    pulls = unit.other(
        "-other.service",
        f"[Unit]\nWants={unit.name}\nAfter={unit.name}\n[Service]\nExecStart=/bin/sleep 1000\n",
    )
    bot = unit.bot()
    await up(unit, bot)
    bringing = asyncio.ensure_future(_when_down(unit, "start", pulls))
    stopped = await bot.stop(10)
    await bringing
    assert stopped.brought_back_by == f"systemd unit {pulls}, which pulls it in"
    assert (len(stopped.pids), unit.processes(), await bot.find()) == (2, [], [])


async def test_a_person_who_starts_it_once_is_told_of_as_far_as_is_known(unit: Unit) -> None:
    unit.write()
    bot = unit.bot()
    await up(unit, bot)
    bringing = asyncio.ensure_future(_when_down(unit, "start", unit.name))
    stopped = await bot.stop(10)
    await bringing
    assert stopped.brought_back_by is not None
    assert stopped.brought_back_by.startswith(
        f"whoever gave `systemctl start {unit.name}` (a person, a cron job"
    )
    assert unit.processes() == []


async def test_a_person_who_restarts_it_in_the_middle_of_the_stop_does_not_keep_it_up(unit: Unit) -> None:
    unit.write(
        body="def slow(*_):\n    time.sleep(0.7)\n    sys.exit(0)\nsignal.signal(signal.SIGTERM, slow)\n"
        + OBEYS
    )
    bot = unit.bot()
    await up(unit, bot)
    stopping = asyncio.ensure_future(bot.stop(10))
    await asyncio.sleep(0.4)
    await asyncio.to_thread(unit.systemctl, "restart", unit.name, check=False)
    stopped = await stopping
    assert stopped.brought_back_by is not None
    assert (unit.processes(), await bot.find()) == ([], [])


async def _when_down(unit: Unit, *arguments: str) -> None:
    await until(lambda: not unit.processes(), 20)
    await asyncio.to_thread(unit.systemctl, *arguments)


# -- starting


NOT_EXECUTED = {
    "no program": ("", "/nonexistent/python bot.py", "exit code 203: the program of ExecStart"),
    "not executable": ("", "/etc/hostname", "exit code 203: the program of ExecStart"),
    "no folder": ("WorkingDirectory=/nonexistent", None, "exit code 200: WorkingDirectory"),
    "no user": ("User=nobody-like-that", None, "exit code 217: User= does not exist"),
    "no folder of the sandbox": (
        "ReadWritePaths=/nonexistent",
        None,
        "exit code 226: a folder that the unit's sandbox",
    ),
    "no credential": ("LoadCredential=KEY:/nonexistent", None, "exit code 243: a credential cannot be read"),
}


@pytest.mark.parametrize("kind", ["exec", "simple"])
@pytest.mark.parametrize("case", NOT_EXECUTED)
async def test_what_keeps_systemd_from_executing_it_is_no_fault_of_the_version(
    unit: Unit, case: str, kind: str
) -> None:
    lines, program, why = NOT_EXECUTED[case]
    unit.write(f"Type={kind}\n{lines}", program=program)
    with pytest.raises(BotError, match=re.escape(why)) as error:
        await unit.bot().start()
    assert not isinstance(error.value, EndedAtOnceError)
    assert f"`systemctl status {unit.name}`" in str(error.value)


NOT_BEGUN = {
    "condition": ("", "ConditionPathExists=/nonexistent", "a Condition...= of the unit does not hold"),
    "assertion": ("", "AssertPathExists=/nonexistent", "Assertion failed"),
    "slow": (
        "ExecStartPre=/bin/sleep 1000\nTimeoutStartSec=500ms",
        "",
        "was not started: a time-out of the unit ran out",
    ),
    "manual": ("", "RefuseManualStart=yes", "Operation refused"),
}


@pytest.mark.parametrize("case", NOT_BEGUN)
async def test_what_keeps_systemd_from_beginning_is_no_fault_of_the_version(unit: Unit, case: str) -> None:
    service, lines, why = NOT_BEGUN[case]
    unit.write(service, lines)
    keeps = unit.other("-keeps.service", f"[Unit]\nWants={unit.name}\n[Service]\nExecStart=/bin/sleep 1000\n")
    if case != "manual":
        unit.systemctl("start", keeps)  # so that systemd does not forget the bot's unit at once
    with pytest.raises(BotError, match=re.escape(why)) as error:
        await unit.bot().start()
    assert not isinstance(error.value, EndedAtOnceError)
    unit.systemctl("stop", keeps)


async def test_a_unit_that_it_needs_and_that_fails_is_no_fault_of_the_version(unit: Unit) -> None:
    broken = unit.other("-broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
    unit.write(unit=f"Requires={broken}\nAfter={broken}")
    with pytest.raises(BotError, match="A dependency job for") as error:
        await unit.bot().start()
    assert not isinstance(error.value, EndedAtOnceError)


async def test_a_preparation_that_fails_is_its_own_fault_and_is_quoted(unit: Unit) -> None:
    unit.write("ExecStartPre=/bin/sh -c 'echo the model is damaged; exit 4'")
    with pytest.raises(EndedAtOnceError, match="ended at once"):
        await unit.bot().start()


async def test_a_preparation_that_takes_too_long_is_told(unit: Unit) -> None:
    unit.write("ExecStartPre=/bin/sleep 1000\nTimeoutStartSec=infinity")
    bot = unit.bot(start_timeout_s=1.0)
    with pytest.raises(
        BotError, match=r"no main process for 1 s: systemd says activating \(start-pre\)"
    ) as error:
        await bot.start()
    assert not isinstance(error.value, EndedAtOnceError)
    assert (await bot.stop(5)).how != "was not running"
    assert unit.processes() == []


async def test_a_bot_that_takes_long_to_be_ready_is_found_meanwhile(unit: Unit) -> None:
    unit.write("Type=notify\nTimeoutStartSec=infinity")
    bot = unit.bot()
    pid = await up(unit, bot)
    (found,) = await bot.find()
    assert (found.pid, bot.trouble) == (pid, None)
    with pytest.raises(BotError, match="already runs"):
        await unit.bot().start()
    assert (await bot.stop(10)).pids == (pid,)


async def test_a_bot_that_puts_itself_into_the_background_is_found(unit: Unit) -> None:
    unit.write("Type=forking", body="if os.fork(): time.sleep(0.3); os._exit(0)\nos.setsid()\n" + OBEYS)
    bot = unit.bot()
    pid = await up(unit, bot)
    assert unit.processes() == [pid]
    assert (await bot.stop(10)).pids[0] == pid


async def test_a_bot_whose_main_process_systemd_does_not_know_is_found(unit: Unit) -> None:
    unit.write(
        "Type=forking\nGuessMainPID=no",
        body="if os.fork(): time.sleep(0.3); os._exit(0)\nos.setsid()\n" + OBEYS,
    )
    bot = unit.bot()
    running = await bot.start()
    await said(unit, "bot")
    assert ([running.pid], running.adopted, running.started_by) == (unit.processes(), False, "the watchdog")
    assert await bot.find() == [running]
    assert (await bot.stop(10)).pids[0] == running.pid


async def test_a_unit_that_gave_up_is_told_and_starts_again_when_it_is_ordered(unit: Unit) -> None:
    limits = "StartLimitIntervalSec=600\nStartLimitBurst=3"
    unit.write(
        "Restart=always\nRestartSec=50ms",
        limits,
        body="Path('n').open('a').write('x')\nif not Path('good').exists(): sys.exit(9)\n" + OBEYS,
    )
    unit.systemctl("start", unit.name, check=False)
    bot = unit.bot()
    assert (await told(bot, "systemd gave it up after")).endswith("exit code 9 (start limit)")
    assert await bot.find() == []
    (unit.folder / "good").touch()
    assert await up(unit, bot) in unit.processes()
    await bot.find()
    assert bot.trouble is None


async def test_a_unit_that_counts_as_active_without_a_process_is_told_and_started(unit: Unit) -> None:
    unit.write("Type=oneshot\nRemainAfterExit=yes", program="/bin/true")
    unit.systemctl("start", unit.name)
    bot = unit.bot()
    assert await bot.find() == []
    assert bot.trouble is not None
    assert "systemd calls it active, but no process of it is there" in bot.trouble
    with pytest.raises(EndedAtOnceError, match="ended at once: exit code 0"):
        await bot.start()
    unit.write("RemainAfterExit=yes")
    assert await up(unit, bot) in unit.processes()


async def test_a_bot_that_is_a_oneshot_is_found_and_stopped_all_the_same(unit: Unit) -> None:
    unit.write("Type=oneshot")
    bot = unit.bot()
    pid = await up(unit, bot)
    assert ([found.pid for found in await bot.find()], bot.trouble) == ([pid], None)
    assert ((await bot.stop(10)).pids, unit.processes(), await bot.find()) == ((pid,), [], [])


async def test_a_masked_unit_is_down_and_is_not_started(unit: Unit) -> None:
    unit.write()
    path, hidden = Path("/etc/systemd/system") / unit.name, Path("/usr/lib/systemd/system") / unit.name
    path.rename(hidden)
    unit.systemctl("mask", unit.name)
    try:
        bot = unit.bot()
        assert await bot.find() == []
        assert bot.trouble == "its unit file is masked"
        with pytest.raises(BotError, match=r"is masked.*unmask"):
            await bot.start()
        assert (await bot.stop(1)).how == "was not running"
    finally:
        unit.systemctl("unmask", unit.name)
        hidden.rename(path)


async def test_a_unit_that_nobody_knows_is_an_error_and_not_a_bot_that_is_down() -> None:
    bot = SystemdBot("no-such-bot.service", Systemctl(), 5.0)
    for ask in (bot.find, bot.start, lambda: bot.stop(1)):
        with pytest.raises(BotError, match=r"there is no unit no-such-bot.service .*Set bot.systemd.unit"):
            await ask()


async def test_what_is_no_service_is_no_bot(unit: Unit) -> None:
    unit.write()
    timer = unit.other(".timer", "[Timer]\nOnActiveSec=1h\n")
    with pytest.raises(BotError, match=rf"{timer} is no service: set bot.systemd.unit"):
        await SystemdBot(timer, Systemctl(), 5.0).find()
    short = SystemdBot(unit.name.removesuffix(".service"), Systemctl(), 5.0)
    assert await up(unit, short) in unit.processes()
    await short.stop(10)


# -- what it wrote


async def test_the_last_words_of_a_bot_that_ended_are_read_from_the_journal(unit: Unit) -> None:
    unit.write(
        body="here('bot')\nwhile not Path('end').exists(): time.sleep(0.01)\n"
        "print('out of\\x1b[31m money', flush=True); sys.exit(7)"
    )
    bot = unit.bot()
    await up(unit, bot)
    (unit.folder / "end").touch()
    await until(lambda: not unit.processes())
    await asyncio.sleep(0.3)
    assert await bot.find() == []
    assert "out of" in bot.output_tail()[-1]
    assert bot.output_tail(0) == []


# -- a user's own systemd


def test_a_unit_of_a_user_is_run_by_that_users_systemd(tmp_path: Path) -> None:
    subprocess.run(["useradd", "--create-home", "lingerer"], check=False, capture_output=True)
    for command in (
        ["systemctl", "start", "dbus", "systemd-logind"],
        ["loginctl", "enable-linger", "lingerer"],
    ):
        subprocess.run(command, check=True, capture_output=True)
    uid = int(subprocess.run(["id", "-u", "lingerer"], check=True, capture_output=True, text=True).stdout)
    subprocess.run(["systemctl", "start", f"user@{uid}.service"], check=True)
    home = Path("/home/lingerer/.config/systemd/user")
    home.mkdir(parents=True, exist_ok=True)
    (home / "mine.service").write_text("[Service]\nExecStart=/bin/sleep 1000\nRestart=always\n")
    script = tmp_path / "watchdog.py"
    script.write_text(
        "import asyncio\n"
        "from watchdog.bots.systemctl import Systemctl\n"
        "from watchdog.bots.systemd import SystemdBot\n"
        "async def main():\n"
        "    bot = SystemdBot('mine.service', Systemctl(scope='user'), 10.0)\n"
        "    assert await bot.find() == []\n"
        "    running = await bot.start()\n"
        "    (found,) = await bot.find()\n"
        "    assert found.pid == running.pid and 'sleep 1000' in found.command, found\n"
        "    stopped = await bot.stop(10)\n"
        "    assert (stopped.pids, stopped.how) == ((running.pid,), 'SIGTERM'), stopped\n"
        "    assert await bot.find() == []\n"
        "    print(running.pid)\n"
        "asyncio.run(main())\n"
    )
    tmp_path.chmod(0o755)
    environ = {
        name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"
    }  # as a service has it
    done = subprocess.run(
        ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", sys.executable, "-"],
        input=script.read_text(),
        capture_output=True,
        text=True,
        env=environ,
        timeout=60,
    )
    subprocess.run(["systemctl", "stop", f"user@{uid}.service"], check=True)
    assert done.returncode == 0, done.stderr
    assert not alive(int(done.stdout))
