"""`init`: what it finds in folders of several shapes; whatever it writes can be loaded and checked."""

import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

import config
from config import Settings
from demo.bot.make import make_bot
from watchdog.cli import app

COMPOSE = """\
services:
  redis: {image: redis}
  bot:
    build: .
    command: python main.py
    restart: unless-stopped
    environment: [TZ=Europe/Berlin, PYTHONUNBUFFERED=1]
    volumes: [./logs:/app/logs, ./models_saved:/app/models_saved:ro]
"""
UNIT = """\
[Service]
WorkingDirectory=/srv/bot
Environment=TZ=Asia/Tokyo "MODE=live trading"
ExecStart=/srv/bot/.venv/bin/python \\
    main.py --symbol 'SOL USDT'
Restart=always
"""


def init(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", str(folder), *arguments])


def written(folder: Path) -> Settings:
    result = init(folder)
    assert result.exit_code == 0, result.output
    return config.load(folder / "watchdog.yaml")


def test_what_is_left_out_stands_there_to_be_uncommented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bot(tmp_path / "bot")
    written(tmp_path / "bot")
    file = tmp_path / "bot" / "watchdog.yaml"
    text = file.read_text()
    assert "  # signing_key: ed25519:..." in text
    for name in ("BINANCE_API_KEY", "BINANCE_API_SECRET"):
        monkeypatch.setenv(name, "k" * 64)
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123456789:" + "t" * 35)
    file.write_text(re.sub(r"(?m)^# ((exchange|telegram):|  \w+: )", r"\1", text))
    settings = config.load(file)
    assert settings.exchange is not None
    assert settings.exchange.symbols == ["SOLUSDT"]
    assert settings.telegram is not None


def test_a_whole_bot_is_understood(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "sol perp!", trades="high_sharpe", history_hours=2)
    bot.log.write_text("")
    settings = written(bot.folder)
    assert settings.bot.name == "sol-perp"
    assert settings.bot.process is not None
    assert settings.bot.process.command == ["python", "main.py"]
    assert settings.bot.process.directory.samefile(bot.folder)
    assert settings.bot.log == bot.log
    assert settings.trade_log.path == bot.trade_log
    assert settings.registry.path == bot.models
    assert settings.registry.links == {}
    assert 1900 < settings.trade_log.initial_equity < 2100
    assert settings.mode == "observe"


def test_nothing_at_all_gives_a_file_that_says_what_is_missing(tmp_path: Path) -> None:
    settings = written(tmp_path)
    assert (settings.registry.path, settings.trade_log.initial_equity) == (tmp_path / "models_saved", 2000)
    said = init(tmp_path, "--force").output
    for missing in ("registry.path", "trade log", "bot log", "bot.process.command"):
        assert missing in said
    assert (tmp_path / "watchdog.yaml").read_text().count("not found") == 5


def test_a_compose_file_is_noted_and_gives_the_time_zone(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "main.py").write_text("")
    settings = written(tmp_path)
    assert settings.bot.control == "process"
    assert settings.bot.timezone == "Europe/Berlin"
    said = init(tmp_path, "--force").output
    assert "service `bot`" in said
    assert "write control: compose" in said
    assert "compose: {file: docker-compose.yml, service: bot}" in (tmp_path / "watchdog.yaml").read_text()


@pytest.mark.parametrize(
    "text", ["", "[]", "services: text", "services: {bot: }", "services:\n\t- a", "services: {}", "a: *b"]
)
def test_a_compose_file_that_makes_no_sense_is_noted(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    written(tmp_path)
    assert f"{tmp_path / 'compose.yaml'} could not be understood" in init(tmp_path, "--force").output


def test_what_would_never_end_is_not_waited_for(tmp_path: Path) -> None:
    """Pipes in place of files, keys that merge into more than any memory holds, and nesting without end."""
    for name in ("trades.jsonl", "trading_bot.log", "bot.service", "docker-compose.yml"):
        os.mkfifo(tmp_path / name)
    laughs = "".join(f"{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60))
    (tmp_path / "compose.yaml").write_text(
        f"0: &a0 {{x: 1}}\n{laughs}services: {{bot: {{environment: *a59}}}}\n"
    )
    (tmp_path / "equity.jsonl").write_text("[" * 100_000 + '\n{"type": "equity", "equity": 1234.5}\n')
    assert init(tmp_path).exit_code == 0
    text = (tmp_path / "watchdog.yaml").read_text()
    assert "initial_equity: 1234.5" in text
    assert "compose.yaml, service: bot" in text


def test_a_service_whose_name_would_write_settings_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text('services: {"bot}\\nmode: act\\n#": {image: x}}\n')
    assert written(tmp_path).mode == "observe"
    assert f"{tmp_path / 'compose.yaml'} could not be understood" in init(tmp_path, "--force").output


def test_a_unit_gives_the_command_and_the_time_zone(tmp_path: Path) -> None:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "trading-bot.service").write_text(UNIT)
    settings = written(tmp_path)
    assert settings.bot.process is not None
    assert settings.bot.process.command == ["/srv/bot/.venv/bin/python", "main.py", "--symbol", "SOL USDT"]
    assert settings.bot.timezone == "Asia/Tokyo"
    assert "write control: systemd" in init(tmp_path, "--force").output
    assert "trading-bot.service" in (tmp_path / "watchdog.yaml").read_text()


@pytest.mark.parametrize("command", ["python ${MAIN}", "python %h/main.py", "python 'main.py"])
def test_a_unit_with_variables_is_no_source_of_a_command(tmp_path: Path, command: str) -> None:
    (tmp_path / "bot.service").write_text(f"[Service]\nExecStart={command}\n")
    (tmp_path / "main.py").write_text("")
    settings = written(tmp_path)
    assert settings.bot.process is not None
    assert settings.bot.process.command == ["python", "main.py"]
    assert "set bot.process.command" in init(tmp_path, "--force").output


def test_the_bots_own_python_is_preferred(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to("/usr/bin/python3")
    settings = written(tmp_path)
    assert settings.bot.process is not None
    assert settings.bot.process.command == [".venv/bin/python", "main.py"]


def test_fixed_names_are_found_by_what_they_hold(tmp_path: Path) -> None:
    bot = make_bot(tmp_path / "bot")
    shutil.copy(bot.model_file("v2.1.0"), bot.models / "ensemble_model.bin")
    (bot.models / "rl_agent.bin").symlink_to(bot.model_file("v2.1.0", "rl_agent").name)
    (bot.models / "other.bin").write_bytes(b"x" * bot.model_file("v2.1.0").stat().st_size)
    settings = written(bot.folder)
    assert settings.registry.links == {"ensemble_model.bin": "main", "rl_agent.bin": "rl_agent"}
    assert "keep registry.links" in init(bot.folder, "--force").output


def test_a_damaged_registry_is_noted(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "registry.json").write_text("{")
    written(tmp_path)
    assert str(tmp_path / "models" / "registry.json") in init(tmp_path, "--force").output


def test_a_registry_without_a_current_version_is_taken_and_noted(tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text('{"models": {}, "current_version": null, "history": []}')
    assert written(tmp_path).registry.path.samefile(tmp_path)
    assert "promote one" in init(tmp_path, "--force").output


def test_logs_are_chosen_by_name_and_by_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a.jsonl").write_text('{"type": "prediction"}\n')
    (tmp_path / "log" / "history.jsonl").write_text('garbage\n{"type": "equity", "equity": 0}\n'
                                                    '{"type": "equity", "equity": 1234567.5}\n')  # fmt: skip
    (tmp_path / "log" / "access.log").write_text("")
    (tmp_path / "log" / "my_bot.log").write_text("")
    settings = written(tmp_path)
    assert settings.trade_log.path == tmp_path / "log" / "history.jsonl"
    assert settings.trade_log.initial_equity == 1234567.5
    assert settings.bot.log == tmp_path / "log" / "my_bot.log"


def test_a_round_million_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "trades.jsonl").write_text('{"type": "equity", "equity": 1000000.0}\n')
    assert written(tmp_path).trade_log.initial_equity == 1_000_000


def test_a_tiny_account_is_not_nothing(tmp_path: Path) -> None:
    (tmp_path / "trades.jsonl").write_text('{"type": "equity", "equity": 0.0125}\n')
    assert written(tmp_path).trade_log.initial_equity == 0.0125


def test_what_the_watchdog_left_behind_is_not_taken_for_the_bots(tmp_path: Path) -> None:
    for name in ("state/bot-output.log", "state/watchdog.db", "control/handled/20260301-HALT.log"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "trading.log").write_text("")
    assert written(tmp_path).bot.log == tmp_path / "trading.log"


def test_names_that_cannot_be_written_down_are_passed_over(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/bot-\xff.log"))).write_text("")
    (tmp_path / "a folder\n").mkdir()
    (tmp_path / "a folder\n" / "bot.log").write_text("")
    (tmp_path / "two\nlines.log").write_text("")
    (tmp_path / 'quo"ted: bot.log').write_text("")
    assert written(tmp_path).bot.log == tmp_path / 'quo"ted: bot.log'


def test_a_file_that_is_there_is_left_alone_unless_forced(tmp_path: Path) -> None:
    (tmp_path / "watchdog.yaml").write_text("mine")
    result = init(tmp_path)
    assert result.exit_code == 1
    assert "--force" in result.output
    assert (tmp_path / "watchdog.yaml").read_text() == "mine"
    assert init(tmp_path, "--force").exit_code == 0
    assert (tmp_path / "watchdog.yaml").read_text() != "mine"


def test_no_folder_is_wrong_usage(tmp_path: Path) -> None:
    result = init(tmp_path / "nowhere")
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])


def test_a_folder_that_cannot_be_written_to_is_bad_news_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".watchdog.yaml.part").mkdir()
    result = init(tmp_path)
    assert result.exit_code == 1
    assert "was not written" in result.output


def test_the_next_commands_can_be_copied_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"model-watchdog check --config {tmp_path / 'watchdog.yaml'}" in init(tmp_path).output
    monkeypatch.chdir(tmp_path)
    assert "`model-watchdog check`" in init(Path(), "--force").output


def test_every_section_of_the_file_is_commented_or_there(tmp_path: Path) -> None:
    written(tmp_path)
    text = (tmp_path / "watchdog.yaml").read_text()
    left_out = {"exchange", "telegram", "monitor", "retention"}
    assert set(yaml.safe_load(text)) == set(Settings.model_fields) - left_out
    assert "# telegram:" in text
    assert "# monitor:" in text
    assert "  # dry_run: [" in text
    assert max(map(len, text.splitlines())) <= 120
