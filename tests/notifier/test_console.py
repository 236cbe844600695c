"""The console gets plain text, at once, and never holds anything up."""

import io

import pytest

from notifier import ConsoleChannel, Pending, Severity, TransportError, stream_writer

from .helpers import NIGHT

ALERT = Pending(3, "trigger", "critical", "Rolled back to `v2.0.0`\nx < y", 1, NIGHT, NIGHT)


async def test_text_is_plain_and_ends_in_its_id() -> None:
    written: list[tuple[str, Severity]] = []
    channel = ConsoleChannel(lambda text, severity: written.append((text, severity)))
    [part] = channel.parts(ALERT)
    await channel.send(part)
    assert written == [("Rolled back to v2.0.0\nx < y\n2026-03-01 03:00:00 UTC · #3", "critical")]


async def test_a_long_text_is_not_split() -> None:
    channel = ConsoleChannel(stream_writer(io.StringIO()))
    alert = Pending(3, "trigger", "info", "line\n" * 3000, 1, NIGHT, NIGHT)
    assert len(channel.parts(alert)) == 1


async def test_the_stream_shows_the_severity_as_a_word() -> None:
    stream = io.StringIO()
    channel = ConsoleChannel(stream_writer(stream))
    await channel.send(channel.parts(ALERT)[0])
    assert stream.getvalue().startswith("CRITICAL: Rolled back to v2.0.0\n")


async def test_a_console_that_is_gone_is_not_tried_again() -> None:
    stream = io.StringIO()
    stream.close()
    channel = ConsoleChannel(stream_writer(stream))
    with pytest.raises(TransportError) as caught:
        await channel.send(channel.parts(ALERT)[0])
    assert caught.value.permanent
