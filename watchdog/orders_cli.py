"""`rollback`, `halt`, `pause` and `resume`: an order to the running daemon, or, without one, the procedure itself."""

import asyncio
import logging
import signal
import time
from typing import Literal

from rich.console import Console

from config import Settings
from registry import ModelRegistry, RegistryError
from watchdog import logs, messages
from watchdog.assemble import Parts, assemble, journal_path, locks
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError
from watchdog.lock import Lock, LockedError
from watchdog.orders import ControlFolder, OrderError
from watchdog.screen import say
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
        survey = registry.survey()
        target = to or survey.target
        refusal = None if target is None else registry.why_not(target)
    except RegistryError as error:
        return say(out, str(error), "red", 1)
    say(out, f"current version: {current}")
    for version, why in survey.passed_over.items() if to is None else ():
        say(out, f"{version} is passed over: {why}", "yellow")
    if target is None:
        return say(out, messages.no_target(current), "red", 1)
    if refusal is not None:
        return say(out, refusal, "red", 1)
    plan = (
        f"stop the bot ({settings.bot.name}, SIGTERM, then SIGKILL after {messages.span(settings.bot.stop_timeout)})",
        "say that open orders and positions on the exchange were not looked at",
        f"switch the registry from {current} to {target}, whose files verify; {current} is quarantined",
        f"start the bot and read in its log, within {messages.span(settings.bot.start_timeout)}, "
        f"that it loaded {target}",
        f"watch it for {messages.span(settings.rollback.monitor_for)} and write the report",
    )
    for number, line in enumerate(plan, 1):
        say(out, f"{number}. would {line}")
    if settings.mode == "observe":
        say(out, f"but mode is observe in {settings.path}: it would be refused", "yellow")
    return say(out, "dry run: nothing was done", "dim")


def order(settings: Settings, what: What, who: str, reason: str, to: str | None, out: Console) -> int:
    """Gives the order and follows it to where the bot is safe; 1 when it was refused or the bot ended up halted."""
    if settings.mode == "observe" and what in {"rollback", "halt"}:
        why = f"mode is observe in {settings.path}: the watchdog does not touch the bot; set mode: act"
        return say(out, f"refused: {why}", "red", 1)
    daemon = locks(settings)[0].holder()
    control = ControlFolder(settings.control_dir)
    try:
        if daemon is None and what in {"rollback", "halt"}:
            return _without_daemon(settings, what, who, reason, to, out)
        control.put(what, by=who, reason=reason, to=to)
    except OrderError as error:
        return say(out, str(error), "red", 1)
    except LockedError as error:
        return say(out, str(error), "red", 1)
    except START_ERRORS as error:
        return say(out, f"the order cannot be carried out: {error}", "red", 1)
    if daemon is None:
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
    return _follow(settings, what, out)


def _follow(settings: Settings, what: What, out: Console) -> int:
    """Shows how the daemon carries the order out. Ctrl+C ends the showing, not the doing."""
    control, began = ControlFolder(settings.control_dir), time.monotonic()
    flag = control.path / what.upper()
    try:
        while flag.exists():
            if time.monotonic() - began > TAKEN_WITHIN_S:
                return say(
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
        return say(out, str(error), "red", 1)
    except KeyboardInterrupt:
        return say(out, "the watchdog goes on by itself; see `model-watchdog status`", "dim")


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
        return say(out, answer, "red" if refused else "green", int(refused))
    number, shown = int(answer.split()[1]), 0
    while True:
        incident = journal.incident(number)
        if incident is None:
            return say(out, f"incident {number} is not in the journal", "red", 1)
        shown = _show_steps(journal, incident, shown, out)
        if not incident.open or incident.monitoring:
            return _end(incident, what, out)
        rests.rest()


def _show_steps(journal: Journal, incident: Incident, shown: int, out: Console) -> int:
    ended = [row for row in journal.steps(incident) if row.result is not None]
    for row in ended[shown:]:
        good = row.result == "done"
        say(out, f"{row.ended_at:%H:%M:%S}  {row.step:<14} {row.detail}", "" if good else "yellow")
    return len(ended)


def _end(incident: Incident, what: What, out: Console) -> int:
    if incident.open and not incident.bot_is_back:
        where = f"incident {incident.id} stays open at {incident.step}"
        return say(
            out, f"{where}; the watchdog goes on with it once it is started: model-watchdog run", "red", 1
        )
    if incident.plan == "halt":
        how = "the bot is halted: it stays stopped until model-watchdog resume"
        return say(out, how, "yellow", 0) if what == "halt" else say(out, how, "red", 1)
    if incident.outcome == "refused":
        return say(out, "the order was refused; nothing was touched", "red", 1)
    if incident.outcome == "superseded":
        return say(
            out, f"incident {incident.id} was cut short by another order; see model-watchdog status", "red", 1
        )
    if incident.outcome == "halted":
        where = f"the registry is on {incident.target}"
        return say(out, f"{where}; the halt stays in force until model-watchdog resume", "yellow")
    return say(out, f"the bot runs on {incident.target}", "green")


def _without_daemon(
    settings: Settings, what: What, who: str, reason: str, to: str | None, out: Console
) -> int:
    """The same procedure, in this process. Ctrl+C while it is monitored leaves the rest to the daemon's next start."""
    logs.set_up(settings.secrets(), logging.WARNING)
    held: list[Lock] = []
    try:
        take_locks(settings, held)
        say(out, "no watchdog is running: this command carries the order out itself", "dim")
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
    incident = _opened(parts, what, who, reason or "no reason given", to, out)
    shown, next_tick_s = 0, 0.0
    while incidents.current is incident and not parts.world.interrupts.handing_over:
        shown = _show_steps(journal, incident, shown, out)
        parts.orders.look()  # a HALT counts here, too
        if incident.monitoring and time.monotonic() >= next_tick_s:
            if next_tick_s == 0.0:
                rest = messages.span(parts.settings.rollback.monitor_for)
                where = "in this terminal; Ctrl+C leaves that to the watchdog's next start"
                say(out, f"watching it for {rest}, {where}", "green")
            await parts.watch.tick()
            next_tick_s = time.monotonic() + parts.settings.poll_interval.total_seconds()
        await asyncio.sleep(FOLLOW_EVERY_S)
    await incidents.settle()
    _show_steps(journal, incident, shown, out)
    return incident


def _opened(parts: Parts, what: What, who: str, why: str, to: str | None, out: Console) -> Incident:
    incidents = parts.incidents
    incidents.resume()
    if what == "halt":
        _withdraw_resume(parts, out)
        return incidents.halt(why, who, automatic=False)
    if incidents.busy and incidents.current is not None:
        open_one = incidents.current
        where = f"incident {open_one.id} is still open at {open_one.step}"
        say(out, f"{where}; it is carried on instead", "yellow")
        return open_one
    return incidents.open("rollback", why, who, automatic=False, wanted=to)


def _withdraw_resume(parts: Parts, out: Console) -> None:
    """An order to resume that was laid down before, for a watchdog that never came, must not end this halt."""
    parts.control.pending()  # a flag counts once two looks found it the same
    for order in parts.control.pending():
        if order.what == "resume":
            parts.control.consume(order, parts.world.now())
            say(out, f"an order to resume, given by {order.who} before, is withdrawn", "yellow")
