"""Who had systemd start the bot's unit: a timer, a socket, a path, another unit; else somebody who asked for it.

systemd keeps no record of who asked (what it has, ActivationDetails, names the first trigger for ever), so it is
reckoned from who may start the unit, and from what happened at the second in which it began.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from watchdog.bots.base import BotError
from watchdog.bots.starter import Starter
from watchdog.bots.systemctl import Systemctl
from watchdog.bots.unit import UnitState, parse_time

TRIGGERS = "TriggeredBy"
PULLERS = ("BoundBy", "RequiredBy", "WantedBy", "OnFailureOf", "OnSuccessOf")
UPHOLDER = "UpheldBy"
COMMANDS = ("ExecStopPost", "ExecStop", "ExecStartPre", "ExecStartPost", "ExecStart")
STARTS = re.compile(r"argv\[\]=([^;]*\bsystemctl\b[^;]*?\b(?:re)?start\b[^;]*?) *;")
"""One of the unit's own commands, as `systemctl show` writes them, that has systemd start something."""
NEAR = timedelta(seconds=2)
"""systemd tells times to the second."""

_ASKED = (
    "Id",
    "ActiveState",
    "Job",
    "LastTriggerUSec",
    "StateChangeTimestamp",
    "InactiveExitTimestamp",
)


async def who_started(systemctl: Systemctl, state: UnitState) -> Starter:
    """Who started `state`'s unit the last time, as far as it can be known. BotError."""
    kinds = (TRIGGERS, UPHOLDER, *PULLERS)
    relations = (await systemctl.show((*kinds, *COMMANDS), state.name))[0]
    of = {unit: kind for kind in reversed(kinds) for unit in relations.get(kind, "").split()}
    shown = await systemctl.show(_ASKED, *of) if of else []
    began = state.began
    for (unit, kind), properties in zip(of.items(), shown, strict=True):
        if began is not None and _did(kind, properties, began):
            return _starter(systemctl.command, state.name, unit, kind)
    for command in COMMANDS:
        if found := STARTS.search(relations.get(command, "")):
            return Starter(
                f"most likely the unit itself, whose {command}= runs `{found[1]}`",
                f"Take that line out of it: `{systemctl.command} edit --full {state.name}`. Restart= is for that.",
            )
    standing_by = [
        unit
        for (unit, kind), properties in zip(of.items(), shown, strict=True)
        if kind == TRIGGERS and properties["ActiveState"] == "active"
    ]
    perhaps = f", or perhaps {' or '.join(standing_by)}" if standing_by else ""
    return Starter(
        f"whoever gave `{systemctl.command} start {state.name}` (a person, a cron job, a script{perhaps})",
        "Find out who does (`last`, `crontab -l`, `journalctl --since -10min`), and keep it from doing so.",
    )


async def told_starter(systemctl: Systemctl, state: UnitState) -> str:
    """`who_started` for people: not knowing it is no reason not to know that the bot runs."""
    try:
        return (await who_started(systemctl, state)).text
    except BotError as error:
        return f"somebody unknown ({error})"


def _did(kind: str, properties: Mapping[str, str], began: datetime) -> bool:
    """Whether what happened to this other unit explains that the bot's began then."""
    active = properties["ActiveState"] in {"active", "activating", "reloading"}
    if kind == UPHOLDER:
        return active
    if kind == TRIGGERS:
        when = properties.get("LastTriggerUSec") or properties["StateChangeTimestamp"]
        at = parse_time(when)
        return active and at is not None and abs(at - began) <= NEAR
    if kind in {"OnFailureOf", "OnSuccessOf"}:
        at = parse_time(properties["StateChangeTimestamp"])
        return not active and at is not None and abs(at - began) <= NEAR
    at = parse_time(properties["InactiveExitTimestamp"])
    return bool(properties["Job"]) or (active and at is not None and at >= began - NEAR)


def _starter(command: str, bot: str, unit: str, kind: str) -> Starter:
    if unit.endswith(".target"):
        return Starter(
            f"systemd with {unit} (at boot, say)",
            f"`{command} disable {bot}` keeps it from being started with the machine.",
        )
    how = {TRIGGERS: "triggers it", UPHOLDER: "upholds it"}.get(kind, "pulls it in")
    return Starter(
        f"systemd unit {unit}, which {how}",
        f"Stop that unit: `{command} stop {unit}`, and `disable` it if it comes with the machine.",
    )
