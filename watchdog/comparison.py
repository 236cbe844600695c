"""Before and after a rollback, side by side: how the bot traded, predicted and erred. Pure.

    win rate        wins / (wins + losses); an exit of exactly 0 is neither
    drawdown        max over the span of (peak - E) / peak, with E the equity at the start of the span plus realised P&L
    spread          standard deviation of the confidences, ddof = 1
    share up        predictions up / (up + down)

Two means differ when |a - b| > 2 * sqrt(s_a^2 / n_a + s_b^2 / n_b) (B. L. Welch, 1947), two shares when
|p - q| > 2 * sqrt(r (1 - r) (1/n + 1/m)) with r the share of both together; 2 standard errors are exceeded by chance in
about 5 % of cases. With fewer than `FEWEST_EXITS` exits or `FEWEST_PREDICTIONS` predictions on a side nothing is read
from them.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.predictions import Prediction

FEWEST_EXITS = 10
FEWEST_PREDICTIONS = 30
ERRORS_APART = 2.0
"""Standard errors."""


@dataclass(frozen=True)
class Span:
    """What the bot did from `begin` to `end` (UTC) on `version`.

    `pnls`: of the exits, in quote currency and in their order. `equity`: at the beginning, quote currency.
    `errors`: lines of ERROR and above in its log; None when the log could not be read.
    """

    version: str
    begin: datetime
    end: datetime
    pnls: Sequence[float]
    equity: float
    predictions: Sequence[Prediction]
    errors: int | None

    @property
    def hours(self) -> float:
        """How long it was."""
        return max(0.0, (self.end - self.begin).total_seconds() / 3600)

    def per_hour(self, count: int | None) -> float | None:
        """None when the span has no length, or there is nothing to count."""
        return None if count is None or self.hours <= 0 else count / self.hours

    @property
    def win_rate(self) -> float | None:
        """A share, or None without a win or a loss."""
        wins, losses = sum(pnl > 0 for pnl in self.pnls), sum(pnl < 0 for pnl in self.pnls)
        return wins / (wins + losses) if wins + losses else None

    @property
    def pnl(self) -> float:
        """Realised, quote currency."""
        return math.fsum(self.pnls)

    @property
    def drawdown(self) -> float | None:
        """A share of the peak, or None without an equity to begin with."""
        if not self.equity > 0:
            return None
        equity = peak = self.equity
        deepest = 0.0
        for pnl in self.pnls:
            equity += pnl
            peak = max(peak, equity)
            deepest = max(deepest, (peak - equity) / peak)
        return deepest

    @property
    def confidences(self) -> list[float]:
        """Those that are known, as shares."""
        return [p.confidence for p in self.predictions if p.confidence is not None]

    @property
    def directions(self) -> list[bool]:
        """Up or down, where it is known."""
        return [p.up for p in self.predictions if p.up is not None]


@dataclass(frozen=True)
class Distribution:
    """Of predictions: how many, mean and spread of their confidences, the share that says up."""

    count: int
    mean: float | None
    spread: float | None
    share_up: float | None


def distribution(span: Span) -> Distribution:
    """As the module's head says; None where there is nothing to reckon with."""
    confidences, directions = span.confidences, span.directions
    return Distribution(
        len(span.predictions),
        statistics.fmean(confidences) if confidences else None,
        statistics.stdev(confidences) if len(confidences) > 1 else None,
        sum(directions) / len(directions) if directions else None,
    )


def table(before: Span, after: Span, heads: tuple[str, str] | None = None) -> list[str]:
    """The lines of a Markdown table. `heads`: of its two columns."""
    left_head, right_head = heads or (f"before ({before.version})", f"since ({after.version})")
    left, right = _column(before), _column(after)
    rows = [f"| {name} | {left[name]} | {right[name]} |" for name in left]
    return [f"| | {left_head} | {right_head} |", "|---|---|---|", *rows]


def _column(span: Span) -> dict[str, str]:
    found = distribution(span)
    wins, losses = sum(pnl > 0 for pnl in span.pnls), sum(pnl < 0 for pnl in span.pnls)
    errors = "not known" if span.errors is None else f"{_number(span.per_hour(span.errors))} ({span.errors})"
    return {
        "from, to (UTC)": f"{span.begin:%m-%d %H:%M:%S}, {span.end:%m-%d %H:%M:%S}",
        "hours": _number(span.hours),
        "exits": str(len(span.pnls)),
        "exits per hour": _number(span.per_hour(len(span.pnls))),
        "win rate": _share(span.win_rate) + (f" ({wins} of {wins + losses})" if wins + losses else ""),
        "P&L": f"{span.pnl:+,.2f}",
        "P&L per exit": f"{span.pnl / len(span.pnls):+,.2f}" if span.pnls else "-",
        "drawdown": _share(span.drawdown),
        "predictions": str(found.count),
        "mean confidence": _number(found.mean),
        "spread of the confidence": _number(found.spread),
        "share up": _share(found.share_up),
        "errors per hour": errors,
    }


def reading(before: Span, after: Span) -> str:
    """What the table says, in one sentence for people."""
    parts = (_about_trades(before, after), _about_predictions(before, after), _about_errors(before, after))
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _about_trades(before: Span, after: Span) -> str:
    counts = f"{len(before.pnls)} before, {len(after.pnls)} since"
    if min(len(before.pnls), len(after.pnls)) < FEWEST_EXITS:
        return f"too few trades to compare ({counts})"
    left, right = statistics.fmean(before.pnls), statistics.fmean(after.pnls)
    apart = _apart(before.pnls, after.pnls)
    if abs(apart) <= ERRORS_APART:
        return f"P&L per exit, {right:+,.2f} after {left:+,.2f}, differs by no more than chance does"
    better = "better" if right > left else "worse"
    size = f", {abs(apart):.1f} standard errors apart" if math.isfinite(apart) else ""
    return f"P&L per exit is {better}: {right:+,.2f} after {left:+,.2f}{size}"


def _about_predictions(before: Span, after: Span) -> str:
    n, m = len(before.predictions), len(after.predictions)
    if n + m == 0:
        return "no prediction was seen"
    if min(n, m) < FEWEST_PREDICTIONS:
        return f"too few predictions to compare ({n} before, {m} since)"
    changed = []
    left, right = distribution(before), distribution(after)
    if (
        left.share_up is not None
        and right.share_up is not None
        and abs(_shares_apart(before.directions, after.directions)) > ERRORS_APART
    ):
        changed.append(f"{_share(right.share_up)} say up after {_share(left.share_up)}")
    if (
        left.mean is not None
        and right.mean is not None
        and abs(_apart(before.confidences, after.confidences)) > ERRORS_APART
    ):
        changed.append(f"their mean confidence is {right.mean:.2f} after {left.mean:.2f}")
    if changed:
        return f"predictions are distributed otherwise: {', '.join(changed)}"
    if left.mean is None and left.share_up is None:
        return f"predictions tell neither direction nor confidence ({n} before, {m} since)"
    return "predictions are distributed as before"


def _about_errors(before: Span, after: Span) -> str:
    left, right = before.per_hour(before.errors), after.per_hour(after.errors)
    if left is None or right is None:
        return "errors could not be compared"
    return f"{_number(right)} errors an hour after {_number(left)}"


def _apart(left: Sequence[float], right: Sequence[float]) -> float:
    """Difference of the means in standard errors; infinite when they differ and nothing varies."""
    if min(len(left), len(right)) < 2:
        return 0.0
    error = math.sqrt(statistics.variance(left) / len(left) + statistics.variance(right) / len(right))
    difference = statistics.fmean(right) - statistics.fmean(left)
    if error == 0:
        return 0.0 if difference == 0 else math.copysign(math.inf, difference)
    return difference / error


def _shares_apart(left: Sequence[bool], right: Sequence[bool]) -> float:
    """Difference of the shares in standard errors of the share of both together."""
    both = (sum(left) + sum(right)) / (len(left) + len(right))
    error = math.sqrt(both * (1 - both) * (1 / len(left) + 1 / len(right)))
    difference = sum(right) / len(right) - sum(left) / len(left)
    return 0.0 if error == 0 else difference / error


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
