"""Pure rules over what a bot did: records in, verdicts out."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from triggers.cash_flow import Suspect
from triggers.checksum import ChecksumRule, ChecksumSettings
from triggers.drawdown import DrawdownRule, DrawdownSettings
from triggers.engine import Engine
from triggers.hold import Hold
from triggers.load_error import LoadErrorRule, LoadErrorSettings
from triggers.load_patterns import tells_loaded, tells_loading
from triggers.loss_streak import LossStreakRule, LossStreakSettings
from triggers.records import (
    ArtifactCheck,
    BotExited,
    BotStarted,
    Entry,
    Equity,
    Exit,
    GaveUp,
    LogLine,
    Record,
    TradeRecord,
    Transferred,
)
from triggers.rule import Rule
from triggers.sharpe import SharpeRule, SharpeSettings
from triggers.verdict import State, Verdict

RULES: dict[type, Callable[..., Rule]] = {
    SharpeSettings: SharpeRule,
    DrawdownSettings: DrawdownRule,
    LossStreakSettings: LossStreakRule,
    LoadErrorSettings: LoadErrorRule,
    ChecksumSettings: ChecksumRule,
}
"""The table of rules: what each is made from."""

RuleSettings = SharpeSettings | DrawdownSettings | LossStreakSettings | LoadErrorSettings | ChecksumSettings


def build(settings: Sequence[tuple[RuleSettings, timedelta]], since: datetime, context: str = "") -> Engine:
    """The engine of these rules, each with its `for`, for a deployment that started at `since`.

    `context`: whatever else a kept state depends on; it does not fit another one.
    """
    rules = [Hold(RULES[type(one)](one), for_) for one, for_ in settings]
    return Engine(rules, since, fingerprint=f"{context} {settings!r}")


__all__ = [
    "RULES",
    "ArtifactCheck",
    "BotExited",
    "BotStarted",
    "ChecksumRule",
    "ChecksumSettings",
    "DrawdownRule",
    "DrawdownSettings",
    "Engine",
    "Entry",
    "Equity",
    "Exit",
    "GaveUp",
    "Hold",
    "LoadErrorRule",
    "LoadErrorSettings",
    "LogLine",
    "LossStreakRule",
    "LossStreakSettings",
    "Record",
    "Rule",
    "RuleSettings",
    "SharpeRule",
    "SharpeSettings",
    "State",
    "Suspect",
    "TradeRecord",
    "Transferred",
    "Verdict",
    "build",
    "tells_loaded",
    "tells_loading",
]
