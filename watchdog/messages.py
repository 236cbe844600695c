"""The words that people read at 3 a.m.: what happened, what was done, what is asked of them.

The first line is the headline; the bot's name is put before it. Plain text, `code` in backticks.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from config import Settings
from triggers import Verdict
from watchdog import after_words
from watchdog.bots.base import Running, Stopped
from watchdog.bots.starter import who_started
from watchdog.decide import Decision
from watchdog.exchange import pages
from watchdog.incident import Incident

Severity = Literal["info", "warning", "critical"]


def span(delta: timedelta) -> str:
    """A duration as people write it: 45 s, 12 min, 3.5 h, 2 d."""
    seconds = delta.total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def parse_time(text: str) -> datetime:
    """A time that was written into an incident's facts."""
    return datetime.fromisoformat(text)


def clock_time(at: datetime) -> str:
    """The time of day, UTC."""
    return f"{at:%H:%M:%S} UTC"


def since(halted: dict[str, Any]) -> str:
    """When a halt began: `2026-03-01 10:00:00 UTC`."""
    return f"{parse_time(halted['since']).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def unseen_orders(settings: Settings) -> str:
    """What is known of the exchange: nothing."""
    symbols = f" ({', '.join(settings.exchange.symbols)})" if settings.exchange else ""
    return f"Open orders and positions on the exchange{symbols} were not looked at: please look yourself."


def step(incident: Incident, *sentences: str) -> str:
    """One step as it was done."""
    first, *rest = sentences
    return "\n".join([f"{first} (incident {incident.id})", *rest])


def rolling_back(incident: Incident, now: datetime) -> str:
    """The opening of a rollback."""
    who = "by itself" if incident.automatic else f"ordered by {incident.by}"
    return (
        f"rolling back {incident.from_version} to {incident.target} (incident {incident.id})\n"
        f"Why: {incident.reason}\n"
        f"Began {clock_time(now)}, {who}. Nothing is asked of you yet; every step is told here."
    )


def cause(incident: Incident) -> str:
    """The incident, in the sentence of a tick: "incident 7 (v2.1.0: drawdown 26.1 % is above 25 %)"."""
    return f"incident {incident.id} ({incident.from_version}: {incident.reason})"


def order_refused(incident: Incident, why: str) -> str:
    """A person's order that cannot be followed."""
    return (
        f"the rollback that {incident.by} ordered was refused\nWhy: {why}\n"
        f"Nothing was touched; the bot is as it was."
    )


def no_target(version: str | None) -> str:
    """The playbook's "No previous version found"."""
    return (
        f"No previous version found that was current before {version}, is not quarantined and whose files verify. "
        f"Deploy a known-good model by hand (register it, promote it), then resume"
    )


def no_target_ahead(version: str | None) -> str:
    """Said before it matters."""
    return (
        f"there is no version to roll back to from {version}: if a rule fires, the bot will be stopped and halted. "
        f"Register and promote a known-good version before the next one"
    )


def not_acted(verdict: Verdict, decision: Decision, version: str | None) -> str:
    """A rule fires and nothing is done about it."""
    would = {"rollback": f"would have rolled back {version}", "halt": "would have halted the bot"}.get(
        decision.would or "", ""
    )
    return (
        f"{verdict.reason} ({version})\nNothing was done: {decision.why}.{f' It {would}.' if would else ''}"
    )


def in_short(verdict: Verdict) -> str | None:
    """A verdict in the tick's sentence: `sharpe 1.84`, `drawdown 3.1 %`, `2 losses in a row`; the good news of the
    other rules goes without saying."""
    if verdict.name in {"load_error", "checksum"} or verdict.value is None:
        return f"{verdict.name} {verdict.state}" if verdict.state in {"firing", "pending"} else None
    firing = " (firing)" if verdict.state == "firing" else ""
    if verdict.name == "drawdown":
        return f"drawdown {verdict.value * 100:.1f} %{firing}"
    if verdict.name == "loss_streak":
        return f"{verdict.value:.0f} loss{'' if verdict.value == 1 else 'es'} in a row{firing}"
    return f"{verdict.name} {verdict.value:.2f}{firing}"


def how_it_ended(code: int | None, tail: list[str]) -> str:
    """How a bot ended by itself, in brackets, or nothing."""
    how = "" if code is None else (f"killed by signal {-code}" if code < 0 else f"exit code {code}")
    last = " / ".join(line.strip() for line in tail if line.strip())[-200:]
    said = "; ".join(text for text in (how, f"its last words: {last}" if last else "") if text)
    return f" ({said})" if said else ""


def halting(incident: Incident) -> str:
    """The opening of a halt."""
    return (
        f"HALT: the bot is being stopped and stays stopped (incident {incident.id})\n"
        f"Why: {incident.reason}\nOrdered by {incident.by}."
    )


def stopped(what: Stopped, begun: datetime | None = None) -> str:
    """How the bot was stopped. `begun`: when a watchdog that ended meanwhile had begun to."""
    if what.how == "was not running" and begun is not None:
        return f"Bot is down: its stop was begun at {clock_time(begun)}, before the watchdog itself ended"
    if what.how == "was not running":
        return "Bot was not running"
    pids = ", ".join(map(str, what.pids))
    after = "" if what.how == "SIGTERM" else ": it did not end by itself in time and was killed"
    back = (
        f". It was brought back once by {what.brought_back_by} and stopped again"
        if what.brought_back_by
        else ""
    )
    return f"Bot stopped with {what.how} in {what.seconds:.1f} s (pid {pids}){after}{back}"


def starter(found: Running) -> str:
    """Who started it; its owner may know more than the process table does."""
    return found.started_by or who_started(found.pid)


def brought_back(incident: Incident, found: Running) -> str:
    """Something started the bot while a rollback keeps it down."""
    return (
        f"something started the bot in the middle of the rollback (incident {incident.id})\n"
        f"It runs as pid {found.pid} (`{found.command}`), started by {starter(found)}. It is stopped again and "
        f"its orders are looked after once more.\nAsked of you: find out what did, and keep it from doing so."
    )


def killed(incident: Incident, pid: int, why: str) -> str:
    """A halt goes past an owner that does not stop the bot."""
    return (
        f"the bot's process {pid} was killed directly, for its owner did not stop it (incident {incident.id})\n"
        f"Why: {why}\nIts owner may start it again: it is stopped again when that is seen.\n"
        f"Asked of you: mend the owner."
    )


def others_left(incident: Incident, who: str) -> str:
    """The bot is stopped, and yet something goes on writing its log."""
    return (
        f"something still writes the bot's log (incident {incident.id})\n"
        f"It is not the bot as it is configured: {who}.\nIf it trades, end it: the watchdog does not know it."
    )


def switched(incident: Incident, checksum: str) -> str:
    """The registry's switch."""
    return f"Registry switched from {incident.from_version} to {incident.target}, checksum {checksum[:8]}... valid"


def restarted(incident: Incident, proof: str, monitor_for: timedelta, now: datetime) -> str:
    """The playbook's "Bot restarted"."""
    took = span(now - incident.opened_at)
    return (
        f"Bot restarted on {incident.target} after {took} (incident {incident.id})\n"
        f"Proof: {proof}\n"
        f"It is watched closely for {span(monitor_for)}. If it looks wrong to you: `model-watchdog halt`"
    )


def ended(code: int | None, tail: list[str], trouble: str | None = None) -> str:
    """A bot that ended while it should prove itself; `trouble`: what its owner says of it."""
    owner = f"; {trouble}" if trouble else ""
    return f"the bot ended{how_it_ended(code, tail)} before it had proved what it loaded{owner}"


def one_older(incident: Incident, why: str) -> str:
    """The target turned out to be no good."""
    return f"{incident.target} is no good either; going one version further back (incident {incident.id})\nWhy: {why}"


def outlived(incident: Incident, other: str) -> str:
    """Somebody deployed while the restored version was being watched."""
    return (
        f"{other} was made current while {incident.target} was being watched (incident {incident.id})\n"
        f"The watching ends here; the rules judge {other} from its start. If you did not promote it, find out what did."
    )


def stuck(incident: Incident, why: str) -> str:
    """A step that cannot be done now."""
    return (
        f"incident {incident.id} is stuck at {incident.step} and needs you\n"
        f"Why: {why}\nNothing further is touched; the step is tried again every few seconds."
    )


def summary(incident: Incident, now: datetime, report: str, way_back: str | None = None) -> str:
    """The closing of an incident. `report`: where it is; `way_back`: what comes before a resume, instead of mending."""
    took, report = span(now - incident.opened_at), report[:1].upper() + report[1:]
    if incident.outcome == "halted":
        mend = "mend the cause or deploy a known-good model, then `model-watchdog resume --reason ...`"
        return (
            f"halted: the bot is stopped and stays stopped (incident {incident.id})\n"
            f"Why: {incident.reason}\n{pages.in_short(incident.facts)}"
            f"Asked of you: look at open orders and positions on the exchange"
            f"{f', {mend}' if way_back is None else f'. {way_back}'}\n{report}"
        )
    return (
        f"incident {incident.id} is closed: {incident.target} has run without a rule firing\n"
        f"{incident.from_version} was rolled back and is quarantined; the incident lasted {took}.\n"
        f"{pages.in_short(incident.facts)}{after_words.in_short(incident.facts)}"
        f"Asked of you, at daytime: find the root cause, plan the fix, fill in the report.\n{report}"
    )


def unwritten(error: Exception, holders: list[int]) -> str:
    """The journal cannot be written, for longer than a moment."""
    held = f", held by {', '.join(f'pid {pid}' for pid in holders)}" if holders else ""
    return (
        f"the journal cannot be written ({error}{held})\n"
        f"The watching goes on; but a rule that fires now halts the bot, for no rollback can be begun. Make room on "
        f"the disk, mend its rights, or end the program that keeps the file locked."
    )


def no_news_of_halts(why: str, *, running: bool, halted: dict[str, Any] | None, left: Incident | None) -> str:
    """The watchdog starts with a journal that cannot be trusted to know all that happened."""
    lines = [
        f"{why}\nWhat happened since, or is lost, is not known: the automatic rollbacks of a day are taken for used up."
    ]
    if halted is not None:
        lines.append(
            f"The halt of {since(halted)} by {halted['by']} is in force, as it was then ({halted['why']}). If "
            f"it was ended since: `model-watchdog resume --reason ...`"
        )
    elif running:
        lines.append("The bot runs, and goes on running.")
    else:
        lines.append(
            "The bot is down, perhaps because somebody halted it: it is not started. Once you know that it may run: "
            "`model-watchdog resume --reason ...`"
        )
    if left is not None and running:
        lines.append(
            f"Incident {left.id} was open in it, at {left.step}: it is closed, and nothing is done about it. Look "
            f"whether {left.from_version} is gone for good."
        )
    return "\n".join(lines)


def forgotten_quarantines(settings: Settings, left: dict[str, int]) -> str:
    """registry.json was restored from before a rollback."""
    each = ", ".join(f"{version} (incident {number})" for version, number in left.items())
    return (
        f"{settings.registry.path}/registry.json is older than the journal: it does not know of the rollback from "
        f"{each}\n"
        f"There it is no longer quarantined; the watchdog does not go back to it all the same. If it is current now, "
        f"and still no good: `model-watchdog rollback`. To let it be gone back to, promote it again."
    )
