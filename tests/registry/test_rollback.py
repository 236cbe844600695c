import logging
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from registry import RegistryError
from registry.model_registry import ModelRegistry
from tests.registry.shop import add, agent_file, damage, edit, main_file, picture, statuses, stock


def test_goes_back_to_the_version_before_and_quarantines_the_one_left(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3")
    assert registry.target() == "v2"
    assert registry.rollback(reason="drawdown 26 % is above 25 %") == "v2"
    assert statuses(registry) == {"v1": "archived", "v2": "production", "v3": "quarantined"}
    event = registry.read()["history"][-1]
    assert event.pop("timestamp").endswith("+00:00")
    assert event == {
        "version": "v2",
        "action": "rollback",
        "previous_version": "v3",
        "from": "v3",
        "reason": "drawdown 26 % is above 25 %",
        "validation_metrics": {},
    }


def test_two_rollbacks_in_a_row_go_two_versions_back_and_never_return(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3")
    assert [registry.rollback(), registry.rollback(), registry.rollback()] == ["v2", "v1", None]
    assert statuses(registry) == {"v1": "production", "v2": "quarantined", "v3": "quarantined"}


def test_nowhere_to_go_changes_nothing_and_says_what_to_do(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = stock(models, "v1")
    was = picture(models)
    with caplog.at_level(logging.ERROR):
        assert registry.rollback() is None
    assert "no good version to go back to from v1, nothing was changed; restore" in caplog.text
    assert picture(models) == was


def test_a_version_that_was_only_registered_is_no_target(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    add(registry, "v0")
    assert registry.targets() == ["v1"]


@pytest.mark.parametrize("artifact", ["main", "agent"])
@pytest.mark.parametrize("how", ["damaged", "missing", "no checksum"])
def test_a_version_with_one_bad_file_is_passed_over_and_told(
    models: Path, artifact: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = stock(models, "v1", "v2", "v3")
    file = (main_file if artifact == "main" else agent_file)(models, "v2")
    if how == "damaged":
        damage(file)
    elif how == "missing":
        file.unlink()
    else:

        def forget(data: dict[str, Any]) -> None:
            entry = data["models"]["v2"]
            (entry if artifact == "main" else entry["artifacts"]["rl_agent"]).pop("checksum")

        edit(registry, forget)
    assert registry.targets() == ["v2", "v1"]
    assert registry.rollback() == "v1"
    assert "v2 is passed over" in caplog.text
    assert file.name in caplog.text


def test_survey_says_why_each_version_is_passed_over(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3", "v4", "v5", "v6")
    registry.rollback()
    edit(registry, lambda data: data["models"].pop("v4"))
    edit(registry, lambda data: data["models"].update(v3="garbled"))
    survey = registry.survey(exclude=["v2"])
    assert survey.target == "v1"
    assert list(survey.passed_over) == ["v6", "v4", "v3", "v2"]
    assert "in quarantine" in survey.passed_over["v6"]
    assert "no longer in the registry" in survey.passed_over["v4"]
    assert "the entry is not an object" in survey.passed_over["v3"]
    assert "left out by the caller" in survey.passed_over["v2"]
    assert registry.targets(exclude=["v2"]) == ["v3", "v1"]
    assert registry.target(exclude=["v2", "v1"]) is None
    assert registry.rollback(exclude={"v2"}) == "v1"


def test_a_quarantine_outlives_a_writer_that_wipes_the_status(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3")
    registry.rollback()
    edit(registry, lambda data: data["models"]["v3"].update(status="archived"))
    assert registry.is_quarantined("v3")
    assert registry.rollback() == "v1"


def test_a_quarantine_outlives_a_writer_that_forgets_the_history(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3")
    registry.rollback()

    def forget(data: dict[str, Any]) -> None:
        data["history"] = [event for event in data["history"] if event["action"] == "promoted"]

    edit(registry, forget)
    assert registry.targets() == ["v1"]


def test_a_rollback_by_the_bot_itself_is_honoured(models: Path) -> None:
    """Its event names no `from`, and it leaves the statuses alone."""
    registry = stock(models, "v1", "v2", "v3")

    def roll_back(data: dict[str, Any]) -> None:
        data["current_version"] = "v2"
        data["history"].append({"version": "v2", "action": "rollback", "timestamp": "2026-03-01T10:00:00"})

    edit(registry, roll_back)
    assert registry.is_quarantined("v3")
    assert registry.rollback() == "v1"


def test_a_current_version_that_is_gone_from_the_registry_can_be_left(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    edit(registry, lambda data: data["models"].pop("v2"))
    assert registry.rollback() == "v1"
    assert registry.is_quarantined("v2")


def test_without_a_current_version_nothing_says_which_one_was_bad(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    edit(registry, lambda data: data.update(current_version=""))
    assert registry.rollback() is None
    edit(registry, lambda data: data.update(current_version=None))
    assert registry.rollback() is None
    assert registry.rollback("v1") == "v1"
    assert registry.read()["history"][-1]["from"] is None
    assert not registry.is_quarantined("v2")


# --- to a version that a person names


def test_a_named_version_need_not_have_been_current(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    add(registry, "v0")
    assert registry.why_not("v0") is None
    assert registry.rollback("v0", exclude=["v0"]) == "v0"
    assert statuses(registry) == {"v1": "archived", "v2": "quarantined", "v0": "production"}
    assert registry.rollback() == "v1"


def test_a_named_version_that_is_not_good_is_refused_with_a_remedy(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3", "v4")
    registry.rollback()
    damage(main_file(models, "v1"))
    was = picture(models)
    for version, text in {
        "v9": r"v9 cannot be rolled back to, nothing was changed: .*not registered; take one that is",
        "v3": r"v3 is current already; leave the version out",
        "v4": r"v4 is in quarantine, .*release it first: \S+ -P -m registry release v4 --registry-path ",
        "v1": r"v1 cannot be rolled back to, nothing was changed: main: .*restore what was registered",
    }.items():
        with pytest.raises(RegistryError, match=text):
            registry.rollback(version)
        assert registry.why_not(version) is not None
    assert picture(models) == was


def test_the_remedy_for_a_quarantine_works_as_printed_in_a_folder_with_packages_of_the_same_names(
    models: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "bot"
    registry = stock(models, "v1", "v2")
    registry.rollback()
    refusal = registry.why_not("v2")
    assert refusal is not None
    command = shlex.split(refusal[refusal.index(sys.executable) :])
    (elsewhere / "config").mkdir(parents=True)
    (elsewhere / "registry").mkdir()
    (elsewhere / "registry" / "__init__.py").touch()
    subprocess.run(command, check=True, cwd=elsewhere, stderr=subprocess.DEVNULL)
    assert registry.rollback("v2") == "v2"


# --- reading back


def test_another_program_that_switches_meanwhile_is_told(models: Path) -> None:
    """The bot's own writer, without a lock, right after ours."""
    registry = stock(models, "v1", "v2", "v3")

    class Overtaken(ModelRegistry):
        def _read_back(self, version: str) -> dict[str, Any]:
            edit(self, lambda data: data.update(current_version="v3"))
            return super()._read_back(version)

    with pytest.raises(RegistryError, match=r"switched to v2, .*another program has made v3 current"):
        Overtaken(models).rollback()
    assert registry.read()["current_version"] == "v3"
    with pytest.raises(RegistryError, match=r"switched to v1, .*another program has made v3 current"):
        Overtaken(models).promote_model("v1", {})


def test_a_file_that_is_damaged_meanwhile_is_told(models: Path) -> None:
    stock(models, "v1", "v2")

    class Damaged(ModelRegistry):
        def _read_back(self, version: str) -> dict[str, Any]:
            damage(main_file(self.folder, version))
            return super()._read_back(version)

    with pytest.raises(
        RegistryError, match=r"switched to v1, but reading it back failed: main: .*v1.pkl has"
    ):
        Damaged(models).rollback()


def test_a_link_that_is_turned_meanwhile_is_told(models: Path) -> None:
    stock(models, "v1", "v2", links={"ensemble_model.pkl": "main"})

    class Turned(ModelRegistry):
        def _read_back(self, version: str) -> dict[str, Any]:
            (self.folder / "ensemble_model.pkl").unlink()
            return super()._read_back(version)

    with pytest.raises(RegistryError, match=r"ensemble_model.pkl does not point to .*ensemble_v1.pkl"):
        Turned(models, {"ensemble_model.pkl": "main"}).rollback()
