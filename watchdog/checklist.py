"""What is seen of a bot after a restart, as a checklist: the playbook's "key metrics to watch". Pure.

Counts what the bot writes, and answers with looks: `ok`, `not yet` (nothing seen that would show it) or `bad`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from config import Settings
from triggers import Entry, Exit, LoadErrorRule, LogLine, TradeRecord, tells_loaded, tells_loading
from watchdog.bot_says import ERRORS, BotSays
from watchdog.proof import Names
from watchdog.rules import load_error_rule

State = Literal["ok", "not yet", "bad"]


@dataclass(frozen=True)
class Look:
    """One line of the checklist. `short` goes into a sentence, `text` stands for itself."""

    name: str
    state: State
    short: str
    text: str

    def as_dict(self) -> dict[str, str]:
        """For the journal."""
        return asdict(self)


@dataclass(frozen=True)
class Before:
    """How many errors the bot logged in the `hours` before the rollback."""

    errors: int
    hours: float


class Seen:
    """What the bot wrote since its restart. `target` and `others`: how its log names the versions."""

    def __init__(self, settings: Settings, target: Names, others: Sequence[Names]) -> None:
        self._says = BotSays(settings.monitor)
        self._target, self._others = target, others
        self._load_errors: LoadErrorRule = load_error_rule(settings)
        self.lines = self.predictions = self.entries = self.exits = self.equity_points = 0
        self.errors = self.risk_failures = 0
        self.last_error = self.last_risk_failure = ""
        self.last_prediction: datetime | None = None
        self.loaded: tuple[str, str] | None = None
        """The version that the last load named, and the line that did."""

    @property
    def other_versions(self) -> frozenset[str]:
        """All of the registry but the target."""
        return frozenset(names.version for names in self._others)

    def line(self, line: LogLine) -> None:
        """One line of its log."""
        self.lines += 1
        self._load_errors.observe(line)
        if line.level in ERRORS:
            self.errors += 1
            self.last_error = _cut(line.message)
        if self._says.risk_failed(line):
            self.risk_failures += 1
            self.last_risk_failure = _cut(line.message)
        elif self._says.predicts(line):
            self.prediction(line.at)
        if tells_loading(line.message) or tells_loaded(line.message):
            named = (n for n in (self._target, *self._others) if n.named_in(line.message, about_loading=True))
            if (found := next(named, None)) is not None:
                self.loaded = (found.version, _cut(line.message))

    def prediction(self, at: datetime) -> None:
        """One prediction, from wherever it is told."""
        self.predictions += 1
        self.last_prediction = at

    def trade(self, record: TradeRecord) -> None:
        """One record of the trade log."""
        if isinstance(record, Entry):
            self.entries += 1
        elif isinstance(record, Exit):
            self.exits += 1
        else:
            self.equity_points += 1

    @property
    def wrong(self) -> str | None:
        """That the last load named another version than the target, or None."""
        if self.loaded is None or self.loaded[0] == self._target.version:
            return None
        return (
            f"its log names {self.loaded[0]} in its last load, not {self._target.version} ({self.loaded[1]})"
        )

    def load_error(self, now: datetime) -> str | None:
        """That its log tells of a load error, or None."""
        verdict = self._load_errors.evaluate(now)
        return verdict.reason if verdict.state == "firing" else None

    # -- looks

    def version(self, now: datetime) -> Look:
        """The right one is still loaded."""
        version = self._target.version
        if (error := self.load_error(now)) is not None:
            return Look("version", "bad", "load error", error)
        if self.wrong is not None:
            return Look("version", "bad", "another version loaded", self.wrong)
        if self.loaded is None:
            return Look("version", "not yet", "no load named", f"no load of {version} is named in its log")
        return Look("version", "ok", f"{version} loaded", f"its last load names {version}: {self.loaded[1]}")

    def predicts(self) -> Look:
        """Predictions are made. A bot that trades predicts, too."""
        count = self.predictions or self.entries
        short = f"predictions {count}"
        if count == 0:
            return Look("predictions", "not yet", short, "no prediction was seen since the restart")
        if not self.predictions:
            return Look("predictions", "ok", short, f"{count} were traded on; its log names none")
        last = "" if self.last_prediction is None else f", the last at {self.last_prediction:%H:%M:%S} UTC"
        return Look("predictions", "ok", short, f"{count} since the restart{last}")

    def risk(self) -> Look:
        """Risk checks pass, as far as its log tells."""
        if self.risk_failures:
            failed = f"{self.risk_failures} failed; the last: {self.last_risk_failure}"
            return Look("risk checks", "bad", f"risk checks failed {self.risk_failures}", failed)
        if self.lines == 0:
            return Look("risk checks", "not yet", "no log line", "it has logged nothing since the restart")
        plural = "line" if self.lines == 1 else "lines"
        return Look(
            "risk checks", "ok", "risk checks 0 failed", f"none failed in {self.lines} {plural} of its log"
        )

    def no_errors(self, before: Before | None, hours: float) -> Look:
        """No new errors: none, or no more than before. `hours`: since the restart."""
        short = f"errors {self.errors}"
        if self.lines == 0:
            return Look("errors", "not yet", short, "it has logged nothing since the restart")
        if before is None or before.hours <= 0:
            usual, usually = None, "how many it logged before is not known"
        else:
            usual = before.errors / before.hours * hours
            usually = f"{before.errors / before.hours:.3g} an hour before"
        if not unusual(self.errors, usual or 0.0):
            text = "none" if self.errors == 0 else f"{self.errors} in {hours:.2g} h, {usually}"
            return Look("errors", "ok", short, text)
        text = f"{self.errors} in {hours:.2g} h, {usually}; the last: {self.last_error}"
        return Look("errors", "bad", short, text)

    def trades(self) -> Look:
        """Trades or equity points resume."""
        count = self.entries + self.exits
        text = f"{self.entries} entries, {self.exits} exits, {self.equity_points} equity points"
        if count + self.equity_points == 0:
            return Look("trades", "not yet", "trades 0", "no trade and no equity point since the restart")
        return Look("trades", "ok", f"trades {count}", text)


def unusual(count: int, usual: float) -> bool:
    """Whether so many errors are more than chance makes of a usual number (a Poisson count's standard deviation is the
    root of its mean; three of them). One or two are never."""
    return count >= 3 and count > usual + 3 * math.sqrt(usual)


def in_short(looks: Sequence[Mapping[str, Any]]) -> str:
    """For a sentence: `not restarted, v2.0.0 loaded, predictions 312, trades 2, errors 0`."""
    return ", ".join(str(look["short"]) for look in looks)


def as_list(looks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Markdown, one item a look; what is bad is not ticked either, and says so."""
    lines = []
    for look in looks:
        mark = "x" if look["state"] == "ok" else " "
        state = "" if look["state"] == "ok" else f" ({look['state']})"
        lines.append(f"- [{mark}] {str(look['name']).capitalize()}{state}: {look['text']}")
    return lines


def left_open(looks: Sequence[Mapping[str, Any]]) -> str | None:
    """What people have to look at themselves: all that is not ok, or None."""
    rest = [f"{look['name']}: {look['text']}" for look in looks if look["state"] != "ok"]
    return "; ".join(rest) if rest else None


def _cut(message: str, limit: int = 160) -> str:
    line = message.splitlines()[0] if message else ""
    return line if len(line) <= limit else line[: limit - 1] + "…"
