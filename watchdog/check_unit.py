"""`check`: the bot's systemd unit, how systemd will treat it, and whether the watchdog may stop and start it."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping

from config import Settings
from watchdog.bots import proc
from watchdog.bots.base import BotError, Running
from watchdog.bots.systemctl import Systemctl, is_denied
from watchdog.bots.unit import parse_span
from watchdog.controls import make_bot
from watchdog.finding import Finding
from watchdog.messages import span

ASKED = (
    "Id", "LoadState", "FragmentPath", "UnitFileState", "NeedDaemonReload", "Type", "RemainAfterExit", "Restart",
    "KillMode", "TimeoutStopUSec", "User", "TriggeredBy", "UpheldBy", "RefuseManualStart", "RefuseManualStop",
    "Transient", "TimeoutStartUSec", "WatchdogUSec", "ExecStartPre",
)  # fmt: skip

# Each is refused for its job mode, or does nothing, but only after systemd has asked polkit: so the right is tried
# without anything being done. A service can be isolated neither by stop, nor triggered by start (systemctl(1)).
PROBES = {
    "start": ("start", "--job-mode=triggering"),
    "stop": ("stop", "--job-mode=isolate"),
    "kill": ("kill", "--signal=SIGURG"),  # which every process ignores that does not ask for it
}


def bot_unit(settings: Settings) -> Iterator[Finding]:
    """All about the unit that `bot.systemd` names."""
    return iter(asyncio.run(_all(settings)))


async def _all(settings: Settings) -> list[Finding]:
    systemd = settings.bot.systemd
    assert systemd is not None  # as the settings were checked
    systemctl = Systemctl(scope=systemd.scope)
    try:
        shown = (await systemctl.show(ASKED, systemd.unit))[0]
        running = await make_bot(settings, None).find()
    except BotError as error:
        return [Finding("bot unit", "bad", str(error))]
    command = systemctl.command
    found = [
        _runs(shown, running, command),
        *_unit_file(shown, command),
        *_kind(shown, command),
        *_ending(shown, settings),
        *_beginning(shown, settings),
        *_triggers(shown, command),
    ]
    if settings.mode == "act":
        found += [finding async for finding in _rights(systemctl, systemd.unit)]
    return found


def _runs(shown: Mapping[str, str], running: list[Running], command: str) -> Finding:
    unit, path = shown["Id"], shown["FragmentPath"]
    if not running:
        return Finding(
            "bot unit",
            "note",
            f"{unit} ({path}) does not run; systemd and not the watchdog starts it",
            f"start it: {command} start {unit}; to keep it down: model-watchdog halt",
        )
    user = shown["User"] or proc.user_name(proc.effective_uid(running[0].pid) or 0).split()[0]
    return Finding("bot unit", "good", f"{unit} ({path}) runs as pid {running[0].pid}, user {user}")


def _unit_file(shown: Mapping[str, str], command: str) -> Iterator[Finding]:
    unit, state = shown["Id"], shown["LoadState"]
    if state != "loaded":
        mend = f"{command} unmask {unit}" if state == "masked" else f"systemd-analyze verify {unit}"
        yield Finding("bot unit", "bad", f"{unit} is {state}: it cannot be started", mend)
    if shown["NeedDaemonReload"] == "yes":
        found = f"{unit} was changed on the disk, and systemd still goes by what it read before"
        yield Finding("bot unit", "note", found, f"{command} daemon-reload")
    if shown["Restart"] == "no":
        found = f"{unit} has no Restart=: after a crash it stays down, and the watchdog pages and does not start it"
        yield Finding("bot unit", "note", found, "Restart=on-failure in the unit")
    if shown["UnitFileState"] == "disabled":
        found = f"{unit} is not enabled: it is down after a reboot of the machine"
        yield Finding("bot unit", "note", found, f"{command} enable {unit}, if that is not meant so")


def _kind(shown: Mapping[str, str], command: str) -> Iterator[Finding]:
    """Units that the watchdog cannot rely on to be stopped, started, or told apart from one that is down."""
    unit, reload = shown["Id"], f"in the unit, then {command} daemon-reload"
    if shown["Transient"] == "yes":
        found = (
            f"{unit} was made by systemd-run: it is gone once it is stopped, and nobody can start it again"
        )
        yield Finding("bot unit", "bad", found, "give it a unit file, such as systemd/example-bot.service")
    if shown["Type"] == "oneshot":
        found = (
            f"{unit} is Type=oneshot, which is for commands that end: systemd calls a bot of this kind a start that "
            "never comes to its end, and what waits for it (the machine's boot, say) waits for ever"
        )
        yield Finding("bot unit", "bad", found, f"Type=exec {reload}")
    if shown["RemainAfterExit"] == "yes":
        found = f"{unit} counts as active after the bot has ended (RemainAfterExit=): systemd does not start it again"
        yield Finding("bot unit", "bad", found, f"RemainAfterExit=no {reload}")
    if shown["RefuseManualStop"] == "yes":
        found = (
            f"{unit} refuses to be stopped (RefuseManualStop=): in a rollback or a halt its processes are killed "
            f"instead, and Restart={shown['Restart']} may start them again"
        )
        yield Finding("bot unit", "bad", found, f"RefuseManualStop=no {reload}")
    if shown["RefuseManualStart"] == "yes":
        found = f"{unit} refuses to be started (RefuseManualStart=): after a rollback it stays down"
        yield Finding("bot unit", "bad", found, f"RefuseManualStart=no {reload}")


def _beginning(shown: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    """Time-outs of systemd's own that end the bot while bot.start_timeout still lets it load its model."""
    unit, ours = shown["Id"], settings.bot.start_timeout
    ready = shown["Type"] in {"notify", "notify-reload", "forking", "dbus"}
    begins, silent = parse_span(shown["TimeoutStartUSec"]), shown["WatchdogUSec"]
    if begins is not None and begins < ours and (ready or shown.get("ExecStartPre")):
        what = f"Type={shown['Type']}" if ready else "ExecStartPre="
        found = (
            f"{unit} is killed when it is not up after {span(begins)} (TimeoutStartSec=, with {what}), before the "
            f"{span(ours)} of bot.start_timeout are over"
        )
        mend = f"TimeoutStartSec={ours.total_seconds():g} in the unit, or a shorter start_timeout"
        yield Finding("bot start", "note", found, mend)
    dies = None if silent == "0" else parse_span(silent)
    if dies is not None and dies < ours and not ready:
        found = (
            f"{unit} is killed when it gives no sign of life for {span(dies)} (WatchdogSec=), with Type="
            f"{shown['Type']} also while it loads its model, for which bot.start_timeout grants {span(ours)}"
        )
        mend = "Type=notify in the unit and READY=1 by the bot once it has loaded, or a longer WatchdogSec="
        yield Finding("bot start", "note", found, mend)


def _ending(shown: Mapping[str, str], settings: Settings) -> Iterator[Finding]:
    ours, theirs = settings.bot.stop_timeout, parse_span(shown["TimeoutStopUSec"])
    unit, mode = shown["Id"], shown["KillMode"]
    if theirs is not None and theirs < ours:
        found = (
            f"{unit} is killed {span(theirs)} after SIGTERM (TimeoutStopSec=), before the {span(ours)} of "
            "bot.stop_timeout are over"
        )
        yield Finding(
            "bot stop",
            "bad",
            found,
            f"TimeoutStopSec={ours.total_seconds():g} in the unit, or a shorter stop_timeout",
        )
    else:
        kills = "systemd" if theirs == ours else "the watchdog has systemd kill it"
        yield Finding(
            "bot stop",
            "good",
            f"SIGTERM, and after {span(ours)} SIGKILL ({kills}) to all in its control group",
        )
    if mode in ("process", "none"):
        found = f"KillMode={mode} leaves workers behind when the bot ends by itself; a stop by the watchdog ends them"
        yield Finding("bot stop", "note", found, "KillMode=mixed in the unit")


def _triggers(shown: Mapping[str, str], command: str) -> Iterator[Finding]:
    others = f"{shown['TriggeredBy']} {shown['UpheldBy']}".split()
    if others:
        names = ", ".join(others)
        found = (
            f"{names} may start {shown['Id']} whenever it is down, also in the middle of a rollback or a halt"
        )
        yield Finding(
            "bot unit",
            "note",
            found,
            f"the watchdog stops it again and tells; better: {command} disable --now {' '.join(others)}",
        )


async def _rights(systemctl: Systemctl, unit: str) -> AsyncIterator[Finding]:
    denied = []
    for verb, probe in PROBES.items():
        if is_denied(await systemctl.ask(*probe, unit)):
            denied.append(verb)
    who = proc.user_name(os.geteuid())
    if denied:
        yield Finding(
            "rights",
            "bad",
            f"{who} may not {', '.join(denied)} {unit}: no rollback could be carried out",
            "copy systemd/50-model-watchdog.rules to /etc/polkit-1/rules.d/, with this user and this unit in it "
            "(docs/operations.md)",
        )
    else:
        yield Finding(
            "rights", "good", f"{who} may stop, kill and start {unit} (tried, and nothing was done)"
        )
