"""Asking the engine through a program that answers as real ones did."""

import asyncio
import os
import shlex
import time
from pathlib import Path

import pytest

from tests.watchdog.bots.conftest import alive, until
from watchdog.bots.base import BotError, NoAnswerError
from watchdog.bots.engine import Engine, Said, run


def engine(folder: Path, script: str, answer_s: float = 20.0) -> Engine:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return Engine(str(program), answer_s)


def complains(text: str, code: int = 1) -> str:
    return f"echo {shlex.quote(text)} >&2; exit {code}"


@pytest.mark.parametrize(
    "text",
    [
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
        '"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/json": dial unix /var/run/docker.sock: connect: '
        "permission denied",
        "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
        "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
        "Error response from daemon: <html><body><h1>403 Forbidden</h1> Request forbidden by administrative rules.",
    ],
)
async def test_who_may_not_use_the_engine_is_told_what_to_do(tmp_path: Path, text: str) -> None:
    with pytest.raises(BotError, match="may not use the container engine") as error:
        await engine(tmp_path, complains(text)).containers("bot")
    assert "SupplementaryGroups=docker" in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the "
        "daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
        "error during connect: Get https://10.0.0.7:2376/v1.41/containers/json: tls: bad certificate",
    ],
)
async def test_an_engine_that_is_not_there_is_no_bot_that_is_down(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        NoAnswerError, match=r"the container engine cannot be reached: .*systemctl status docker"
    ):
        await engine(tmp_path, complains(text)).containers("bot")


async def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BotError, match=r"cannot be run: No such file or directory. Install"):
        await Engine(str(tmp_path / "docker")).containers("bot")


async def test_an_engine_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    hangs = engine(tmp_path, f"sleep 1000 & echo $! >{tmp_path}/pid; wait", answer_s=0.5)
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"did not answer within 0\.5 s"):
        await hangs.containers("bot")
    assert time.monotonic() - began < 15
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not alive(pid))


async def test_a_look_that_is_cut_short_leaves_no_process(tmp_path: Path) -> None:
    hangs = engine(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 1000")
    task = asyncio.ensure_future(hangs.containers("bot"))
    await until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int((tmp_path / "pid").read_text()))


async def test_a_container_that_goes_between_two_questions_is_gone(tmp_path: Path) -> None:
    script = """
    [ $1 = ps ] && echo aaa False Up && echo bbb False Up && exit 0
    echo '[{"Id": "bbb"}]'; echo 'Error: No such object: aaa' >&2; exit 1
    """
    assert [c.id for c in await engine(tmp_path, script).containers("bot")] == ["bbb"]


async def test_all_of_the_service_are_asked_for_dead_ones_too(tmp_path: Path) -> None:
    told = engine(tmp_path, f'echo "$@" >{tmp_path}/args')
    assert await told.containers("bot") == []
    args = (tmp_path / "args").read_text().split()
    assert {"ps", "--all", "label=com.docker.compose.service=bot"} <= set(args)


async def test_dead_one_offs_are_left_out_for_they_pile_up(tmp_path: Path) -> None:
    script = f"""
    [ $1 = inspect ] && echo "$@" >{tmp_path}/args && echo '[]' && exit 0
    echo 'aaa False Exited (0) 3 minutes ago'; echo 'bbb True Exited (137) 2 days ago'; echo 'ccc True Created'
    echo 'ddd True Up 4 seconds'; echo 'eee True Restarting (1) 3 seconds ago'; echo 'fff  Up 2 hours (Paused)'
    """
    await engine(tmp_path, script).containers("bot")
    assert (tmp_path / "args").read_text().split()[3:] == ["aaa", "ddd", "eee", "fff"]


async def test_what_the_engine_refuses_for_another_reason_is_no_engine_that_is_gone(tmp_path: Path) -> None:
    for text in (
        "Error response from daemon: failed to create network: dial tcp 10.0.0.7:8500: connect: connection refused",
        "Error response from daemon: pull access denied for bot, repository does not exist",
    ):
        said = await engine(tmp_path, complains(text)).ask("start", "aaa")
        assert (said.code, said.why) == (1, text)


@pytest.mark.parametrize("answer", ["<html>", "{}", '"text"', "[1"])
async def test_an_answer_that_nobody_understands_is_no_empty_one(tmp_path: Path, answer: str) -> None:
    script = f"[ $1 = ps ] && echo aaa && exit 0; echo {shlex.quote(answer)}"
    with pytest.raises(BotError, match="something that nobody understands"):
        await engine(tmp_path, script).containers("bot")


async def test_a_refusal_is_told_in_the_engines_words(tmp_path: Path) -> None:
    with pytest.raises(BotError, match=r"`.*docker ps` failed: Error response from daemon: disk full."):
        await engine(tmp_path, complains("Error response from daemon: disk full.")).containers("bot")


async def test_events_are_read_line_by_line(tmp_path: Path) -> None:
    told = engine(tmp_path, """echo '{"Action": "start"}'; echo; echo '{"Action": "die"}'""")
    assert [event["Action"] for event in await told.events("aaa", "10m")] == ["start", "die"]


async def test_a_program_gets_the_way_to_the_engine_and_nothing_of_the_watchdogs_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"DOCKER_HOST": "tcp://10.0.0.7:2376", "https_proxy": "http://10.0.0.8", "HOME": "/srv/bot"}
    ours = {
        "NOTIFY_SOCKET": "/run/systemd/notify",
        "TELEGRAM_TOKEN": "123:secret",
        "BINANCE_KEY": "hunter2",
        "PYTHONPATH": "/opt/model-watchdog",
        "COMPOSE_PROJECT_NAME": "other",
        "COMPOSE_ENV_FILES": "/srv/other/.env",
        "MODE": "paper",
    }
    for name, value in {**given, **ours, "COMPOSE_REMOVE_ORPHANS": "1"}.items():
        monkeypatch.setenv(name, value)
    said = await run(["env"], 20.0)
    got = dict(line.partition("=")[::2] for line in said.text.splitlines())
    assert given.items() <= got.items()
    assert got["PATH"] == os.environ["PATH"]
    assert not ours.keys() & got.keys()
    assert got["COMPOSE_REMOVE_ORPHANS"] == "0"


async def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BotError, match="cannot be run"):
        await run(["true"], 20.0, directory=tmp_path / "gone")


@pytest.mark.parametrize(
    ("errors", "why"),
    [
        (
            "Missing mandatory value for \"environment\" option interpolating {'API_SECRET': 'hunter2'} in service "
            '"bot": must be set\n',
            'Missing mandatory value for "environment" option interpolating {...} in service "bot": must be set',
        ),
        ("ERROR: bad value: API_SECRET=hunter2 ends", "ERROR: bad value: API_SECRET=*** ends"),
        ('error: {"BINANCE_API_KEY": "hunter2"} is odd', "error: {...} is odd"),
        ("error: binance-api-key: hunter2", "error: binance-api-key: ***"),
        (
            "Creating p_bot_1 ... \n\nERROR: for p_bot_1  Cannot start service bot: no space\n\n"
            "ERROR: for bot  Cannot start service bot: no space\nEncountered errors while bringing up the project.\n",
            "ERROR: for p_bot_1 Cannot start service bot: no space",
        ),
        (
            "The Compose file './c.yml' is invalid because:\nUnsupported config option for services.bot: 'x'\n",
            "The Compose file './c.yml' is invalid because: Unsupported config option for services.bot: 'x'",
        ),
        ("", "exit code 3"),
        ("\x1b[31mred\x1b[0m\n", "�[31mred�[0m"),
    ],
)
def test_what_a_program_complains_of_is_one_line_without_secrets(errors: str, why: str) -> None:
    assert Said(3, "", errors).why == why
    assert len(Said(3, "", errors * 1000).why) <= 300


def test_the_environment_of_the_tests_is_left_alone() -> None:
    assert "COMPOSE_ANSI" not in os.environ
