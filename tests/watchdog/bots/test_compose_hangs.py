"""A compose that hangs, beside an engine that works, delays neither a stop nor a start by much."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import alive, brisk, until
from tests.watchdog.bots.recorded import inspected
from tests.watchdog.bots.test_remote_engine import NOBODY, Remote, ago
from watchdog.bots.compose import ComposeBot
from watchdog.bots.compose_client import Service
from watchdog.bots.engine import Engine

HANGS = "echo $$ >>hung; exec sleep 1000"
WORKS = "sleep 0.6; mv stopped.json inspect.json; touch compose.stopped"
SENT = {"Action": "kill", "Actor": {"Attributes": {"signal": "15"}}}
HUP = {"Action": "kill", "Actor": {"Attributes": {"signal": "1"}}}


class Hung(Remote):
    """Its bot runs, and ends when the engine is told to stop it; compose does what `compose` says."""

    def compose(self, stop: str = HANGS) -> None:
        program = self.folder / "docker-compose"
        program.unlink()
        program.write_text(
            f"#!/bin/sh\ncd {self.folder}\n[ $1 = version ] && echo 1.29.2 && exit 0\n{stop}\n"
        )
        program.chmod(0o755)

    def events(self, *events: object) -> None:
        (self.folder / "events").write_text("".join(json.dumps(event) + "\n" for event in events))

    def new(self, start_timeout_s: float = 60.0) -> ComposeBot:
        service = Service(self.folder / "docker-compose.yml", "bot")
        return ComposeBot(service, Engine(str(self.program)), start_timeout_s, sleep=brisk, soon_s=0.3)

    def left(self) -> list[int]:
        """What hung and still lives."""
        path = self.folder / "hung"
        return [pid for pid in map(int, path.read_text().split()) if alive(pid)] if path.exists() else []


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hung:
    remote = Hung(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    start = ago(90)
    remote.says(inspected("running", Pid=NOBODY, StartedAt=start))
    remote.ends_when_told(inspected("stopped", StartedAt=start, ExitCode=143))
    return remote


ID = inspected("running")["Id"]


@pytest.mark.parametrize("what", ["compose stop", "compose version"])
async def test_the_engine_itself_is_told_soon(remote: Hung, what: str) -> None:
    if what == "compose version":
        (remote.folder / "hangs").touch()
    else:
        remote.compose()
    remote.events(HUP)  # which somebody sent in the morning
    began = time.monotonic()
    assert (await remote.new().stop(30)).how == "SIGTERM"
    assert time.monotonic() - began < 20, "it waited for the bot's whole time"
    assert remote.told == [f"stop -t 30 {ID}"]
    assert remote.left() == []


async def test_a_bot_that_has_had_its_signal_gets_no_second_one(remote: Hung) -> None:
    remote.compose(WORKS)
    remote.events(SENT)
    assert (await remote.new().stop(30)).how == "SIGTERM"
    assert (remote.told, (remote.folder / "compose.stopped").exists()) == ([], True)


async def test_what_is_to_be_done_before_a_stop_is_let_be_done(remote: Hung) -> None:
    text = "name: sol\nservices: {bot: {pre_stop: [{command: flatten}]}}\n"
    (remote.folder / "docker-compose.yml").write_text(text)
    remote.compose(WORKS)
    await remote.new().stop(30)
    assert (remote.told, (remote.folder / "compose.stopped").exists()) == ([], True)


async def test_a_compose_that_hangs_after_the_signal_has_the_bots_time_and_no_more(remote: Hung) -> None:
    remote.compose()
    remote.events(SENT)
    began = time.monotonic()
    await remote.new().stop(1)
    assert 1.0 < time.monotonic() - began < 20
    assert remote.told == [f"stop -t 1 {ID}"]
    assert remote.left() == []


async def test_a_stop_that_is_cut_short_leaves_no_compose_behind(remote: Hung) -> None:
    remote.compose()
    remote.events(SENT)
    stopping = asyncio.ensure_future(remote.new().stop(30))
    await until(remote.left)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    assert remote.left() == []


async def test_the_engine_itself_starts_it_in_the_second_half_of_the_time(remote: Hung) -> None:
    remote.compose()
    remote.says(inspected("stopped"))
    up = json.dumps([inspected("running", Pid=NOBODY, StartedAt=ago(0))])
    (remote.folder / "up.json").write_text(up)
    remote.program.write_text(
        remote.program.read_text().replace(
            "stop|kill)", "start) mv up.json inspect.json;;\n              stop|kill)"
        )
    )
    running = await remote.new(start_timeout_s=3.0).start()
    assert running.started_by == "the watchdog"
    assert remote.left() == []
