"""The daemon: start-up, ticks, orders, hand-over. The main loop of one watchdog for one bot.

Three things run side by side in one event loop: the ticks (APScheduler), the look at the control folder, and the
incident that is being worked on. A sentinel sees to it that ticks keep coming, whatever happens to the scheduler.
"""

import asyncio
import functools
import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from config import Settings
from watchdog import doubt
from watchdog.assemble import Parts
from watchdog.lock import LockedError
from watchdog.sdnotify import SdNotify

log = logging.getLogger(__name__)

TICK = "tick"
STEP_S = 1.0
"""A gap between wall and monotonic clock that slewing cannot make between two looks of the sentinel."""

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True)
class Pace:
    """How often the daemon looks, and how long it waits, in seconds."""

    orders_every_s: float = 0.25
    sentinel_every_s: float = 1.0
    tick_timeout_s: float = 60.0
    """At least; a tick may take three poll intervals, and as long as a bot may take to be stopped."""
    late_s: float = 5.0
    """Beyond the timeout and two poll intervals: then a tick is missing."""
    drain_s: float = 3.0


class Daemon:
    """Runs one watchdog's parts until SIGTERM, or until SIGHUP brought a configuration that can be taken over.

    `load_again` reads the configuration anew; None (told to people by itself) keeps the present one in force.
    `keep_locks` raises LockedError once another watchdog acts for this bot: this one then ends at once (`displaced`).
    """

    def __init__(
        self,
        parts: Parts,
        notify: SdNotify,
        load_again: Callable[[], Settings | None],
        pace: Pace = Pace(),
        wall: Callable[[], float] = time.time,
        keep_locks: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts = parts
        self._pace, self._wall = pace, wall
        self._notify = notify
        self._load_again = load_again
        self._keep_locks = keep_locks
        self._poll_s = parts.settings.poll_interval.total_seconds()
        stop_s = parts.settings.bot.stop_timeout.total_seconds()
        self._tick_timeout_s = max(pace.tick_timeout_s, 3 * self._poll_s) + stop_s
        self._stopping = asyncio.Event()
        self._scheduler: AsyncIOScheduler | None = None
        self._last_tick = time.monotonic()
        self._clocks = (wall(), time.monotonic())
        self._sentence = ""
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.reloaded: Settings | None = None
        self.displaced = False

    async def run(self) -> None:
        """Start-up, main loop, hand-over."""
        loop = asyncio.get_running_loop()
        # A worker thread that is joined may live on for a moment: a signal that reached it between two daemons, when no
        # handler is set, would kill the process.
        block = functools.partial(signal.pthread_sigmask, signal.SIG_BLOCK, SIGNALS)
        loop.set_default_executor(ThreadPoolExecutor(initializer=block))
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload,
            signal.SIGUSR1: functools.partial(self._signalled, "rollback"),
            signal.SIGUSR2: functools.partial(self._signalled, "pause"),
        }
        for number in SIGNALS:
            loop.add_signal_handler(number, handlers[number])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        if self._notify.watchdog_s is not None and self._notify.watchdog_s < 3 * self._poll_s:
            log.error(
                "WatchdogSec is %.0f s and poll_interval %.0f s: systemd would kill this watchdog for being slow; "
                "set WatchdogSec to three times poll_interval or more",
                self._notify.watchdog_s,
                self._poll_s,
            )
        self._start("courier")
        await doubt.settle(self._parts.world, self._parts.incidents)
        self._start("orders")
        try:
            # Before the open incident is carried on: from here on WatchdogSec= counts, so that a hang in the midst of
            # it is noticed as soon as one between two ticks, and not after TimeoutStartSec=.
            self._notify.ready("started")
            await self._carry_on()
            if not self._stopping.is_set():
                self._start_scheduler()
                self._start("sentinel")
                await self._stopping.wait()
        finally:
            await self._hand_over()
            # The handlers go with the loop: what comes from here on waits for the next one.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    async def _carry_on(self) -> None:
        """Brings an open incident to where the bot is safe, before the first tick."""
        self._parts.incidents.resume()
        self._parts.orders.catch_up()
        # A flag counts once two looks found it unchanged: a HALT that lies there must be obeyed before a start.
        self._parts.orders.look()
        await asyncio.sleep(self._pace.orders_every_s)
        self._parts.orders.look()
        signed = -float("inf")
        if (incident := self._parts.incidents.current) is not None:
            self._notify.status(f"going on with incident {incident.id}: {incident.reason}")
        while self._parts.incidents.busy and not self._stopping.is_set():
            if time.monotonic() - signed >= self._pace.sentinel_every_s:
                signed = time.monotonic()
                self._notify.watchdog()
            await asyncio.sleep(0.05)
            if (error := self._parts.incidents.crashed()) is not None:
                self._parts.watch.part_ended("procedure", error)
                log.error("a step failed in a way nobody expected; it is tried again", exc_info=error)
                await asyncio.sleep(1.0)

    # -- ticks

    def _start_scheduler(self) -> None:
        scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        scheduler.add_listener(
            self._scheduler_event, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES
        )
        scheduler.add_job(
            self._tick, "interval", id=TICK, seconds=self._poll_s, next_run_time=datetime.now(UTC)
        )
        scheduler.start()
        self._scheduler = scheduler
        self._last_tick = time.monotonic()

    async def _tick(self) -> None:
        if not self._is_alone():  # before anything else: the journal may be the other one's by now
            return
        async with asyncio.timeout(self._tick_timeout_s):
            sentence = await self._parts.watch.tick()
        self._last_tick = time.monotonic()
        if sentence != self._sentence:
            log.info("%s", sentence)
            self._notify.status(sentence)
            self._sentence = sentence
        self._notify.watchdog()
        self._parts.upkeep.look()
        self._parts.chores.look()

    def _scheduler_event(self, event: JobExecutionEvent) -> None:
        if event.code != EVENT_JOB_ERROR:
            log.warning("a tick was late: the one before is still running, or the machine was busy")
        elif not isinstance(event.exception, asyncio.CancelledError):
            self._parts.watch.tick_failed(event.exception)

    async def _sentinel(self) -> None:
        """Notices ticks that do not come, a wall clock that was stepped (the scheduler goes by it), and parts of the
        daemon that ended with a mistake of ours."""
        while True:
            await asyncio.sleep(self._pace.sentinel_every_s)
            wall, monotonic = self._wall(), time.monotonic()
            stepped = abs((wall - self._clocks[0]) - (monotonic - self._clocks[1])) > STEP_S
            self._clocks = (wall, monotonic)
            missing_s = monotonic - self._last_tick
            if missing_s > self._tick_timeout_s + 2 * self._poll_s + self._pace.late_s:
                self._parts.watch.ticks_missing(missing_s)
                self._stop_scheduler()
                self._start_scheduler()
            elif stepped and self._scheduler is not None:
                self._scheduler.modify_job(TICK, next_run_time=datetime.now(UTC))
            self._revive()

    def _revive(self) -> None:
        for name, task in list(self._tasks.items()):
            if task.done() and not self.displaced:
                error = None if task.cancelled() else task.exception()
                log.error("the daemon's %s ended; it is started anew", name, exc_info=error)
                self._parts.watch.part_ended(name, error)
                self._start(name)

    def _start(self, name: str) -> None:
        make = {
            "courier": self._parts.courier.run,
            "orders": self._look_for_orders,
            "sentinel": self._sentinel,
        }
        self._tasks[name] = asyncio.get_running_loop().create_task(make[name](), name=name)

    def _stop_scheduler(self) -> None:
        if self._scheduler is not None and self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    # -- orders

    async def _look_for_orders(self) -> None:
        while self._is_alone():
            self._parts.orders.look()
            self._revive()  # the sentinel looks after this task, and this task after the sentinel
            await asyncio.sleep(self._pace.orders_every_s)

    def _is_alone(self) -> bool:
        """Whether this is still the one watchdog for its bot; if not, it is on its way out."""
        if self.displaced:
            return False
        try:
            self._keep_locks()
        except LockedError as error:
            log.critical("this watchdog ends: its lock was deleted, and %s", error)
            self._parts.world.teller.tell(
                "displaced",
                f"this watchdog (pid {os.getpid()}) ends: its lock was deleted, and another one has taken its place\n"
                f"{error}\nThe bot was left alone. Asked of you: see that one watchdog runs (model-watchdog status), "
                f"and find out what deletes files of {self._parts.settings.state_dir} or the registry's folder.",
                "critical",
            )
            self.displaced = True
            self._parts.world.interrupts.ask_hand_over()
            self._stopping.set()
        return not self.displaced

    def _signalled(self, what: Literal["rollback", "pause"]) -> None:
        self._parts.orders.signalled(what)

    def _stop(self) -> None:
        log.info("asked to end: the running step is finished, then this watchdog hands over")
        self._parts.world.interrupts.ask_hand_over()
        self._stopping.set()

    def _reload(self) -> None:
        self.reloaded = self._load_again()
        if self.reloaded is not None:
            self._notify.reloading()
            self._parts.world.interrupts.ask_hand_over()
            self._stopping.set()

    async def _hand_over(self) -> None:
        """Finishes the running step, sends what can be sent, leaves the bot alone."""
        if self.reloaded is None:
            self._notify.stopping()
        sentinel = self._tasks.pop("sentinel", None)
        if sentinel is not None:
            sentinel.cancel()  # the last step may take long, and no tick is missing meanwhile
            await asyncio.wait({sentinel})
        self._stop_scheduler()
        if self.displaced:  # the bot is the other one's to look after: what goes on with it ends where it is
            self._parts.incidents.drop()
            self._parts.watch.drop()
        await self._parts.incidents.settle()
        await self._parts.watch.settle()
        await self._parts.upkeep.settle()
        await self._parts.chores.settle()
        await self._parts.courier.drain(timeout_s=self._pace.drain_s)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._parts.courier.aclose()
        self._parts.close()
