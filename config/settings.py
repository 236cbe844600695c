"""The settings: what `watchdog.yaml` says, typed and checked. Attribute names are the keys of the file.

The texts here are the descriptions that an editor shows (see `config.schema`). Sections are frozen:
a reload of the configuration makes new ones. Defaults are written as in the file, and are checked like it.

Long, because it is the whole file at a glance.
"""

from __future__ import annotations

import zoneinfo
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator

from config.section import Section, default, empty_is_a_section, left_out, required
from config.texts import (
    Chat,
    FilePath,
    LinkName,
    Pattern,
    ProjectName,
    PublicKey,
    Secret,
    Symbol,
    Text,
    TimeZone,
    Token,
    UnitName,
    Url,
)
from config.units import (
    Amount,
    Count,
    CountFromOne,
    Duration,
    Flag,
    Number,
    Positive,
    Share,
    Weeks,
    WholeHours,
)

CONTROLS = ("process", "compose", "systemd")
Action = Literal["rollback", "halt", "alert"]


class Process(Section):
    """The bot as a process that the watchdog starts."""

    command: Annotated[list[str], Field(min_length=1)] = required("Program and arguments, as a list.")
    directory: FilePath = default(".", "Working directory of the bot.")

    @field_validator("command")
    @classmethod
    def _names_a_program(cls, command: list[str]) -> list[str]:
        if not command[0].strip():
            raise ValueError("must begin with the name of a program, such as [python, main.py]")
        return command


class Compose(Section):
    """The bot as a service of a compose file, run through `docker compose` or `docker-compose`."""

    file: FilePath = required("The compose file.")
    service: UnitName = required("Name of the bot's service in it.")
    project: ProjectName | None = default(
        None, "Name of the compose project; left out: as compose names it by itself."
    )
    env_file: FilePath | None = default(
        None, "File with the variables of the compose file; left out: .env beside it."
    )


class Systemd(Section):
    """The bot as a systemd unit."""

    unit: UnitName = required("Name of the bot's unit, such as trading-bot.service.")
    scope: Literal["system", "user"] = default(
        "system",
        "Whose unit it is: the system's, or of the user that the watchdog runs as (systemctl --user).",
    )


class Bot(Section):
    """The supervised trading process."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                {
                    "if": {"properties": {"control": {"const": kind}}},
                    "then": {"required": [kind], "properties": {k: False for k in CONTROLS if k != kind}},
                }
                for kind in CONTROLS
            ]
        }
    )

    name: Text = required("What people call this bot; it is in every alert.")
    control: Literal["process", "compose", "systemd"] = required("How the bot is run.")
    process: Process | None = default(None, "For control: process.")
    compose: Compose | None = default(None, "For control: compose.")
    systemd: Systemd | None = default(None, "For control: systemd.")
    log: FilePath = required("The log that the bot writes (Python's logging: time - name - LEVEL - message).")
    timezone: TimeZone = default("UTC", "Time zone of timestamps that carry no offset.")
    stop_timeout: Positive = default(
        "30s", "After SIGTERM, how long until SIGKILL to the whole process tree."
    )
    start_timeout: Positive = default(
        "2m", "How long until it must have proved that it loaded the right version."
    )
    stays_up_for: Duration = default("10s", "How long a started bot must stay up.")
    max_restarts: Count = default(3, "How often a bot that dies by itself is started again, in 10 minutes.")
    health: Url | None = default(
        None, "An address that answers 200 while the bot is well; its JSON may name the model_version."
    )
    dry_run: Annotated[list[str], Field(min_length=1)] | None = default(
        None,
        "A command that loads the model and ends, without trading: run on the target before the bot is started, and "
        "daily as a rehearsal. {registry} and {version} stand for the registry's folder and the target.",
    )

    @field_validator(*CONTROLS, mode="before")
    @classmethod
    def _fits_control(cls, section: object, info: ValidationInfo) -> object:
        """The one section that `control` names is there, and no other."""
        control = info.data.get("control")
        if control is None:  # wrong itself, which is told already
            return section
        if section is None and info.field_name == control:
            raise ValueError(f"is missing: control is {control}, so there must be a section {control}")
        if section is not None and info.field_name != control:
            raise ValueError(
                f"does not fit, for control is {control}: remove this section, "
                f"or set control to {info.field_name}"
            )
        return section

    @field_validator("dry_run")
    @classmethod
    def _is_not_the_bot(cls, command: list[str] | None, info: ValidationInfo) -> list[str] | None:
        if command is None:
            return None
        if not command[0].strip():
            raise ValueError("must begin with the name of a program, such as [python, main.py, --dry-run]")
        process = info.data.get("process")
        if process is not None and command == process.command:
            raise ValueError(
                "is the command of the bot itself, which would trade: add its option for a dry run"
            )
        return command

    @property
    def tz(self) -> zoneinfo.ZoneInfo:
        """`timezone` as an object."""
        return zoneinfo.ZoneInfo(self.timezone)


class RegistrySettings(Section):
    """The model registry."""

    path: FilePath = required("Folder of registry.json.")
    links: dict[LinkName, Text] = default(
        {}, "A fixed file name that the bot loads -> main, or an artifact's name."
    )
    signing_key: PublicKey | None = default(
        None,
        "Public key (ed25519:...); versions that bear no signature by it are neither started nor gone back to.",
    )


class TradeLog(Section):
    """The bot's trade log, one JSON object a line."""

    path: FilePath = required("The file.")
    initial_equity: Amount = required("Equity at the beginning, in quote currency.")
    stale_after: Positive = default("24h", "Nothing new in the log for so long is an alert.")


class Trigger(Section):
    """What every rule has."""

    action: Action = default("rollback", "What is done when it fires.")
    for_: Duration = default("0s", "How long it must stay true before it fires.", alias="for")
    enabled: Flag = default(True, "false switches the rule off.")


class Sharpe(Trigger):
    """The annualised Sharpe ratio of hourly returns is below a limit."""

    below: Number = default(1.0, "Fires below this ratio.")
    window: WholeHours = default("24h", "Returns of the last so many whole hours, at least 2h.")
    min_trades: CountFromOne = default(10, "Exits that must be in the window.")


class Drawdown(Trigger):
    """The loss from the highest equity of this deployment is above a limit."""

    above: Share = default("25%", "Fires above this share of the peak.")


class LossStreak(Trigger):
    """So many losing exits came in a row."""

    at_least: CountFromOne = default(10, "Fires at so many losses.")


class LoadError(Trigger):
    """The bot's log says that a model could not be loaded, or the bot dies before it has loaded one."""

    patterns: Annotated[list[Pattern], Field(min_length=1)] | None = default(
        None, "Regular expressions that mean a load error, in place of the built-in ones."
    )


class Checksum(Trigger):
    """A file of the current version is missing or is not the one that was registered."""

    for_: Duration = default("30s", "How long it must stay true before it fires.", alias="for")


class Triggers(Section):
    """The rules."""

    sharpe: Sharpe = Field(default_factory=Sharpe)
    drawdown: Drawdown = Field(default_factory=Drawdown)
    loss_streak: LossStreak = Field(default_factory=LossStreak)
    load_error: LoadError = Field(default_factory=LoadError)
    checksum: Checksum = Field(default_factory=Checksum)


class Rollback(Section):
    """How often a rollback may happen by itself, and how long it is watched afterwards."""

    cooldown: Duration = default("1h", "Least time between two automatic rollbacks.")
    max_per_day: Count = default(1, "Automatic rollbacks in 24 hours; the next cause halts the bot.")
    monitor_for: Positive = default("30m", "How long the restored version is watched.")
    validate_for: Positive = default("1h", "When before and after are compared.")


class Monitor(Section):
    """What the looks after a restart go by."""

    predictions: FilePath | None = default(
        None, "The bot's predictions, one JSON object with a timestamp a line. Left out: its log is searched."
    )
    prediction_patterns: Annotated[list[Pattern], Field(min_length=1)] | None = default(
        None, "Regular expressions that mean a prediction in the bot's log, in place of the built-in ones."
    )
    risk_patterns: Annotated[list[Pattern], Field(min_length=1)] | None = default(
        None,
        "Regular expressions that mean a failed risk check in the bot's log, in place of the built-in ones.",
    )


class Exchange(Section):
    """The account whose orders and positions are looked after during a rollback."""

    kind: Literal["binance_usdm", "binance_spot"] = required("Which exchange and market.")
    api_key: Secret = required("API key, best as ${BINANCE_API_KEY}.")
    api_secret: Secret = required("API secret, best as ${BINANCE_API_SECRET}.")
    symbols: Annotated[list[Symbol], Field(min_length=1)] = required("The symbols that the bot trades.")
    open_orders: Literal["cancel", "keep"] = default(
        "cancel", "What is done with open orders of a stopped bot."
    )
    positions: Literal["keep", "close"] = default(
        "keep", "What is done with open positions of a stopped bot."
    )
    base_url: Url | None = default(None, "In place of scheme and host of every API.")


class Telegram(Section):
    """The chat that alerts go to."""

    token: Token = required("Token of the Telegram bot, best as ${TELEGRAM_BOT_TOKEN}.")
    chat_id: Chat = required('Number of the chat, or "@channel".')
    base_url: Url | None = default(None, "In place of the Bot API's scheme and host.")


class Settings(Section):
    """The whole file."""

    bot: Bot = required("The supervised trading process.")
    registry: RegistrySettings = required("The model registry.")
    trade_log: TradeLog = required("The bot's trade log.")
    poll_interval: Positive = default("10s", "How often the watchdog looks.")
    triggers: Triggers = Field(default_factory=Triggers)
    rollback: Rollback = Field(default_factory=Rollback)
    monitor: Monitor = Field(default_factory=Monitor)
    exchange: Annotated[Exchange | None, BeforeValidator(empty_is_a_section)] = left_out(
        "Left out: orders and positions are not looked at."
    )
    telegram: Annotated[Telegram | None, BeforeValidator(empty_is_a_section)] = left_out(
        "Left out: alerts go to the console alone."
    )
    state_dir: FilePath = default("state", "Journal and outbox (SQLite), incident reports.")
    control_dir: FilePath = default("control", "Flag files: ROLLBACK, PAUSE, HALT, RESUME.")
    retention: Weeks = default("90d", "How long closed incidents, obeyed orders and sent alerts are kept.")
    mode: Literal["act", "observe"] = default("act", "observe: tell what would be done, and do nothing.")

    _path: Path = PrivateAttr(default=Path("watchdog.yaml"))

    def model_post_init(self, context: Any) -> None:
        """Remember the file that the settings came from; `context` is what `config.load` hands over."""
        if context:
            self._path = context["path"]

    @property
    def path(self) -> Path:
        """The file that the settings came from, absolute."""
        return self._path

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, the longest first, for a log or a message that must not show them."""
        kept = []
        if self.telegram:
            kept += [self.telegram.token]
        if self.exchange:
            kept += [self.exchange.api_key, self.exchange.api_secret]
        return tuple(sorted({secret.get_secret_value() for secret in kept}, key=lambda s: (-len(s), s)))
