"""What each key means, what it is when left out, and what it must not be."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from config import Settings, load
from tests.config.files import SMALLEST, loaded, only, told

DEFAULT_FILE = Path(__file__).parents[2] / "config" / "watchdog.yaml"
TELEGRAM = "telegram: {token: '123:abc', chat_id: -1001234567890}\n"
EXCHANGE = "exchange: {kind: binance_usdm, api_key: kkkkkkkk, api_secret: ssssssssss, symbols: [SOLUSDT]}\n"


def test_what_is_left_out_is_as_documented(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMALLEST)
    bot, triggers, rollback = settings.bot, settings.triggers, settings.rollback
    assert bot.process
    assert (bot.process.command, bot.process.directory) == (["python", "main.py"], tmp_path)
    assert (bot.name, bot.control, bot.compose, bot.systemd) == ("sol-perp", "process", None, None)
    assert (bot.log, bot.timezone, bot.tz) == (tmp_path / "logs/bot.log", "UTC", ZoneInfo("UTC"))
    assert (bot.stop_timeout, bot.start_timeout) == (timedelta(seconds=30), timedelta(minutes=2))
    assert (bot.stays_up_for, bot.max_restarts) == (timedelta(seconds=10), 3)
    assert (settings.registry.path, settings.registry.links) == (tmp_path / "models_saved", {})
    assert (settings.trade_log.path, settings.trade_log.initial_equity) == (
        tmp_path / "logs/trades.jsonl",
        2000.0,
    )
    assert settings.trade_log.stale_after == timedelta(hours=24)
    assert settings.poll_interval == timedelta(seconds=10)
    sharpe = triggers.sharpe
    assert (sharpe.below, sharpe.window, sharpe.min_trades) == (1.0, timedelta(hours=24), 10)
    assert (triggers.drawdown.above, triggers.loss_streak.at_least) == (0.25, 10)
    assert triggers.load_error.patterns is None
    for name in type(triggers).model_fields:
        rule = getattr(triggers, name)
        waits = timedelta(seconds=30) if name == "checksum" else timedelta(0)
        assert (rule.action, rule.for_, rule.enabled) == ("rollback", waits, True), name
    assert (rollback.cooldown, rollback.max_per_day) == (timedelta(hours=1), 1)
    assert (rollback.monitor_for, rollback.validate_for) == (timedelta(minutes=30), timedelta(hours=1))
    assert (bot.health, bot.dry_run) == (None, None)
    looks = settings.monitor
    assert (looks.predictions, looks.prediction_patterns, looks.risk_patterns) == (None, None, None)
    assert (settings.exchange, settings.telegram, settings.mode) == (None, None, "act")
    assert (settings.state_dir, settings.control_dir) == (tmp_path / "state", tmp_path / "control")
    assert settings.path == tmp_path / "watchdog.yaml"


def test_the_default_file_needs_no_variable_and_says_what_the_defaults_are() -> None:
    written = load(DEFAULT_FILE, {})
    smallest = yaml.safe_load(SMALLEST.replace("bot.log", "trading_bot.log"))
    left_out = Settings.model_validate(smallest, context={"path": DEFAULT_FILE})
    assert written.model_dump(by_alias=True) == left_out.model_dump(by_alias=True)


def _uncommented(*sections: str) -> str:
    """The default file with these commented sections brought to life."""
    text = DEFAULT_FILE.read_text()
    for section in sections:
        block = re.search(rf"^# {section}:\n(#   .*\n)+", text, re.MULTILINE)
        assert block, section
        text = text.replace(block[0], re.sub(r"^# ", "", block[0], flags=re.MULTILINE))
    return text


def test_the_commented_sections_of_the_default_file_are_right_too(tmp_path: Path) -> None:
    environ = {"TELEGRAM_BOT_TOKEN": "1:a", "BINANCE_API_KEY": "k", "BINANCE_API_SECRET": "s"}
    settings = loaded(tmp_path, _uncommented("exchange", "telegram", "monitor"), environ)
    assert set(settings.monitor.model_fields_set) == set(type(settings.monitor).model_fields)
    assert settings.monitor.predictions == tmp_path / "logs/predictions.jsonl"
    assert settings.exchange
    assert settings.telegram
    assert settings.exchange.base_url == "http://127.0.0.1:9202"
    assert settings.telegram.base_url == "http://127.0.0.1:9301"
    assert set(settings.exchange.model_fields_set) == set(type(settings.exchange).model_fields)
    assert set(settings.telegram.model_fields_set) == set(type(settings.telegram).model_fields)


def test_every_key_is_in_the_default_file() -> None:
    text = DEFAULT_FILE.read_text()

    def keys(schema: dict[str, object]) -> set[str]:
        found: set[str] = set()
        for name, part in schema.items():
            if name == "properties" and isinstance(part, dict):
                found |= set(part)
            if isinstance(part, dict):
                found |= keys(part)
        return found

    missing = [
        key for key in keys(Settings.model_json_schema()) if not re.search(rf"^[ #]*{key}:", text, re.M)
    ]
    assert not missing


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMALLEST)
    with pytest.raises(ValidationError):
        settings.mode = "observe"
    with pytest.raises(ValidationError):
        settings.triggers.sharpe.below = 0.0


def test_two_loads_of_one_file_are_equal_and_a_change_shows(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMALLEST)
    assert settings == loaded(tmp_path, SMALLEST + "# a comment\n")
    assert settings != loaded(tmp_path, SMALLEST + "mode: observe\n")


def test_relative_paths_are_relative_to_the_file_wherever_the_program_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bot").mkdir()
    (tmp_path / "bot" / "watchdog.yaml").write_text(
        SMALLEST + "state_dir: ../state\ncontrol_dir: /run/control\n"
    )
    monkeypatch.chdir(tmp_path)
    settings = load(Path("bot/watchdog.yaml"), {})
    assert settings.bot.log == tmp_path / "bot/logs/bot.log"
    assert settings.state_dir == tmp_path / "bot/../state"
    assert settings.control_dir == Path("/run/control")
    assert settings.path == tmp_path / "bot/watchdog.yaml"


@pytest.mark.parametrize("control", ["process", "compose", "systemd"])
def test_the_section_that_control_names_must_be_there_and_no_other(tmp_path: Path, control: str) -> None:
    sections = {
        "process": "{command: [python]}",
        "compose": "{file: compose.yml, service: bot}",
        "systemd": "{unit: bot.service}",
    }
    start = f"bot:\n  name: a\n  control: {control}\n  log: l\n"
    end = "registry: {path: m}\ntrade_log: {path: t, initial_equity: 1}\n"
    own = f"  {control}: {sections.pop(control)}\n"
    assert getattr(loaded(tmp_path, start + own + end).bot, control)
    assert only(told(tmp_path, start + end)) == (
        f"1:1 bot.{control} is missing: control is {control}, so there must be a section {control}"
    )
    for other, content in sections.items():
        assert only(told(tmp_path, start + own + f"  {other}: {content}\n" + end)).startswith(
            f"6:3 bot.{other} does not fit, for control is {control}: remove this section, or set control to {other}"
        )


@pytest.mark.parametrize("wrong", ["Sol", "-sol", "sol perp", "sol.perp", "'1;rm'"])
def test_a_compose_project_is_named_as_compose_takes_it(tmp_path: Path, wrong: str) -> None:
    start = "bot:\n  name: a\n  control: compose\n  log: l\n  compose: {file: c.yml, service: bot"
    end = "}\nregistry: {path: m}\ntrade_log: {path: t, initial_equity: 1}\n"
    compose = loaded(tmp_path, f"{start}, project: sol-perp_2, env_file: prod.env{end}").bot.compose
    assert compose
    assert (compose.project, compose.env_file) == ("sol-perp_2", tmp_path / "prod.env")
    left_out = loaded(tmp_path, start + end).bot.compose
    assert left_out
    assert (left_out.project, left_out.env_file) == (None, None)
    assert only(told(tmp_path, f"{start}, project: {wrong}{end}")).startswith(
        "5:49 bot.compose.project must be a project's name as compose takes it"
    )


def test_an_empty_section_is_one_without_keys(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SMALLEST + "triggers:\n  sharpe:\n  checksum:\nrollback:\n")
    assert settings.triggers.checksum.for_ == timedelta(seconds=30)
    lines = told(tmp_path, SMALLEST + "telegram:\nexchange:\n")
    assert [line.split(" is ")[0] for line in lines] == [
        "8:10 telegram.chat_id",
        "8:10 telegram.token",
        "9:10 exchange.api_key",
        "9:10 exchange.api_secret",
        "9:10 exchange.kind",
        "9:10 exchange.symbols",
    ]


def test_every_rule_takes_action_for_and_enabled(tmp_path: Path) -> None:
    for rule in ("sharpe", "drawdown", "loss_streak", "load_error", "checksum"):
        text = SMALLEST + f"triggers: {{{rule}: {{action: halt, for: 5m, enabled: no}}}}\n"
        settings = getattr(loaded(tmp_path, text).triggers, rule)
        assert (settings.action, settings.for_, settings.enabled) == ("halt", timedelta(minutes=5), False)


def test_what_may_be_zero_may_be_zero(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        SMALLEST.replace("  log:", "  max_restarts: 0\n  stays_up_for: 0s\n  log:")
        + "rollback: {max_per_day: 0, cooldown: 0}\ntriggers: {checksum: {for: 0}, sharpe: {below: 0}}\n",
    )
    assert (settings.bot.max_restarts, settings.rollback.max_per_day, settings.triggers.sharpe.below) == (
        0,
        0,
        0,
    )
    assert (
        settings.triggers.checksum.for_
        == settings.rollback.cooldown
        == settings.bot.stays_up_for
        == timedelta(0)
    )


@pytest.mark.parametrize(
    ("more", "told_"),
    [
        ("mode: off", "8:7 mode must be 'act' or 'observe'"),
        ("poll_interval: 0s", "8:16 poll_interval must be longer than 0, such as 10s"),
        ("poll_interval: -5s", "8:16 poll_interval must be a duration: a number and its unit, such as 10s"),
        ("poll_interval: 5", "8:16 poll_interval must be a duration: a number and its unit, such as 10s"),
        ("poll_interval: [5s]", "8:1 poll_interval must be a duration"),
        ("triggers: {sharpe: {window: 0}}", "8:29 triggers.sharpe.window must be whole hours, at least 2h"),
        ("triggers: {sharpe: {window: 0h}}", "8:29 triggers.sharpe.window must be whole hours, at least 2h"),
        ("triggers: {sharpe: {window: 1h}}", "8:29 triggers.sharpe.window must be whole hours, at least 2h"),
        (
            "triggers: {sharpe: {window: 150m}}",
            "8:29 triggers.sharpe.window must be whole hours, at least 2h",
        ),
        ("retention: 6d", "8:12 retention must be at least 7d: the counters of a day"),
        ("retention: 0", "8:12 retention must be at least 7d: the counters of a day"),
        ("retention: forever", "8:12 retention must be a duration"),
        ("triggers: {sharpe: {below: .nan}}", "8:28 triggers.sharpe.below must be a finite number"),
        ("triggers: {sharpe: {below: -.inf}}", "8:28 triggers.sharpe.below must be a finite number"),
        ("triggers: {sharpe: {min_trades: 0}}", "8:33 triggers.sharpe.min_trades must be 1 or more"),
        ("triggers: {sharpe: {min_trades: 2.5}}", "8:33 triggers.sharpe.min_trades must be a whole number"),
        ("triggers: {sharpe: {min_trades: yes}}", "8:33 triggers.sharpe.min_trades must be a whole number"),
        ("triggers: {sharpe: {for: -1s}}", "8:26 triggers.sharpe.for must be a duration"),
        ("triggers: {sharpe: {enabled: 1}}", "8:30 triggers.sharpe.enabled must be true or false"),
        (
            "triggers: {sharpe: {action: restart}}",
            "triggers.sharpe.action must be 'rollback', 'halt' or 'alert'",
        ),
        (
            "triggers: {sharpe: 5}",
            "8:20 triggers.sharpe must be a section with the keys action, for, enabled, below",
        ),
        ("triggers: [sharpe]", "8:1 triggers must be a section with the keys sharpe, drawdown, "),
        ("triggers: {drawdown: {above: 0%}}", "8:30 triggers.drawdown.above must be above 0% and below 100%"),
        (
            "triggers: {drawdown: {above: 100%}}",
            "8:30 triggers.drawdown.above must be above 0% and below 100%",
        ),
        (
            "triggers: {drawdown: {above: 0.25}}",
            "8:30 triggers.drawdown.above must be a share with its percent",
        ),
        (
            "triggers: {drawdown: {above: 25}}",
            "8:30 triggers.drawdown.above must be a share with its percent",
        ),
        ("triggers: {loss_streak: {at_least: 0}}", "8:36 triggers.loss_streak.at_least must be 1 or more"),
        (
            "triggers: {load_error: {patterns: ['(a']}}",
            "patterns[0] must be a regular expression in Python's syntax: ",
        ),
        ("triggers: {load_error: {patterns: ['(a']}}", "missing ), unterminated subpattern at character 1"),
        (
            "triggers: {load_error: {patterns: ['a{9999999999999}']}}",
            "must be a regular expression: this one is too",
        ),
        ("triggers: {load_error: {patterns: ['%s']}}" % ("(" * 9000), "must be a regular expression"),
        ("triggers: {load_error: {patterns: []}}", "8:25 triggers.load_error.patterns must not be empty"),
        ("triggers: {load_error: {patterns: x}}", "8:35 triggers.load_error.patterns must be a list"),
        (
            "triggers: {load_error: {patterns: [1]}}",
            "8:36 triggers.load_error.patterns[0] must be text: YAML reads",
        ),
        ("rollback: {max_per_day: -1}", "8:25 rollback.max_per_day must be 0 or more"),
        ("rollback: {monitor_for: 0s}", "8:25 rollback.monitor_for must be longer than 0"),
        ("state_dir: ''", "8:12 state_dir must not be empty"),
        ("state_dir: ~/state", "8:12 state_dir must be written in full: ~ is another folder for each user"),
        ('state_dir: "a\\nb"', "8:12 state_dir must be one line of printable characters"),
        ("state_dir: 5", "8:12 state_dir must be text: YAML reads this as a number, put it in quotes"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_what_is_allowed(
    tmp_path: Path, more: str, told_: str
) -> None:
    assert told_ in only(told(tmp_path, SMALLEST + more))


@pytest.mark.parametrize(
    ("old", "new", "told_"),
    [
        (
            "[python, main.py]",
            "[]",
            "4:13 bot.process.command must not be empty: at least one entry is needed",
        ),
        ("[python, main.py]", "['']", "4:13 bot.process.command must begin with the name of a program"),
        ("[python, main.py]", "python main.py", "4:22 bot.process.command must be a list, such as [a, b]"),
        ("sol-perp", "''", "2:9 bot.name must not be empty"),
        ("sol-perp", "[a]", "2:3 bot.name must be text"),
        ("control: process", "control: docker", "3:12 bot.control must be 'process', 'compose' or 'systemd'"),
        ("2000", "0", "7:54 trade_log.initial_equity must be above 0"),
        ("2000", "-5", "7:54 trade_log.initial_equity must be above 0"),
        ("2000", ".inf", "7:54 trade_log.initial_equity must be a finite number"),
        ("2000", "9" * 400, "7:54 trade_log.initial_equity must be a number"),
        ("  log:", "  max_restarts: -1\n  log:", "5:17 bot.max_restarts must be 0 or more"),
        ("  log:", "  stop_timeout: 0s\n  log:", "5:17 bot.stop_timeout must be longer than 0"),
        (
            "  log:",
            "  timezone: Europe/Berln\n  log:",
            "no known time zone: must be UTC or a name of the IANA list",
        ),
        ("  log:", "  timezone: Europe/Berln\n  log:", "(did you mean Europe/Berlin?)"),
        ("  log:", "  timezone: ../../etc/passwd\n  log:", "5:13 bot.timezone is no known time zone"),
        ("  log:", "  timezone: Europe\n  log:", "5:13 bot.timezone is no known time zone"),
        ("  log:", "  timezone: +02:00\n  log:", "5:13 bot.timezone is"),
        ("  log:", "  timezone: " + "x" * 5000 + "\n  log:", "5:13 bot.timezone is no known time zone"),
        ("models_saved}", "m, links: {../a.pkl: main}}", "6:29 registry.links must be the name of a file in"),
        ("models_saved}", "m, links: {..: main}}", "6:29 registry.links... must be the name of a file in"),
        ("models_saved}", "m, links: {/a.pkl: main}}", "must be the name of a file in the registry's folder"),
        ("models_saved}", "m, links: {'a\\b': main}}", "must be the name of a file in the registry's folder"),
        ("models_saved}", "m, links: {'': main}}", "6:29 registry.links must not be empty"),
        ("models_saved}", "m, links: {registry.json: main}}", "must not be the registry's own file"),
        ("models_saved}", "m, links: {a.pkl: ''}}", "6:36 registry.links.a.pkl must not be empty"),
        (
            "models_saved}",
            "m, links: {a.pkl: 5}}",
            "6:36 registry.links.a.pkl must be text: YAML reads this as",
        ),
        ("models_saved}", "m, links: [a.pkl]}", "6:21 registry.links must be a section of keys and values"),
    ],
)
def test_a_required_value_that_makes_no_sense_is_refused(
    tmp_path: Path, old: str, new: str, told_: str
) -> None:
    assert told_ in only(told(tmp_path, SMALLEST.replace(old, new)))


@pytest.mark.parametrize("name", ["-x", "--now", "a b", "a/b", "", "a;b"])
def test_a_unit_or_service_name_cannot_be_an_option_or_a_path(tmp_path: Path, name: str) -> None:
    text = SMALLEST.replace("control: process", "control: systemd").replace(
        "process: {command: [python, main.py]}", f"systemd: {{unit: '{name}'}}"
    )
    assert "bot.systemd.unit must be a name of letters, digits and" in only(told(tmp_path, text))


def test_a_unit_is_the_systems_unless_it_is_the_users(tmp_path: Path) -> None:
    text = SMALLEST.replace("control: process", "control: systemd")
    of = "process: {command: [python, main.py]}"
    systemd = loaded(tmp_path, text.replace(of, "systemd: {unit: bot.service}")).bot.systemd
    assert systemd is not None
    assert (systemd.unit, systemd.scope) == ("bot.service", "system")
    systemd = loaded(tmp_path, text.replace(of, "systemd: {unit: bot.service, scope: user}")).bot.systemd
    assert systemd is not None
    assert systemd.scope == "user"
    wrong = text.replace(of, "systemd: {unit: bot.service, scope: root}")
    assert "bot.systemd.scope must be 'system' or 'user'" in only(told(tmp_path, wrong))


def test_links_go_from_file_names_to_artifacts(tmp_path: Path) -> None:
    text = SMALLEST.replace("models_saved}", "m, links: {ensemble_model.pkl: main, rl_agent.zip: rl_agent}}")
    assert loaded(tmp_path, text).registry.links == {"ensemble_model.pkl": "main", "rl_agent.zip": "rl_agent"}


@pytest.mark.parametrize(
    ("chat", "kept"),
    [("-1001234567890", -1001234567890), ("'-100'", -100), ("'@ops_room'", "@ops_room"), ("7", 7)],
)
def test_a_chat_is_a_number_or_a_channel(tmp_path: Path, chat: str, kept: int | str) -> None:
    telegram = loaded(tmp_path, SMALLEST + TELEGRAM.replace("-1001234567890", chat)).telegram
    assert telegram
    assert telegram.chat_id == kept
    assert type(telegram.chat_id) is type(kept)


@pytest.mark.parametrize(
    "chat", ["true", "on", "1.5", "0", "ops_room", "''", "'@'", "[1]", "{a: 1}", "9" * 30, "~"]
)
def test_anything_else_is_no_chat(tmp_path: Path, chat: str) -> None:
    line = only(told(tmp_path, SMALLEST + TELEGRAM.replace("-1001234567890", chat)))
    assert (
        'telegram.chat_id must be the number of a chat such as -1001234567890, or "@channel" in quotes'
        in line
    )


NO_URL = [
    "ftp://x",
    "127.0.0.1:80",
    "http://",
    "http:///x",
    "//x",
    "http://u:p@x",
    "http://@x",
    "http://x?a=b",
    "http://x#a",
    "HTTP//x",
]
NO_URL += ["http://x:99999", "http://x:0", "http://[::1", "http://é", "http://a b", "", "  "]


@pytest.mark.parametrize("url", NO_URL)
def test_a_base_url_must_be_plain_http_or_https(tmp_path: Path, url: str) -> None:
    line = only(told(tmp_path, SMALLEST + TELEGRAM.replace("}", f", base_url: '{url}'}}")))
    assert line.startswith("8:65 telegram.base_url must ")


def test_a_base_url_is_kept_without_its_last_slash(tmp_path: Path) -> None:
    text = SMALLEST + EXCHANGE.replace("}", ", base_url: 'https://127.0.0.1:9202/'}")
    exchange = loaded(tmp_path, text).exchange
    assert exchange
    assert exchange.base_url == "https://127.0.0.1:9202"


@pytest.mark.parametrize("symbol", ["solusdt", "SOL/USDT", "SOL USDT", "''"])
def test_symbols_are_written_as_the_exchange_writes_them(tmp_path: Path, symbol: str) -> None:
    assert "exchange.symbols[0] must" in only(told(tmp_path, SMALLEST + EXCHANGE.replace("SOLUSDT", symbol)))


def test_secrets_lists_each_secret_once_and_the_longest_first(tmp_path: Path) -> None:
    assert loaded(tmp_path, SMALLEST).secrets() == ()
    assert loaded(tmp_path, SMALLEST + TELEGRAM + EXCHANGE).secrets() == ("ssssssssss", "kkkkkkkk", "123:abc")
    same = EXCHANGE.replace("ssssssssss", "kkkkkkkk")
    assert loaded(tmp_path, SMALLEST + same).secrets() == ("kkkkkkkk",)


def test_secrets_are_plain_text_wherever_they_came_from(tmp_path: Path) -> None:
    (tmp_path / "TOKEN").write_text("123:xyz\n")
    text = SMALLEST + TELEGRAM.replace("'123:abc'", '"${TOKEN}"')
    settings = loaded(tmp_path, text, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.telegram
    assert isinstance(settings.telegram.token, SecretStr)
    assert type(settings.telegram.token.get_secret_value()) is str
    assert settings.secrets() == ("123:xyz",)


def test_what_is_looked_at_after_a_restart(tmp_path: Path) -> None:
    more = "  health: http://127.0.0.1:8000/healthz\n  dry_run: [python, main.py, --dry-run]\nregistry:"
    text = SMALLEST.replace("registry:", more) + "monitor: {predictions: p.jsonl, risk_patterns: ['^no$']}\n"
    settings = loaded(tmp_path, text)
    assert settings.bot.health == "http://127.0.0.1:8000/healthz"
    assert settings.bot.dry_run == ["python", "main.py", "--dry-run"]
    assert settings.monitor.predictions == tmp_path / "p.jsonl"


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("[python, main.py]", "which would trade"),
        ("['', main.py]", "name of a program"),
        ("[]", "must not be empty"),
        ("python main.py --dry-run", "list"),
    ],
)
def test_a_dry_run_that_is_no_dry_run_is_refused(tmp_path: Path, command: str, part: str) -> None:
    said = only(told(tmp_path, SMALLEST.replace("registry:", f"  dry_run: {command}\nregistry:")))
    assert "bot.dry_run" in said
    assert part in said
