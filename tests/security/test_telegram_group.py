"""Whoever is in the Telegram group reads what is told there, and commands nothing: nobody listens."""

import ast
import asyncio
import json
from pathlib import Path

from notifier import Alert, ConsoleChannel, Courier, Outbox, TelegramChannel
from tests.fakes.telegram import TOKEN, TelegramServer
from tests.watchdog.fakes import START

TOP = Path(__file__).parents[2]
SPOKEN = {"get_me", "send_message"}
"""What the watchdog ever says to Telegram."""


def test_the_watchdog_asks_telegram_for_no_message_of_anybody() -> None:
    """Of the library's Bot nothing is called but these; and nothing else of the library listens."""
    called: set[str] = set()
    for path in (TOP / "notifier").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Attribute)
                and node.value.attr == "_bot"
            ):
                called.add(node.attr)
    assert called == SPOKEN
    for package in ("config", "triggers", "registry", "notifier", "watchdog"):
        for path in (TOP / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            for word in (
                "getUpdates",
                "setWebhook",
                "Application.",
                "ApplicationBuilder",
                "CommandHandler",
                "Updater(",
            ):
                assert word not in text, f"{path}: {word}"


async def test_messages_that_wait_for_the_bot_are_never_fetched(tmp_path: Path) -> None:
    with TelegramServer() as server:
        channel = TelegramChannel(TOKEN, -100, server.base_url)
        outbox = Outbox(tmp_path / "outbox.db")
        courier = Courier(outbox, [channel, ConsoleChannel(lambda text, severity: None)], lambda: START)
        assert await channel.me() == "@model_watchdog_bot"
        courier.tell(Alert("k", "sol-perp: halted\n/halt /rollback@bot <b>x</b>", "critical"))
        running = asyncio.create_task(courier.run())
        assert await courier.drain(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await courier.aclose()
        outbox.close()
        assert {method.lower() for method, _ in server.calls} == {"getme", "sendmessage"}
        assert "<b>x</b>" in server.texts[0]
        assert "reply_markup" not in json.dumps(server.messages), "a button would be an invitation to all"
