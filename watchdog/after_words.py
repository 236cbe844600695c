"""The words about a bot after its rollback, for people: what was seen, what is asked of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from watchdog import checklist
from watchdog.bots.base import Running
from watchdog.incident import Incident

LOOKS = {
    "predictions": "predictions",
    "risk checks": "risk checks fail",
    "errors": "more errors than before",
    "version": "a load error",
    "health": "its health endpoint is not content",
}


def none_proved(tried: Sequence[str], why: str, release: str) -> str:
    """Each version that may be tried was, and none could be proved after its start. `release`: the command."""
    return (
        f"neither of {' and '.join(tried)} could be proved; the last: {why}. Did they fail alike? Then look for the "
        f"cause in what they share (the bot's packages, disk, network) rather than in the models: mend it, release the "
        f"good one (`{release}`), resume"
    )


def once_more(incident: Incident, why: str) -> str:
    """The restored bot was ended before its proof, by somebody."""
    return (
        f"{incident.target} is started once more (incident {incident.id})\n"
        f"Why: {why}. That looks like a stop or a restart by somebody, and says nothing of the model. If it ends so "
        f"again, the version before it is tried.\n"
        f"Asked of you: let the bot alone until it is restored. If it is meant to be down: `model-watchdog halt`"
    )


def still_halted(incident: Incident, report: str) -> str:
    """A rollback that was ordered while the bot is halted: the registry is switched, the bot stays down."""
    return (
        f"{incident.target} is current now; still halted (incident {incident.id})\n"
        f"{incident.from_version} was rolled back and is quarantined. `model-watchdog resume --reason ...` starts the "
        f"bot on {incident.target}.\n{report[:1].upper()}{report[1:]}"
    )


def look_is_bad(incident: Incident, name: str, text: str) -> str:
    """Something that was looked for after the restart is not as it should be; nothing is done about it."""
    return (
        f"{incident.target} runs, but: {LOOKS.get(name, name)} (incident {incident.id})\n"
        f"{text}\n"
        f"Nothing was done: this alone is no reason to halt. If it looks wrong to you: `model-watchdog halt`"
    )


def silent(incident: Incident, quiet: str) -> str:
    """Neither its log nor its trade log grows."""
    return (
        f"{incident.target} runs, and has written nothing for {quiet} (incident {incident.id})\n"
        f"Neither its log nor its trade log has grown. Nothing was done: silence proves nothing.\n"
        f"Asked of you: see whether it trades."
    )


def restarted_by_itself(incident: Incident, found: Running, times: int) -> str:
    """Its owner brought it back."""
    return (
        f"the restored bot restarted by itself, for the {_ordinal(times)} time (incident {incident.id})\n"
        f"It now runs as pid {found.pid}. Nothing was done; beyond bot.max_restarts in 10 min it is halted."
    )


def would_halt(incident: Incident, why: str) -> str:
    """A relapse while the watchdog is paused."""
    return (
        f"{incident.target} would be halted, but the watchdog is paused (incident {incident.id})\n"
        f"Why: {why}\nAsked of you: `model-watchdog halt`, or `model-watchdog resume`, which lets the watchdog act."
    )


def compared(incident: Incident, reading: str, where: str) -> str:
    """The comparison of before and after is in the report."""
    return (
        f"{incident.target} compared with {incident.from_version} before it (incident {incident.id})\n"
        f"{reading}\n{where[:1].upper()}{where[1:]}"
    )


def no_dry_run(incident: Incident, why: str) -> str:
    """`bot.dry_run` itself is in need of mending."""
    return (
        f"the dry run of {incident.target} could not be executed; it is started without (incident {incident.id})\n"
        f"Why: {why}\nWhat the bot loads is proved after its start. Asked of you, at daytime: mend bot.dry_run."
    )


def not_ready(found: dict[str, Any]) -> str:
    """A rehearsal that failed, or could not be done."""
    version, what = found["version"], "failed" if found["ok"] is False else "could not be done"
    last = "".join(f"\n  {line[:200]}" for line in found.get("lines", [])[-5:])
    return (
        f"the rehearsal of a rollback to {version} {what}\n"
        f"Why: {found['said']}{last}\n"
        f"Nothing was touched, and the bot goes on. Asked of you, at daytime: mend it, or promote a version that can "
        f"be loaded; a rollback to {version} would probably fail."
    )


NO_DRY_RUN = (
    "It is run no more, neither daily nor in a rollback, until bot.dry_run is changed or the watchdog is restarted; "
    "what a restored bot loads is still proved after its start. Asked of you: give the bot an option that loads its "
    "model and ends, see it end by hand while the bot is stopped, and mend bot.dry_run."
)


def traded(found: dict[str, Any]) -> str:
    """`bot.dry_run` is the bot itself: it made trades."""
    return (
        f"the dry run of {found['version']} trades: look at the exchange now\n"
        f"Why: {found['said']}\n"
        f"It ran for {found['seconds']:.3g} s, beside the bot if that was up, and was ended. Its orders and positions "
        f"may be open, and nobody looks after them: `model-watchdog positions`; close what the bot does not know of.\n"
        f"{NO_DRY_RUN}"
    )


def endless(found: dict[str, Any]) -> str:
    """`bot.dry_run` did not end: a bot that does not know the option just runs."""
    return (
        f"the dry run of {found['version']} did not end by itself, and was ended\n"
        f"Why: {found['said']}\n"
        f"A bot that does not know an option may ignore it and simply run: then a second one ran for "
        f"{found['seconds']:.3g} s. Look at the exchange for orders and positions that your bot does not know of.\n"
        f"{NO_DRY_RUN}"
    )


def ready_again(found: dict[str, Any]) -> str:
    """A rehearsal that succeeds after one that failed."""
    return (
        f"ready to roll back to {found['version']} again: its rehearsal succeeded in {found['seconds']:.3g} s\n"
        f"It {found['said'].removeprefix('it ')}"
    )


def in_short(facts: Mapping[str, Any]) -> str:
    """One line of the summary, and one about what people have to look at themselves; nothing when nothing was seen."""
    looks = facts.get("looks", ())
    if not looks:
        return ""
    rest = checklist.left_open(looks)
    seen = f"Seen since the restart: {checklist.in_short(looks)}.\n"
    return seen if rest is None else f"{seen}Look yourself: {rest}.\n"


def section(facts: Mapping[str, Any]) -> list[str]:
    """The report's part about the time after the restart: Markdown lines."""
    lines: list[str] = []
    dry = facts.get("dry_run")
    if dry is not None:
        went = "could not be executed" if dry["ok"] is None else "went well" if dry["ok"] else "failed"
        output = [f"    {line}" for line in dry["lines"]]
        lines += [
            "",
            f"### Dry run of {dry['version']}",
            "",
            f"It {went} in {dry['seconds']:g} s: {dry['said']}",
            "",
        ]
        lines += output
    looks = facts.get("looks")
    if looks:
        lines += ["", "### Post-Rollback", "", *checklist.as_list(looks)]
    compared_with = facts.get("comparison")
    if compared_with is not None:
        table, notes = compared_with["table"], compared_with["notes"]
        lines += ["", "### Before and after", "", *table, "", compared_with["reading"], *notes]
    return lines


def _ordinal(number: int) -> str:
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 <= number % 100 <= 20 else ends.get(number % 10, 'th')}"
