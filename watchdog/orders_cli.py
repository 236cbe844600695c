"""`rollback`, `halt`, `pause` and `resume`: an order to the running daemon, or, without one, the procedure itself."""

import asyncio
import logging
import signal
import time
from typing import Literal

from rich.console import Console
from rich.markup import escape

from config import Settings
from registry import ModelRegistry, RegistryError
from watchdog import logs, messages
from watchdog.assemble import Parts, assemble, journal_path, locks
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.lock import LockedError
from watchdog.orders import ControlFolder, OrderError
from watchdog.service import START_ERRORS, take_locks

log = logging.getLogger(__name__)

What = Literal["rollback", "halt", "pause", "resume"]
FOLLOW_EVERY_S = 0.1
TAKEN_WITHIN_S = 15.0
GONE_FOR_S = 5.0
"""A watchdog that is restarted is back by then."""


class DaemonGoneError(Exception):
    """The watchdog that was given the order has ended, and none has come in its place."""


def dry_run(settings: Settings, to: str | None, out: Console) -> int:
    """Says what a rollback would do; 1 if it could not be done."""
    registry = ModelRegistry(settings.registry.path, links=settings.registry.links)
    try:
        current = registry.read()["current_version"]
        target = to or registry.target()
        good = target is not None and target in registry.read()["models"] and registry.verify_checksum(target)
        quarantined = target is not None and registry.is_quarantined(target)
    except RegistryError as error:
        return _say(out, str(error), "red", 1)
    _say(out, f"current version: {current}")
    if target is None:
        return _say(out, messages.no_target(current), "red", 1)
    if not good or quarantined or target == current:
        why = (
            "it is the current version"
            if target == current
            else "it is quarantined"
            if quarantined
            else "its files do not verify"
        )
        return _say(out, f"{target} cannot be rolled back to: {why}", "red", 1)
    plan = (
        f"stop the bot ({settings.bot.name}, SIGTERM, then SIGKILL after {messages.span(settings.bot.stop_timeout)})",
        f"switch the registry from {current} to {target}, whose files verify; {current} is quarantined",
        f"start the bot and read in its log, within {messages.span(settings.bot.start_timeout)}, "
        f"that it loaded {target}",
        f"watch it for {messages.span(settings.rollback.monitor_for)} and write the report",
    )
    for number, line in enumerate(plan, 1):
        _say(out, f"{number}. would {line}")
    return _say(out, "dry run: nothing was done", "dim")


def order(settings: Settings, what: What, who: str, reason: str, to: str | None, out: Console) -> int:
    """Gives the order and follows it to where the bot is safe; 1 when it was refused or the bot ended up halted."""
    if settings.mode == "observe" and what in {"rollback", "halt"}:
        why = f"mode is observe in {settings.path}: the watchdog does not touch the bot; set mode: act"
        return _say(out, f"refused: {why}", "red", 1)
    daemon = locks(settings)[0].holder()
    control = ControlFolder(settings.control_dir)
    try:
        if daemon is None and what in {"rollback", "halt"}:
            return _without_daemon(settings, what, who, reason, to, out)
        control.put(what, by=who, reason=reason, to=to)
    except OrderError as error:
        return _say(out, str(error), "red", 1)
    except LockedError as error:
        return _say(out, str(error), "red", 1)
    except START_ERRORS as error:
        return _say(out, f"the order cannot be carried out: {error}", "red", 1)
    if daemon is None:
        return _say(
            out,
            f"no watchdog is running; the {what} is in force once it starts: model-watchdog run",
            "yellow",
        )
    if what == "pause":
        return _say(
            out,
            f"paused: the watchdog (pid {daemon}) looks and tells, and does not act, until model-watchdog resume",
            "yellow",
        )
    _say(out, f"order {what} given to the watchdog (pid {daemon})", "dim")
    return _follow(settings, what, out)


def _follow(settings: Settings, what: What, out: Console) -> int:
    """Shows how the daemon carries the order out. Ctrl+C ends the showing, not the doing."""
    control, began = ControlFolder(settings.control_dir), time.monotonic()
    flag = control.path / what.upper()
    try:
        while flag.exists():
            if time.monotonic() - began > TAKEN_WITHIN_S:
                return _say(
                    out,
                    f"the watchdog has not taken {flag} within {TAKEN_WITHIN_S:.0f} s; see `model-watchdog status`",
                    "red",
                    1,
                )
            time.sleep(FOLLOW_EVERY_S)
        journal = Journal(journal_path(settings), read_only=True)
        try:
            return _follow_answer(journal, what, _Rests(settings), out)
        finally:
            journal.close()
    except (JournalError, DaemonGoneError) as error:
        return _say(out, str(error), "red", 1)
    except KeyboardInterrupt:
        return _say(out, "the watchdog goes on by itself; see `model-watchdog status`", "dim")


class _Rests:
    """The pauses between two looks; DaemonGoneError when there is nothing more to look for."""

    def __init__(self, settings: Settings) -> None:
        self._lock = locks(settings)[0]
        self._seen_s = time.monotonic()

    def rest(self) -> None:
        now_s = time.monotonic()
        if self._lock.holder() is not None:
            self._seen_s = now_s
        elif now_s - self._seen_s > GONE_FOR_S:
            raise DaemonGoneError(
                "no watchdog is running any more: it ended before the order was carried out. What was begun "
                "goes on once it is started again: model-watchdog run"
            )
        time.sleep(FOLLOW_EVERY_S)


def _follow_answer(journal: Journal, what: What, rests: _Rests, out: Console) -> int:
    while (answer := next((o.answer for o in journal.orders(5) if o.what == what), None)) is None:
        rests.rest()
    if not answer.startswith("incident "):
        refused = answer.startswith("refused")
        return _say(out, answer, "red" if refused else "green", int(refused))
    number, shown = int(answer.split()[1]), 0
    while True:
        incident = journal.incident(number)
        if incident is None:
            return _say(out, f"incident {number} is not in the journal", "red", 1)
        shown = _show_steps(journal, incident, shown, out)
        if not incident.open or incident.monitoring:
            return _end(incident, what, out)
        rests.rest()


def _show_steps(journal: Journal, incident: Incident, shown: int, out: Console) -> int:
    ended = [row for row in journal.steps(incident) if row.result is not None]
    for row in ended[shown:]:
        good = row.result == "done"
        _say(out, f"{row.ended_at:%H:%M:%S}  {row.step:<14} {row.detail}", "" if good else "yellow")
    return len(ended)


def _end(incident: Incident, what: What, out: Console) -> int:
    if incident.plan == "halt":
        _say(
            out,
            "the bot is halted: it stays stopped until model-watchdog resume",
            "yellow" if what == "halt" else "red",
        )
        return 0 if what == "halt" else 1
    if incident.outcome == "refused":
        return _say(out, "the order was refused; nothing was touched", "red", 1)
    if incident.outcome == "halted":
        return _say(
            out,
            f"the registry is on {incident.target}; the halt stays in force until model-watchdog resume",
            "yellow",
        )
    return _say(out, f"the bot runs on {incident.target}", "green")


def _without_daemon(
    settings: Settings, what: What, who: str, reason: str, to: str | None, out: Console
) -> int:
    """The same procedure, in this process. Ctrl+C while it is monitored leaves the rest to the daemon's next start."""
    logs.set_up(settings.secrets(), logging.WARNING)
    held = take_locks(settings)
    try:
        _say(out, "no watchdog is running: this command carries the order out itself", "dim")
        parts = assemble(settings)
        return asyncio.run(_carry_out(parts, what, who, reason, to, out))
    finally:
        for lock in held:
            lock.release()


async def _carry_out(parts: Parts, what: What, who: str, reason: str, to: str | None, out: Console) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, parts.world.interrupts.ask_hand_over)
    courier = loop.create_task(parts.courier.run())
    try:
        await parts.watch.look()
        incident = await _one_incident(parts, what, who, reason, to, out)
        await parts.incidents.settle()
        return _end(incident, what, out)
    finally:
        await parts.courier.drain(timeout_s=5.0)
        courier.cancel()
        await asyncio.gather(courier, return_exceptions=True)
        await parts.courier.aclose()
        parts.close()


async def _one_incident(
    parts: Parts, what: What, who: str, reason: str, to: str | None, out: Console
) -> Incident:
    incidents, journal = parts.incidents, parts.world.journal
    why = reason or "no reason given"
    incidents.resume()
    if what == "halt":
        incident = incidents.halt(why, who, automatic=False)
    elif incidents.busy and incidents.current is not None:
        incident = incidents.current
        _say(
            out,
            f"incident {incident.id} is still open at {incident.step}; it is carried on instead",
            "yellow",
        )
    else:
        incident = incidents.open("rollback", why, who, automatic=False, wanted=to)
    shown, told = 0, False
    while incidents.current is incident and not parts.world.interrupts.handing_over:
        shown = _show_steps(journal, incident, shown, out)
        if incident.monitoring:
            if not told:
                rest = messages.span(parts.settings.rollback.monitor_for)
                _say(
                    out,
                    f"watching it for {rest}, in this terminal; Ctrl+C leaves that to the daemon's next start",
                    "green",
                )  # fmt: skip
                told = True
            await parts.watch.tick()
        await asyncio.sleep(FOLLOW_EVERY_S)
    await incidents.settle()
    _show_steps(journal, incident, shown, out)
    return incident


def _say(out: Console, text: str, style: str = "", code: int = 0) -> int:
    out.print(f"[{style}]{escape(text)}[/]" if style else escape(text), highlight=False, soft_wrap=True)
    return code
