"""What the operator wrote, as typed and checked settings.

`load(find(None))` gives `Settings`, or a `ConfigError` that names every mistake with file, line and column.
"""

from config.errors import ConfigError, Problem
from config.loader import control_dir, find, load
from config.schema import json_schema
from config.settings import (
    Bot,
    Checksum,
    Compose,
    Drawdown,
    Exchange,
    LoadError,
    LossStreak,
    Monitor,
    Process,
    RegistrySettings,
    Rollback,
    Settings,
    Sharpe,
    Systemd,
    Telegram,
    TradeLog,
    Trigger,
    Triggers,
)

__all__ = [
    "Bot",
    "Checksum",
    "Compose",
    "ConfigError",
    "Drawdown",
    "Exchange",
    "LoadError",
    "LossStreak",
    "Monitor",
    "Problem",
    "Process",
    "RegistrySettings",
    "Rollback",
    "Settings",
    "Sharpe",
    "Systemd",
    "Telegram",
    "TradeLog",
    "Trigger",
    "Triggers",
    "control_dir",
    "find",
    "json_schema",
    "load",
]
