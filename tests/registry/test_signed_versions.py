"""A registry whose versions have to be signed: what passes, what does not, and what is said of it."""

import copy
import json
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import HashMemory, ModelRegistry, RegistryError
from registry.signing import PublicKey
from tests.registry.keys import key, key_file
from tests.registry.shop import (
    add,
    agent_file,
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

PEM, PUBLIC = key()


def vouched(folder: Path, *versions: str, signing_key: bytes | None = PEM) -> ModelRegistry:
    """A registry that asks for signatures; its versions are signed, and promoted one after the other."""
    registry = ModelRegistry(folder, now=clock(), signing_key=signing_key, public_key=PUBLIC)
    for version in versions:
        add(registry, version)
        registry.promote_model(version, {})
    return registry


def strict(folder: Path) -> ModelRegistry:
    """The same folder, as a watchdog sees it, who has the public key alone."""
    return ModelRegistry(folder, public_key=PUBLIC)


# --- signing


def test_a_version_is_signed_when_it_is_registered(models: Path) -> None:
    registry = vouched(models, "v1")
    entry = registry.read()["models"]["v1"]
    assert list(entry["signatures"]) == [PublicKey(PUBLIC).id]
    assert strict(models).verify_checksum("v1")
    assert [state.state for state in strict(models).check("v1")] == ["ok", "ok"]


def test_without_keys_nothing_is_signed_and_nothing_is_asked_for(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODEL_SIGNING_KEY_FILE", raising=False)
    registry = stock(models, "v1", "v2")
    assert "signatures" not in registry.read()["models"]["v1"]
    assert registry.rollback() == "v1"


def test_a_script_names_its_key_in_the_environment(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The playbook's own calls, unchanged."""
    monkeypatch.setenv("MODEL_SIGNING_KEY_FILE", str(key_file(tmp_path)))
    stock(models, "v1")
    assert strict(models).verify_checksum("v1")
    monkeypatch.setenv("MODEL_SIGNING_KEY_FILE", "")
    add(ModelRegistry(models), "v2")
    assert not strict(models).verify_checksum("v2")


def test_a_key_that_is_given_goes_before_that_of_the_environment(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_SIGNING_KEY_FILE", str(key_file(tmp_path, "theirs")))
    vouched(models, "v1")
    assert strict(models).verify_checksum("v1")


def test_a_wrong_key_registers_nothing(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = key_file(tmp_path)
    path.chmod(0o644)
    main_file(models, "v1").write_bytes(b"model")
    monkeypatch.setenv("MODEL_SIGNING_KEY_FILE", str(path))
    with pytest.raises(RegistryError, match="chmod 600"):
        ModelRegistry(models).register_model(main_file(models, "v1"), "v1", {})
    with pytest.raises(RegistryError, match="holds no Ed25519 private key"):
        ModelRegistry(models, signing_key=b"").register_model(main_file(models, "v1"), "v1", {})
    assert not (models / "registry.json").exists()


def test_a_public_key_that_is_none_is_an_error_at_once(models: Path) -> None:
    with pytest.raises(RegistryError, match="this is no public key"):
        ModelRegistry(models, public_key="/etc/keys/model.pem")


def test_what_cannot_be_signed_is_not_registered(models: Path) -> None:
    main_file(models, "v1").write_bytes(b"model")
    registry = ModelRegistry(models, signing_key=PEM)
    with pytest.raises(
        RegistryError, match='v1 cannot be signed, nothing was changed: "model_type" is no text'
    ):
        registry.register_model(main_file(models, "v1"), "v1", {}, model_type=7)  # type: ignore[arg-type]
    assert not (models / "registry.json").exists()


def test_a_version_that_is_registered_already_is_signed_later(models: Path) -> None:
    plain = stock(models, "v1", "v2")
    before = plain.read()
    assert ModelRegistry(models, signing_key=PEM).sign("v1") == PUBLIC
    after = plain.read()
    signatures = after["models"]["v1"].pop("signatures")
    assert list(signatures) == [PublicKey(PUBLIC).id]
    assert after == before, "nothing else is changed"
    assert strict(models).why_not("v1") is None


def test_a_further_key_is_added_beside_the_first(models: Path) -> None:
    """So the key can be changed without a moment in which nothing passes."""
    vouched(models, "v1")
    other_pem, other = key("theirs")
    ModelRegistry(models, signing_key=other_pem).sign("v1")
    assert strict(models).verify_checksum("v1")
    assert ModelRegistry(models, public_key=other).verify_checksum("v1")


def test_files_that_do_not_verify_are_not_signed(models: Path) -> None:
    stock(models, "v1")
    damage(agent_file(models, "v1"))
    was = picture(models)
    with pytest.raises(
        RegistryError, match=r"v1 cannot be signed, nothing was changed: rl_agent: .* has SHA-256"
    ):
        ModelRegistry(models, signing_key=PEM).sign("v1")
    with pytest.raises(RegistryError, match="v9 is not registered"):
        ModelRegistry(models, signing_key=PEM).sign("v9")
    assert picture(models) == was


def test_signing_needs_a_key(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_SIGNING_KEY_FILE", raising=False)
    stock(models, "v1")
    with pytest.raises(
        RegistryError, match="no key to sign v1 with; give signing_key, or set MODEL_SIGNING_KEY_FILE"
    ):
        ModelRegistry(models).sign("v1")


# --- what does not pass


def strip(entry: dict[str, Any]) -> None:
    del entry["signatures"]


def forge(folder: Path) -> Callable[[dict[str, Any]], None]:
    """By hand, with a checksum that matches the new file."""

    def change(entry: dict[str, Any]) -> None:
        evil = folder / "evil.pkl"
        evil.write_bytes(b"evil")
        entry.update(path=str(evil), checksum=sha(b"evil"))

    return change


SAID = {
    "unsigned": "v1 bears no signature by the key",
    "forged": "the signature of v1 does not fit its entry",
}


@pytest.mark.parametrize("how", ["unsigned", "forged"])
def test_a_registry_that_was_edited_by_hand_does_not_pass(
    models: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    vouched(models, "v0", "v1", "v2")
    change = strip if how == "unsigned" else forge(models)
    edit(strict(models), lambda data: change(data["models"]["v1"]))
    assert ModelRegistry(models).verify_checksum("v1"), "its checksum matches"
    registry = strict(models)
    assert [state.state for state in registry.check("v1")] == [how, "ok"]
    assert not registry.verify_checksum("v1")
    assert SAID[how] in caplog.text
    assert SAID[how] in registry.survey().passed_over["v1"]
    assert registry.target() == "v0"
    assert SAID[how] in str(registry.why_not("v1"))
    was = picture(models)
    with pytest.raises(RegistryError, match=SAID[how]):
        registry.rollback("v1")
    with pytest.raises(RegistryError, match=SAID[how]):
        registry.promote_model("v1", {})
    assert picture(models) == was
    assert registry.rollback() == "v0"
    assert statuses(registry)["v0"] == "production"


def test_without_a_signed_version_there_is_nothing_to_go_back_to(models: Path) -> None:
    stock(models, "v1", "v2")
    was = picture(models)
    assert strict(models).rollback() is None
    assert picture(models) == was


def test_who_is_unsigned_is_told_how_to_sign_and_who_is_forged_is_not(models: Path) -> None:
    vouched(models, "v0", "v1", "v2")
    edit(strict(models), lambda data: strip(data["models"]["v1"]))
    edit(strict(models), lambda data: forge(models)(data["models"]["v0"]))
    how = f"sign it: {sys.executable} -P -m registry sign v1 --registry-path {models} --key KEY_FILE"
    assert how in str(strict(models).why_not("v1"))
    assert "sign it" not in str(strict(models).why_not("v0"))
    assert "restore what was registered from a backup" in str(strict(models).why_not("v0"))


def test_a_damaged_file_is_told_before_a_missing_signature_but_not_before_a_forged_one(models: Path) -> None:
    vouched(models, "v1")
    damage(main_file(models, "v1"))
    assert [state.state for state in strict(models).check("v1")] == ["mismatch", "ok"]
    edit(strict(models), lambda data: strip(data["models"]["v1"]))
    assert [state.state for state in strict(models).check("v1")] == ["mismatch", "ok"]
    damage(agent_file(models, "v1"))
    main_file(models, "v1").write_bytes(model_bytes("v1"))
    assert [state.state for state in strict(models).check("v1")] == ["unsigned", "mismatch"]
    with pytest.raises(RegistryError, match="restore what was registered from a backup"):
        strict(models).promote_model("v1", {})


def test_a_pipe_in_the_place_of_the_file_does_not_hide_a_forgery(models: Path) -> None:
    vouched(models, "v1")
    os.mkfifo(models / "pipe")
    edit(strict(models), lambda data: data["models"]["v1"].update(path="pipe"))
    assert strict(models).check("v1")[0].state == "forged"


def test_a_version_under_another_name_does_not_pass(models: Path) -> None:
    """A good old version, passed off as the newest."""
    vouched(models, "v1", "v2")
    edit(strict(models), lambda data: data["models"].update(v3=copy.deepcopy(data["models"]["v1"])))
    assert "does not fit its entry" in str(strict(models).why_not("v3"))


def test_a_signature_that_is_taken_away_between_the_check_and_the_reading_back_is_told(models: Path) -> None:
    vouched(models, "v1", "v2")

    class Stripped(ModelRegistry):
        def _read_back(self, version: str) -> dict[str, Any]:
            edit(self, lambda data: strip(data["models"][version]))
            return super()._read_back(version)

    with pytest.raises(
        RegistryError, match=r"switched to v1, but reading it back failed: main: v1 bears no signature"
    ):
        Stripped(models, public_key=PUBLIC).rollback()


def test_our_own_writes_keep_every_signature_and_every_signature_keeps_fitting(models: Path) -> None:
    registry = vouched(models, "v1", "v2", "v3")
    edit(registry, lambda data: data["models"]["v1"].update(theirs=1))
    registry.rollback()
    registry.release("v3")
    registry.promote_model("v3", {})
    registry.rollback("v1")
    assert all(registry.verify_checksum(version) for version in ("v1", "v2", "v3"))


def test_what_is_not_signed_is_what_the_docstring_says(models: Path) -> None:
    """Who can write the registry and has no key can still choose among the signed versions."""
    registry = vouched(models, "v1", "v2", "v3")
    registry.rollback()

    def choose(data: dict[str, Any]) -> None:
        data["current_version"], data["history"] = "v3", data["history"][:-1]
        data["models"]["v3"]["status"] = "production"

    edit(registry, choose)
    assert registry.verify_checksum("v3")
    assert not registry.is_quarantined("v3")


# --- known hashes


def test_a_registry_with_a_memory_hashes_a_file_once_and_still_sees_every_change(models: Path) -> None:
    stock(models, "v1", "v2", "v3")
    ahead = max(path.stat().st_ctime for path in models.iterdir()) + 7200
    memory = HashMemory(wall=lambda: ahead)
    registry = ModelRegistry(models, hashes=memory)
    assert registry.target() == "v2"
    assert registry.why_not("v2") is None
    assert registry.rollback() == "v2"
    assert memory.hashed_files == 2
    damage(main_file(models, "v1"))
    assert registry.target() is None


def test_a_look_cuts_every_call_short_and_nothing_is_changed(models: Path) -> None:
    stock(models, "v1", "v2")
    was = picture(models)

    class Enough(Exception):
        pass

    def look() -> None:
        raise Enough

    registry = ModelRegistry(models, look=look)
    calls: list[Callable[[], object]] = [
        registry.target,
        registry.rollback,
        lambda: registry.check("v1"),
        lambda: registry.rollback("v1"),
        lambda: registry.promote_model("v1"),
        lambda: registry.looking(look, HashMemory()).check("v1"),
    ]
    for call in calls:
        with pytest.raises(Enough):
            call()
    assert picture(models) == was
    assert registry.looking(lambda: None).target() == "v1", "another caller has another look"


def test_a_file_that_is_being_written_does_not_pass(models: Path) -> None:
    stock(models, "v1", "v2")
    before = main_file(models, "v1").stat()

    def write() -> None:
        while main_file(models, "v1").stat().st_ctime_ns == before.st_ctime_ns:
            main_file(models, "v1").write_bytes(model_bytes("v1"))

    registry = ModelRegistry(models, look=write, hashes=HashMemory())
    state = registry.check("v1")[0]
    assert (state.state, state.ok, state.actual) == ("changing", False, None)
    assert state.detail == f"main: {main_file(models, 'v1')} is being written"


def test_the_signatures_are_logged_nowhere(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        registry = vouched(models, "v1", "v2")
        registry.rollback()
    assert "PRIVATE" not in caplog.text
    assert json.loads(registry.path.read_text())["models"]["v1"]["signatures"]
