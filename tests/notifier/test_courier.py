"""Every alert reaches every channel, in order, through failures of every kind."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from notifier import Alert, Backoff, Courier, Outbox, Part, TransportError

from .helpers import ManualTime, MemoryChannel, settle, step


class Desk:
    """A courier at work on manual time, with what it reported."""

    def __init__(self, outbox: Outbox, *channels: MemoryChannel) -> None:
        self.time = ManualTime()
        self.outbox = outbox
        self.problems: list[str] = []
        self.courier = Courier(
            outbox, channels, self.time.now, self.time.sleep, on_problem=self.problems.append
        )

    async def tell(self, *texts: str) -> None:
        for text in texts:
            self.courier.tell(step(text))
        await settle()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.courier.run())
        try:
            await settle()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox(path, busy_timeout_s=0.01)
    yield outbox
    outbox.close()


@pytest.fixture
def channel() -> MemoryChannel:
    return MemoryChannel()


def refused(**what: object) -> TransportError:
    return TransportError("no connection", **what)  # type: ignore[arg-type]


async def test_alerts_arrive_in_order_with_their_ids(outbox: Outbox, channel: MemoryChannel) -> None:
    desk = Desk(outbox, channel)
    await desk.tell("one", "two")
    async with desk.running():
        await desk.tell("three")
    assert channel.headlines == ["one", "two", "three"]
    assert [text.rpartition("#")[2] for text in channel.sent] == ["1", "2", "3"]
    assert outbox.waiting() == 0
    assert desk.problems == []


async def test_a_channel_that_is_down_does_not_delay_the_others(outbox: Outbox) -> None:
    console, telegram = MemoryChannel("console"), MemoryChannel("telegram")
    telegram.always = refused()
    desk = Desk(outbox, console, telegram)
    async with desk.running():
        await desk.tell("one", "two")
        assert console.headlines == ["one", "two"]
        await desk.time.advance(3600)
        await desk.tell("three")
        assert console.headlines == ["one", "two", "three"]
        assert telegram.sent == []
        telegram.always = None
        await desk.time.advance(60)
        assert telegram.headlines == ["one", "two", "three"]
    assert desk.problems == [
        "telegram: no connection; alerts are kept and tried again",
        "telegram: works again after 1 h 0 min",
    ]


async def test_waits_double_up_to_a_minute(outbox: Outbox, channel: MemoryChannel) -> None:
    channel.always = refused()
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(300)
    assert desk.time.slept[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_waits_start_over_after_a_success(outbox: Outbox, channel: MemoryChannel) -> None:
    channel.script = [refused(), refused(), None, refused()]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one", "two")
        await desk.time.advance(10)
    assert desk.time.slept == [1, 2, 1]
    assert channel.headlines == ["one", "two"]


async def test_the_waits_of_an_outage_are_told_for_a_person(outbox: Outbox, channel: MemoryChannel) -> None:
    channel.script = [refused()]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(1)
    assert desk.problems[1] == "memory: works again after 1 s"


def test_jitter_lengthens_a_wait() -> None:
    assert Backoff(jitter=lambda: 0.25).delay_s(3) == 5.0
    assert Backoff().delay_s(10_000) == 60.0


async def test_the_wait_that_the_other_side_asks_for_is_kept(outbox: Outbox, channel: MemoryChannel) -> None:
    channel.script = [refused(retry_after_s=90.0), refused(retry_after_s=0.0)]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(89)
        assert channel.sent == []
        await desk.time.advance(3)
    assert desk.time.slept == [90, 1]  # and "at once" is not taken literally
    assert channel.headlines == ["one"]


async def test_what_can_never_be_delivered_is_reported_and_skipped(
    outbox: Outbox, channel: MemoryChannel
) -> None:
    channel.script = [TransportError("rejected (400)", permanent=True)]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("poison", "fine")
    assert channel.headlines == ["fine"]
    assert outbox.recent()[1].states == {"memory": "undeliverable"}
    assert desk.problems == ["memory: alert #1 (step) cannot be delivered: rejected (400)"]


async def test_a_channel_that_is_set_up_wrong_keeps_everything_and_says_so_once(
    outbox: Outbox, channel: MemoryChannel
) -> None:
    channel.always = TransportError("the token is wrong (401)", misconfigured=True)
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one", "two")
        await desk.time.advance(3600)
        assert desk.time.slept == [5, 10, 20, 40, 80, 160] + [300] * 11
        assert desk.problems == ["memory: the token is wrong (401); alerts are kept and tried again"]
        assert outbox.recent()[1].errors == {"memory": "the token is wrong (401)"}
        channel.always = None
        await desk.time.advance(300)
    assert channel.headlines == ["one", "two"]
    assert len(desk.problems) == 2


async def test_a_passing_refusal_holds_the_alerts_up_for_seconds_and_the_next_one_as_well(
    outbox: Outbox, channel: MemoryChannel
) -> None:
    wrong = TransportError("the token is wrong (401)", misconfigured=True)
    channel.script = [wrong, wrong]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(15)
        assert channel.headlines == ["one"]
        channel.script = [wrong]
        await desk.tell("two")
        await desk.time.advance(5)
    assert channel.headlines == ["one", "two"]
    assert desk.time.slept == [5, 10, 5]


async def test_an_outage_that_turns_out_to_need_a_person_is_said_again(
    outbox: Outbox, channel: MemoryChannel
) -> None:
    wrong = TransportError("the token is wrong (401)", misconfigured=True)
    channel.script = [refused(), TransportError("answered 502"), wrong]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(400)
    assert desk.problems == [
        "memory: no connection; alerts are kept and tried again",
        "memory: the token is wrong (401); alerts are kept and tried again",
        "memory: works again after 8 s",
    ]


async def test_whatever_a_channel_raises_is_tried_again_and_its_text_is_not_told(
    outbox: Outbox, channel: MemoryChannel
) -> None:
    channel.script = [RuntimeError("https://api/bot123:secret/sendMessage")]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(1)
    assert channel.headlines == ["one"]
    assert desk.problems[0] == (
        "memory: sending failed in an unexpected way (RuntimeError); alerts are kept and tried again"
    )


async def test_a_text_that_a_channel_cannot_render_blocks_nothing(outbox: Outbox) -> None:
    class Picky(MemoryChannel):
        def parts(self, alert):  # type: ignore[no-untyped-def]
            return super().parts(alert) if alert.text != "poison" else [].pop()

    channel = Picky()
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("poison", "fine")
    assert channel.headlines == ["fine"]
    assert desk.problems == [
        "memory: alert #1 (step) cannot be delivered: the text cannot be rendered (IndexError)"
    ]


async def test_parts_that_were_sent_are_not_sent_again(
    path: Path, outbox: Outbox, channel: MemoryChannel
) -> None:
    channel.lines_as_parts = True
    channel.script = [None, None, refused()]
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("part 1\npart 2\npart 3")
    assert channel.sent == ["part 1", "part 2"]
    reopened = Outbox(path)  # after a kill -9 here
    desk = Desk(reopened, channel)
    async with desk.running():
        pass
    assert channel.sent == ["part 1", "part 2", "part 3"]
    assert reopened.waiting() == 0
    reopened.close()


async def test_cancelling_in_the_middle_of_a_message_sends_it_again_at_the_next_start(
    outbox: Outbox,
) -> None:
    class Stuck(MemoryChannel):
        async def send(self, part: Part) -> None:
            await super().send(part)
            await asyncio.Event().wait()

    stuck = Stuck()
    desk = Desk(outbox, stuck)
    async with desk.running():
        await desk.tell("one")
    assert stuck.headlines == ["one"]
    assert outbox.waiting() == 1
    channel = MemoryChannel()
    desk = Desk(outbox, channel)
    async with desk.running():
        pass
    assert channel.sent == stuck.sent  # word for word, the same id


async def test_held_alerts_go_out_when_their_time_has_come(outbox: Outbox, channel: MemoryChannel) -> None:
    desk = Desk(outbox, channel)
    async with desk.running():
        for minute in range(31):
            desk.courier.tell(Alert("bot_down", f"down at {minute}"))
            await desk.time.advance(60)
        assert channel.headlines == ["down at 0"]
        await desk.time.advance(29 * 60)
        assert channel.headlines == ["down at 0", "down at 30 (30 times)"]
    assert channel.sent[1].endswith("2026-03-01 03:01:00 to 03:30:00 UTC · #2")


async def test_sending_is_not_repeated_because_the_disk_fails(
    path: Path, outbox: Outbox, channel: MemoryChannel
) -> None:
    desk = Desk(outbox, channel)
    other = sqlite3.connect(path, isolation_level=None)

    class Locking(MemoryChannel):
        async def send(self, part: Part) -> None:
            await super().send(part)
            if not other.in_transaction and len(self.sent) == 1:
                other.execute("BEGIN IMMEDIATE")

    channel = Locking()
    desk = Desk(outbox, channel)
    async with desk.running():
        await desk.tell("one")
        await desk.time.advance(30)
        assert channel.headlines == ["one"]
        assert "database is locked" in desk.problems[0]
        other.execute("ROLLBACK")
        await desk.time.advance(60)
        await desk.tell("two")
    assert channel.headlines == ["one", "two"]
    assert outbox.waiting() == 0
    assert len(desk.problems) == 1
    other.close()


async def test_people_are_told_although_the_disk_takes_nothing(
    path: Path, outbox: Outbox, channel: MemoryChannel
) -> None:
    desk = Desk(outbox, channel)
    other = sqlite3.connect(path, isolation_level=None)
    async with desk.running():
        await desk.tell("before")
        other.execute("BEGIN IMMEDIATE")
        assert not desk.courier.tell(Alert("disk", "the disk is full", "critical"))
        channel.script = [refused()]
        await desk.time.advance(2)
        assert channel.headlines == ["before", "the disk is full"]
        assert channel.sent[1].endswith("UTC · (not on disk: the state folder cannot be written)")
        assert channel.severities[1] == "critical"
        other.execute("ROLLBACK")
        await desk.time.advance(60)
        assert desk.courier.tell(step("after"))
        await settle()
    assert channel.headlines == ["before", "the disk is full", "after"]
    assert len([problem for problem in desk.problems if "database is locked" in problem]) == 1
    other.close()


async def test_a_disk_that_refuses_for_long_makes_nobody_read_the_same_again_and_again(
    path: Path, outbox: Outbox, channel: MemoryChannel
) -> None:
    desk = Desk(outbox, channel)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    stuck = Alert("incident-1-stuck", "stuck: the disk is full", "critical")
    async with desk.running():
        for _ in range(20):
            desk.courier.tell(stuck)
            desk.courier.tell(Alert("incident-1", "bot stopped", key="incident 1: stop_bot", coalesce=False))
            await desk.time.advance(60)
        assert channel.headlines == ["stuck: the disk is full", "bot stopped"]
        desk.courier.tell(Alert("incident-1-stuck", "stuck: something else", "critical"))
        desk.courier.tell(Alert("incident-1", "bot stopped", coalesce=False))
        await desk.time.advance(60)
        assert channel.headlines[2:] == ["stuck: something else", "bot stopped"]
        desk.courier.tell(stuck)
        await desk.time.advance(3700)
        desk.courier.tell(stuck)
        await desk.time.advance(60)
        assert channel.headlines[4:] == ["stuck: the disk is full"] * 2, "after an hour it is said again"
        other.execute("ROLLBACK")
    other.close()


async def test_draining_waits_until_all_is_delivered(outbox: Outbox, channel: MemoryChannel) -> None:
    channel.script = [refused()]
    desk = Desk(outbox, channel)
    async with desk.running():
        desk.courier.tell(step("one"))
        draining = asyncio.create_task(desk.courier.drain(10))
        await settle()
        assert not draining.done()
        await desk.time.advance(1)
        assert await draining
    assert channel.headlines == ["one"]


async def test_draining_ends_when_its_time_is_over(outbox: Outbox, channel: MemoryChannel) -> None:
    channel.always = refused()
    desk = Desk(outbox, channel)
    async with desk.running():
        desk.courier.tell(step("one"))
        draining = asyncio.create_task(desk.courier.drain(10))
        await desk.time.advance(9.9)
        assert not draining.done()
        await desk.time.advance(0.1)
        assert not await draining
    assert outbox.waiting() == 1


async def test_draining_does_not_wait_for_a_channel_that_a_person_must_mend(outbox: Outbox) -> None:
    console, telegram = MemoryChannel("console"), MemoryChannel("telegram")
    telegram.always = TransportError("the token is wrong (401)", misconfigured=True)
    desk = Desk(outbox, console, telegram)
    async with desk.running():
        desk.courier.tell(step("one"))
        draining = asyncio.create_task(desk.courier.drain(10))
        await settle()
        assert await draining
    assert console.headlines == ["one"]


async def test_draining_is_never_done_while_nobody_knows(
    path: Path, outbox: Outbox, channel: MemoryChannel
) -> None:
    desk = Desk(outbox, channel)
    outbox.close()
    draining = asyncio.create_task(desk.courier.drain(10))
    await desk.time.advance(10)
    assert not await draining


async def test_draining_an_empty_outbox_is_done_at_once(outbox: Outbox, channel: MemoryChannel) -> None:
    assert await Desk(outbox, channel).courier.drain(10)


async def test_a_backlog_does_not_hold_the_event_loop(outbox: Outbox) -> None:
    class Instant(MemoryChannel):
        async def send(self, part: Part) -> None:
            self.sent.append(part.text)

    channel = Instant()
    desk = Desk(outbox, channel)
    for number in range(50):
        desk.courier.tell(step(f"step {number}"))
    task = asyncio.create_task(desk.courier.run())
    turns = 0
    while len(channel.sent) < 50:
        turns += 1
        await asyncio.sleep(0)
    task.cancel()
    assert turns >= 50


async def test_closing_closes_the_channels(outbox: Outbox, channel: MemoryChannel) -> None:
    await Desk(outbox, channel).courier.aclose()
    assert channel.closed
