"""`rollback` and `halt` without a running daemon: the command runs the same procedure itself."""

import asyncio
import logging
import signal
import time
from collections.abc import Callable

from rich.console import Console

from config import Settings
from watchdog import doubt, logs, messages
from watchdog.assemble import Parts, assemble
from watchdog.incident import Incident, Order
from watchdog.lock import Keeper, Lock, LockedError
from watchdog.order_follow import FOLLOW_EVERY_S, What, end, ended, show_steps
from watchdog.screen import say
from watchdog.service import take_locks


def carry_out(settings: Settings, what: What, who: str, reason: str, to: str | None, out: Console) -> int:
    """The same procedure, in this process. Ctrl+C while it is monitored leaves the rest to the daemon's next start."""
    logs.set_up(settings.secrets(), logging.WARNING)
    held: list[Lock] = []
    try:
        take_locks(settings, held)
        say(out, "no watchdog is running: this command carries the order out itself", "dim")
        parts = assemble(settings)
        keep_locks = Keeper(held, settings.state_dir).look
        order = Order(what, who, reason or "no reason given", to)
        return asyncio.run(_carry_out(parts, keep_locks, order, out))
    finally:
        for lock in held:
            lock.release()


async def _carry_out(parts: Parts, keep_locks: Callable[[], None], order: Order, out: Console) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, parts.world.interrupts.ask_hand_over)
    courier = loop.create_task(parts.courier.run())
    try:
        await parts.watch.look()
        incident = await _one_incident(parts, keep_locks, order, out)
        await parts.incidents.settle()
        await parts.watch.settle()
        return end(incident, order.what, out)
    except LockedError:  # the lock was deleted, and a watchdog was started: the bot is its to look after
        parts.incidents.drop()
        parts.watch.drop()
        raise
    finally:
        await parts.courier.drain(timeout_s=5.0)
        courier.cancel()
        await asyncio.gather(courier, return_exceptions=True)
        await parts.courier.aclose()
        parts.close()


async def _one_incident(parts: Parts, keep_locks: Callable[[], None], order: Order, out: Console) -> Incident:
    incidents, journal = parts.incidents, parts.world.journal
    await doubt.settle(parts.world, incidents)
    incident = _opened(parts, order, out)
    shown, next_tick_s = len(ended(journal, incident.id)), 0.0
    while incidents.current is incident and not parts.world.interrupts.handing_over:
        keep_locks()
        shown = show_steps(journal, incident.id, shown, out)
        parts.orders.look(only=("halt",))  # the others wait for a daemon
        if incident.monitoring and time.monotonic() >= next_tick_s:
            if next_tick_s == 0.0:
                rest = messages.span(parts.settings.rollback.monitor_for)
                where = "in this terminal; Ctrl+C leaves that to the watchdog's next start"
                say(out, f"watching it for {rest}, {where}", "green")
            await parts.watch.tick()
            next_tick_s = time.monotonic() + parts.settings.poll_interval.total_seconds()
        await asyncio.sleep(FOLLOW_EVERY_S)
    await incidents.settle()
    show_steps(journal, incident.id, shown, out)
    return incident


def _opened(parts: Parts, order: Order, out: Console) -> Incident:
    incidents = parts.incidents
    incidents.resume()
    if order.what == "halt":
        _withdraw_resume(parts, out)
        return incidents.halt(order.why, order.who, automatic=False)
    if incidents.busy and incidents.current is not None:
        open_one = incidents.current
        where = f"incident {open_one.id} is still open at {open_one.step}"
        say(out, f"{where}; it is carried on instead", "yellow")
        return open_one
    return incidents.open("rollback", order.why, order.who, automatic=False, wanted=order.wanted)


def _withdraw_resume(parts: Parts, out: Console) -> None:
    """An order to resume that was laid down before, for a watchdog that never came, must not end this halt."""
    parts.control.pending()  # a flag counts once two looks found it the same
    for order in parts.control.pending():
        if order.what == "resume":
            parts.control.consume(order, parts.world.now())
            say(out, f"an order to resume, given by {order.who} before, is withdrawn", "yellow")
