"""Whether a dry run trades: what it adds to the trade log, and what it ends for."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.watchdog.house import settings_in
from watchdog.dry_run import execute
from watchdog.dry_trades import Traded, watching, written

EQUITY = json.dumps({"type": "equity", "timestamp": "2026-03-01T10:00:00", "equity": 2000.0}) + "\n"
ENTRY = json.dumps({"type": "entry", "timestamp": "2026-03-01T10:00:00", "size": 1.3}) + "\n"
EXIT = json.dumps({"type": "exit", "timestamp": "2026-03-01T10:05:00", "pnl": -1.0}) + "\n"


@pytest.mark.parametrize(
    ("before", "added", "found"),
    [
        (ENTRY, "", None),
        (ENTRY, EQUITY, None),
        (ENTRY, "no JSON at all\n", None),
        (ENTRY, EQUITY + ENTRY, ENTRY.strip()),
        ("", EXIT, EXIT.strip()),
        ("", ENTRY[:20], None),
    ],
)
def test_only_trades_that_were_added_count(
    tmp_path: Path, before: str, added: str, found: str | None
) -> None:
    log = tmp_path / "trades.jsonl"
    log.write_text(before + added, encoding="utf-8")
    assert written(log, len(before), settings_in(tmp_path, {})) == found


def test_a_log_that_is_not_there_or_was_cut_holds_none(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, {})
    assert written(tmp_path / "none.jsonl", 0, settings) is None
    (tmp_path / "trades.jsonl").write_text(ENTRY, encoding="utf-8")
    assert written(tmp_path / "trades.jsonl", 10_000, settings) is None


async def test_a_bot_that_ignores_the_option_is_ended_at_its_first_trade(tmp_path: Path) -> None:
    log = tmp_path / "trades.jsonl"
    code = f"import time\nfor _ in range(2):\n open({str(log)!r}, 'a').write({ENTRY!r})\n time.sleep(60)"
    wait = watching(asyncio.sleep, log, settings_in(tmp_path, {}))
    command = [sys.executable, "-S", "-E", "-c", code, "--dryrun"]
    with pytest.raises(Traded, match="entry"):
        await execute(command, tmp_path, str(tmp_path), 60.0, wait, gently=True)
    assert log.read_text(encoding="utf-8") == ENTRY
