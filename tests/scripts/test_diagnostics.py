"""The playbook's two scripts for the hour after a rollback, as a person runs them in the bot's folder."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.bot.make import DemoBot, damage_file, make_bot

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def bot(tmp_path: Path) -> DemoBot:
    """30 hours of trades, made by v2.1.0, of which a day is in its deployment."""
    bot = make_bot(
        tmp_path / "bot", trades="high_sharpe", history_hours=30, promoted_ago=timedelta(hours=24, minutes=30)
    )
    body = {
        "bot": {
            "name": "test",
            "control": "process",
            "process": {"command": ["python", "main.py"]},
            "log": "logs/trading_bot.log",
        },
        "registry": {"path": "models_saved"},
        "trade_log": {"path": "logs/trades.jsonl", "initial_equity": 2000},
        "telegram": {"token": "${NOBODY_HAS_SET_IT}", "chat_id": -100123},
    }
    (bot.folder / "watchdog.yaml").write_text(yaml.safe_dump(body), encoding="utf-8")
    return bot


def run(bot: DemoBot, script: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error; without help from PYTHONPATH."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        cwd=bot.folder,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def log(bot: DemoBot, minutes_ago: float, message: str, level: str = "INFO") -> None:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    with bot.log.open("a", encoding="utf-8") as file:
        file.write(f"{at:%Y-%m-%d %H:%M:%S},000 - bot - {level} - {message}\n")


def test_the_distribution_of_the_last_hours_beside_that_of_as_many_before(bot: DemoBot) -> None:
    code, out, err = run(bot, "analyze_predictions.py", "--last-hour", "6")
    assert (code, err) == (0, "")
    assert "18 predictions in the last 6 h, from entries of the trade log" in out
    assert "| | 6 h before | last 6 h |" in out
    assert "| predictions | 18 | 18 |" in out
    assert "confidence 0.7 to 0.8" in out
    assert "too few predictions to compare" in out


def test_the_bots_log_is_believed_before_entries(bot: DemoBot) -> None:
    for minute in range(50):
        log(bot, 55 - minute, f"Prediction: {1 if minute % 2 else -1} (confidence 0.7{minute % 10})")
    code, out, _ = run(bot, "analyze_predictions.py")
    assert code == 0
    assert "50 predictions in the last 1 h, from the bot's log" in out
    assert "up 50.0 %, down 50.0 %" in out


def rolled_back(bot: DemoBot, minutes_ago: float) -> None:
    """To v2.0.0, so long ago."""
    bot.registry.rollback()
    path = bot.models / "registry.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["history"][-1]["timestamp"] = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()
    path.write_text(json.dumps(data), encoding="utf-8")


def test_predictions_of_two_versions_are_told_apart_after_a_rollback(bot: DemoBot) -> None:
    for minute in range(80):
        log(
            bot,
            80 - minute,
            "Prediction: 1 (confidence 0.91)" if minute < 40 else "Prediction: -1 (confidence 0.62)",
        )
    rolled_back(bot, 40.5)
    code, out, err = run(bot, "analyze_predictions.py", "--last-hour", "1")
    assert (code, err) == (0, "")
    assert "40 predictions of v2.0.0 in the last 40" in out
    assert "confidence 0.9 to 1.0       0" in out, "those are of v2.1.0"
    assert "up 0.0 %, down 100.0 %" in out
    assert "| | before (v2.1.0) | since (v2.0.0) |" in out
    assert "| predictions | 40 | 40 |" in out
    assert "| share up | 100.0 % | 0.0 % |" in out
    assert "v2.1.0 was current until " in out
    assert "v2.0.0 is since " in out


def test_a_rollback_before_the_last_hours_leaves_them_whole_and_is_compared_with_what_was_before_it(
    bot: DemoBot,
) -> None:
    for minute in range(150):
        log(
            bot,
            150 - minute,
            "Prediction: 1 (confidence 0.91)" if minute < 60 else "Prediction: -1 (confidence 0.62)",
        )
    rolled_back(bot, 90.5)
    out = run(bot, "analyze_predictions.py", "--last-hour", "1")[1]
    assert "of v2.0.0 in the last 1 h" in out
    assert "| share up | 100.0 % | 0.0 % |" in out


def test_a_prediction_that_names_another_version_is_not_counted(bot: DemoBot) -> None:
    file = bot.folder / "predictions.jsonl"
    at = datetime.now(UTC) - timedelta(minutes=5)
    lines = [
        {"timestamp": at.isoformat(), "direction": 1, "model_version": v}
        for v in ("v2.1.0", "v2.0.0", "v2.1.0")
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    config = bot.folder / "watchdog.yaml"
    config.write_text(
        config.read_text(encoding="utf-8") + f"monitor: {{predictions: {file}}}\n", encoding="utf-8"
    )
    assert "2 predictions in the last 1 h, from monitor.predictions" in run(bot, "analyze_predictions.py")[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data.update(current_version="v2.0.0"), "Since when v2.0.0 is current is not known"),
        (lambda data: data["history"][-1].pop("timestamp"), "Since when v2.1.0 is current is not known"),
        (lambda data: data.update(models=7), "Which version made them is not known"),
    ],
)
def test_what_is_not_known_of_the_versions_is_said(
    bot: DemoBot, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    path = bot.models / "registry.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    code, out, err = run(bot, "analyze_predictions.py", "--last-hour", "6")
    assert (code, err) == (0, "")
    assert words in out
    assert "| | 6 h before | last 6 h |" in out


def test_a_version_that_was_promoted_once_more_is_not_compared_with_itself(bot: DemoBot) -> None:
    bot.registry.promote_model("v2.1.0", {})
    assert "| | 6 h before | last 6 h |" in run(bot, "analyze_predictions.py", "--last-hour", "6")[1]


def test_without_any_prediction_it_says_where_it_looked(bot: DemoBot) -> None:
    bot.trade_log.write_text("", encoding="utf-8")
    code, out, _ = run(bot, "analyze_predictions.py", "--last-hour", "1")
    assert code == 1
    assert f"No prediction was seen in the last 2 h: looked into {bot.log}, {bot.trade_log}" in out


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "soon", "1e9"])
def test_hours_that_cannot_be_are_wrong_usage(bot: DemoBot, hours: str) -> None:
    assert run(bot, "analyze_predictions.py", "--last-hour", hours)[0] == 2


def test_a_version_with_its_files_deployment_trades_and_loads(bot: DemoBot) -> None:
    log(bot, 200, "Loading ensemble model from ./models_saved/ensemble_v2.1.0.bin")
    log(bot, 199, "Error loading RL agent: bad magic number. Using dummy agent.", "ERROR")
    log(bot, 100, "Loading ensemble model from ./models_saved/ensemble_v2.0.0.bin")
    code, out, err = run(bot, "model_diagnostics.py", "--version", "v2.1.0")
    assert (code, err) == (0, "")
    assert "v2.1.0: production; the current version" in out
    main = bot.model_file("v2.1.0")
    assert f"main: {main}, {main.stat().st_size} bytes, checksum " in out
    assert "rl_agent: " in out
    assert "deployed 1 time:" in out
    line = next(line for line in out.splitlines() if line.startswith("trades made by v2.1.0: "))
    assert 72 <= int(line.split()[4]) <= 75, line  # three an hour, and none of before it was promoted
    assert "Loading ensemble model from ./models_saved/ensemble_v2.1.0.bin" in out
    assert "ensemble_v2.0.0" not in out.partition("loaded, as")[2]
    assert "since its last load: the bot's log says: ERROR Error loading RL agent" in out


def test_trades_that_name_another_version_are_not_its_own(bot: DemoBot) -> None:
    at = (datetime.now(UTC) - timedelta(minutes=5)).replace(tzinfo=None).isoformat()
    lines = [{"type": "exit", "timestamp": at, "pnl": 9.0, "model_version": v} for v in ("v2.1.0", "v2.0.0")]
    bot.trade_log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert "trades made by v2.1.0: 1 exits, P&L +9.00" in run(bot, "model_diagnostics.py")[1]


def test_a_version_that_was_rolled_back_from_has_an_end_and_a_quarantine(bot: DemoBot) -> None:
    bot.registry.rollback()
    code, out, _ = run(bot, "model_diagnostics.py", "--version", "v2.1.0")
    assert code == 0
    assert "v2.1.0: quarantined, in quarantine: it was rolled back from; current is v2.0.0" in out


def test_a_damaged_file_is_bad_news(bot: DemoBot) -> None:
    damage_file(bot.model_file("v2.0.0"))
    code, out, _ = run(bot, "model_diagnostics.py", "--version", "v2.0.0")
    assert code == 1
    assert "mismatch" in out


def test_a_version_that_was_never_deployed(bot: DemoBot) -> None:
    bot.registry.register_model(bot.model_file("v2.0.0", "rl_agent"), "v3.0.0", {})
    assert "It was never deployed" in run(bot, "model_diagnostics.py", "--version", "v3.0.0")[1]


def test_what_is_not_registered_and_what_cannot_be_read(bot: DemoBot) -> None:
    code, _, err = run(bot, "model_diagnostics.py", "--version", "v9.9.9")
    assert code == 1
    assert "v9.9.9 is not registered" in err
    (bot.models / "registry.json").write_text("{", encoding="utf-8")
    assert run(bot, "model_diagnostics.py")[0] == 1


@pytest.mark.parametrize("script", ["analyze_predictions.py", "model_diagnostics.py"])
def test_a_configuration_that_is_wrong_or_missing_is_exit_2(
    bot: DemoBot, tmp_path: Path, script: str
) -> None:
    (bot.folder / "watchdog.yaml").write_text("bot: {}\n", encoding="utf-8")
    code, _, err = run(bot, script)
    assert code == 2
    assert "watchdog.yaml:1" in err
    assert run(bot, script, "--config", str(tmp_path / "none.yaml"))[0] == 2


def test_looking_changes_nothing(bot: DemoBot) -> None:
    before = sorted((str(path), path.stat().st_mtime_ns) for path in bot.folder.rglob("*"))
    run(bot, "analyze_predictions.py")
    run(bot, "model_diagnostics.py")
    assert sorted((str(path), path.stat().st_mtime_ns) for path in bot.folder.rglob("*")) == before
