"""kill -9 at any moment: no alert that was taken is missing, and all come in order."""

import random
import re
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import pytest

from tests.fakes.telegram import TelegramServer

COUNT = 30
KILLS = 4


def start(db: Path, server: TelegramServer) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.notifier.courier_process", str(db), server.base_url, str(COUNT)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill_and_read(process: "subprocess.Popen[str]") -> list[str]:
    process.kill()
    output, _ = process.communicate(timeout=10)
    return output.split()


@pytest.mark.parametrize("seed", [1, 2])
def test_every_alert_arrives_in_order_although_the_process_is_killed(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    db = tmp_path / "watchdog.db"
    acknowledged: set[int] = set()
    with TelegramServer() as server:
        server.fail_always("slow", delay_s=0.004)
        for _ in range(KILLS):
            process = start(db, server)
            seen = len(server.calls)
            try:
                server.wait_for_calls(seen + chance.randint(1, COUNT // KILLS), timeout_s=30)
                time.sleep(chance.uniform(0.0, 0.012))  # somewhere in sending, waiting, or writing it down
            finally:
                words = kill_and_read(process)
            acknowledged |= {int(word) for word in words if word.isdigit()}
        server.heal()
        process = start(db, server)
        output, _ = process.communicate(timeout=60)
        assert output.split()[-1] == "done"
        acknowledged |= {int(word) for word in output.split() if word.isdigit()}
        messages = [(text.split("\n")[0], text.rpartition("#")[2]) for text in server.texts]

    assert acknowledged == set(range(COUNT))
    numbers = [int(re.match(r"(\d+)", tag)[1]) for _, tag in messages]  # type: ignore[index]
    assert [number for number, _ in groupby(numbers)] == list(range(1, COUNT + 1))
    headlines = [headline for headline, _ in messages if "alert" in headline]
    assert [headline for headline, _ in groupby(headlines)] == [
        f"ℹ️ alert {number}" for number in range(COUNT)
    ]
    tags = [tag for tag, _ in groupby(tag for _, tag in messages)]
    assert len(tags) == len(set(tags))  # what came twice came right after itself, part for part
    assert len(messages) - len(tags) <= KILLS
