"""The token is in no log line, error, report or file, whatever Telegram answers and however talkative
loggers are."""

import asyncio
import io
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from notifier import (
    Backoff,
    Courier,
    Outbox,
    Pace,
    Part,
    RedactingFormatter,
    Redactor,
    TelegramChannel,
    Timeouts,
    TransportError,
)
from tests.fakes.telegram import TOKEN, TelegramServer

from .helpers import step

LIBRARIES = ("httpx", "httpcore", "telegram", "asyncio")
FORMS = (TOKEN, TOKEN.partition(":")[2], quote(TOKEN, safe=""), quote(TOKEN, safe="").lower())
FAULTS = (
    "flood", "server_error", "bad_gateway", "garbage", "bad_markup", "bad_text", "chat_not_found", "kicked",
    "unauthorized", "not_found", "conflict", "moved", "hang", "drop",
)  # fmt: skip
IMPATIENT = Timeouts(connect_s=0.2, read_s=0.2, total_s=0.4)


@contextmanager
def talkative(*handlers: logging.Handler) -> Iterator[None]:
    """Every logger at DEBUG, written by these handlers."""
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, LIBRARIES)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.removeHandler(handler)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def handler_with(formatter: logging.Formatter) -> tuple[io.StringIO, logging.Handler]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    return stream, handler


def content_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def send_through_all_faults(server: TelegramServer) -> str:
    """Everything that the channel's failures show of themselves."""
    shown: list[str] = []
    channel = TelegramChannel(
        TOKEN, -5, server.base_url, timeouts=IMPATIENT, pace=Pace(1000), on_problem=shown.append
    )
    log = logging.getLogger("watchdog")
    for fault in FAULTS:
        server.fail_next(fault, times=3)  # type: ignore[arg-type]
        try:
            await channel.send(Part(f"{fault} <b>\n#1", "info"))
        except TransportError as error:
            log.exception("sending failed")
            shown += [str(error), repr(error), repr(error.__dict__), repr(error.__context__)]
            shown += traceback.format_exception(error)
        server.heal()
    server.stop()
    with pytest.raises(TransportError) as caught:
        await channel.send(Part("nobody listens", "info"))
    shown += [*traceback.format_exception(caught.value), repr(channel), str(channel)]
    await channel.aclose()
    return "\n".join(shown)


async def test_no_failure_of_telegram_shows_the_token() -> None:
    redacted, redacting = handler_with(
        RedactingFormatter(Redactor([TOKEN]), logging.Formatter("%(name)s %(message)s"))
    )
    raw, plain = handler_with(logging.Formatter("%(message)s"))
    with TelegramServer() as server, talkative(redacting, plain):
        shown = await send_through_all_faults(server)
    assert TOKEN in raw.getvalue()  # the libraries do log it: there was something to hide
    assert "sending failed" in redacted.getvalue()
    assert "TransportError" in shown
    for form in FORMS:
        assert form not in redacted.getvalue()
        assert form not in shown


async def test_our_own_errors_do_not_need_the_formatter_to_hide_the_token() -> None:
    raw, plain = handler_with(logging.Formatter("%(message)s"))
    with TelegramServer() as server:
        root = logging.getLogger("watchdog")
        root.addHandler(plain)
        try:
            shown = await send_through_all_faults(server)
        finally:
            root.removeHandler(plain)
    assert "sending failed" in raw.getvalue()
    for form in FORMS:
        assert form not in raw.getvalue() + shown


async def test_neither_reports_nor_the_outbox_hold_the_token(tmp_path: Path) -> None:
    problems: list[str] = []
    outbox = Outbox(tmp_path / "watchdog.db", redact=Redactor([TOKEN]))
    with TelegramServer() as server:
        channel = TelegramChannel(TOKEN, -5, server.base_url, timeouts=IMPATIENT)
        courier = Courier(
            outbox,
            [channel],
            lambda: datetime.now(UTC),
            on_problem=problems.append,
            backoff=Backoff(first_s=0.01, cap_s=0.01),
            slow_retry_s=0.01,
        )
        for fault in ("bad_gateway", "server_error", "not_found", "unauthorized", "drop", "bad_text"):
            server.fail_next(fault, times=2)
        courier.tell(step(f"GET /bot{TOKEN}/getMe failed"))
        courier.tell(step("fine"))
        running = asyncio.create_task(courier.run())
        await asyncio.to_thread(server.wait_for_text, "fine")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await courier.aclose()
    outbox.close()
    on_disk = content_of(tmp_path)
    assert problems
    assert b"[redacted]" in on_disk
    for form in FORMS:
        assert form.encode() not in on_disk
        assert form not in "\n".join(problems + server.texts)
