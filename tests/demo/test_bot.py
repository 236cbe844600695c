"""The demo's bot as a real process: what it loads, and what it says when it cannot."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.bot.make import DemoBot, damage_file, make_bot
from tests.demo.running import Start, dry_run, messages, records, trades, until

LOADED = [
    "bot.trading_bot - INFO - Loading ML models...",
    "models.ensemble - INFO - Loading ensemble model from ./models_saved/ensemble_v2.1.0.bin",
    "models.ensemble - INFO - Ensemble model loaded successfully",
    "rl.rl_agent - INFO - Loading RL agent from ./models_saved/rl_agent_v2.1.0.bin",
    "rl.rl_agent - INFO - RL agent loaded successfully",
]


def test_it_logs_in_the_very_lines_of_such_bots_that_it_loaded_its_models(
    tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=50.0)
    start(bot)
    until(trades(bot, 1), "a trade")
    assert messages(bot)[:5] == LOADED
    for line in bot.log.read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - [\w.]+ - (INFO|WARNING|ERROR|CRITICAL) - .+", line
        )
    at = datetime.strptime(bot.log.read_text(encoding="utf-8")[:23], "%Y-%m-%d %H:%M:%S,%f").replace(
        tzinfo=UTC
    )
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("damage", "logged"),
    [
        (
            lambda bot: damage_file(bot.model_file("v2.1.0")),
            [
                r"models.ensemble - ERROR - Error loading model: invalid load key, '\x00'.. Using dummy model.",
                "models.ensemble - WARNING - Initializing dummy model for testing",
            ],
        ),
        (
            lambda bot: bot.model_file("v2.1.0").unlink(),
            [
                "models.ensemble - WARNING - Model file not found: ./models_saved/ensemble_v2.1.0.bin. "
                "Using dummy model.",
                "models.ensemble - WARNING - Initializing dummy model for testing",
            ],
        ),
        (
            lambda bot: bot.model_file("v2.1.0", "rl_agent").write_bytes(
                bot.model_file("v2.1.0").read_bytes()
            ),
            [
                "rl.rl_agent - ERROR - Error loading RL agent: bad magic number: this is a model of kind "
                "'ensemble'. Using dummy agent."
            ],
        ),
        (
            lambda bot: (bot.models / "registry.json").write_text('{"models": ', encoding="utf-8"),
            [
                "bot.trading_bot - ERROR - Error loading ML models: Expecting value: line 1 column 12 (char 11)"
            ],
        ),
    ],
    ids=["zeroed", "missing", "agent", "registry"],
)
def test_a_bot_that_cannot_load_goes_on_with_a_dummy_and_says_so(
    damage: Callable[[DemoBot], object], logged: list[str], tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", trades_per_second=50.0)
    damage(bot)
    process = start(bot)
    until(trades(bot, 3), "trades with the dummy")
    assert process.poll() is None
    assert [line for line in messages(bot) if line in logged] == logged
    assert dry_run(bot).returncode == 1


@pytest.mark.parametrize(
    ("flavour", "logged"),
    [
        ("unloadable", r"models.ensemble - ERROR - Error loading model: invalid load key, '\x00'."),
        ("missing_module", "bot.trading_bot - ERROR - Error loading ML models: No module named 'xgboost'"),
    ],
)
def test_a_registered_file_that_does_not_load_has_the_right_checksum_nevertheless(
    flavour: Any, logged: str, tmp_path: Path, start: Start
) -> None:
    bot = make_bot(tmp_path / "bot", flavour=flavour, on_load_error="exit")
    assert bot.registry.verify_checksum("v2.1.0")
    assert start(bot).wait(timeout=10) == 1
    assert logged in messages(bot)
    assert not any("dummy" in line for line in messages(bot))
    assert records(bot) == []


def test_a_dry_run_loads_predicts_and_leaves_the_log_alone(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot", current="v2.0.0")
    result = dry_run(bot)
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "dry run ok: v2.0.0"
    assert not bot.log.exists()
    assert records(bot) == []


def test_fixed_names_load_what_the_links_point_to(tmp_path: Path, start: Start) -> None:
    bot = make_bot(tmp_path / "bot", fixed_names=True, trades_per_second=0.0)
    assert bot.links == {"ensemble_model.bin": "main", "rl_agent.bin": "rl_agent"}
    assert dry_run(bot).stdout.endswith("dry run ok: v2.1.0\n")
    assert bot.registry.rollback() == "v2.0.0"
    assert dry_run(bot).stdout.endswith("dry run ok: v2.0.0\n")
    start(bot)
    until(lambda: any("Trading SOLUSDT" in line for line in messages(bot)), "a running bot")
    loading = [line for line in messages(bot) if "from" in line]
    assert [line.rpartition("/")[2] for line in loading] == ["ensemble_model.bin", "rl_agent.bin"]


def test_a_path_written_inside_a_container_means_the_file_beside_the_registry(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    registry = bot.models / "registry.json"
    text = registry.read_text(encoding="utf-8").replace('"models_saved/', '"/app/models_saved/')
    registry.write_text(text, encoding="utf-8")
    assert dry_run(bot).stdout.endswith("dry run ok: v2.1.0\n")
