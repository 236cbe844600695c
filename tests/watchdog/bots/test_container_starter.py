"""Who started a container, out of what the engine remembers of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.watchdog.bots.recorded import events, inspected
from watchdog.bots.container import parse, time_of
from watchdog.bots.container_starter import exit_code_after, tell
from watchdog.bots.starter import Starter

STORY = ("start", "die 3", "start", "die 137")


def told(
    *actions: str, managers: list[str] | None = None, policy: str = "unless-stopped", restarts: int = 0
) -> Starter:
    entry = inspected("running") | {"RestartCount": restarts}
    entry["HostConfig"]["RestartPolicy"]["Name"] = policy
    return tell([event(action) for action in actions], parse(entry), None, managers or [])


def event(action: str) -> dict[str, Any]:
    name, _, code = action.partition(" ")
    return {"Action": name, "Actor": {"Attributes": {"exitCode": code} if code else {}}}


def test_a_person_with_docker_start() -> None:
    found = told("create", "start", "kill", "die 137", "stop", "start")
    assert found.text == "whoever gave `docker start` for sol_bot_1 (a person, a cron job, a script)"
    assert "Find out who does" in found.remedy


def test_a_program_that_manages_containers_is_named_where_one_runs() -> None:
    found = told("start", "die 0", "start", managers=["portainer"])
    assert found.text.endswith("(a person, a cron job, a script, or perhaps portainer)")
    assert "`docker stop portainer`" in found.remedy


def test_the_engines_own_restart_policy_with_how_it_had_ended() -> None:
    found = told("start", "die 3", "start", restarts=1)
    assert found.text == "the engine's restart policy (unless-stopped, after exit code 3)"
    assert "docker update --restart=no sol_bot_1" in found.remedy
    assert told("start", restarts=2).text == "the engine's restart policy (unless-stopped)"


def test_docker_restart() -> None:
    assert "`docker restart` for sol_bot_1" in told("start", "kill", "die 0", "stop", "start", "restart").text


def test_compose_that_made_it_anew() -> None:
    assert told("create", "start").text.startswith(
        "whoever gave `docker compose up` for sol_bot_1, which made the container anew ("
    )


@pytest.mark.parametrize("actions", [[], ["exec_start: x"], ["start"], ["die 1"]])
def test_an_engine_that_remembers_little_is_no_obstacle(actions: list[str]) -> None:
    assert told(*actions, policy="no").text.startswith("whoever gave `docker start` for sol_bot_1")


def test_how_a_run_ended_is_told_by_the_first_end_after_its_start() -> None:
    began = datetime(2026, 3, 1, 10, tzinfo=UTC)
    story = [{**event(a), "timeNano": int((began.timestamp() + at) * 1e9)} for at, a in enumerate(STORY)]
    at = [exit_code_after(story, began + timedelta(seconds=s)) for s in (0, 1.5, 2.5, 4)]
    assert at == [3, 137, 137, None]
    assert exit_code_after([], began) is None
    assert exit_code_after([{"Action": "die", "timeNano": 9e18}], began) is None


def test_recorded_events_are_understood() -> None:
    entry = inspected("restarting")
    assert tell(events(), parse(entry), None, []).text == (
        "the engine's restart policy (unless-stopped, after exit code 3)"
    )
    stopped = time_of(inspected("stopped")["State"]["StartedAt"])
    assert stopped is not None
    assert exit_code_after(events(), stopped) == 137
