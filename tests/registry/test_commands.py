"""`python -P -m registry`, as it is typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry import ModelRegistry
from registry.__main__ import app
from tests.registry.keys import key, key_file
from tests.registry.shop import damage, edit, main_file, picture, stock

PUBLIC = key()[1]


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_SIGNING_KEY_FILE", raising=False)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_key_is_made_and_what_is_printed_is_all_that_is_needed(models: Path, tmp_path: Path) -> None:
    made = typed("keygen", "--out", tmp_path / "keys")
    assert made.exit_code == 0
    private, public = tmp_path / "keys" / "model-signing.pem", tmp_path / "keys" / "model-signing.pub"
    assert private.stat().st_mode & 0o777 == 0o600
    assert private.parent.stat().st_mode & 0o777 == 0o700
    text = public.read_text().strip()
    assert f"signing_key: {text}" in made.output
    assert f"export MODEL_SIGNING_KEY_FILE={private}" in made.output
    assert "PRIVATE KEY" not in made.output
    stock(models, "v1")
    ModelRegistry(models, signing_key=private).sign("v1")
    assert ModelRegistry(models, public_key=text).verify_checksum("v1")


@pytest.mark.parametrize("name", ["model-signing.pem", "model-signing.pub"])
def test_a_key_that_is_there_stays_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    made = typed("keygen", "--out", tmp_path)
    assert made.exit_code == 1
    assert f"{tmp_path / name} is there already and stays as it is; choose another --out" in flat(made.output)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    made = typed("keygen", "--out", tmp_path / "file")
    assert made.exit_code == 1
    assert "cannot be written: " in flat(made.output)


def test_versions_are_signed_by_name(models: Path, tmp_path: Path) -> None:
    stock(models, "v1", "v2")
    made = typed("sign", "v1", "--registry-path", models, "--key", key_file(tmp_path))
    assert made.exit_code == 0
    assert made.output == f"signed v1; its public key is {PUBLIC}\n"
    strict = ModelRegistry(models, public_key=PUBLIC)
    assert (strict.verify_checksum("v1"), strict.verify_checksum("v2")) == (True, False)


def test_all_are_signed_but_those_whose_files_do_not_verify(models: Path, tmp_path: Path) -> None:
    stock(models, "v1", "v2", "v3")
    damage(main_file(models, "v2"))
    edit(ModelRegistry(models), lambda data: data["models"].update(v4="garbled"))
    made = typed("sign", "--all", "--registry-path", models, "--key", key_file(tmp_path))
    assert made.exit_code == 1
    assert "signed v1" in made.output
    assert "signed v3" in made.output
    assert "v2 cannot be signed, nothing was changed: main: " in flat(made.output)
    assert "v4: the entry is not an object" in flat(made.output)
    assert "signatures" not in ModelRegistry(models).read()["models"]["v2"]


def test_the_key_may_be_named_by_the_environment(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock(models, "v1")
    monkeypatch.setenv("MODEL_SIGNING_KEY_FILE", str(key_file(tmp_path)))
    assert typed("sign", "v1", "--registry-path", models).exit_code == 0


def test_without_a_key_or_with_a_wrong_one_nothing_is_signed_and_it_is_said_once(
    models: Path, tmp_path: Path
) -> None:
    stock(models, "v1", "v2")
    was = picture(models)
    made = typed("sign", "--all", "--registry-path", models)
    assert (made.exit_code, flat(made.output)) == (
        1,
        "there is no key to sign with; give --key FILE, or set MODEL_SIGNING_KEY_FILE",
    )
    path = key_file(tmp_path)
    path.chmod(0o644)
    made = typed("sign", "--all", "--registry-path", models, "--key", path)
    assert made.exit_code == 1
    assert made.output.count("chmod 600") == 1
    assert picture(models) == was


@pytest.mark.parametrize("arguments", [(), ("v1", "--all")])
def test_either_some_versions_are_named_or_all(models: Path, arguments: tuple[str, ...]) -> None:
    made = typed("sign", *arguments, "--registry-path", models)
    assert made.exit_code == 2
    assert "name the versions to sign, or give --all" in flat(made.output)


def test_a_quarantine_is_lifted(models: Path) -> None:
    registry = stock(models, "v1", "v2")
    registry.rollback()
    assert registry.is_quarantined("v2")
    made = typed("release", "v2", "--registry-path", models)
    may = "it may be rolled back to again, by the watchdog itself"
    assert (made.exit_code, made.output) == (0, f"v2 is released: {may}; it is now the target\n")
    assert not registry.is_quarantined("v2")
    again = typed("release", "v2", "--registry-path", models)
    assert (again.exit_code, again.output) == (0, "v2 was not in quarantine; nothing was changed\n")


def test_a_released_version_that_is_not_the_next_to_be_gone_back_to_is_told_as_such(models: Path) -> None:
    registry = stock(models, "v1", "v2", "v3")
    registry.rollback()
    registry.rollback("v1")
    registry.release("v2")
    assert "it is now not the target (v2 is)" in typed("release", "v3", "--registry-path", models).output
    registry.rollback("v3")
    registry.promote_model("v1")
    registry.rollback("v2")
    edit(registry, lambda data: data.update(current_version="v1"))
    assert (
        "v1 is released: it is the current version"
        in typed("release", "v1", "--registry-path", models).output
    )


def test_what_cannot_be_released_is_told(models: Path) -> None:
    stock(models, "v1")
    made = typed("release", "v9", "--registry-path", models)
    assert made.exit_code == 1
    assert "v9 is not registered; take one that is (v1)" in flat(made.output)
    assert typed("release", "v1", "--registry-path", models / "none").exit_code == 1


def test_as_it_is_typed_in_a_shell(models: Path, tmp_path: Path) -> None:
    """Another process, elsewhere; errors go to standard error, and no traceback is shown."""
    registry = stock(models, "v1", "v2")
    registry.rollback()

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "registry", *map(str, arguments)]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)

    made = run("keygen", "--out", tmp_path / "k")
    assert (made.returncode, made.stderr) == (0, "")
    public = re.search(r"signing_key: (\S+)", made.stdout)
    assert public
    made = run("sign", "--all", "--registry-path", models, "--key", tmp_path / "k" / "model-signing.pem")
    assert (made.returncode, made.stderr) == (0, "")
    assert ModelRegistry(models, public_key=public[1]).verify_checksum("v1")
    made = run("release", "v9", "--registry-path", models)
    assert (made.returncode, made.stdout) == (1, "")
    assert "v9 is not registered" in made.stderr
    assert "Traceback" not in made.stderr
    made = run("release", "v2", "--registry-path", models)
    assert (made.returncode, made.stdout[:14]) == (0, "v2 is released")
