"""The rollback playbook's own script and one-liners, unchanged but for the import line, in processes of their own.

`data/` holds them as the playbook shows them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry import ModelRegistry
from tests.registry.shop import damage, main_file, model_bytes, sha, statuses, stock

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
IMPORT = ("from models.model_registry import ModelRegistry", "from registry import ModelRegistry")


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A bot's folder with v1.9.0, v2.0.0 and v2.1.0, and the playbook's script in scripts/."""
    stock(tmp_path / "bot" / "models_saved", "v1.9.0", "v2.0.0", "v2.1.0")
    text = (DATA / "playbook_rollback_model.txt").read_text()
    assert text.count(IMPORT[0]) == 1
    (tmp_path / "bot" / "scripts").mkdir()
    (tmp_path / "bot" / "scripts" / "rollback_model.py").write_text(text.replace(*IMPORT))
    return tmp_path / "bot"


def run(bot: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/rollback_model.py", *arguments],
        cwd=bot,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_script_shows_what_it_would_do(bot: Path) -> None:
    done = run(bot)
    assert done.returncode == 0, done.stderr
    assert "Current model: v2.1.0" in done.stderr
    assert "DRY RUN - Use --execute to perform rollback" in done.stderr
    assert "Would rollback to: v2.0.0" in done.stderr
    assert f"Checksum: {sha(model_bytes('v2.0.0'))[:16]}..." in done.stderr
    assert ModelRegistry(bot / "models_saved").read()["current_version"] == "v2.1.0"


def test_the_script_rolls_back_twice_and_then_says_no(bot: Path) -> None:
    registry = ModelRegistry(bot / "models_saved")
    for target in ("v2.0.0", "v1.9.0"):
        done = run(bot, "--execute", "--registry-path", "./models_saved")
        assert done.returncode == 0, done.stderr
        assert f"✅ Rollback successful to {target}" in done.stderr
        assert "✅ Checksum verified" in done.stderr
        assert registry.read()["current_version"] == target
    done = run(bot, "--execute")
    assert done.returncode == 1
    assert "❌ Rollback failed" in done.stderr
    assert statuses(registry) == {"v1.9.0": "production", "v2.0.0": "quarantined", "v2.1.0": "quarantined"}


def test_the_script_never_goes_back_to_a_damaged_version(bot: Path) -> None:
    damage(main_file(bot / "models_saved", "v2.0.0"))
    assert "Rollback successful to v1.9.0" in run(bot, "--execute").stderr


def test_the_script_says_that_an_empty_registry_has_no_model(bot: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run(bot, "--registry-path", str(tmp_path / "empty"))
    assert (done.returncode, "No current production model found" in done.stderr) == (1, True)


def test_the_one_liners_print_what_the_playbook_promises(bot: Path) -> None:
    text = (DATA / "playbook_one_liners.txt").read_text()
    assert text.count(IMPORT[0]) == 2
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    output = subprocess.check_output(
        ["sh", "-c", text.replace(*IMPORT)],
        cwd=bot,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PATH": path},
        text=True,
    )
    entry = ModelRegistry(bot / "models_saved").get_current_model()
    assert entry is not None
    assert output.splitlines() == [
        "Current Model: v2.1.0",
        f"Registered: {entry['registered_at']}",
        f"Checksum: {entry['checksum'][:8]}...",
        "Current Model: v2.1.0",
    ]
