"""What a person asks after a rollback: how the bot predicts, and what is known of a version. Reads files alone.

The text behind `scripts/analyze_predictions.py` and `scripts/model_diagnostics.py`, which the playbook names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from config import Settings
from registry import ModelRegistry, RegistryError
from registry.history import switches
from triggers import tells_loaded, tells_loading
from watchdog import messages
from watchdog.bot_log import BotLogParser
from watchdog.comparison import Span, distribution, reading, table
from watchdog.follow import Follower
from watchdog.open_registry import open_registry
from watchdog.predictions import SOURCES
from watchdog.proof import names_of_all
from watchdog.rules import load_error_rule
from watchdog.spans import Reader, Wanted, best_source

BINS = 10
WIDTH = 40
"""Characters of the longest bar."""

SHOWN_LOADS = 5


@dataclass
class Answer:
    """Lines for people. `good`: whether there was what was asked for, and nothing is wrong with it."""

    lines: list[str] = field(default_factory=list)
    good: bool = True


def predictions(settings: Settings, hours: float, now: datetime) -> Answer:
    """The distribution of the predictions of the last `hours`, beside that of as long before.

    Never of two versions together: where another one became current meanwhile, the current one since then stands beside
    the one before it, until then.
    """
    span = timedelta(hours=hours)
    versions, deployed, notes = _known(settings, now)
    before, after = _windows(deployed, span, now)
    split = before.version != after.version
    reader = Reader(settings, versions)
    reader.read(before, after)
    source = best_source(before, after)
    left, right = reader.span(before, source), reader.span(after, source)
    answer = Answer(good=bool(right.predictions))
    if source is None:
        answer.lines.append(
            f"No prediction was seen in the last {2 * hours:g} h: looked into {_places(settings)}"
        )
    else:
        of, last = "", f"{hours:g} h"
        if split:
            of, last = f" of {after.version}", messages.span(now - after.begin)
        heads = None if split else (f"{hours:g} h before", f"last {hours:g} h")
        answer.lines.append(
            f"{len(right.predictions)} predictions{of} in the last {last}, from {SOURCES[source]}"
        )
        answer.lines += ["", *_histogram(right), "", *table(left, right, heads), "", reading(left, right)]
    if split:
        answer.lines.append(
            f"{before.version} was current until {before.end:%Y-%m-%d %H:%M:%S} UTC, {after.version} is since "
            f"{deployed[-1].begin:%Y-%m-%d %H:%M:%S} UTC: each is counted by itself."
        )
    answer.lines += [*notes, *reader.unread]
    return answer


def _known(settings: Settings, now: datetime) -> tuple[set[str], list[Wanted], list[str]]:
    """The versions of the registry; the spans in which each was current, in their order, the last one being that of the
    current version; what is not known of that, as sentences."""
    try:
        data = open_registry(settings).read()
    except RegistryError as error:
        return set(), [], [f"Which version made them is not known: {error}"]
    spans: list[Wanted] = []
    for one in _every_deployment(settings, data["history"], now):
        if spans and spans[-1].version == one.version and spans[-1].end == one.begin:
            spans[-1].end = one.end  # promoted once more
        else:
            spans.append(one)
    newest = spans[-1] if spans else Wanted("", now, now)
    if newest.version != data["current_version"] or newest.end != now or newest.begin > now:
        why = (
            f"Since when {data['current_version']} is current is not known: others may have made some of them"
        )
        return set(data["models"]), [], [why]
    return set(data["models"]), spans, []


def _windows(deployed: Sequence[Wanted], span: timedelta, now: datetime) -> tuple[Wanted, Wanted]:
    """What is compared: (before, after)."""
    version = deployed[-1].version if deployed else ""
    if len(deployed) < 2 or deployed[-1].begin <= now - 2 * span:
        return Wanted(version, now - 2 * span, now - span), Wanted(version, now - span, now)
    current, last = deployed[-1], deployed[-2]
    before = Wanted(last.version, max(last.begin, last.end - span), last.end)
    return before, Wanted(version, max(current.begin, now - span), now)


def _places(settings: Settings) -> str:
    file = settings.monitor.predictions
    return ", ".join(
        str(path) for path in (file, settings.bot.log, settings.trade_log.path) if path is not None
    )


def _histogram(span: Span) -> Iterator[str]:
    """How often each tenth of the confidence was told."""
    found, confidences = distribution(span), span.confidences
    if not confidences:
        yield "They tell no confidence."
        return
    counts = [0] * BINS
    for confidence in confidences:
        counts[min(BINS - 1, int(confidence * BINS))] += 1
    for number, count in enumerate(counts):
        bar = "#" * round(WIDTH * count / max(counts))
        yield f"confidence {number / BINS:.1f} to {(number + 1) / BINS:.1f}  {count:6d}  {bar}".rstrip()
    if found.share_up is not None:
        yield f"up {100 * found.share_up:.1f} %, down {100 * (1 - found.share_up):.1f} %"


def version(settings: Settings, registry: ModelRegistry, name: str, now: datetime) -> Answer:
    """Files, checksums, deployments, loads and trades of a version. RegistryError when it is not registered."""
    data = registry.read()
    states = registry.check(name)
    entry = data["models"][name]
    answer = Answer(good=all(state.ok for state in states))
    current = (
        "the current version" if data["current_version"] == name else f"current is {data['current_version']}"
    )
    quarantine = ", in quarantine: it was rolled back from" if registry.is_quarantined(name) else ""
    answer.lines.append(f"{name}: {entry.get('status', 'no status')}{quarantine}; {current}")
    answer.lines.append(f"registered at {entry.get('registered_at', 'an unknown time')}")
    for state in states:
        size = f"{state.path.stat().st_size:,} bytes" if state.path.exists() else "no file"
        checksum = (state.expected or "none")[:16]
        said = "verified" if state.ok else f"{state.state}: {state.detail}"
        answer.lines.append(f"{state.name}: {state.path}, {size}, checksum {checksum}..., {said}")
    spans = list(_deployments(settings, data["history"], name, now))
    answer.lines += ["", *_traded(settings, set(data["models"]), spans, name)]
    answer.lines += ["", *_loads(settings, registry, name, min((span.begin for span in spans), default=now))]
    return answer


def _deployments(settings: Settings, history: Sequence[object], name: str, now: datetime) -> Iterator[Wanted]:
    """Each span in which the version was current, as far as its times are known."""
    return (span for span in _every_deployment(settings, history, now) if span.version == name)


def _every_deployment(settings: Settings, history: Sequence[object], now: datetime) -> Iterator[Wanted]:
    """The spans in which a version was current, in their order, as far as their times are known."""
    begin: datetime | None = None
    version = ""
    for switch in switches(history):
        at = _time(settings, switch.event.get("timestamp"))
        if begin is not None and at is not None:
            yield Wanted(version, begin, at)
        begin, version = at, switch.version
    if begin is not None:
        yield Wanted(version, begin, now)


def _time(settings: Settings, written: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(str(written))
        return (at if at.tzinfo else at.replace(tzinfo=settings.bot.tz)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _traded(settings: Settings, versions: set[str], spans: list[Wanted], name: str) -> Iterator[str]:
    if not spans:
        yield "It was never deployed, as far as the registry's history tells."
        return
    reader = Reader(settings, versions)
    reader.read(*spans)
    yield f"deployed {len(spans)} time{'' if len(spans) == 1 else 's'}:"
    for wanted in spans:
        found = reader.span(wanted, best_source(wanted))
        wins = "" if found.win_rate is None else f", win rate {100 * found.win_rate:.1f} %"
        deepest = "" if found.drawdown is None else f", drawdown {100 * found.drawdown:.1f} %"
        errors = "" if found.errors is None else f", {found.errors} errors logged"
        yield (
            f"  {wanted.begin:%Y-%m-%d %H:%M:%S} to {wanted.end:%Y-%m-%d %H:%M:%S} UTC: {len(found.pnls)} exits, "
            f"P&L {found.pnl:+,.2f}{wins}{deepest}{errors}"
        )
    total = sum(sum(wanted.pnls) for wanted in spans)
    yield f"trades made by {name}: {sum(len(wanted.pnls) for wanted in spans)} exits, P&L {total:+,.2f}"
    yield from reader.unread


def _loads(settings: Settings, registry: ModelRegistry, name: str, since: datetime) -> Iterator[str]:
    """The last lines of the bot's log about loading it, and the load error that followed the last one, if any."""
    names = names_of_all({name: {}, **registry.files()}, settings.registry.links, linked=name)[name]
    found: list[str] = []
    errors = load_error_rule(settings)
    log, parser = Follower.from_start(settings.bot.log, since), BotLogParser(settings.bot.tz)
    while True:
        for line in [*parser.feed(log.read()), *(parser.flush() if log.caught_up else [])]:
            about = tells_loading(line.message) or tells_loaded(line.message)
            if about and names.named_in(line.message, about_loading=True):
                found.append(f"  {line.at:%Y-%m-%d %H:%M:%S} UTC: {line.message.splitlines()[0][:200]}")
                errors = load_error_rule(settings)
            errors.observe(line)
        del found[:-SHOWN_LOADS]
        if log.caught_up:
            break
    log.close()
    if not found:
        yield f"{settings.bot.log}: no load of {name} is named" + (f" ({log.trouble})" if log.trouble else "")
        return
    yield "loaded, as the bot's log tells (the last times):"
    yield from found
    verdict = errors.evaluate(since)
    if verdict.state == "firing":
        yield f"since its last load: {verdict.reason}"
