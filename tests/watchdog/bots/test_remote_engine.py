"""An engine whose processes cannot be seen from here: another machine's, or behind a hidden /proc."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.bots.recorded import inspected
from watchdog.bots import proc
from watchdog.bots.base import BotError
from watchdog.bots.compose import ComposeBot
from watchdog.bots.compose_client import Service
from watchdog.bots.engine import Engine

NOBODY = 2**22 + 7
"""No pid of this machine: the kernel gives none above 2**22."""


class Remote:
    """A `docker` that answers what it is told to; `then`: what it says from the second `inspect` on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "docker"
        self.program.write_text(
            f"""#!/bin/sh
            cd {folder}
            case "$1" in
              ps) [ "$2" = --all ] && cat ids;;
              inspect) cat inspect.json; [ -e then.json ] && mv then.json inspect.json;;
              events) cat events;;
              logs) echo hello;;
              compose) [ -e hangs ] && echo $$ >>hung && exec sleep 1000;;
              stop|kill) echo "$@" >>told; [ -e stopped.json ] && mv stopped.json inspect.json;;
            esac
            exit 0
            """
        )
        self.program.chmod(0o755)
        (folder / "docker-compose").symlink_to("/bin/false")
        (folder / "events").write_text("")
        (folder / "docker-compose.yml").write_text("name: sol\nservices: {}\n")

    def says(self, *entries: Mapping[str, Any], then: Mapping[str, Any] | None = None) -> None:
        (self.folder / "ids").write_text("\n".join(entry["Id"] for entry in entries))
        (self.folder / "inspect.json").write_text(json.dumps(entries))
        (self.folder / "then.json").unlink(missing_ok=True)
        if then is not None:
            (self.folder / "then.json").write_text(json.dumps([then]))

    def ends_when_told(self, *entries: Mapping[str, Any]) -> None:
        """What it says once it was told to stop or to kill."""
        (self.folder / "stopped.json").write_text(json.dumps(entries))

    @property
    def told(self) -> list[str]:
        """What it was told to stop or to kill."""
        path = self.folder / "told"
        return path.read_text().splitlines() if path.exists() else []

    def bot(self, remembered: tuple[int, int, str] | None = None) -> ComposeBot:
        async def at_once(seconds: float) -> None:
            await asyncio.sleep(0)

        service = Service(self.folder / "docker-compose.yml", "bot")
        return ComposeBot(service, Engine(str(self.program)), 60.0, remembered, sleep=at_once)


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


def ago(seconds: float) -> str:
    return f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%f}789Z"


async def test_its_bot_is_known_by_when_the_engine_started_it(remote: Remote) -> None:
    remote.says(inspected("running", Pid=NOBODY, StartedAt=ago(90)))
    bot = remote.bot()
    [found] = await bot.find()
    assert (found.pid, found.adopted) == (0, True)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert 89 < (now - found.started_at(now)).total_seconds() < 150
    assert bot.remember() == (0, found.started_ticks, proc.boot_id())
    [again] = await remote.bot(bot.remember()).find()
    assert (again.started_ticks, again.adopted) == (found.started_ticks, False)
    assert bot.output_tail() == ["hello"]


async def test_its_next_run_is_another_one(remote: Remote) -> None:
    first_start, second_start = ago(90), ago(5)
    remote.says(inspected("running", Pid=NOBODY, StartedAt=first_start))
    bot = remote.bot()
    [first] = await bot.find()
    died = datetime.now(UTC).timestamp() - 6
    event = {"Action": "die", "timeNano": int(died * 1e9), "Actor": {"Attributes": {"exitCode": "3"}}}
    (remote.folder / "events").write_text(json.dumps(event) + "\n")
    remote.says(inspected("running", Pid=NOBODY, StartedAt=second_start))
    [second] = await bot.find()
    assert second.started_ticks > first.started_ticks
    assert (bot.exit_code(first), bot.exit_code(second)) == (3, None)
    remote.says(inspected("stopped", StartedAt=second_start, ExitCode=143))
    assert await bot.find() == []
    assert (bot.exit_code(second), bot.remember()) == (-15, None)


async def test_a_bot_that_ends_between_two_questions_is_no_hidden_one(remote: Remote) -> None:
    start = ago(90)
    running = inspected("running", Pid=NOBODY, StartedAt=start)
    remote.says(running, then=inspected("stopped", StartedAt=start))
    assert await remote.bot().find() == []
    remote.says(running, then=inspected("running", Pid=NOBODY + 1, StartedAt=ago(1)))
    assert await remote.bot().find() == []


async def test_who_brought_it_back_is_told_without_a_look_at_processes(remote: Remote) -> None:
    remote.says(inspected("running", Pid=NOBODY, StartedAt=ago(3)) | {"RestartCount": 1})
    [found] = await remote.bot().find()
    assert found.started_by == "the engine's restart policy (unless-stopped)"


async def test_a_stop_of_what_does_not_stop_is_an_error_with_what_to_do(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{remote.folder}:/usr/bin:/bin")
    remote.says(inspected("running", Pid=NOBODY, StartedAt=ago(90)))
    service = Service(remote.folder / "docker-compose.yml", "bot")
    bot = ComposeBot(service, Engine(str(remote.program)), 5.0, kill_wait_s=0.1)
    with pytest.raises(
        BotError, match=r"container sol_bot_1 is still running .*`docker stop sol_bot_1` by hand"
    ):
        await bot.stop(1)


async def test_a_start_that_brings_nothing_up_comes_to_an_end(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{remote.folder}:/usr/bin:/bin")
    remote.says(inspected("stopped"))
    with pytest.raises(BotError, match="the bot's container could not be started"):
        await remote.bot().start()
