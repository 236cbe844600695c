"""Telegram's answers, good and bad, over a real socket: what is sent, again or not, and what is said about
it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from notifier import Part, Pending, TelegramChannel, Timeouts, TransportError
from tests.fakes.telegram import TOKEN, TelegramServer

from .helpers import NIGHT

CHAT = -1001234567890
PART = Part("🚨 Rolled back to `v2.0.0` <fine>\nx & y\n2026-03-01 03:00:00 UTC · #7", "critical")
IMPATIENT = Timeouts(connect_s=0.3, read_s=0.3, total_s=0.6)


@pytest.fixture
def server() -> Iterator[TelegramServer]:
    with TelegramServer(chats=[CHAT]) as server:
        yield server


@pytest.fixture
def problems() -> list[str]:
    return []


@pytest.fixture
async def channel(server: TelegramServer, problems: list[str]) -> AsyncIterator[TelegramChannel]:
    channel = TelegramChannel(TOKEN, CHAT, server.base_url, timeouts=IMPATIENT, on_problem=problems.append)
    yield channel
    await channel.aclose()


async def failure(channel: TelegramChannel, part: Part = PART) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await channel.send(part)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, TransportError)
    return caught.value


async def test_a_message_arrives_as_html_without_link_preview(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    await channel.send(PART)
    [message] = server.messages
    assert message["text"] == (
        "<b>🚨 Rolled back to </b><code>v2.0.0</code><b> &lt;fine&gt;</b>\nx &amp; y\n2026-03-01 03:00:00 UTC · #7"
    )
    assert message["plain"] == "🚨 Rolled back to v2.0.0 <fine>\nx & y\n2026-03-01 03:00:00 UTC · #7"
    assert (message["chat_id"], message["parse_mode"]) == (CHAT, "HTML")


@pytest.mark.parametrize(("severity", "silent"), [("info", True), ("warning", False), ("critical", False)])
async def test_only_news_comes_without_a_sound(
    server: TelegramServer, channel: TelegramChannel, severity: str, silent: bool
) -> None:
    await channel.send(Part("hello", severity))  # type: ignore[arg-type]
    assert server.messages[0]["silent"] is silent


async def test_parts_carry_an_icon_and_the_id(server: TelegramServer, channel: TelegramChannel) -> None:
    alert = Pending(
        7, "step", "warning", "Trade log is stale\n" + "details <&> `code`\n" * 400, 2, NIGHT, NIGHT
    )
    parts = channel.parts(alert)
    for part in parts:
        await channel.send(part)
    assert len(server.messages) == len(parts) > 2
    assert server.texts[0].startswith("⚠️ Trade log is stale (2 times)\n")
    assert server.texts[1].startswith("details <&> code\n")
    assert server.texts[-1].endswith(f"#7 ({len(parts)}/{len(parts)})")


async def test_me_names_the_bot(server: TelegramServer, channel: TelegramChannel) -> None:
    assert await channel.me() == "@model_watchdog_bot"


async def test_me_says_that_the_token_is_wrong(server: TelegramServer) -> None:
    channel = TelegramChannel("999:not-this-bot", CHAT, server.base_url)
    with pytest.raises(TransportError, match=r"does not know the token \(401\): check telegram\.token"):
        await channel.me()
    await channel.aclose()


async def test_a_flood_tells_how_long_to_wait(server: TelegramServer, channel: TelegramChannel) -> None:
    server.fail_next("flood", retry_after=17)
    error = await failure(channel)
    assert (error.retry_after_s, error.permanent, error.sent_maybe) == (17.0, False, False)
    assert "wait 17 s" in str(error)


@pytest.mark.parametrize("wait", [None, "soon", float("nan")])
async def test_a_flood_that_does_not_say_how_long_is_a_failure_like_others(
    server: TelegramServer, channel: TelegramChannel, wait: object
) -> None:
    server.fail_next("flood", retry_after=wait)
    error = await failure(channel)
    assert (error.retry_after_s, error.permanent, error.misconfigured) == (None, False, False)


async def test_a_flood_of_days_is_asked_again_after_an_hour(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_next("flood", retry_after=86400)
    assert (await failure(channel)).retry_after_s == 3600.0


@pytest.mark.parametrize("fault", ["server_error", "bad_gateway", "garbage"])
async def test_a_server_in_trouble_is_tried_again(
    server: TelegramServer, channel: TelegramChannel, fault: str
) -> None:
    server.fail_next(fault)  # type: ignore[arg-type]
    error = await failure(channel)
    assert (error.permanent, error.misconfigured, error.sent_maybe) == (False, False, True)
    await channel.send(PART)
    assert len(server.messages) == 1


A_CHAT = {"id": -100, "type": "supergroup", "title": "x"}


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"message_id": 1, "date": 10**400, "chat": A_CHAT},
        {"message_id": 1, "date": -(10**17), "chat": A_CHAT},
        {"message_id": 1, "date": 1, "chat": [A_CHAT]},
        [],
        "a message",
    ],
)
async def test_an_answer_of_another_shape_is_not_sent_twice(
    server: TelegramServer, channel: TelegramChannel, result: object
) -> None:
    server.fail_next("odd_result", result=result)
    await channel.send(PART)
    assert len(server.messages) == 1


async def test_markup_that_telegram_cannot_parse_is_sent_as_plain_text(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_next("bad_markup")
    await channel.send(PART)
    [message] = server.messages
    assert message["parse_mode"] is None
    assert message["text"] == "🚨 Rolled back to v2.0.0 <fine>\nx & y\n2026-03-01 03:00:00 UTC · #7"


async def test_a_text_that_telegram_does_not_take_is_announced_by_its_id(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_next("bad_text", times=2)
    error = await failure(channel)
    assert error.permanent
    assert server.texts == [
        "An alert came that Telegram does not accept; the watchdog's log has it.\n2026-03-01 03:00:00 UTC · #7"
    ]


async def test_a_chat_that_takes_nothing_at_all_loses_nothing(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_always("bad_text")
    error = await failure(channel)
    assert (error.permanent, error.misconfigured) == (False, True)


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("chat_not_found", "check chat_id"),
        ("kicked", "add it again"),
        ("unauthorized", "check telegram.token"),
        ("not_found", "check telegram.token"),
    ],
)
async def test_what_a_person_must_mend_keeps_the_message_and_names_the_remedy(
    server: TelegramServer, channel: TelegramChannel, fault: str, remedy: str
) -> None:
    server.fail_next(fault)  # type: ignore[arg-type]
    error = await failure(channel)
    assert (error.permanent, error.misconfigured) == (False, True)
    assert remedy in str(error)


async def test_two_programs_on_one_token_are_named_and_sending_goes_on(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_next("conflict")
    error = await failure(channel)
    assert (error.permanent, error.misconfigured) == (False, False)
    assert "another program uses the same token" in str(error)
    await channel.send(PART)


async def test_a_group_that_became_a_supergroup_is_followed(
    server: TelegramServer, channel: TelegramChannel, problems: list[str]
) -> None:
    server.fail_next("moved", chat_id=-1005)
    await channel.send(PART)
    await channel.send(PART)
    assert [message["chat_id"] for message in server.messages] == [-1005, -1005]
    assert problems == ["the Telegram group has become a supergroup: set telegram.chat_id to -1005"]


async def test_a_lost_answer_may_mean_that_the_message_arrived(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_next("drop", recorded=True)
    error = await failure(channel)
    assert error.sent_maybe
    assert len(server.messages) == 1


async def test_a_server_that_does_not_answer_is_given_up(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    server.fail_next("hang", recorded=True)
    error = await failure(channel)
    assert error.sent_maybe
    assert "no answer" in str(error)


async def test_a_slow_server_is_waited_for(server: TelegramServer, channel: TelegramChannel) -> None:
    server.fail_next("slow", delay_s=0.1)
    await channel.send(PART)
    assert len(server.messages) == 1


async def test_a_server_that_trickles_is_given_up_in_the_end() -> None:
    ended = asyncio.Event()

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        ended.set()

    listener = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    channel = TelegramChannel(TOKEN, CHAT, f"http://127.0.0.1:{port}", timeouts=IMPATIENT)
    error = await failure(channel)
    assert (str(error), error.sent_maybe) == ("no answer within 0.6 s", True)
    await channel.aclose()
    await ended.wait()
    listener.close()


async def test_a_refused_connection_was_not_sent(server: TelegramServer, channel: TelegramChannel) -> None:
    server.stop()
    error = await failure(channel)
    assert (str(error), error.sent_maybe) == ("no connection (ConnectError)", False)
    server.start()
    await channel.send(PART)
    assert len(server.messages) == 1


@pytest.mark.parametrize("token", ["", "  ", "12:ab/cd", "12:ab cd", "12:a#b", "12:a%20"])
async def test_a_token_that_is_none_is_said_before_anything_is_asked(
    server: TelegramServer, token: str
) -> None:
    channel = TelegramChannel(token, CHAT, server.base_url)
    error = await failure(channel)
    assert error.misconfigured
    assert server.calls == []


async def test_white_space_around_a_token_is_no_mistake(server: TelegramServer) -> None:
    channel = TelegramChannel(f" {TOKEN}\n", CHAT, f"{server.base_url}/")
    await channel.send(PART)
    assert len(server.messages) == 1
    await channel.aclose()


async def test_an_address_that_is_none_is_set_up_wrong() -> None:
    error = await failure(TelegramChannel(TOKEN, CHAT, "http://[half-an-address"))
    assert error.misconfigured
    assert "check telegram.base_url" in str(error)


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: TelegramServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    channel = TelegramChannel(TOKEN, CHAT, server.base_url)
    await channel.send(PART)
    await channel.aclose()


async def test_a_chat_that_moves_on_and_on_is_set_up_wrong(
    server: TelegramServer, channel: TelegramChannel
) -> None:
    for number in range(3):
        server.fail_next("moved", chat_id=-1005 - number)
    error = await failure(channel)
    assert error.misconfigured


async def test_me_takes_an_answer_of_another_shape(server: TelegramServer, channel: TelegramChannel) -> None:
    server.fail_next("odd_result", method="getMe")
    assert await channel.me() == "a bot without a user name"


async def test_a_closed_channel_opens_again(server: TelegramServer, channel: TelegramChannel) -> None:
    await channel.send(PART)
    await channel.aclose()
    await channel.send(PART)
    assert len(server.messages) == 2


def test_the_library_is_imported_only_when_needed() -> None:
    script = (
        "import sys, notifier\n"
        "channel = notifier.TelegramChannel('1:a', 2)\n"
        "assert 'telegram' not in sys.modules and 'httpx' not in sys.modules\n"
        "channel.preload()\n"
        "assert 'telegram' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
