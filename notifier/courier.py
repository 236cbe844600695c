"""Takes alerts from the outbox to the channels: each channel in order, at its own speed, until it works.

A channel that fails holds up its own later alerts and nothing else. Told apart are: a failure that may pass
(back-off, or the wait that the other side asked for), a message that can never be delivered (recorded,
skipped), and a channel that is set up wrong (everything is kept, tried again ever more slowly, said once).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from .alert import Alert, Pending
from .channel import Channel
from .desk import Desk
from .errors import NotifyError, TransportError
from .outbox import Outbox
from .repeats import Repeats
from .text import Part

Sleep = Callable[[float], Awaitable[None]]
SLOW_RETRY_S = 300.0  # of a channel that a person must mend, in the end
FIRST_SLOW_RETRY_S = 5.0  # a 401 or 403 may be a passing fault of the other side, too


@dataclass(frozen=True)
class Backoff:
    """Waits in seconds: `first_s`, doubled each time up to `cap_s`; `jitter()` of 0.1 makes a wait 10 %
    longer."""

    first_s: float = 1.0
    cap_s: float = 60.0
    jitter: Callable[[], float] = lambda: 0.0

    def delay_s(self, failures: int) -> float:
        """The wait after so many failures in a row (1 and more)."""
        doubled = self.first_s * 2.0 ** min(failures - 1, 30)
        return min(self.cap_s, doubled) * (1.0 + self.jitter())


class Courier:
    """Delivers what is in `outbox` to `channels`, and addresses what is put from now on to them.

    now: aware wall time. sleep: waits for a number of seconds. on_problem: told in one sentence when a
    channel or the disk begins to fail, when it works again, and of each alert that cannot be delivered; it
    must not raise. All methods belong to the thread of the event loop.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Sequence[Channel],
        now: Callable[[], datetime],
        sleep: Sleep = asyncio.sleep,
        *,
        on_problem: Callable[[str], None] = lambda _: None,
        backoff: Backoff | None = None,
        slow_retry_s: float = SLOW_RETRY_S,
    ) -> None:
        self._outbox = outbox
        self._desks = [Desk(channel) for channel in channels]
        self._now = now
        self._sleep = sleep
        self._on_problem = on_problem
        self._backoff = backoff or Backoff()
        self._slow = Backoff(min(FIRST_SLOW_RETRY_S, slow_retry_s), slow_retry_s)
        self._progress = asyncio.Event()
        self._disk_trouble: str | None = None
        self._from_memory = Repeats()
        outbox.use_channels([desk.name for desk in self._desks])

    def tell(self, alert: Alert) -> bool:
        """Put an alert and wake the channels. True if it is on disk (or was before).

        Never raises: when the disk fails, people are told straight away, from memory, and the text says so.
        """
        now = self._now()
        try:
            self._outbox.put(alert, now)
        except NotifyError as error:
            self._tell_from_memory(alert, now)
            self._disk_fails(error)
            return False
        self._disk_trouble = None
        self.wake()
        return True

    def _tell_from_memory(self, alert: Alert, now: datetime) -> None:
        text = self._outbox.wording(alert.text)
        if self._from_memory.is_one(alert, text, now):
            return
        self._from_memory.note(alert, text, now)
        for desk in self._desks:
            desk.unwritten.append(Pending(0, alert.kind, alert.severity, text, 1, now, now))
        self.wake()

    def wake(self) -> None:
        """Look into the outbox now; call it after every put."""
        for desk in self._desks:
            desk.wake.set()

    async def run(self) -> None:
        """Deliver until cancelled. Cancelling loses nothing: what was not recorded as sent is sent again."""
        async with asyncio.TaskGroup() as group:
            for desk in self._desks:
                group.create_task(self._serve(desk), name=f"courier-{desk.name}")

    async def drain(self, timeout_s: float) -> bool:
        """Wait until everything is delivered, while `run` runs; False if it is not after `timeout_s`.

        A channel that a person must mend is not waited for.
        """
        timer = asyncio.ensure_future(self._sleep(timeout_s))
        try:
            while not (drained := self._is_drained()) and not timer.done():
                self._progress.clear()
                await _first(timer, self._progress)
            return drained
        finally:
            timer.cancel()

    async def aclose(self) -> None:
        """Close the channels' connections."""
        for desk in self._desks:
            await desk.channel.aclose()

    def _is_drained(self) -> bool:
        waited_for = [desk for desk in self._desks if not desk.misconfigured]
        try:
            return not any(desk.unwritten or self._outbox.waiting(desk.name) for desk in waited_for)
        except NotifyError:
            return False

    async def _serve(self, desk: Desk) -> None:
        while True:
            desk.wake.clear()
            try:
                delivered = await self._deliver_next(desk)
                wait_s = None if delivered else self._outbox.next_due_s(self._now())
                desk.disk_failures = 0
            except NotifyError as error:  # of the disk: those of a channel are dealt with inside
                self._disk_fails(error)
                desk.disk_failures += 1
                delivered, wait_s = False, self._backoff.delay_s(desk.disk_failures)
            self._progress.set()
            if delivered:
                await asyncio.sleep(0)  # a channel that never waits, with much to say, must not hold the loop
            else:
                await self._idle(desk, wait_s)

    async def _deliver_next(self, desk: Desk) -> bool:
        """Try the next alert of a channel; False if there is none."""
        if desk.unwritten:
            if await self._deliver(desk, desk.unwritten[0]):
                desk.unwritten.popleft()
            return True
        desk.flush()
        alert = self._outbox.next(desk.name, self._now())
        if alert is None:
            return False
        await self._deliver(desk, alert)
        return True

    async def _deliver(self, desk: Desk, alert: Pending) -> bool:
        """One attempt, and the wait after a failed one; True when the channel is done with the alert."""
        try:
            await self._send(desk, alert)
        except TransportError as error:
            if not error.permanent:
                await self._stumble(desk, alert, error)
                return False
            now = self._now()
            desk.record(alert, partial(self._outbox.undeliverable, alert.id, desk.name, str(error), now))
            self._on_problem(f"{desk.name}: alert #{alert.id} ({alert.kind}) cannot be delivered: {error}")
            return True
        desk.record(alert, partial(self._outbox.sent, alert.id, desk.name, self._now()))
        self._works(desk)
        return True

    async def _send(self, desk: Desk, alert: Pending) -> None:
        parts = _parts(desk.channel, alert)
        for index in range(alert.parts_sent, len(parts)):
            if index > alert.parts_sent:
                desk.record(alert, partial(self._outbox.part_sent, alert.id, desk.name, index))
            await _send_part(desk.channel, parts[index])

    async def _stumble(self, desk: Desk, alert: Pending, error: TransportError) -> None:
        """Note a failure that may pass, and wait as long as it asks for."""
        desk.record(alert, partial(self._outbox.failed, alert.id, desk.name, str(error), self._now()))
        desk.misconfigured = error.misconfigured
        if error.misconfigured:
            desk.refusals += 1
            delay_s = self._slow.delay_s(desk.refusals)
        elif error.retry_after_s is not None:
            delay_s = max(error.retry_after_s, self._backoff.first_s)
        else:
            desk.failures += 1
            delay_s = self._backoff.delay_s(desk.failures)
        self._fails(desk, error)
        self._progress.set()
        await self._sleep(delay_s)

    def _fails(self, desk: Desk, error: TransportError) -> None:
        """Say it once an outage, and once more when a person turns out to be needed."""
        trouble = str(error) if error.misconfigured else "down"
        if trouble != desk.trouble:
            desk.trouble = trouble
            desk.trouble_since = desk.trouble_since or self._now()
            self._on_problem(f"{desk.name}: {error}; alerts are kept and tried again")

    def _works(self, desk: Desk) -> None:
        desk.failures = desk.refusals = 0
        desk.misconfigured = False
        if desk.trouble_since is not None:
            lasted_s = (self._now() - desk.trouble_since).total_seconds()
            desk.trouble = desk.trouble_since = None
            self._on_problem(f"{desk.name}: works again after {_span(lasted_s)}")

    def _disk_fails(self, error: NotifyError) -> None:
        """Say it once, until the disk has taken an alert again."""
        if self._disk_trouble != str(error):
            self._disk_trouble = str(error)
            self._on_problem(str(error))

    async def _idle(self, desk: Desk, timeout_s: float | None) -> None:
        if timeout_s is None:
            await desk.wake.wait()
            return
        timer = asyncio.ensure_future(self._sleep(timeout_s))
        try:
            await _first(timer, desk.wake)
        finally:
            timer.cancel()


def _parts(channel: Channel, alert: Pending) -> Sequence[Part]:
    try:
        return channel.parts(alert)
    except Exception as error:  # noqa: BLE001 - a bug over one text must not end the telling of all others
        problem = type(error).__name__
    raise TransportError(f"the text cannot be rendered ({problem})", permanent=True)


async def _send_part(channel: Channel, part: Part) -> None:
    try:
        await channel.send(part)
        return
    except TransportError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises; its text may hold the token
        problem = type(error).__name__
    raise TransportError(f"sending failed in an unexpected way ({problem})", sent_maybe=True)


def _span(seconds: float) -> str:
    """A duration for a person: "40 s", "12 min", "5 h 3 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(int(seconds // 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


async def _first(timer: asyncio.Future[None], event: asyncio.Event) -> None:
    """Return when the timer has run out or the event is set."""
    waiter = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((timer, waiter), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
