"""How compose is called, whichever spelling of it is there, and which project it is called for."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.watchdog.bots.recorded import inspected
from watchdog.bots.base import BotError, NoAnswerError
from watchdog.bots.compose_client import Compose, Service
from watchdog.bots.container import parse
from watchdog.bots.engine import Engine

FILE = "services: {bot: {image: 'bot:1'}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder, and programs that note how they are called."""
    folder = tmp_path / "Sol.Perp Bot"
    folder.mkdir()
    (folder / "docker-compose.yml").write_text(FILE)
    return folder


def service(folder: Path, **more: object) -> Service:
    return Service(folder / "docker-compose.yml", "bot", **more)  # type: ignore[arg-type]


def name(folder: Path, environ: Mapping[str, str] | None = None, **more: object) -> str:
    return service(folder, **more).project_name(environ or {})


# -- the project's name


def test_it_is_made_from_the_folders_name(folder: Path, tmp_path: Path) -> None:
    assert name(folder) == "solperpbot"
    other = tmp_path / "__-!"
    other.mkdir()
    (other / "docker-compose.yml").write_text(FILE)
    assert name(other) == "default"


def test_each_source_comes_before_the_next(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text("name: of-file\n" + FILE)
    assert name(folder) == "of-file"
    (folder / ".env").write_text("A=1\nCOMPOSE_PROJECT_NAME=of-env\n")
    assert name(folder) == "of-env"
    (folder / "prod.env").write_text("COMPOSE_PROJECT_NAME='of-env-file' \n")
    assert name(folder, env_file=folder / "prod.env") == "of-env-file"
    assert name(folder, {"COMPOSE_PROJECT_NAME": "of-environment"}) == "of-environment"
    assert name(folder, {"COMPOSE_PROJECT_NAME": "x"}, project="configured") == "configured"


@pytest.mark.parametrize(
    "line",
    ["name: sol", "name: 'sol'", 'name: "sol"', "name: sol # the bot", "name:   Sol  ", "\ufeffname: sol"],
)
def test_a_name_in_the_file_is_read_in_its_usual_forms(folder: Path, line: str) -> None:
    (folder / "docker-compose.yml").write_text(f"{line}\n{FILE}")
    assert name(folder) == "sol"


def test_a_name_of_something_else_is_none(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text(FILE + "volumes:\n  v:\n    name: other\n#name: neither\n")
    assert name(folder) == "solperpbot"


def test_a_name_that_cannot_be_known_is_an_error(folder: Path) -> None:
    (folder / "docker-compose.yml").write_text("name: ${BOT}\n" + FILE)
    with pytest.raises(BotError, match=r"has a variable in it\. Set bot\.compose\.project"):
        name(folder)
    (folder / "docker-compose.yml").unlink()
    with pytest.raises(BotError, match=r"No such file.*or set bot\.compose\.project"):
        name(folder)
    assert name(folder, project="sol") == "sol"


# -- the files


def test_the_override_is_read_where_compose_would_read_it(folder: Path) -> None:
    file, override = folder / "docker-compose.yml", folder / "docker-compose.override.yml"
    assert service(folder).files() == [file]
    override.write_text("services: {bot: {environment: {MODE: paper}}}")
    assert service(folder).files() == [file, override]
    (folder / "prod.yml").write_text(FILE)
    (folder / "prod.override.yml").write_text(FILE)
    assert Service(folder / "prod.yml", "bot").files() == [folder / "prod.yml"]


def test_a_container_tells_from_which_file_it_was_made(folder: Path) -> None:
    entry = inspected("running", compose=2)
    assert Service(Path("/srv/bot/docker-compose.yml"), "bot").made(parse(entry))
    assert not service(folder).made(parse(entry))


# -- the calls


class Programs:
    """`docker` and `docker-compose` of the PATH: they note their arguments and answer what they are told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        self.put("docker", 'echo "docker: unknown command: docker $1" >&2; exit 1')
        self.put("docker-compose", "exit 127")

    def put(self, name: str, script: str) -> None:
        path = self.folder / name
        note = (
            f'for a; do printf "%s\\n" "$a"; done >{self.folder}/{name}.args; pwd >{self.folder}/{name}.pwd'
        )
        path.write_text(f"#!/bin/sh\n{note}\n{script}\n")
        path.chmod(0o755)

    def args(self, name: str) -> list[str]:
        return (self.folder / f"{name}.args").read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    return Programs(tmp_path / "programs", monkeypatch)


V1 = "[ $1 = version ] && echo 1.29.2; exit 0"
V2 = '[ "$1 $2" = "compose version" ] && echo 2.24.5; exit 0'


def compose(folder: Path, **more: object) -> Compose:
    return Compose(service(folder, **more), "sol", Engine(answer_s=20.0))


async def test_the_plugin_is_taken_before_the_program(folder: Path, programs: Programs) -> None:
    programs.put("docker", V2)
    programs.put("docker-compose", V1)
    found = await compose(folder).spelling()
    assert (found.command, found.version, found.first) == (("docker", "compose"), "2.24.5", False)


async def test_the_program_is_taken_where_there_is_no_plugin(folder: Path, programs: Programs) -> None:
    programs.put("docker-compose", V1)
    found = await compose(folder).spelling()
    assert (found.command, found.version, found.first) == (("docker-compose",), "1.29.2", True)


@pytest.mark.parametrize("version", ["v2.2.3", "2.24.5"])
async def test_the_program_may_be_v2(folder: Path, programs: Programs, version: str) -> None:
    programs.put("docker-compose", f"echo {version}")
    found = await compose(folder).spelling()
    assert (found.command, found.first) == (("docker-compose",), False)


async def test_without_either_it_is_said_what_to_install(folder: Path, programs: Programs) -> None:
    asked = compose(folder)
    with pytest.raises(BotError, match=r"there is no compose here: `docker compose` .* Install one of them"):
        await asked.spelling()
    programs.put("docker-compose", V1)  # and what is installed then is found
    assert (await asked.spelling()).first


async def test_a_compose_that_hangs_is_not_taken_for_one_that_is_not_there(
    folder: Path, programs: Programs
) -> None:
    programs.put("docker", "exec sleep 1000")
    programs.put("docker-compose", V1)
    with pytest.raises(
        NoAnswerError, match=r"`docker compose version`, which needs no engine, did not answer"
    ):
        await Compose(service(folder), "sol", Engine(answer_s=0.3)).spelling()


async def test_a_call_names_file_project_and_service_and_no_secret(folder: Path, programs: Programs) -> None:
    programs.put("docker-compose", V1)
    (folder / "prod.env").write_text("API_SECRET=hunter2\n")
    asked = compose(folder, env_file=folder / "prod.env")
    assert (await asked.stop(30, 60.0)).code == 0
    assert programs.args("docker-compose") == [
        "--file", str(folder / "docker-compose.yml"), "--env-file", str(folder / "prod.env"),
        "--project-name", "sol", "stop", "--timeout", "30", "bot",
    ]  # fmt: skip
    assert (programs.folder / "docker-compose.pwd").read_text() == f"{folder}\n"
    await asked.start(60.0)
    assert programs.args("docker-compose")[-2:] == ["start", "bot"]


async def test_the_env_file_goes_before_the_watchdogs_own_environment(
    folder: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"{V1.split(';')[0]} && exit 0; echo $API_KEY-$MODE-$PYTHONPATH-$NOTIFY_SOCKET-$COMPOSE_REMOVE_ORPHANS"
    programs.put("docker-compose", program)
    (folder / ".env").write_text("API_KEY=the-bots\n")
    for variable in ("API_KEY", "MODE", "PYTHONPATH", "NOTIFY_SOCKET", "COMPOSE_REMOVE_ORPHANS"):
        monkeypatch.setenv(variable, "the-watchdogs")
    assert (await compose(folder).start(20.0)).text == "-the-watchdogs---0\n"


async def test_a_container_is_made_without_a_build_a_pull_or_another_service(
    folder: Path, programs: Programs
) -> None:
    options = ["up", "--detach", "--no-deps", "--no-build", "--no-recreate"]
    programs.put("docker-compose", V1)
    await compose(folder).up(60.0)
    assert programs.args("docker-compose")[-6:] == [*options, "bot"]
    programs.put("docker", V2)
    await compose(folder).up(60.0)
    assert programs.args("docker")[-8:] == [*options, "--pull", "never", "bot"]


async def test_what_the_file_says_of_the_service(folder: Path, programs: Programs) -> None:
    programs.put("docker-compose", f"{V1.split(';')[0]} && exit 0; cat docker-compose.yml")
    asked = compose(folder)
    assert asked.image(await asked.config()) == ["bot:1"]
    assert asked.image({"build": "."}) == ["sol-bot", "sol_bot"]


@pytest.mark.parametrize(
    "text",
    [
        "WARNING: The API_KEY variable is not set. Defaulting to a blank string.",
        'time="2026-11-23T15:02:18Z" level=warning msg="The \\"API_KEY\\" variable is not set. Defaulting to a blank '
        'string."',
    ],
)
async def test_a_variable_that_nothing_gives_is_named(folder: Path, programs: Programs, text: str) -> None:
    program = f"{V1.split(';')[0]} && exit 0; cat docker-compose.yml; cat warnings >&2"
    programs.put("docker-compose", program)
    (folder / "warnings").write_text(f"{text}\n{text}\n")
    asked = compose(folder)
    await asked.config()
    assert list(asked.unset) == ["API_KEY"]
    (folder / "warnings").write_text("")
    await asked.config()
    assert list(asked.unset) == []


async def test_v2_is_asked_for_the_service_which_may_belong_to_a_profile(
    folder: Path, programs: Programs
) -> None:
    programs.put("docker", '[ "$1 $2" = "compose version" ] && echo 2.24.5 && exit 0; cat docker-compose.yml')
    assert (await compose(folder).config())["image"] == "bot:1"
    assert programs.args("docker")[-2:] == ["config", "bot"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("services: {web: {}, db: {}}", "has no service bot; set bot.compose.service to one of: db, web"),
        ("services: {}", "to one of: none"),
        ("services: {bot: text}", "has no service bot"),
        ("services: text", "compose says nothing of its services"),
        ("[]", "compose says nothing of its services"),
        ("", "compose says nothing of its services"),
        ("services: [", "compose says nothing of its services"),
    ],
)
async def test_a_file_without_the_service_is_an_error(
    folder: Path, programs: Programs, text: str, error: str
) -> None:
    (folder / "docker-compose.yml").write_text(text)
    programs.put("docker-compose", f"{V1.split(';')[0]} && exit 0; cat docker-compose.yml")
    with pytest.raises(BotError, match=error):
        await compose(folder).config()


async def test_a_file_with_a_mistake_is_told_in_composes_words(folder: Path, programs: Programs) -> None:
    programs.put(
        "docker-compose", "[ $1 = version ] && echo 1.29.2 && exit 0; echo 'line 10: oops' >&2; exit 1"
    )
    with pytest.raises(BotError, match="cannot be read by compose: line 10: oops"):
        await compose(folder).config()
