"""The daemon's loop with the real scheduler: ticks that raise, hang or never come, a stepped clock, signals, hand-over.

Only the rhythm is quicker than in life. What the ticks do is scripted here; `test_watch` has the real ones.
"""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from config import Settings
from notifier import Alert, ConsoleChannel, Courier, Outbox
from tests.watchdog.house import House
from watchdog.assemble import Parts
from watchdog.daemon import SIGNALS, TICK, Daemon, Pace
from watchdog.lock import LockedError
from watchdog.sdnotify import SdNotify
from watchdog.upkeep import Upkeep
from watchdog.watch import Watch

PACE = Pace(orders_every_s=0.01, sentinel_every_s=0.02, tick_timeout_s=0.2, late_s=0.1, drain_s=1.0)
QUICK: dict[str, Any] = {"bot": {"stop_timeout": "0.05s", "stays_up_for": "0.4s"}, "poll_interval": "0.03s"}


class ScriptedWatch(Watch):
    """Each tick does what the script says next, then says `watching`; what is told is kept."""

    script: Iterator[Callable[[], Awaitable[str]]]
    ticks = 0
    failed: list[BaseException]
    missing: list[float]
    ended: list[tuple[str, BaseException | None]]

    def play(self, *script: Callable[[], Awaitable[str]]) -> None:
        self.script, self.failed, self.missing, self.ended = iter(script), [], [], []

    @property
    def undisturbed(self) -> bool:
        """Whether no tick failed and none was missing."""
        return not self.failed and not self.missing

    async def tick(self) -> str:
        self.ticks += 1
        act = next(self.script, None)
        return "watching" if act is None else await act()

    def tick_failed(self, error: BaseException) -> None:
        self.failed.append(error)

    def ticks_missing(self, seconds: float) -> None:
        self.missing.append(seconds)

    def part_ended(self, name: str, error: BaseException | None) -> None:
        self.ended.append((name, error))


class OpenDaemon(Daemon):
    """Lets a test reach what the machine does to the scheduler."""

    @property
    def scheduler(self) -> AsyncIOScheduler:
        assert self._scheduler is not None
        return self._scheduler

    def task(self, name: str) -> asyncio.Task[None]:
        return self._tasks[name]


class Rig:
    """A house with a daemon in it, and somebody who listens as systemd does."""

    def __init__(self, house: House, tmp_path: Path, environ: dict[str, str] | None = None) -> None:
        self.house = house
        self.heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.heard.bind(str(tmp_path / "notify"))
        self.heard.setblocking(False)
        self.said: list[str] = []
        self.watch = ScriptedWatch(house.world, house.collector, house.engine, house.incidents, house.control)
        self.watch.play()
        outbox = Outbox(tmp_path / "outbox.db")
        console = ConsoleChannel(lambda text, severity: self.said.append(text))
        self.parts = Parts(
            house.settings,
            house.world,
            house.collector,
            house.engine,
            house.incidents,
            house.control,
            house.orders,
            self.watch,
            outbox,
            Courier(outbox, [console], house.world.clock.now),
            Upkeep(house.world, outbox, house.control),
            house.chores,
        )
        self.stepped_s = 0.0
        self.new_settings: Settings | None = None
        self.loads = 0
        notify = SdNotify({"NOTIFY_SOCKET": str(tmp_path / "notify"), **(environ or {})})
        self.displaced_by = ""
        self.daemon = OpenDaemon(self.parts, notify, self._load, PACE, self._wall, self._keep_locks)

    def _load(self) -> Settings | None:
        self.loads += 1
        return self.new_settings

    def _keep_locks(self) -> None:
        if self.displaced_by:
            raise LockedError(self.displaced_by)

    def _wall(self) -> float:
        return datetime.now(UTC).timestamp() + self.stepped_s

    def messages(self) -> list[str]:
        """What systemd heard since the last call."""
        found = []
        while True:
            try:
                found.append(self.heard.recv(4096).decode())
            except BlockingIOError:
                return found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The daemon runs; on leaving it is asked to end."""
        task = asyncio.create_task(self.daemon.run())
        try:
            yield
        finally:
            if not task.done():
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.wait_for(task, 20)


async def until(predicate: Callable[[], object], seconds: float = 10.0) -> None:
    """Returns once it is true."""
    async with asyncio.timeout(seconds):
        while not predicate():  # noqa: ASYNC110  (what it waits for knows nothing of events)
            await asyncio.sleep(0.005)


@pytest.fixture
async def rig(build: Callable[..., House], tmp_path: Path) -> AsyncIterator[Rig]:
    house = build(**QUICK)
    house.bot.begin(by_hand=True)
    found = Rig(house, tmp_path)
    yield found
    found.heard.close()
    _put_signals_back()


def _put_signals_back() -> None:
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.remove_signal_handler(number)
    assert not signal.sigpending() & set(SIGNALS)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


# -- ticks


async def test_ticks_come_at_their_interval_and_systemd_hears_of_each_that_was_finished(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 5)
    messages = rig.messages()
    assert messages[0].splitlines()[0] == "READY=1"
    assert messages.count("STATUS=watching") == 1  # only when it changes
    assert messages.count("WATCHDOG=1") >= 4
    assert messages[-1].startswith("STOPPING=1")
    assert rig.watch.undisturbed
    assert rig.watch.ended == []


async def test_the_sentence_is_logged_when_it_changes(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    async def other() -> str:
        return "paused, watching"

    rig.watch.play(other, other)
    with caplog.at_level("INFO", "watchdog.daemon"):
        async with rig.running():
            await until(lambda: rig.watch.ticks >= 5)
    said = [record.message for record in caplog.records if "watching" in record.message]
    assert said == ["paused, watching", "watching"]


@pytest.mark.parametrize("error", [ValueError("a mistake of ours"), SystemExit(3), MemoryError()])
async def test_a_tick_that_raises_is_told_and_the_next_one_comes(rig: Rig, error: BaseException) -> None:
    async def fail() -> str:
        raise error

    rig.watch.play(fail, fail)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 4)
    assert rig.watch.failed == [error, error]
    assert rig.watch.missing == []


async def test_systemd_hears_of_no_tick_that_was_not_finished(rig: Rig) -> None:
    async def fail() -> str:
        raise ValueError("a mistake of ours")

    rig.watch.play(*[fail] * 10_000)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 4)
    assert "WATCHDOG=1" not in rig.messages()


async def test_a_tick_that_hangs_is_cut_short_and_the_next_one_comes(rig: Rig) -> None:
    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    rig.watch.play(hang)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 3)
    (error,) = rig.watch.failed
    assert isinstance(error, TimeoutError)
    assert rig.watch.missing == []


async def test_a_tick_that_outlasts_the_interval_delays_the_next_and_loses_none(rig: Rig) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.1)
        return "slow"

    rig.watch.play(slow, slow)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 5)
    assert rig.watch.undisturbed


async def test_a_tick_that_swallows_its_end_is_given_up_and_the_ticking_starts_anew(rig: Rig) -> None:
    """Nothing can end a coroutine that will not end; the others must not wait for it."""
    gone = asyncio.Event()

    async def stubborn() -> str:
        while not gone.is_set():
            try:
                await gone.wait()
            except asyncio.CancelledError:
                continue
        return "at last"

    rig.watch.play(stubborn)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 4)
        gone.set()
    assert len(rig.watch.missing) == 1
    assert rig.watch.missing[0] > PACE.tick_timeout_s


# -- the scheduler's traps


async def test_a_scheduler_whose_timer_died_is_noticed_and_replaced(rig: Rig) -> None:
    """One exception in `_process_jobs` ends the timer while `running` stays True."""
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 2)
        scheduler = rig.daemon.scheduler
        scheduler._timeout.cancel()
        scheduler._timeout = None
        before = rig.watch.ticks
        await until(lambda: rig.watch.ticks >= before + 3)
        assert scheduler is not rig.daemon.scheduler
        assert rig.daemon.scheduler.running
    assert len(rig.watch.missing) == 1


async def test_a_scheduler_that_lost_its_job_is_replaced(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        rig.daemon.scheduler.remove_job(TICK)
        rig.stepped_s = 3600.0  # and the clock is stepped, so that the sentinel looks for the job
        before = rig.watch.ticks
        await until(lambda: rig.watch.ticks >= before + 3)
    assert len(rig.watch.missing) == 1


@pytest.mark.parametrize("hours", [-1, 24])
async def test_a_stepped_wall_clock_holds_no_tick_up(rig: Rig, hours: int) -> None:
    """The scheduler waits for a wall time: after a step back of an hour that would be an hour."""
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 2)
        rig.daemon.scheduler.modify_job(TICK, next_run_time=datetime.now(UTC) + timedelta(hours=1))
        rig.stepped_s = hours * 3600.0
        before = rig.watch.ticks
        await until(lambda: rig.watch.ticks >= before + 2)
    assert rig.watch.missing == []  # it was put right before a tick was missed


async def test_a_long_start_up_is_no_missing_tick(rig: Rig) -> None:
    async def slow() -> str:
        await asyncio.sleep(0.1)
        return "slow"

    rig.watch.play(slow)
    await asyncio.sleep(PACE.tick_timeout_s + PACE.late_s + 0.3)  # since the daemon was made
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 3)
    assert rig.watch.missing == []


# -- parts that end


@pytest.mark.parametrize("name", ["courier", "orders", "sentinel"])
async def test_a_part_that_ended_is_told_and_started_anew(rig: Rig, name: str) -> None:
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        before = rig.daemon.task(name)
        before.cancel()
        await until(lambda: rig.daemon.task(name) is not before)
        await until(lambda: not rig.daemon.task(name).done())
    assert rig.watch.ended == [(name, None)]


async def test_a_look_for_orders_that_raises_is_told_with_its_error_and_orders_are_obeyed_again(
    rig: Rig,
) -> None:
    look, failing = rig.house.orders.look, iter([True])

    def fail_once(*args: Any) -> None:
        if rig.watch.ticks and next(failing, False):
            raise ZeroDivisionError
        look(*args)

    rig.house.orders.look = fail_once  # type: ignore[method-assign,assignment]
    async with rig.running():
        await until(lambda: rig.watch.ended)
        rig.house.flag("HALT")
        await until(lambda: rig.house.bot.pid is None)
    ((name, error),) = rig.watch.ended
    assert name == "orders"
    assert isinstance(error, ZeroDivisionError)


# -- start-up


async def test_an_open_incident_is_carried_on_before_the_first_tick(rig: Rig) -> None:
    house = rig.house
    house.open()
    seen: list[str | None] = []

    async def look() -> str:
        seen.append(house.current)
        return "watching"

    rig.watch.play(look)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        await until(lambda: house.incidents.current is None)
    assert seen == ["v2.0.0"]
    # A hang in the midst of it is to be noticed by WatchdogSec=, which counts from READY=1 on.
    begin = [text.splitlines()[0].partition(":")[0] for text in rig.messages()[:3]]
    assert begin == ["READY=1", "STATUS=going on with incident 1", "WATCHDOG=1"]


async def test_an_unanswered_order_is_obeyed_at_the_start(rig: Rig) -> None:
    house = rig.house
    house.flag("HALT")
    house.control.pending()
    (order,) = house.control.pending()
    house.world.journal.accept(order, house.world.now())
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
    assert house.bot.pid is None


async def test_a_procedure_that_fails_unexpectedly_at_the_start_does_not_hang_it(rig: Rig) -> None:
    house = rig.house
    incident = house.open()
    incident.step, incident.target = "close", "v2.0.0"
    house.world.journal.save(incident)
    redact, failing = house.world.redact, iter([True])
    house.world.redact = lambda text: str(1 / 0) if next(failing, False) else redact(text)
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
    ((name, error),) = rig.watch.ended
    assert name == "procedure"
    assert isinstance(error, ZeroDivisionError)


async def test_a_term_during_the_start_hands_over_without_a_tick(rig: Rig) -> None:
    house = rig.house
    house.bot.ignores_stop = 10_000
    house.machine.most_s = float("inf")
    house.open()
    async with rig.running():
        await until(lambda: house.told.said("stuck at stop_bot"))
        signs = iter(lambda: rig.messages().count("WATCHDOG=1"), None)
        await until(lambda: next(signs))
        await until(lambda: next(signs))  # and goes on
    assert rig.watch.ticks == 0


async def test_a_systemd_that_is_too_impatient_is_told_about(
    build: Callable[..., House], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(build(**QUICK), tmp_path, {"WATCHDOG_USEC": "50000"})
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
    assert "set WatchdogSec to three times poll_interval or more" in caplog.text
    rig.heard.close()
    _put_signals_back()


# -- signals


async def test_usr1_rolls_back_and_usr2_pauses_and_resumes(rig: Rig) -> None:
    house = rig.house
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        os.kill(os.getpid(), signal.SIGUSR2)
        await until(lambda: house.control.paused())
        os.kill(os.getpid(), signal.SIGUSR2)
        await until(lambda: not house.control.paused())
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: house.current == "v2.0.0")
        await until(lambda: house.incidents.current is None)


async def test_a_configuration_that_cannot_be_taken_over_changes_nothing(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: rig.loads)
        before = rig.watch.ticks
        await until(lambda: rig.watch.ticks >= before + 2)
    assert rig.daemon.reloaded is None
    assert not any("RELOADING" in text for text in rig.messages())


async def test_a_new_configuration_ends_the_daemon_for_the_next_one(rig: Rig) -> None:
    rig.new_settings = rig.house.settings
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: rig.daemon.reloaded is not None)
        await until(lambda: not rig.daemon.scheduler.running)
        await asyncio.sleep(0.1)
    messages = rig.messages()
    assert any(text.startswith("RELOADING=1") for text in messages)
    assert not any(text.startswith("STOPPING=1") for text in messages)
    assert rig.house.bot.pid == 4711


# -- hand-over


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_term_leaves_the_bot_alone(rig: Rig, number: signal.Signals) -> None:
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)
    assert (rig.house.bot.pid, rig.house.bot.stops) == (4711, 0)


async def test_a_term_finishes_the_running_step_and_leaves_the_incident_open(rig: Rig) -> None:
    house = rig.house
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        house.bot.at_stop = lambda: os.kill(os.getpid(), signal.SIGTERM)
        house.condemn()
        await until(lambda: house.world.interrupts.handing_over)
    house.wake()
    incident = house.world.journal.open_one()
    assert incident is not None
    results = dict(house.steps(incident))
    assert results["stop_bot"] == "done"
    assert "handed over" in results.values()


async def test_no_tick_is_missing_while_the_last_step_takes_long(rig: Rig) -> None:
    house = rig.house
    released = asyncio.Event()
    stop = house.bot.stop

    async def slow_stop(timeout_s: float) -> Any:
        await released.wait()
        return await stop(timeout_s)

    house.bot.stop = slow_stop  # type: ignore[method-assign]
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        house.condemn()
        await until(
            lambda: house.incidents.current is not None and house.incidents.current.step == "stop_bot"
        )
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(PACE.tick_timeout_s + PACE.late_s + 0.4)
        before = rig.watch.ticks
        await asyncio.sleep(0.1)
        assert rig.watch.ticks == before
        released.set()
    assert rig.watch.missing == []


async def test_what_was_told_is_sent_before_the_end(rig: Rig) -> None:
    async with rig.running():
        await until(lambda: rig.watch.ticks >= 1)
        for number in range(20):
            rig.parts.courier.tell(Alert("step", f"step {number}", coalesce=False))
    assert [text.splitlines()[0] for text in rig.said] == [f"step {number}" for number in range(20)]


async def test_a_watchdog_that_was_displaced_ends_at_once_and_says_so(rig: Rig) -> None:
    """Another one acts for this bot: what goes on here is dropped where it is, as if by a kill -9."""
    house = rig.house

    async def endless_stop(timeout_s: float) -> Any:
        await asyncio.Event().wait()

    house.bot.stop = endless_stop  # type: ignore[method-assign]
    task = asyncio.create_task(rig.daemon.run())
    await until(lambda: rig.watch.ticks >= 1)
    house.condemn()
    await until(lambda: house.incidents.current is not None and house.incidents.current.step == "stop_bot")
    rig.displaced_by = "another watchdog (pid 4711) acts for this bot"
    await asyncio.wait_for(task, 20)
    assert rig.daemon.displaced
    assert (house.bot.pid, house.bot.stops) == (4711, 0)
    assert rig.watch.ended == []
    assert house.told.alerts[-1].severity == "critical"
    assert "its lock was deleted, and another one has taken its place" in house.told.texts[-1]
    assert "another watchdog (pid 4711) acts for this bot" in house.told.texts[-1]
    house.wake()
    incident = house.world.journal.open_one()
    assert incident is not None
    assert incident.step == "stop_bot"
