"""Helpers for tests with a running bot: wait for something, read what it wrote."""

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from demo.bot.make import DemoBot

Start = Callable[[DemoBot], subprocess.Popen[bytes]]


def until(condition: Callable[[], Any], what: str, timeout_s: float = 10.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        if result := condition():
            return result
        time.sleep(0.01)
    raise AssertionError(f"never seen in {timeout_s} s: {what}")


def records(bot: DemoBot) -> list[dict[str, Any]]:
    if not bot.trade_log.exists():
        return []
    lines = bot.trade_log.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def of_type(bot: DemoBot, kind: str) -> list[dict[str, Any]]:
    return [record for record in records(bot) if record["type"] == kind]


def trades(bot: DemoBot, count: int) -> Callable[[], bool]:
    return lambda: len(of_type(bot, "equity")) >= count


def messages(bot: DemoBot) -> list[str]:
    """The log's lines without their times."""
    if not bot.log.exists():
        return []
    return [line.partition(" - ")[2] for line in bot.log.read_text(encoding="utf-8").splitlines()]


def dry_run(bot: DemoBot) -> subprocess.CompletedProcess[str]:
    command = [*bot.command, "--dry-run"]
    return subprocess.run(command, cwd=bot.folder, capture_output=True, text=True, timeout=20)
