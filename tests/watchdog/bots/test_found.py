"""Which containers are the bot."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from tests.watchdog.bots.recorded import LABEL, inspected
from watchdog.bots.base import BotError
from watchdog.bots.compose_client import Service
from watchdog.bots.container import Container, parse
from watchdog.bots.found import Argv, sort_out

SERVICE = Service(Path("/srv/bot/docker-compose.yml"), "bot")


def container(name: str, state: str = "running", *, oneoff: bool = False, **labels: str) -> Container:
    entry: dict[str, Any] = inspected(state)
    entry |= {"Id": name.ljust(64, "0"), "Name": f"/{name}"}
    entry["Config"]["Labels"] |= {f"{LABEL}{key.replace('_', '-')}": value for key, value in labels.items()}
    entry["Config"]["Labels"][f"{LABEL}oneoff"] = str(oneoff)
    if oneoff and "command" in labels:
        entry["Args"] = labels["command"].split()
    return parse(entry)


def names(*containers: Container, service: Service = SERVICE, commands: Collection[Argv] = ()) -> list[str]:
    return [c.name for c in sort_out(containers, service, "sol", commands).ours]


def test_the_services_own_come_by_number() -> None:
    assert names(container("b", container_number="2"), container("a", container_number="1")) == ["a", "b"]


def test_another_project_is_another_bot() -> None:
    other = container("b", project="other")
    assert names(container("a"), other) == ["a"]
    named = Service(SERVICE.file, "bot", project="sol")
    assert names(container("a"), other, service=named) == ["a"]
    assert sort_out([other], named, "sol", ()).ours == ()


def test_one_that_runs_from_the_same_file_under_another_projects_name_may_be_the_bot() -> None:
    """A person's shell had COMPOSE_PROJECT_NAME set, say: nothing may be taken for down then."""
    with pytest.raises(
        BotError, match=r"runs in the compose project other \(container b\), and not in sol: set bot"
    ):
        sort_out([container("b", project="other")], SERVICE, "sol", ())
    found = sort_out([container("a"), container("b", project="other")], SERVICE, "sol", ())
    assert ([c.name for c in found.ours], [c.name for c in found.elsewhere]) == (["a"], ["b"])


def test_one_that_is_dead_or_from_another_file_is_of_no_matter() -> None:
    dead = container("b", "stopped", project="other")
    assert sort_out([dead], SERVICE, "sol", ()).ours == ()
    elsewhere = parse(
        inspected("running")
        | {"Config": {"Labels": {f"{LABEL}project": "x", f"{LABEL}project.config_files": "/x"}}}
    )
    assert sort_out([elsewhere], SERVICE, "sol", ()).elsewhere == ()


def test_a_one_off_that_runs_what_the_service_runs_is_a_second_bot() -> None:
    assert names(container("a"), container("run", oneoff=True)) == ["a", "run"]


def test_a_one_off_with_a_command_of_its_own_is_no_bot() -> None:
    shell = container("run", oneoff=True, command="-m pytest")
    assert names(container("a"), shell) == ["a"]
    assert names(shell, commands={container("a").argv}) == []
    assert names(container("run", oneoff=True), commands={container("a").argv}) == ["run"]


def test_a_one_off_is_the_bot_where_nobody_knows_what_the_service_runs() -> None:
    assert names(container("run", oneoff=True, command="-m pytest")) == ["run"]


def test_down_is_what_neither_runs_nor_is_about_to() -> None:
    for state, down in (("running", False), ("paused", False), ("restarting", False), ("stopped", True)):
        assert sort_out([container("a", state)], SERVICE, "sol", ()).down is down
    assert sort_out([], SERVICE, "sol", ()).down
