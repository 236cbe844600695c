import json
import os
import subprocess
import sys
from pathlib import Path

from demo.bot.make import make_bot
from registry import ModelRegistry
from tests.registry.shop import damage, edit, picture, stock

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(folder: Path, script: str, *arguments: str) -> tuple[int, str]:
    """Exit code and all that was said; without help from PYTHONPATH."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        cwd=folder,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def practise(folder: Path, *arguments: str) -> tuple[int, str]:
    return run(folder, "test_rollback.py", *arguments)


def test_two_rollbacks_can_be_practised_and_nothing_is_left_behind(tmp_path: Path) -> None:
    assert practise(tmp_path, "--setup") == (
        0,
        "[INFO] Test registry made in models_saved: v1.9.0, v2.0.0, v2.1.0; current version: v2.1.0\n",
    )
    for target in ("v2.0.0", "v1.9.0"):
        code, output = run(tmp_path, "rollback_model.py", "--execute")
        assert code == 0
        assert f"Current production model: {target}" in output
    assert practise(tmp_path, "--cleanup") == (0, "[INFO] Test registry removed from models_saved\n")
    assert list(tmp_path.iterdir()) == []


def test_the_demos_bot_can_load_the_test_models(tmp_path: Path) -> None:
    """The playbook's third step: `python main.py --dry-run` in the bot's folder."""
    bot = make_bot(tmp_path / "bot")
    bot.models.rename(tmp_path / "put away")
    assert practise(bot.folder, "--setup")[0] == 0
    done = subprocess.run(
        [*bot.command, "--dry-run"], cwd=bot.folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, "dry run ok: v2.1.0" in done.stdout) == (0, True)
    assert "dummy" not in done.stderr


def test_a_registry_that_is_there_is_never_touched(tmp_path: Path) -> None:
    models = tmp_path / "models_saved"
    stock(models, "v1")
    was = picture(models)
    code, output = practise(tmp_path, "--setup")
    assert code == 1
    assert "registry.json is there already and stays as it is; choose another --registry-path" in output
    code, output = practise(tmp_path, "--cleanup")
    assert code == 1
    assert "holds nothing that --setup made, nothing was removed" in output
    assert picture(models) == was
    assert practise(tmp_path, "--setup", "--registry-path", "elsewhere")[0] == 0
    assert practise(tmp_path, "--setup", "--registry-path", "elsewhere")[0] == 1


def test_a_file_with_the_name_of_a_test_model_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "models_saved").mkdir()
    mine = tmp_path / "models_saved" / "rollback_test_ensemble_v2.0.0.bin"
    for put in (lambda: mine.write_bytes(b"mine"), lambda: mine.symlink_to("gone")):
        put()
        was = mine.lstat()
        code, output = practise(tmp_path, "--setup")
        assert (code, "is there already" in output) == (1, True)
        assert list((tmp_path / "models_saved").iterdir()) == [mine]
        assert mine.lstat() == was
        mine.unlink()


def test_other_files_in_the_folder_stay(tmp_path: Path) -> None:
    models = tmp_path / "models_saved"
    models.mkdir()
    (models / "mine.pkl").write_bytes(b"mine")
    assert practise(tmp_path, "--setup")[0] == 0
    code, output = practise(tmp_path, "--cleanup")
    assert (code, f"Left as it is: {Path('models_saved', 'mine.pkl')}" in output) == (0, True)
    assert [path.name for path in models.iterdir()] == ["mine.pkl"]


def test_an_empty_folder_that_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / "models_saved").mkdir()
    practise(tmp_path, "--setup")
    practise(tmp_path, "--cleanup")
    assert list((tmp_path / "models_saved").iterdir()) == []


def test_a_model_that_was_changed_since_is_left_and_named(tmp_path: Path) -> None:
    models = tmp_path / "models_saved"
    practise(tmp_path, "--setup")
    damage(models / "rollback_test_ensemble_v2.0.0.bin")
    (models / "rollback_test_ensemble_v1.9.0.bin").unlink()
    code, output = practise(tmp_path, "--cleanup")
    assert code == 0
    assert output.splitlines()[1:] == [
        "[INFO] Left as it is: models_saved/rollback_test_ensemble_v2.0.0.bin (changed since)"
    ]
    assert [path.name for path in models.iterdir()] == ["rollback_test_ensemble_v2.0.0.bin"]


def test_a_registry_that_holds_somebodys_own_version_by_now_is_left(tmp_path: Path) -> None:
    models = tmp_path / "models_saved"
    practise(tmp_path, "--setup")
    (models / "mine.pkl").write_bytes(b"mine")
    registry = ModelRegistry(models)
    registry.register_model(models / "mine.pkl", "v3.0.0", {})
    code, output = practise(tmp_path, "--cleanup")
    assert (code, "registry.json (holds v3.0.0 too)" in output) == (0, True)
    assert "v3.0.0" in registry.read()["models"]


def test_a_real_registry_with_the_same_names_is_told_apart_by_its_checksums(tmp_path: Path) -> None:
    models = tmp_path / "models_saved"
    practise(tmp_path, "--setup")
    edit(ModelRegistry(models), lambda data: data["models"]["v2.0.0"].update(checksum="0" * 64))
    assert practise(tmp_path, "--cleanup")[0] == 0
    assert (models / "registry.json").exists()


def test_a_setup_that_was_cut_short_can_be_cleaned_up(tmp_path: Path) -> None:
    models = tmp_path / "models_saved"
    practise(tmp_path, "--setup")
    for name in ("registry.json", "registry.json.lock", "rollback_test_rl_agent_v2.1.0.bin"):
        (models / name).unlink()
    assert practise(tmp_path, "--cleanup")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_one_of_the_two_must_be_asked_for(tmp_path: Path) -> None:
    code, output = practise(tmp_path)
    assert (code, "one of the arguments --setup --cleanup is required" in output) == (2, True)
    assert practise(tmp_path, "--setup", "--cleanup")[0] == 2


def test_a_registry_that_cannot_be_read_is_left_with_a_remedy(tmp_path: Path) -> None:
    practise(tmp_path, "--setup")
    (tmp_path / "models_saved" / "registry.json").write_text("{")
    code, output = practise(tmp_path, "--cleanup")
    assert (code, "restore it from a backup" in output) == (1, True)
    marker = json.loads((tmp_path / "models_saved" / ".rollback-test.json").read_text())
    assert len(marker["files"]) == 6
