"""What the watchdog does about an order of a person: from a flag file or a signal.

An order is written into the journal, then consumed, then obeyed; its answer is written with what it changed. A
kill -9 in between leaves an unanswered order, which the next start obeys.
"""

import logging
import os
import sqlite3
from collections.abc import Collection
from datetime import datetime
from typing import Literal

from registry import RegistryError
from watchdog import odd_flags
from watchdog.collect import Collector
from watchdog.incident import Order
from watchdog.incidents import Incidents
from watchdog.messages import Severity
from watchdog.odd_flags import OddFlags
from watchdog.order_words import (
    HALT_OVER,
    HALT_OVER_OBSERVING,
    PAUSE_OVER,
    PAUSE_OVER_OBSERVING,
    observes,
)
from watchdog.orders import ControlFolder, OrderError, in_words
from watchdog.world import World

log = logging.getLogger(__name__)


class Orders:
    """Takes orders and obeys them; every one is answered to the people on call."""

    def __init__(
        self, world: World, control: ControlFolder, incidents: Incidents, collector: Collector
    ) -> None:
        self._world, self._control = world, control
        self._incidents, self._collector = incidents, collector
        self._trouble = ""
        self._odd_flags = OddFlags(control.path)
        self._unfinished = False
        self._taken: dict[str, str] = {}

    def catch_up(self) -> None:
        """Obeys what was accepted and never answered: the last watchdog ended, or the disk refused. Raises nothing."""
        self._unfinished = False
        try:
            for number, order in self._world.journal.unanswered():
                self._obey(number, order)
        except (OrderError, OSError, sqlite3.Error) as error:
            self._unfinished = True
            self._tell_trouble(str(error))

    def look(self, only: Collection[str] = ("halt", "rollback", "resume")) -> None:
        """One look at the control folder, for these orders. A folder that others can write to is not obeyed. Raises
        nothing."""
        try:
            self._control.inspect()
            if self._unfinished:
                self.catch_up()
            for order in self._control.pending():
                if order.what in only:
                    self.take(order)
            self._watch_pause()
            self._tell_odd_flags()
        except (OrderError, OSError, sqlite3.Error) as error:
            self._unfinished = True
            self._tell_trouble(str(error))
        else:
            if not self._unfinished:
                self._trouble = ""

    def signalled(self, what: Literal["rollback", "pause"]) -> None:
        """SIGUSR1 and SIGUSR2. Raises nothing."""
        try:
            self._obey_signal(what)
        except (OrderError, OSError, sqlite3.Error) as error:
            self._tell_trouble(str(error))

    def _obey_signal(self, what: Literal["rollback", "pause"]) -> None:
        if what == "rollback":
            self.take(Order("rollback", "signal SIGUSR1", "ordered by signal"))
        elif self._control.paused() is not None:
            self._control.unpause(self._world.now())
        else:
            self._control.put("PAUSE", by="signal SIGUSR2", reason="ordered by signal")
        self._watch_pause()

    def take(self, order: Order) -> None:
        """Accepts an order, consumes its flag, obeys it.

        While the disk refuses, a halt and a rollback are obeyed all the same; a resume waits in its flag.
        """
        if order.ident is not None and self._taken.get(order.what) == order.ident:
            return  # obeyed, but neither could that be written nor the flag be moved
        now = self._world.now()
        try:
            number = self._world.journal.accept(order, now)
        except sqlite3.Error as error:
            if order.what == "resume":
                raise
            log.critical("the journal cannot be written (%s); the order is obeyed all the same", error)
            number = 0
        if order.ident is not None:
            self._taken[order.what] = order.ident
        try:
            self._control.consume(order, now)
        except OSError as error:
            self._tell_trouble(f"the flag of the order {order.what} cannot be moved to handled/: {error}")
        if number is not None:
            self._obey(number, order)

    def _obey(self, number: int, order: Order) -> None:
        log.warning("order: %s, by %s: %s", order.what, order.who, order.why or "no reason given")
        if self._world.settings.mode == "observe" and order.what in {"rollback", "halt"}:
            self._answer(number, order, observes(self._world.settings, order.what, os.getpid()), "warning")
        elif order.what == "rollback":
            self._roll_back(number, order)
        elif order.what == "halt":
            self._halt(number, order)
        elif order.what == "resume":
            self._resume(number, order)
        else:
            self._world.journal.answer(number, "noted")

    def _roll_back(self, number: int, order: Order) -> None:
        if self._incidents.busy and self._incidents.current is not None:
            doing = self._incidents.current
            self._answer(
                number, order, f"refused: incident {doing.id} is being worked on ({doing.step})", "warning"
            )
            return
        self._incidents.open(
            "rollback",
            order.why or "no reason given",
            order.who,
            automatic=False,
            wanted=self._named_in(order.why) if order.wanted is None else order.wanted or None,
            along=lambda incident: self._world.journal.answer(number, f"incident {incident.id}"),
        )

    def _named_in(self, text: str) -> str | None:
        """The version that a flag's text asks for, if it names one."""
        try:
            found = self._world.registry.read()
        except RegistryError:
            return None
        return in_words(text, found["models"], found["current_version"])

    def _halt(self, number: int, order: Order) -> None:
        if self._world.halted is not None and self._incidents.current is None:
            self._answer(number, order, "the bot is halted already")
            return
        self._incidents.halt(
            order.why or "no reason given",
            order.who,
            automatic=False,
            along=lambda incident: self._world.journal.answer(number, f"incident {incident.id}"),
        )

    def _resume(self, number: int, order: Order) -> None:
        if self._incidents.busy and self._incidents.current is not None:
            doing = self._incidents.current
            self._answer(
                number,
                order,
                f"refused: incident {doing.id} is still being worked on ({doing.step})",
                "warning",
            )
            return
        halted, paused = self._world.halted, self._control.paused()
        if halted is None and paused is None:
            self._answer(number, order, "nothing to resume: neither halted nor paused")
            return
        with self._world.journal.writing():
            self._world.keep("halted", None)
            self._world.keep("paused", None)
            self._world.keep("start_asked", order.who)  # an owner that was told to stop it does not start it
            if halted is not None:
                self._collector.new_deployment_now()
            self._world.journal.answer(number, "obeyed")
        self._control.unpause(self._world.now())
        self._answer(number, order, self._over(halted is not None))

    def _over(self, halted: bool) -> str:
        if self._world.settings.mode == "observe":
            return HALT_OVER_OBSERVING if halted else PAUSE_OVER_OBSERVING
        return HALT_OVER if halted else PAUSE_OVER

    def _answer(self, number: int, order: Order, answer: str, severity: Severity = "info") -> None:
        try:
            self._world.journal.answer(number, answer)
        except sqlite3.Error as error:
            log.critical("the journal cannot be written: %s", error)
        why = f": {order.why}" if order.why else ""
        self._world.teller.tell(
            f"order-{order.what}",
            f"{order.what} ordered by {order.who}{why}\n{answer}",
            severity,
            coalesce=False,
        )

    def _watch_pause(self) -> None:
        """Tells when a pause begins and ends, and keeps who and why."""
        paused, known = self._control.paused(), self._world.journal.get("paused")
        now = self._world.now()
        if paused is not None and known != paused.ident:
            self._note(paused, now)
            self._world.keep("paused", paused.ident or "PAUSE")
            why = f": {paused.why}" if paused.why else ""
            self._world.teller.tell(
                "paused",
                f"paused by {paused.who}{why}\n"
                f"The watchdog looks and tells, and does not act, until `model-watchdog resume`.",
                "warning",
                coalesce=False,
            )
        elif paused is None and known is not None:
            self._world.keep("paused", None)
            self._note(Order("unpause", "PAUSE was removed"), now)
            self._world.teller.tell("paused", self._over(halted=False), coalesce=False)

    def _tell_odd_flags(self) -> None:
        """A mistyped order is told at once, each by itself: somebody believes that it was given."""
        for odd in self._odd_flags.look():
            self._world.teller.tell(
                "orders-odd",
                odd_flags.words(odd, self._control.path),
                "warning" if odd.near is None else "critical",
                key=f"odd flag {odd.name} {odd.ident}",
                coalesce=odd.near is None,
            )

    def _note(self, order: Order, now: datetime) -> None:
        """Writes down who paused and who ended it; nothing is left to be done about it."""
        with self._world.journal.writing():
            number = self._world.journal.accept(order, now)
            if number is not None:
                self._world.journal.answer(number, "noted")

    def _tell_trouble(self, text: str) -> None:
        if text != self._trouble:
            self._trouble = text
            self._world.teller.tell(
                "orders", f"orders from the control folder are not obeyed\n{text}", "critical"
            )
