"""`check` about a compose service, and the rights that its control needs: in a real engine."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import config
from config import Settings
from tests.machines.engine import Engine, engine, engines
from tests.machines.engine_proxy import filtered
from tests.watchdog.bots.compose_stage import ComposeStage
from tests.watchdog.bots.stages import LONG, said
from watchdog.bots.base import BotError
from watchdog.check_compose import bot_service
from watchdog.controls import make_bot
from watchdog.finding import Finding

__all__ = ["engine", "engines"]

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(not LONG, reason="takes long: runs with CI=true or MODEL_WATCHDOG_THOROUGH=1"),
]

OBEYS = "here('bot'); forever()"
DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
ALLOWED = [
    f"{method} {path}"
    for method, path in re.findall(r"^(GET|HEAD|POST) +(\S+)$", DOCS.read_text(encoding="utf-8"), re.M)
]
"""What docs/operations.md tells people to let through."""


@pytest.fixture
def stage(tmp_path: Path, engine: Engine) -> Iterator[ComposeStage]:
    stage = ComposeStage(tmp_path, tmp_path.name, engine)
    try:
        yield stage
    finally:
        stage.close()


def settings_of(stage: ComposeStage, **compose: str) -> Settings:
    body: dict[str, Any] = {
        "bot": {
            "name": "sol-perp",
            "control": "compose",
            "compose": {"file": str(stage.file), "service": "bot", **compose},
            "log": "logs/trading_bot.log",
        },
        "registry": {"path": "models_saved"},
        "trade_log": {"path": "logs/trades.jsonl", "initial_equity": 2000},
    }
    path = stage.folder / "watchdog.yaml"
    path.write_text(yaml.safe_dump(body))
    return config.load(path, {})


def found(stage: ComposeStage, **compose: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in bot_service(settings_of(stage, **compose))}


def changed(stage: ComposeStage, **keys: Any) -> None:
    body = yaml.safe_load(stage.file.read_text())
    body["services"]["bot"] |= keys
    stage.file.write_text(yaml.safe_dump(body))


async def in_thread(stage: ComposeStage, **compose: str) -> dict[str, Finding]:
    """`check` has no event loop of its own."""
    return await asyncio.to_thread(lambda: found(stage, **compose))


async def test_a_service_that_runs_is_good(stage: ComposeStage) -> None:
    stage.install(OBEYS, restart="unless-stopped", logging={"options": {"max-size": "1m"}})
    stage.start_by_hand()
    await said(stage, "bot")
    told = await in_thread(stage)
    assert {what for what, finding in told.items() if finding.grade != "good"} == set(), told
    assert f"runs as pid {stage.processes()[0]}" in told["bot container"].found
    assert told["compose"].found == "`docker-compose` 1.29.2"
    stage.compose("stop", "bot")
    told = await in_thread(stage)
    assert told["bot container"].grade == "note"
    assert "is exited; the engine and not the watchdog starts it" in told["bot container"].found


def test_a_service_without_a_container_is_judged_by_the_file(stage: ComposeStage) -> None:
    stage.install(OBEYS)
    told = found(stage)
    assert (told["bot container"].grade, told["bot image"].grade) == ("note", "good")
    assert told["bot log in container"].grade == "good"
    changed(stage, image="other:7", volumes=["data:/app/logs"])
    stage.file.write_text(stage.file.read_text() + "volumes: {data: }\n")
    told = found(stage)
    assert (told["bot image"].grade, told["bot image"].mend) == (
        "bad",
        "docker compose pull, or docker compose build",
    )
    assert told["trade log in container"].grade == "bad"


def test_a_file_with_a_mistake_or_without_the_service_is_bad(stage: ComposeStage) -> None:
    stage.install(OBEYS)
    assert "has no service trader" in found(stage, service="trader")["compose"].found
    stage.file.write_text("services: [")
    assert found(stage)["compose"].grade == "bad"
    stage.file.unlink()
    assert "cannot be known" in found(stage)["bot container"].found


async def test_two_at_once_are_bad(stage: ComposeStage) -> None:
    stage.install(OBEYS)
    stage.compose("up", "--detach", "--scale", "bot=2", "bot")
    told = (await in_thread(stage))["bot container"]
    assert (told.grade, told.mend) == ("bad", "stop all but one")


def test_an_engine_that_is_not_there_is_bad(stage: ComposeStage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.install(OBEYS)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{stage.folder}/nobody")
    [told] = bot_service(settings_of(stage))
    assert (told.grade, "cannot be reached" in told.found) == ("bad", True)


def test_without_compose_it_is_bad(stage: ComposeStage) -> None:
    stage.install(OBEYS)
    stage.program("docker-compose", "#!/bin/sh\nexit 127\n")
    assert "there is no compose here" in found(stage)["compose"].found


async def test_what_the_docs_tell_to_let_through_is_enough_for_a_rollback_and_no_more(
    stage: ComposeStage, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ALLOWED) >= 4, "docs/operations.md names no calls"
    stage.install(OBEYS, restart="unless-stopped")
    stage.start_by_hand()
    await said(stage, "bot")
    with filtered(engine.socket, stage.folder / "few.sock", *ALLOWED):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{stage.folder}/few.sock")
        assert (await in_thread(stage))["rights"].grade == "good"
        bot = make_bot(settings_of(stage), None)
        [running] = await bot.find()
        assert (await bot.stop(5)).pids == (running.pid,)
        assert stage.processes() == []
        assert [(await bot.start()).pid] == stage.processes()
        await bot.stop(5)
        engine.clean()
        with pytest.raises(BotError):
            await bot.start()
        assert engine.containers() == [], "a container could be made"


def test_rights_that_are_missing_are_told_and_nothing_is_done(
    stage: ComposeStage, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.install(OBEYS)
    stage.start_by_hand()
    with filtered(engine.socket, stage.folder / "few.sock", "(GET|HEAD) .*", "POST .*/start"):
        monkeypatch.setenv("DOCKER_HOST", f"unix://{stage.folder}/few.sock")
        told = found(stage)["rights"]
    assert (told.grade, "may not stop, kill a container" in told.found) == ("bad", True)
    assert len(engine.containers(running=True)) == 1
