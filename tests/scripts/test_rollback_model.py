import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry import ModelRegistry
from tests.registry.shop import add, damage, edit, main_file, model_bytes, picture, sha, statuses, stock
from watchdog.lock import Lock

SCRIPT = Path(__file__).parents[2] / "scripts" / "rollback_model.py"
CONFIG = """\
bot: {name: test, control: process, process: {command: [python, main.py]}, log: bot.log}
registry: {path: models_saved, links: {ensemble_model.pkl: main}}
trade_log: {path: trades.jsonl, initial_equity: 2000}
"""


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """A bot's folder with v1.9.0, v2.0.0 and v2.1.0 in models_saved."""
    stock(tmp_path / "bot" / "models_saved", "v1.9.0", "v2.0.0", "v2.1.0")
    return tmp_path / "bot"


def run(folder: Path, *arguments: str) -> tuple[int, list[str], str]:
    """Exit code, lines on standard output, text on standard error; without help from PYTHONPATH."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


def checksum(version: str) -> str:
    return sha(model_bytes(version))[:8]


def test_prints_the_lines_of_the_playbook(bot: Path) -> None:
    assert run(bot, "--execute") == (
        0,
        [
            "[INFO] Current version: v2.1.0",
            "[INFO] Rolling back to: v2.0.0",
            "[INFO] Verifying checksum...",
            f"[INFO] Checksum valid: {checksum('v2.0.0')}...",
            "[INFO] Rollback complete",
            "[INFO] Current production model: v2.0.0",
        ],
        "",
    )
    registry = ModelRegistry(bot / "models_saved")
    assert statuses(registry) == {"v1.9.0": "archived", "v2.0.0": "production", "v2.1.0": "quarantined"}
    assert registry.read()["history"][-1]["reason"] == "by hand: scripts/rollback_model.py"


def test_a_watchdog_that_would_start_the_bot_is_told_first_and_all_else_stays_as_it_was(bot: Path) -> None:
    lock = Lock(bot / "models_saved" / "registry.json.watchdog")
    lock.take()
    try:
        code, lines, errors = run(bot, "--execute")
    finally:
        lock.release()
    assert errors.startswith(f"[WARNING] model-watchdog (pid {os.getpid()}) guards this registry: ")
    assert "Use `model-watchdog rollback` instead, or `model-watchdog pause` first" in errors
    assert errors.count("\n") == 1
    assert (code, len(lines), lines[-1]) == (0, 6, "[INFO] Current production model: v2.0.0")
    assert "guards this registry" not in run(bot)[2]  # a lock that nobody holds any more


def test_without_execute_it_is_a_dry_run(bot: Path) -> None:
    was = picture(bot / "models_saved")
    assert run(bot) == (
        0,
        [
            "[INFO] Current version: v2.1.0",
            "[INFO] Would roll back to: v2.0.0",
            "[INFO] Verifying checksum...",
            f"[INFO] Checksum valid: {checksum('v2.0.0')}...",
            "[INFO] DRY RUN - nothing was changed; use --execute to perform the rollback",
        ],
        "",
    )
    assert picture(bot / "models_saved") == was


def test_works_from_any_folder_with_the_registrys_path(bot: Path) -> None:
    code, lines, _ = run(Path("/"), "--execute", "--registry-path", str(bot / "models_saved"))
    assert (code, lines[-1]) == (0, "[INFO] Current production model: v2.0.0")


def test_goes_to_the_version_that_is_named(bot: Path) -> None:
    code, lines, _ = run(bot, "--execute", "--to", "v1.9.0")
    assert (code, lines[-1]) == (0, "[INFO] Current production model: v1.9.0")


@pytest.mark.parametrize("execute", [[], ["--execute"]])
@pytest.mark.parametrize(
    ("version", "fault"),
    [
        ("v9", "not registered; take one that is"),
        ("v2.1.0", "is current already"),
        ("v2.2.0", "release it first"),
        ("v1.9.0", "restore what was registered from a backup"),
    ],
)
def test_a_named_version_that_is_not_good_is_refused_with_a_remedy(
    bot: Path, execute: list[str], version: str, fault: str
) -> None:
    registry = ModelRegistry(bot / "models_saved")
    add(registry, "v2.2.0")
    registry.promote_model("v2.2.0", {})
    registry.rollback()
    damage(main_file(registry.folder, "v1.9.0"))
    was = picture(registry.folder)
    code, _, errors = run(bot, *execute, "--to", version)
    assert code == 1
    assert errors.startswith("[ERROR] ")
    assert fault in errors
    assert picture(registry.folder) == was


@pytest.mark.parametrize("execute", [[], ["--execute"]])
def test_nothing_to_go_back_to_is_exit_code_1_with_a_remedy(tmp_path: Path, execute: list[str]) -> None:
    stock(tmp_path / "models_saved", "v1")
    code, lines, errors = run(tmp_path, *execute)
    assert (code, lines) == (1, ["[INFO] Current version: v1"])
    assert errors.startswith(
        "[ERROR] No previous version found to go back to, nothing was changed; deploy a "
    )
    assert f"deploy a known-good model: {sys.executable} -P -c " in errors


def test_versions_that_are_passed_over_are_told(bot: Path) -> None:
    damage(main_file(bot / "models_saved", "v2.0.0"))
    code, lines, errors = run(bot, "--execute")
    assert (code, lines[1]) == (0, "[INFO] Rolling back to: v1.9.0")
    assert errors.startswith("[WARNING] v2.0.0 is passed over: main: ")


def test_no_registry_and_no_current_version_say_what_to_do(bot: Path, tmp_path: Path) -> None:
    code, lines, errors = run(tmp_path, "--execute")
    assert (code, lines) == (1, [])
    assert "models_saved/registry.json: cannot be read: No such file or directory; check the path" in errors
    edit(ModelRegistry(bot / "models_saved"), lambda data: data.update(current_version=None))
    code, lines, errors = run(bot)
    assert (code, lines) == (1, [])
    assert errors.startswith("[ERROR] No current production model found in ")


def test_wrong_usage_is_exit_code_2(bot: Path) -> None:
    code, lines, errors = run(bot, "--exceute")
    assert (code, lines) == (2, [])
    assert "unrecognized arguments: --exceute" in errors


def test_the_links_of_a_configuration_are_switched_too(bot: Path, tmp_path: Path) -> None:
    (bot / "watchdog.yaml").write_text(CONFIG)
    code, _, errors = run(tmp_path, "--execute", "--config", str(bot / "watchdog.yaml"))
    assert (code, errors) == (0, "")
    assert (bot / "models_saved" / "ensemble_model.pkl").read_bytes() == model_bytes("v2.0.0")


def test_a_configuration_that_is_there_but_not_given_is_mentioned(bot: Path) -> None:
    """Without it a bot that loads a fixed file name would go on with the bad model."""
    (bot / "watchdog.yaml").write_text(CONFIG)
    code, _, errors = run(bot)
    assert code == 0
    assert errors.startswith(
        "[WARNING] watchdog.yaml is not looked at: with registry.links in it, add --config"
    )


def test_a_faulty_configuration_is_exit_code_2(bot: Path) -> None:
    (bot / "watchdog.yaml").write_text(CONFIG + "typo: 1\n")
    code, lines, errors = run(bot, "--config", "watchdog.yaml")
    assert (code, lines) == (2, [])
    assert "watchdog.yaml:4:1: typo" in errors
