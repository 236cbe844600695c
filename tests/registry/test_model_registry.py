import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry import Deployment, ModelRegistry, RegistryError
from tests.registry.shop import (
    START,
    add,
    clock,
    damage,
    edit,
    main_file,
    model_bytes,
    picture,
    sha,
    statuses,
    stock,
)

# --- the first steps


def test_a_folder_without_a_registry_reads_as_empty(models: Path) -> None:
    registry = ModelRegistry(models)
    assert registry.registry == {"models": {}, "current_version": None, "history": []}
    assert registry.get_current_model() is None
    assert registry.list_models() == []
    assert registry.deployment() is None
    assert (registry.targets(), registry.target()) == ([], None)
    assert list(models.iterdir()) == []
    with pytest.raises(RegistryError, match="No such file"):
        registry.read()
    with pytest.raises(RegistryError, match="No such file"):
        registry.rollback()


def test_a_folder_that_is_not_there_is_an_error_and_not_an_empty_registry(tmp_path: Path) -> None:
    """The likely cause is the wrong working directory."""
    with pytest.raises(RegistryError, match="check the path, and the folder the command is run in"):
        ModelRegistry(tmp_path / "none").get_current_model()


def test_the_folder_is_that_of_the_moment_the_registry_was_made(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(models, "v1")
    monkeypatch.chdir(models.parent)
    by_default, by_text = ModelRegistry(), ModelRegistry("models_saved")
    monkeypatch.chdir("/")
    assert by_default.folder == by_text.folder == models
    assert by_default.verify_checksum("v1")


# --- registering


def test_registering_writes_the_entry_and_the_event(models: Path) -> None:
    registry = ModelRegistry(models, now=clock())
    main_file(models, "v1").write_bytes(b"model")
    entry = registry.register_model(main_file(models, "v1"), "v1", {"n": 1}, "xgboost")
    at = (START + timedelta(minutes=1)).isoformat()
    assert entry == {
        "version": "v1",
        "model_type": "xgboost",
        "path": str(main_file(models, "v1")),
        "checksum": sha(b"model"),
        "metadata": {"n": 1},
        "registered_at": at,
        "status": "registered",
    }
    assert json.loads(registry.path.read_text()) == {
        "models": {"v1": entry},
        "current_version": None,
        "history": [{"version": "v1", "action": "registered", "timestamp": at}],
    }
    assert datetime.fromisoformat(at).utcoffset() == timedelta(0)


def test_registering_makes_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"model")
    registry = ModelRegistry(tmp_path / "new" / "models_saved")
    registry.register_model(tmp_path / "a.pkl", "v1", {})
    assert registry.verify_checksum("v1")
    blocked = ModelRegistry(tmp_path / "a.pkl" / "models_saved")
    with pytest.raises(RegistryError, match="cannot be made: Not a directory"):
        blocked.register_model(tmp_path / "a.pkl", "v1", {})


def test_the_path_is_kept_as_given_if_it_leads_back_to_the_file(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = ModelRegistry(models)
    (models / "a.pkl").write_bytes(b"a")
    (models / "b.pkl").write_bytes(b"b")
    monkeypatch.chdir(models.parent)
    assert registry.register_model("models_saved/a.pkl", "v1", {})["path"] == "models_saved/a.pkl"
    (models.parent / "elsewhere").mkdir()
    (models.parent / "elsewhere" / "c.pkl").write_bytes(b"c")
    monkeypatch.chdir("elsewhere")
    path = models.parent / "elsewhere" / "c.pkl"
    assert registry.register_model("c.pkl", "v2", {})["path"] == str(path)
    assert registry.artifacts("v2") == {"main": path}
    (models.parent / "elsewhere" / "b.pkl").write_bytes(b"another b")
    with pytest.raises(RegistryError, match=r"models_saved/b.pkl has the same name .*; rename one of them"):
        registry.register_model("b.pkl", "v3", {})


@pytest.mark.parametrize("version", ["", " ", " v1", "v1\n", "v1\x1b[2J", "v1\nv2", "v" * 201])
def test_a_version_needs_a_name(models: Path, version: str) -> None:
    (models / "a.pkl").touch()
    with pytest.raises(RegistryError, match="is no name for a version"):
        ModelRegistry(models).register_model(models / "a.pkl", version, {})


def test_what_cannot_be_registered_changes_nothing(models: Path) -> None:
    registry = stock(models, "v1")
    (models / "a.pkl").touch()
    was = picture(models)
    with pytest.raises(RegistryError, match="v1 is registered already; give new files a new version"):
        registry.register_model(models / "a.pkl", "v1", {})
    with pytest.raises(RegistryError, match=r"none.pkl: cannot be read: No such file"):
        registry.register_model(models / "none.pkl", "v2", {})
    with pytest.raises(RegistryError, match='"main" is the model file itself'):
        registry.register_model(models / "a.pkl", "v2", {}, artifacts={"main": models / "a.pkl"})
    with pytest.raises(RegistryError, match="JSON cannot hold"):
        registry.register_model(models / "a.pkl", "v2", {"when": START})
    assert picture(models) == was


def test_a_file_whose_name_cannot_be_written_down_is_refused(models: Path) -> None:
    (models / "a\n.pkl").write_bytes(b"model")
    with pytest.raises(RegistryError, match="names no file; give it a name of printable characters"):
        ModelRegistry(models).register_model(models / "a\n.pkl", "v1", {})


# --- promoting


def test_promoting_archives_the_one_before(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    assert statuses(registry) == {"v1": "archived", "v2": "production"}
    current = registry.get_current_model()
    assert current is not None
    assert (current["version"], current["status"]) == ("v2", "production")
    event = registry.read()["history"][-1]
    assert event | {"timestamp": ""} == {
        "version": "v2",
        "action": "promoted",
        "previous_version": "v1",
        "validation_metrics": {"sharpe": 2.0},
        "timestamp": "",
    }
    assert registry.deployment() == Deployment("v2", event["timestamp"])


def test_promoting_what_does_not_verify_changes_nothing(models: Path) -> None:
    registry = stock(models, "v1")
    add(registry, "v2")
    damage(main_file(models, "v2"))
    was = picture(models)
    with pytest.raises(
        RegistryError, match=r"v2 cannot be promoted, nothing was changed: main: .*v2.pkl has"
    ):
        registry.promote_model("v2", {})
    with pytest.raises(RegistryError, match=r"v9 is not registered; take one that is \(v1, v2\)"):
        registry.promote_model("v9", {})
    assert picture(models) == was


def test_promoting_the_current_version_again_begins_a_deployment_and_keeps_the_order(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    first = registry.deployment()
    entry = registry.promote_model("v2")
    assert entry["status"] == "production"
    assert registry.deployment() != first
    assert registry.read()["history"][-1]["previous_version"] == "v1"
    assert registry.targets() == ["v1"]
    alone = stock(models.parent / "other", "v1")
    alone.promote_model("v1", {})
    assert alone.read()["history"][-1]["previous_version"] is None


def test_a_person_may_promote_what_is_in_quarantine(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = stock(models, "v1", "v2")
    registry.rollback()
    assert registry.is_quarantined("v2")
    registry.promote_model("v2", {})
    assert "v2 was in quarantine; promoting it releases it" in caplog.text
    assert not registry.is_quarantined("v2")
    assert registry.targets() == ["v1"]
    assert statuses(registry) == {"v1": "archived", "v2": "production"}


def test_a_quarantine_by_status_alone_survives_a_promotion_of_another(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    edit(registry, lambda data: data["models"]["v2"].update(status="quarantined"))
    add(registry, "v3")
    registry.promote_model("v3", {})
    assert registry.targets() == ["v1"]
    assert statuses(registry)["v2"] == "quarantined"


# --- releasing


def test_a_released_version_is_a_target_again(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = stock(models, "v1", "v2")
    registry.rollback()
    registry.release("v2")
    assert "v2 is released" in caplog.text
    assert not registry.is_quarantined("v2")
    assert statuses(registry) == {"v1": "production", "v2": "archived"}
    assert "released_at" in registry.read()["history"][-1]
    assert registry.rollback() == "v2"
    assert statuses(registry) == {"v1": "quarantined", "v2": "production"}
    add(registry, "v3")
    edit(registry, lambda data: data["models"]["v3"].update(status="quarantined"))
    registry.release("v3")
    assert statuses(registry)["v3"] == "registered"


def test_the_current_version_can_be_released(models: Path) -> None:
    """Somebody set current_version by hand to what had been rolled back from."""
    registry = stock(models, "v1", "v2")
    registry.rollback()
    edit(registry, lambda data: data.update(current_version="v2"))
    assert registry.is_quarantined("v2")
    registry.release("v2")
    assert statuses(registry)["v2"] == "production"
    assert not registry.is_quarantined("v2")


def test_releasing_what_is_free_changes_nothing_and_what_is_unknown_is_an_error(models: Path) -> None:
    registry = stock(models, "v1")
    was = picture(models)
    registry.release("v1")
    with pytest.raises(RegistryError, match="v9 is not registered"):
        registry.release("v9")
    assert picture(models) == was


# --- looking


def test_list_models_filters_by_status(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3")
    assert [entry["version"] for entry in registry.list_models()] == ["v1", "v2", "v3"]
    assert [entry["version"] for entry in registry.list_models("archived")] == ["v1", "v2"]
    assert registry.list_models(status="quarantined") == []


def test_every_artifact_of_a_bundle_is_checked(models: Path) -> None:
    registry = stock(models, "v1")
    assert [(state.name, state.state) for state in registry.check("v1")] == [
        ("main", "ok"),
        ("rl_agent", "ok"),
    ]
    damage(models / "rl_agent_v1.zip")
    main_file(models, "v1").unlink()
    assert [state.state for state in registry.check("v1")] == ["missing", "mismatch"]
    assert not registry.verify_checksum("v1")


def test_verify_checksum_says_no_to_what_it_cannot_check_and_logs_why(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = stock(models, "v1", "v2")
    edit(registry, lambda data: data["models"]["v1"].update(checksum=None))
    edit(registry, lambda data: data["models"].update(v2=7))
    assert not registry.verify_checksum("v1")
    assert not registry.verify_checksum("v2")
    assert not registry.verify_checksum("v9")
    assert "v1 does not verify: main: the registry holds no SHA-256" in caplog.text
    assert "v2: the entry is not an object; mend the entry" in caplog.text
    assert "v9 is not registered" in caplog.text
    with pytest.raises(RegistryError, match=r"registry.json: v2: the entry is not an object"):
        registry.check("v2")


def test_the_registry_is_read_afresh_each_time(models: Path) -> None:
    registry, other = stock(models, "v1", "v2"), ModelRegistry(models)
    assert other.registry["current_version"] == "v2"
    registry.rollback()
    assert other.registry["current_version"] == "v1"
    other.registry["current_version"] = "v7"
    assert other.registry["current_version"] == "v1", "the dict is a reading, not a handle"


@pytest.mark.parametrize("entry", [None, [], "v2", 7])
def test_a_current_entry_of_another_shape_is_an_error_with_a_remedy(models: Path, entry: Any) -> None:
    registry = stock(models, "v1", "v2")
    edit(registry, lambda data: data["models"].update(v2=entry))
    with pytest.raises(RegistryError, match="the entry of v2 is not an object; promote another version"):
        registry.get_current_model()
    assert [model["version"] for model in registry.list_models()] == ["v1"]


def test_a_current_version_that_is_not_registered_has_no_model(models: Path) -> None:
    registry = stock(models, "v1")
    edit(registry, lambda data: data.update(current_version="v9"))
    assert registry.get_current_model() is None
    assert registry.deployment() == Deployment("v9", None)


def test_the_key_is_the_name_of_a_version_whatever_its_entry_says(models: Path) -> None:
    registry = stock(models, "v1")
    edit(registry, lambda data: data["models"]["v1"].pop("version"))
    current = registry.get_current_model()
    assert current is not None
    assert current["version"] == "v1"


def test_what_a_bot_wrote_from_its_own_folder_verifies(models: Path) -> None:
    """The paths of the field: relative to the bot, or as its container sees them."""
    for number, written in enumerate(
        ["models_saved/a.pkl", "./models_saved/a.pkl", "/app/models_saved/a.pkl"]
    ):
        (models / "a.pkl").write_bytes(model_bytes("v1"))
        entry = {"path": written, "checksum": sha(model_bytes("v1")), "status": "production"}
        data = {"models": {"v1": entry}, "current_version": "v1", "history": [{"note": number}]}
        (models / "registry.json").write_text(json.dumps(data))
        assert ModelRegistry(models).verify_checksum("v1")


def test_a_bundle_in_another_process_sees_the_same(models: Path) -> None:
    stock(models, "v1")
    code = "from registry import ModelRegistry; print(ModelRegistry().verify_checksum('v1'))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=models.parent, text=True) == "True\n"


def test_the_nearest_names_are_told_first_and_a_cut_list_says_so(models: Path) -> None:
    registry = stock(models, "v1.9.0", *(f"v2.{minor}.0" for minor in range(6)))
    with pytest.raises(RegistryError, match=r"take one that is \(v1\.9\.0, .*, \.\.\.\)"):
        registry.promote_model("v1.9", {})
