"""The rules as the operator configured them."""

from datetime import datetime, timedelta

from config import Settings
from config import Trigger as TriggerSettings
from triggers import (
    ChecksumSettings,
    DrawdownSettings,
    Engine,
    LoadErrorRule,
    LoadErrorSettings,
    LossStreakSettings,
    RuleSettings,
    SharpeSettings,
    build,
)

TRADE_RULES = frozenset({"sharpe", "drawdown", "loss_streak"})
"""Rules that judge by the trade log's records and their times."""


def build_engine(settings: Settings, now: datetime) -> Engine:
    """The engine of the rules that are switched on."""
    t, equity = settings.triggers, settings.trade_log.initial_equity
    table: list[tuple[TriggerSettings, RuleSettings]] = [
        (t.sharpe, SharpeSettings(t.sharpe.below, t.sharpe.window, t.sharpe.min_trades, equity)),
        (t.drawdown, DrawdownSettings(t.drawdown.above, equity)),
        (t.loss_streak, LossStreakSettings(t.loss_streak.at_least)),
        (t.load_error, load_error_settings(settings)),
        (t.checksum, ChecksumSettings()),
    ]
    chosen: list[tuple[RuleSettings, timedelta]] = [
        (rule, trigger.for_) for trigger, rule in table if trigger.enabled
    ]
    return build(chosen, now, context=f"times in {settings.bot.timezone}")


def load_error_settings(settings: Settings) -> LoadErrorSettings:
    """The operator's patterns, or ours."""
    patterns = settings.triggers.load_error.patterns
    return LoadErrorSettings() if patterns is None else LoadErrorSettings(tuple(patterns))


def load_error_rule(settings: Settings) -> LoadErrorRule:
    """A fresh rule, to judge one start of the bot by."""
    return LoadErrorRule(load_error_settings(settings))
