"""What the commands say where versions have to be signed, and that what they say helps."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import HashMemory, ModelRegistry
from scripts import rollback_model
from tests.registry.keys import key, key_file
from tests.watchdog.test_cli_check import bad, grade, line
from tests.watchdog.yard import VERSIONS, Yard
from watchdog.bots.proc import boot_id

PEM, PUBLIC = key()


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path / "bot", registry={"path": "models_saved", "signing_key": PUBLIC})


def sign(yard: Yard, *versions: str) -> None:
    for version in versions or VERSIONS:
        ModelRegistry(yard.registry.folder, signing_key=PEM).sign(version)


def edit(yard: Yard, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(yard.registry.path.read_text(encoding="utf-8"))
    change(data["models"])
    yard.registry.path.write_text(json.dumps(data), encoding="utf-8")


def test_signed_versions_are_good(yard: Yard) -> None:
    sign(yard)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (0, [])
    assert "1 file verified, signed" in line(said, "version v2.0.0")


def test_unsigned_ones_are_bad_where_it_matters_and_the_command_that_is_printed_mends_it(
    yard: Yard, tmp_path: Path
) -> None:
    said = yard.cli("check")
    assert said.code == 1
    assert bad(said) == ["version v2.0.0", "version v2.1.0 (current)", "rollback target"]
    assert grade(said, "version v1.9.0") == "note"
    where = key_file(tmp_path)
    for command in re.findall(r"\S+ -P -m registry sign .*? KEY_FILE", " ".join(said.out.split())):
        words = shlex.split(command.replace("KEY_FILE", str(where)))
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    said = yard.cli("check")
    assert (said.code, bad(said)) == (0, [])


def test_an_entry_that_was_tampered_with_is_bad_and_nobody_is_told_to_sign_it(yard: Yard) -> None:
    sign(yard)
    edit(yard, lambda models: models["v2.1.0"].update(model_type="pickle"))
    said = yard.cli("check")
    assert bad(said) == ["version v2.1.0 (current)"]
    told = " ".join(line(said, "version v2.1.0 (current)").split())
    assert "the signature of v2.1.0 does not fit its entry" in told
    assert "restore the entry from a backup, or promote another version" in told
    assert "registry sign" not in told


def test_without_a_watchdog_status_and_a_dry_run_see_it_too(yard: Yard) -> None:
    assert yard.cli("status", "--json").json["rollback_target"] is None
    said = yard.cli("rollback", "--dry-run")
    assert said.code == 1
    assert "v2.0.0 is passed over: main: v2.0.0 bears no signature by the key" in " ".join(said.out.split())
    sign(yard)
    assert yard.cli("status", "--json").json["rollback_target"] == "v2.0.0"
    assert yard.cli("rollback", "--dry-run").code == 0


def test_status_takes_the_hashes_that_a_watchdog_left(tmp_path: Path) -> None:
    """It need not read a model of gigabytes to say where a rollback would go. The file is an old one of this project,
    and the hash that is remembered of it a wrong one: so it shows where the answer comes from."""
    yard, old = Yard(tmp_path / "bot"), Path(__file__).parents[2] / "LICENSE"
    yard.model("v2.0.0").unlink()
    yard.model("v2.0.0").symlink_to(old)
    edit(yard, lambda models: models["v2.0.0"].update(checksum="ab" * 32))
    assert yard.cli("status", "--json").json["rollback_target"] == "v1.9.0"
    memory = HashMemory()
    memory.sha256(yard.model("v2.0.0"))
    with yard.journal() as journal:
        rows = [[*row[:6], "ab" * 32, *row[7:]] for row in memory.dump()]
        journal.put("hashes", {"boot": boot_id(), "files": rows})
    assert yard.cli("status", "--json").json["rollback_target"] == "v2.0.0"


def test_the_playbook_s_script_asks_for_signatures_with_the_configuration_alone(
    yard: Yard, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(yard.registry.folder)
    assert rollback_model.main(["--config", str(yard.path)]) == 1
    assert rollback_model.main(["--registry-path", path]) == 0
    sign(yard)
    assert rollback_model.main(["--config", str(yard.path)]) == 0
    assert "Would roll back to: v2.0.0" in capsys.readouterr().out
