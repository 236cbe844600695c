"""No window of a minute holds more messages than allowed."""

import asyncio

import pytest

from notifier import Pace

from .helpers import ManualTime


async def test_a_burst_goes_out_at_once_and_the_rest_waits_for_the_window() -> None:
    time = ManualTime()
    pace = Pace(20, 60.0, time.monotonic, time.sleep)
    sent_at: list[float] = []

    async def send_all() -> None:
        for _ in range(65):
            await pace.wait()
            sent_at.append(time.monotonic())

    sending = asyncio.create_task(send_all())
    await time.advance(0)
    assert len(sent_at) == 20
    await time.advance(59.9)
    assert len(sent_at) == 20
    await time.advance(300)
    await sending
    assert all(later - earlier >= 60 for earlier, later in zip(sent_at, sent_at[20:], strict=False))


async def test_a_slow_sender_never_waits() -> None:
    time = ManualTime()
    pace = Pace(20, 60.0, time.monotonic, time.sleep)
    for _ in range(50):
        await pace.wait()
        await time.advance(3.1)
    assert time.slept == []


def test_a_pace_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="messages is 0"):
        Pace(0)
