"""`check` about the compose file's variables: what a container that is made anew would have other."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from watchdog.bots.compose_client import Service
from watchdog.bots.described import of_config, of_container
from watchdog.check_variables import variable_findings

ANEW = {"API_KEY": "hunter2", "MODE": "live"}


@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / ".env").write_text("API_KEY=hunter2\nexport MODE=live\n# HOME=no\n")
    return Service(tmp_path / "docker-compose.yml", "bot")


def told(
    service: Service,
    anew: Mapping[str, Any] | Sequence[str],
    present: Sequence[str] | None = None,
    unset: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """What was found, by grade."""
    container = None if present is None else of_container({"Config": {"Env": list(present)}})
    new = of_config({"environment": anew})
    findings = variable_findings(service, unset, new, container, environ or {})
    said = [(f.grade, f"{f.found} -> {f.mend}") for f in findings]
    assert "hunter2" not in str(said), "a value is told"
    return {grade: "\n".join(text for g, text in said if g == grade) for grade, _ in said}


def test_a_container_that_would_be_the_same_anew_is_good(service: Service) -> None:
    present = ["PATH=/usr/bin", "API_KEY=hunter2", "MODE=live", "PYTHON_VERSION=3.11"]
    assert set(told(service, ANEW, present)) == {"good"}
    assert set(told(service, ANEW, None, environ={"API_KEY": "other", "PATH": "/bin"})) == {"good"}


def test_what_only_the_watchdogs_environment_has_is_bad(service: Service) -> None:
    for anew in (
        {"API_KEY": None, "MODE": "live"},
        {"API_KEY": "", "MODE": "live"},
        ["API_KEY", "MODE=live"],
    ):
        said = told(service, anew, ["API_KEY=hunter2", "MODE=live"], environ={"API_KEY": "hunter2"})
        assert set(said) == {"bad"}
        assert "made anew would not have API_KEY, as the one that is there has" in said["bad"]
        assert f"put them into {service.file.parent}/.env, or name the file" in said["bad"]


def test_what_nothing_gives_is_a_note(service: Service) -> None:
    said = told(service, {"SECRET": None}, unset=["IMAGE_TAG"], environ={"IMAGE_TAG": "7"})
    assert set(said) == {"note"}
    assert "no file gives the compose file its IMAGE_TAG, SECRET" in said["note"]
    assert "(IMAGE_TAG is in this environment; the watchdog's is another)" in said["note"]


def test_another_value_is_a_note_that_names_no_value(service: Service) -> None:
    said = told(service, {"API_KEY": "hunter2$$", "MODE": "live"}, ["API_KEY=hunter2$", "MODE=paper"])
    assert set(said) == {"note"}
    assert "would have another MODE than" in said["note"]


def test_what_is_in_both_and_handed_on_is_a_note(service: Service) -> None:
    service.variables_file.write_text("HTTP_PROXY=http://10.0.0.7\nAPI_KEY=hunter2\n")
    said = told(service, ANEW, environ={"HTTP_PROXY": "http://10.0.0.8", "API_KEY": "other", "HOME": "/root"})
    assert set(said) == {"note"}
    assert "HTTP_PROXY is in" in said["note"]
    assert "API_KEY" not in said["note"]


def test_without_an_env_file_there_is_nothing_in_both(service: Service) -> None:
    service.variables_file.unlink()
    assert set(told(service, ANEW, environ={"HOME": "/root"})) == {"good"}
