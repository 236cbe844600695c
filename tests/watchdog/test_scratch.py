"""Scratch copies to rehearse in: what is copied, linked and left out, and that the live bot is untouched."""

import asyncio
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from demo.bot.make import DemoBot, make_bot
from registry import ModelRegistry
from tests.watchdog.house import settings_in
from watchdog.dry_run import Ran, execute, filled
from watchdog.scratch import Scratch, clear, make, obstacle, place, working_directory
from watchdog.scratch_copy import COPIED_BYTES, CutShort, ScratchError

COMMAND = [sys.executable, "main.py", "--dry-run"]


def configured(top: Path, demo: DemoBot, **changes: Any) -> Settings:
    body: dict[str, Any] = {
        "bot": {
            "process": {"command": demo.command, "directory": str(demo.folder)},
            "log": str(demo.log),
            "dry_run": COMMAND,
            **changes.pop("bot", {}),
        },
        "registry": {"path": str(demo.models), "links": demo.links},
        "trade_log": {"path": str(demo.trade_log), "initial_equity": 2000},
        **changes,
    }
    return settings_in(top, body)


def made(settings: Settings, target: str = "v2.0.0") -> Scratch:
    registry = ModelRegistry(settings.registry.path, settings.registry.links)
    return make(settings, registry, target, threading.Event())


def run(settings: Settings, scratch: Scratch, target: str = "v2.0.0") -> Ran:
    command = filled(settings.bot.dry_run or [], scratch.registry, target)
    mark = str(settings.state_dir)
    return asyncio.run(execute(command, scratch.directory, mark, 30.0, asyncio.sleep, gently=True))


def picture(folder: Path) -> dict[str, tuple[int, ...]]:
    """All that a change to a file, or a new link to it, would alter."""
    found: dict[str, tuple[int, ...]] = {}
    for path in folder.rglob("*"):
        stat = path.lstat()
        found[str(path)] = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_nlink, stat.st_ino)
    return found


@pytest.fixture
def bot(tmp_path: Path) -> DemoBot:
    bot = make_bot(tmp_path / "bot", trades="high_sharpe", history_hours=2)
    bot.log.write_text("2026-03-01 10:00:00,000 - bot - INFO - Prediction: 1\n")
    return bot


@pytest.mark.parametrize("fixed_names", [False, True])
def test_a_bot_in_it_loads_the_target_while_the_live_one_is_untouched(
    tmp_path: Path, fixed_names: bool
) -> None:
    bot = make_bot(tmp_path / "bot", fixed_names=fixed_names)
    settings = configured(tmp_path, bot)
    before = picture(bot.folder)
    ran = run(settings, made(settings))
    assert ran.code == 0, ran.lines
    assert ran.lines[-1] == "dry run ok: v2.0.0"
    assert picture(bot.folder) == before
    assert bot.registry.read()["current_version"] == "v2.1.0"
    clear(settings)
    assert not place(settings).exists()
    assert picture(bot.folder) == before


def test_its_registry_says_what_a_rollback_would_make_it_say(tmp_path: Path, bot: DemoBot) -> None:
    scratch = made(configured(tmp_path, bot))
    registry = ModelRegistry(scratch.registry, bot.links)
    assert registry.read()["current_version"] == "v2.0.0"
    assert registry.is_quarantined("v2.1.0")
    assert registry.verify_checksum("v2.0.0")
    assert scratch.registry == scratch.directory / "models_saved"
    main = scratch.registry / bot.model_file("v2.0.0").name
    assert not main.is_symlink()  # a container cannot follow a link
    assert (scratch.registry / bot.model_file("v1.9.0").name).is_symlink()


def test_logs_state_and_control_are_not_in_it(tmp_path: Path, bot: DemoBot) -> None:
    bot.log.with_name("trading_bot.log.1").write_text("rotated")
    (bot.folder / "logs" / "other.txt").write_text("kept")
    (bot.folder / "logs" / "trading_bot.logic").write_text("kept")
    settings = configured(
        tmp_path, bot, state_dir=str(bot.folder / "state"), control_dir=str(bot.folder / "control")
    )
    settings.control_dir.mkdir()
    scratch = made(settings)
    kept = {path.name for path in (scratch.directory / "logs").iterdir()}
    assert kept == {"other.txt", "trading_bot.logic"}
    assert not (scratch.directory / "state").exists()
    assert not (scratch.directory / "control").exists()
    assert scratch.log == scratch.directory / "logs" / "trading_bot.log"
    scratch.log.write_text("a dry run that logs")
    assert "Prediction" in bot.log.read_text()


def test_a_log_folder_that_is_a_link_leads_nowhere_near_the_live_log(tmp_path: Path, bot: DemoBot) -> None:
    (bot.folder / "logs").rename(bot.folder / "real_logs")
    (bot.folder / "logs").symlink_to("real_logs")
    scratch = made(configured(tmp_path, bot))
    assert scratch.log is not None
    assert not scratch.log.exists()
    assert not (scratch.directory / "logs" / "trading_bot.log").exists()
    assert not (scratch.directory / "logs").resolve().is_relative_to(bot.folder)


def test_code_is_copied_and_large_files_and_environments_are_linked(tmp_path: Path, bot: DemoBot) -> None:
    folder = bot.folder
    (folder / "bars.parquet").write_bytes(b"x" * (COPIED_BYTES + 1))
    (folder / "huge.log").write_bytes(b"x" * (COPIED_BYTES + 1))
    (folder / "env3").mkdir()
    (folder / "env3" / "pyvenv.cfg").write_text("")
    (folder / ".git").mkdir()
    (folder / "bot" / "__pycache__").mkdir(exist_ok=True)
    os.mkfifo(folder / "pipe")
    there = made(configured(tmp_path, bot)).directory
    assert not (there / "main.py").is_symlink()
    assert (there / "bot" / "loading.py").read_bytes() == (folder / "bot" / "loading.py").read_bytes()
    assert {path.name for path in there.iterdir() if path.is_symlink()} == {"bars.parquet", "env3", ".git"}
    assert not {"huge.log", "pipe"} & {path.name for path in there.iterdir()}
    assert not (there / "bot" / "__pycache__").exists()


def test_for_its_owner_alone_and_what_was_left_behind_is_replaced(tmp_path: Path, bot: DemoBot) -> None:
    settings = configured(tmp_path, bot)
    made(settings)
    (place(settings) / "stale").write_text("")
    made(settings, "v1.9.0")
    assert not (place(settings) / "stale").exists()
    assert place(settings).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["settings.py", "config/config.yaml", "bot.json"])
def test_a_bot_that_knows_its_folder_by_an_absolute_path_is_not_rehearsed(
    tmp_path: Path, bot: DemoBot, name: str
) -> None:
    (bot.folder / "config").mkdir()
    (bot.folder / name).write_text(f"log: {bot.folder}/logs/trading_bot.log\n")
    settings = configured(tmp_path, bot)
    with pytest.raises(ScratchError, match="names the bot's folder by its absolute path") as caught:
        made(settings)
    assert str(bot.folder / name) in str(caught.value)
    trusting = configured(tmp_path, bot, bot={"dry_run": [*COMMAND, "{registry}"]})
    assert made(trusting).registry.is_dir()


def test_the_watchdogs_own_file_and_a_compose_file_may_name_it(tmp_path: Path, bot: DemoBot) -> None:
    (bot.folder / "docker-compose.yml").write_text(f"volumes: ['{bot.folder}:/app']\n")
    assert made(configured(bot.folder, bot)).directory.is_dir()


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"bot": {"dry_run": None}}, "bot.dry_run is not set"),
        ({"registry": {"path": "/srv/models"}}, "does not lie in the bot's folder"),
        ({"bot": {"log": "/var/log/bot.log"}}, "bot.log /var/log/bot.log lies outside the bot's folder"),
        (
            {"trade_log": {"path": "/var/log/t", "initial_equity": 1}},
            "trade_log.path /var/log/t lies outside",
        ),
    ],
)
def test_what_cannot_be_rehearsed_without_touching_production_says_why(
    tmp_path: Path, bot: DemoBot, changes: dict[str, Any], part: str
) -> None:
    settings = configured(tmp_path, bot, **changes)
    assert part in str(obstacle(settings))
    with pytest.raises(ScratchError) as caught:
        made(settings)
    assert part in str(caught.value)


def test_a_registry_that_is_reached_by_a_link_in_the_bots_folder_is_rehearsed(
    tmp_path: Path, bot: DemoBot
) -> None:
    bot.models.rename(tmp_path / "models")
    bot.models.symlink_to(tmp_path / "models")
    for path in (bot.models, tmp_path / "models"):
        settings = configured(tmp_path, bot, registry={"path": str(path)})
        assert obstacle(settings) is None
        scratch = made(settings)
        assert scratch.registry == scratch.directory / "models_saved"
        assert run(settings, scratch).lines[-1] == "dry run ok: v2.0.0"


def test_other_controls_are_rehearsed_with_the_registry_in_their_command(
    tmp_path: Path, bot: DemoBot
) -> None:
    compose: dict[str, Any] = {
        "control": "compose",
        "process": None,
        "compose": {"file": str(bot.folder / "docker-compose.yml"), "service": "bot"},
        "dry_run": ["docker", "compose", "run", "--rm", "bot", "--dry-run"],
    }
    assert "would read the live registry" in str(obstacle(configured(tmp_path, bot, bot=compose)))
    compose["dry_run"] = [
        sys.executable,
        "-c",
        "import sys; print(*sys.argv[1:])",
        "{registry}:/app/models",
        "{version}",
    ]
    settings = configured(tmp_path, bot, bot=compose)
    assert obstacle(settings) is None
    scratch = made(settings)
    assert scratch.directory == working_directory(settings) == bot.folder
    assert scratch.log is None
    assert json.loads((scratch.registry / "registry.json").read_text())["current_version"] == "v2.0.0"
    assert run(settings, scratch).lines[-1] == f"{scratch.registry}:/app/models v2.0.0"


def test_a_folder_of_versions_is_mirrored_down_to_the_targets_files(tmp_path: Path) -> None:
    models = tmp_path / "bot" / "models_saved"
    registry = ModelRegistry(models)
    for version in ("v1", "v2"):
        (models / version).mkdir(parents=True)
        for name in ("ensemble.pkl", "scaler.pkl"):
            (models / version / name).write_text(f"{name} of {version}")
        registry.register_model(models / version / "ensemble.pkl", version, {})
        registry.promote_model(version, {})
    (tmp_path / "bot" / "logs").mkdir()
    bot = DemoBot(tmp_path / "bot", {})
    there = made(configured(tmp_path, bot), "v1").registry
    assert (there / "v1" / "ensemble.pkl").read_text() == "ensemble.pkl of v1"
    assert not (there / "v1" / "ensemble.pkl").is_symlink()
    assert (there / "v1" / "scaler.pkl").is_symlink()
    assert (there / "v2").is_symlink()


def test_a_target_that_is_gone_and_a_registry_that_cannot_be_read_are_told(
    tmp_path: Path, bot: DemoBot
) -> None:
    settings = configured(tmp_path, bot)
    bot.model_file("v2.0.0").unlink()
    with pytest.raises(ScratchError, match="cannot be made"):
        made(settings)
    with pytest.raises(ScratchError, match=r"v9\.9\.9 is not registered"):
        made(settings, "v9.9.9")
    (bot.models / "registry.json").write_text("{")
    with pytest.raises(ScratchError, match=r"registry\.json"):
        made(settings)


def test_it_can_be_cut_short(tmp_path: Path, bot: DemoBot) -> None:
    settings, stop = configured(tmp_path, bot), threading.Event()
    stop.set()
    with pytest.raises(CutShort):
        make(settings, bot.registry, "v2.0.0", stop)


def test_clearing_follows_no_link(tmp_path: Path, bot: DemoBot) -> None:
    settings = configured(tmp_path, bot)
    before = picture(bot.folder)
    made(settings)
    clear(settings)
    clear(settings)
    assert picture(bot.folder) == before
