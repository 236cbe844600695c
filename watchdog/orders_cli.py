"""`rollback`, `halt`, `pause` and `resume`: an order to the running daemon, or, without one, the procedure itself."""

import logging
import sqlite3
from typing import Any

from rich.console import Console

from config import Settings
from registry import RegistryError
from watchdog import messages
from watchdog.assemble import watchdog_pid
from watchdog.by_hand import carry_out
from watchdog.caller import not_owner
from watchdog.journal import JournalError
from watchdog.lock import LockedError
from watchdog.open_registry import open_registry
from watchdog.order_follow import What, follow
from watchdog.order_words import observes
from watchdog.orders import MOST_NAME, MOST_REASON, ControlFolder, OrderError
from watchdog.plain import one_line
from watchdog.reading import halt_in_force
from watchdog.resume_follow import Comeback
from watchdog.screen import say
from watchdog.service import START_ERRORS
from watchdog.way_back import careful, still_current

log = logging.getLogger(__name__)


def dry_run(settings: Settings, to: str | None, out: Console) -> int:
    """Says what a rollback would do; 1 if it could not be done."""
    registry = open_registry(settings)
    try:
        current = registry.read()["current_version"]
        survey = registry.survey()
        target = to or survey.target
        refusal = None if target is None else registry.why_not(target)
    except RegistryError as error:
        return say(out, str(error), "red", 1)
    say(out, f"current version: {current}")
    for version, why in survey.passed_over.items() if to is None else ():
        say(out, f"{version} is passed over: {why}", "yellow")
    if target is None:
        say(out, "a rollback would stop the bot and halt it, for there is nothing to go back to", "red")
        return say(out, messages.no_target(current), "red", 1)
    if refusal is not None:
        return say(out, refusal, "red", 1)
    trial = settings.bot.dry_run
    halted = _halted(settings) is not None
    plan = (
        f"stop the bot ({settings.bot.name}, SIGTERM, then SIGKILL after {messages.span(settings.bot.stop_timeout)})",
        _account(settings),
        f"switch the registry from {current} to {target}, whose files verify; {current} is quarantined",
        *([] if trial is None or halted else [f"try {target} out while the bot is down: {' '.join(trial)}"]),
        *(_left_halted() if halted else _started(settings, target)),
    )
    for number, line in enumerate(plan, 1):
        say(out, f"{number}. would {line}")
    if settings.mode == "observe":
        say(
            out,
            f"but mode is observe in {settings.path}: it would be refused; set mode: act there first",
            "yellow",
        )
    return say(out, "dry run: nothing was done", "dim")


def _started(settings: Settings, target: str) -> tuple[str, ...]:
    return (
        f"start the bot and read in its log, within {messages.span(settings.bot.start_timeout)}, "
        f"that it loaded {target}",
        f"watch it for {messages.span(settings.rollback.monitor_for)} and write the report; compare before and after "
        f"at {messages.span(settings.rollback.validate_for)}",
    )


def _left_halted() -> tuple[str, ...]:
    return ("leave the bot halted, and write the report: `model-watchdog resume` starts it",)


def _halted(settings: Settings) -> dict[str, Any] | None:
    """The halt in force. A journal that cannot be read is told by whoever obeys the order."""
    try:
        return halt_in_force(settings)
    except (JournalError, sqlite3.Error) as error:
        log.warning("whether the bot is halted cannot be known: %s", error)
        return None


def _careful(settings: Settings) -> str | None:
    """The warning of a resume onto the version that a rule condemned before the halt; None without one."""
    halted = _halted(settings)
    try:
        version = still_current(halted, open_registry(settings).read()["current_version"])
    except RegistryError as error:
        log.warning("which version the bot is started on cannot be known: %s", error)
        return None
    return None if version is None or halted is None else careful(version, halted["why"])


def _account(settings: Settings) -> str:
    """What becomes of orders and positions."""
    account = settings.exchange
    if account is None:
        return "say that open orders and positions on the exchange were not looked at"
    doing = (
        f"{account.open_orders} open orders and {account.positions} positions of {', '.join(account.symbols)}"
    )
    return f"{doing} on the exchange, and read them back (see `model-watchdog positions`)"


def order(settings: Settings, what: What, who: str, reason: str, to: str | None, out: Console) -> int:
    """Gives the order and follows it to where the bot is safe; 1 when it was refused or the bot ended up halted."""
    reason, who = one_line(reason, MOST_REASON), one_line(who, MOST_NAME)
    daemon = watchdog_pid(settings)
    if daemon is None and settings.mode == "observe" and what in {"rollback", "halt"}:
        # A running one is asked: it may have been started before the file said so, and a halt must get through.
        return say(out, observes(settings, what, daemon), "red", 1)
    control = ControlFolder(settings.control_dir)
    try:
        if daemon is None and what in {"rollback", "halt"}:
            return carry_out(settings, what, f"{who} (by command)", reason, to, out)
        awaited = what == "resume" and daemon is not None and settings.mode == "act"
        comeback = Comeback(settings) if awaited else None
        if what == "resume" and (warning := _careful(settings)) is not None:
            say(out, warning, "yellow")
        control.put(what, by=who, reason=reason, to=to, command=True)
    except OrderError as error:
        return say(out, f"{error}{_as_owner(settings)}", "red", 1)
    except LockedError as error:
        return say(out, str(error), "red", 1)
    except START_ERRORS as error:
        return say(out, f"the order cannot be carried out: {error}{_as_owner(settings)}", "red", 1)
    if daemon is None:
        unseen = not_owner(settings.state_dir)
        if unseen is not None:  # of a group that may give orders
            text = f"the {what} is laid down; whether a watchdog runs and takes it, this user may not see: {unseen}"
            return say(out, text, "yellow")
        return say(
            out,
            f"no watchdog is running; the {what} is in force once it starts: model-watchdog run",
            "yellow",
        )
    if what == "pause":
        return say(
            out,
            f"paused: the watchdog (pid {daemon}) looks and tells, and does not act, until model-watchdog resume",
            "yellow",
        )
    say(out, f"order {what} given to the watchdog (pid {daemon})", "dim")
    return follow(settings, what, out, comeback)


def _as_owner(settings: Settings) -> str:
    """For whoever has no right to the watchdog's folder: what to do, to follow a message."""
    how = not_owner(settings.state_dir)
    return "" if how is None else f": {how}"
