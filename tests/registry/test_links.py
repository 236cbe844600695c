import os
from contextlib import suppress
from pathlib import Path

import pytest

from registry import ModelRegistry, RegistryError
from registry.links import Link, plan, switched, validated
from tests.registry.shop import LINKS, agent_file, damage, edit, main_file, model_bytes, picture, stock

NAME = "ensemble_model.pkl"
ONE = {NAME: "main"}
STAMP = "20260301T100000Z"


def one_link(models: Path, version: str) -> list[Link]:
    return plan(models, ONE, version, {"main": main_file(models, version)})


def asides(models: Path) -> list[Path]:
    return sorted(path for path in models.iterdir() if ".replaced-" in path.name)


# --- where links may be and what they need


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "registry.json", "registry.json.lock", "a\0b"])
def test_a_link_is_a_plain_name_that_is_not_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(RegistryError, match="must be a plain file name"):
        validated({name: "main"})
    with pytest.raises(RegistryError, match="must be a plain file name"):
        ModelRegistry(tmp_path, {name: "main"})


def test_a_version_without_a_linked_artifact_cannot_have_the_links(models: Path) -> None:
    main_file(models, "v1").touch()
    with pytest.raises(
        RegistryError, match=r"v1 has no artifact rl_agent, which .* rl_agent.zip; register it"
    ):
        plan(models, LINKS, "v1", {"main": main_file(models, "v1")})


def test_a_linked_artifact_must_be_there(models: Path) -> None:
    with pytest.raises(RegistryError, match=r"ensemble_v1.pkl is missing"):
        one_link(models, "v1")


def test_a_folder_in_a_links_place_is_left_alone(models: Path) -> None:
    main_file(models, "v1").touch()
    (models / NAME).mkdir()
    with pytest.raises(RegistryError, match="neither a file nor a link; move it away"):
        one_link(models, "v1")


def test_an_artifact_under_the_name_of_another_link_is_refused(models: Path) -> None:
    (models / "rl_agent.zip").touch()
    with pytest.raises(RegistryError, match="has the name of another link"):
        plan(models, LINKS, "v1", {"main": models / "rl_agent.zip", "rl_agent": models / "rl_agent.zip"})


# --- switching


def test_a_link_is_relative_so_that_it_holds_in_a_container(models: Path) -> None:
    main_file(models, "v1").write_bytes(b"1")
    with switched(one_link(models, "v1"), STAMP):
        pass
    assert os.readlink(models / NAME) == "ensemble_v1.pkl"  # noqa: PTH115 (the text itself)
    models.rename(models.with_name("elsewhere"))
    assert (models.with_name("elsewhere") / NAME).read_bytes() == b"1"


def test_an_artifact_in_another_folder_is_linked_across(models: Path) -> None:
    (models.parent / "exports").mkdir()
    (models.parent / "exports" / "a.pkl").write_bytes(b"1")
    (models.parent / "short").symlink_to(models.parent / "exports")
    with switched(plan(models, ONE, "v1", {"main": models.parent / "short" / "a.pkl"}), STAMP):
        pass
    assert str((models / NAME).readlink()) == "../exports/a.pkl"
    assert (models / NAME).read_bytes() == b"1"


def test_a_registry_folder_that_is_a_link_itself_is_no_trouble(models: Path, tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    linked = tmp_path / "deep" / "er" / "models_saved"
    linked.symlink_to(models)
    (tmp_path / "bot" / "a.pkl").write_bytes(b"1")
    with switched(plan(linked, ONE, "v1", {"main": tmp_path / "bot" / "a.pkl"}), STAMP):
        pass
    assert (linked / NAME).read_bytes() == b"1"


@pytest.mark.parametrize("before", ["absent", "link", "dangling", "absolute", "file"])
def test_an_exception_inside_puts_the_link_back_to_what_it_was(models: Path, before: str) -> None:
    main_file(models, "v1").write_bytes(b"1")
    main_file(models, "v2").write_bytes(b"2")
    if before == "file":
        (models / NAME).write_bytes(b"a person's")
    elif before != "absent":
        text = {"link": "ensemble_v1.pkl", "dangling": "gone", "absolute": str(main_file(models, "v1"))}[
            before
        ]
        (models / NAME).symlink_to(text)
    was = picture(models)
    seen = b""
    with suppress(ZeroDivisionError), switched(one_link(models, "v2"), STAMP):
        seen = (models / NAME).read_bytes()
        raise ZeroDivisionError
    assert seen == b"2"
    assert picture(models) == was


def test_a_file_in_a_links_place_is_kept_under_a_name_of_its_own(models: Path) -> None:
    main_file(models, "v1").write_bytes(b"1")
    for content in (b"first", b"second"):
        (models / NAME).unlink(missing_ok=True)
        (models / NAME).write_bytes(content)
        with switched(one_link(models, "v1"), STAMP) as kept:
            assert [path.read_bytes() for path in kept] == [content]
    assert [path.name for path in asides(models)] == [
        f"{NAME}.replaced-{STAMP}",
        f"{NAME}.replaced-{STAMP}-2",
    ]
    assert [path.read_bytes() for path in asides(models)] == [b"first", b"second"]


def test_an_artifact_that_leads_back_to_the_link_is_refused_and_undone(models: Path) -> None:
    (models / NAME).write_bytes(b"the only copy")
    main_file(models, "v1").symlink_to(NAME)
    was = picture(models)
    with (
        pytest.raises(RegistryError, match="leads back to this link"),
        switched(one_link(models, "v1"), STAMP),
    ):
        pytest.fail("the only copy was replaced by a loop")
    assert picture(models) == was


def test_a_link_that_cannot_be_made_says_so(models: Path) -> None:
    main_file(models, "v1").touch()
    links = one_link(models, "v1")
    (models / f".{NAME}.new").mkdir()
    with (
        pytest.raises(RegistryError, match=r"ensemble_model.pkl: cannot be switched"),
        switched(links, STAMP),
    ):
        pytest.fail("there is no link")
    (models / f".{NAME}.new").rmdir()
    (models / f".{NAME}.new").symlink_to("left by a killed switch")
    with switched(links, STAMP):
        pass
    assert sorted(picture(models)) == [NAME, "ensemble_v1.pkl"]


# --- as the registry uses them


def test_the_links_follow_promotions_and_rollbacks(models: Path) -> None:
    registry = stock(models, "v1", "v2", links=LINKS)
    assert (models / NAME).read_bytes() == model_bytes("v2")
    assert registry.links_right()
    registry.rollback()
    assert (models / NAME).read_bytes() == model_bytes("v1")
    assert (models / "rl_agent.zip").read_bytes() == model_bytes("v1", "rl_agent")
    assert registry.links_right()
    assert asides(models) == []


def test_a_version_that_cannot_have_the_links_is_passed_over(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3", links=LINKS)
    edit(registry, lambda data: data["models"]["v2"].pop("artifacts"))
    assert registry.verify_checksum("v2")
    survey = registry.survey()
    assert survey.target == "v1"
    assert "no artifact rl_agent" in survey.passed_over["v2"]
    with pytest.raises(RegistryError, match=r"v2 cannot be rolled back to, nothing was changed: .*rl_agent"):
        registry.rollback("v2")
    with pytest.raises(RegistryError, match=r"v2 cannot be promoted, nothing was changed: .*rl_agent"):
        registry.promote_model("v2", {})
    assert registry.rollback() == "v1"


def test_links_right_sees_every_way_to_be_wrong(models: Path) -> None:
    registry = stock(models, "v1", "v2", links=LINKS)
    agent = models / "rl_agent.zip"
    agent.unlink()
    assert not registry.links_right()
    agent.symlink_to(agent_file(models, "v1").name)
    assert not registry.links_right()
    agent.unlink()
    agent.write_bytes(model_bytes("v2", "rl_agent"))
    assert not registry.links_right()
    agent.unlink()
    agent.symlink_to(agent_file(models, "v2"))
    assert not registry.links_right(), "an absolute link does not hold in a container"
    registry.sync_links()
    assert registry.links_right()
    agent_file(models, "v2").unlink()
    assert not registry.links_right()
    assert ModelRegistry(models).links_right(), "without links there is nothing to be wrong"


def test_sync_makes_the_links_follow_what_another_program_promoted(models: Path) -> None:
    registry = stock(models, "v1", "v2", links=LINKS)
    edit(registry, lambda data: data.update(current_version="v1"))
    assert not registry.links_right()
    registry.sync_links()
    assert registry.links_right()
    was = picture(models)
    registry.sync_links()
    assert picture(models) == was
    ModelRegistry(models).sync_links()
    assert picture(models) == was


def test_sync_without_a_version_to_follow_says_so(models: Path) -> None:
    registry = stock(models, "v1", links=LINKS, promote=False)
    assert not registry.links_right()
    with pytest.raises(RegistryError, match="no version is current for the links to point to; promote one"):
        registry.sync_links()
    edit(registry, lambda data: data.update(current_version="v9"))
    assert not registry.links_right()
    with pytest.raises(RegistryError, match="v9 is not registered"):
        registry.sync_links()


def test_a_copy_of_a_known_model_in_a_links_place_is_not_kept_twice(models: Path) -> None:
    registry = stock(models, "v1", "v2", links=LINKS)
    for version in ("v1", "v2"):
        (models / NAME).unlink()
        (models / NAME).write_bytes(model_bytes(version))
        registry.sync_links()
        assert registry.links_right()
    assert asides(models) == []


def test_a_file_whose_registered_original_is_damaged_is_kept(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be the last good copy."""
    registry = stock(models, "v1", "v2", "v3", links=LINKS)
    edit(registry, lambda data: data["models"].update(garbled=None))
    (models / NAME).unlink()
    (models / NAME).write_bytes(model_bytes("v2"))
    damage(main_file(models, "v2"))
    assert registry.rollback() == "v1"
    assert [path.read_bytes() for path in asides(models)] == [model_bytes("v2")]
    assert "it is kept as" in caplog.text


def test_a_model_registered_under_the_fixed_name_itself_is_never_replaced_by_a_loop(models: Path) -> None:
    registry = stock(models, "v1", links=ONE)
    (models / NAME).unlink()
    (models / NAME).write_bytes(b"fixed")
    ModelRegistry(models).register_model(models / NAME, "v2", {})
    registry.promote_model("v2", {})
    assert (models / NAME).read_bytes() == b"fixed"
    assert registry.links_right()
    assert registry.rollback() == "v1"
    assert (models / NAME).read_bytes() == model_bytes("v1")
    assert [path.read_bytes() for path in asides(models)] == [b"fixed"]
    registry.release("v2")
    assert not registry.verify_checksum("v2"), "its name now leads to another model"


def test_registering_the_fixed_name_is_refused(models: Path) -> None:
    registry = stock(models, "v1", links=ONE)
    with pytest.raises(RegistryError, match="this name follows the current version; copy the file"):
        registry.register_model(models / NAME, "v2", {})
