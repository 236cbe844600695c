"""What a command says of an order while a running daemon carries it out."""

import time
from pathlib import Path
from typing import Literal

from rich.console import Console

from config import Settings
from watchdog.assemble import journal_path, watchdog_pid
from watchdog.incident import Incident
from watchdog.journal import Journal, JournalError, StepRow
from watchdog.order_words import HALT_OVER, PAUSE_OVER
from watchdog.orders import ControlFolder
from watchdog.resume_follow import Comeback
from watchdog.screen import say

What = Literal["rollback", "halt", "pause", "resume"]
FOLLOW_EVERY_S = 0.1
TAKEN_WITHIN_S = 15.0
GONE_FOR_S = 5.0
"""A watchdog that is restarted is back by then."""


class DaemonGoneError(Exception):
    """The watchdog that was given the order has ended, and none has come in its place."""


def follow(settings: Settings, what: What, out: Console, comeback: Comeback | None = None) -> int:
    """Shows how the daemon carries the order out. Ctrl+C ends the showing, not the doing. `comeback`: made before a
    resume was given, if the bot is brought back by it."""
    control, began = ControlFolder(settings.control_dir), time.monotonic()
    flag = control.path / what.upper()
    try:
        while flag.exists():
            if time.monotonic() - began > TAKEN_WITHIN_S:
                return say(out, not_taken(settings, what, flag), "red", 1)
            time.sleep(FOLLOW_EVERY_S)
        journal = Journal(journal_path(settings), read_only=True)
        try:
            return _follow_answer(journal, what, _Rests(settings), out, comeback)
        finally:
            journal.close()
    except (JournalError, DaemonGoneError) as error:
        return say(out, str(error), "red", 1)
    except KeyboardInterrupt:
        return say(out, "the watchdog goes on by itself; see `model-watchdog status`", "dim")


def not_taken(settings: Settings, what: What, flag: Path) -> str:
    """What to do when nobody took the flag: a watchdog may be frozen."""
    pid = watchdog_pid(settings)
    if pid is None:
        return f"no watchdog is running any more; the {what} is in force once it starts: model-watchdog run"
    return (
        f"the watchdog (pid {pid}) has not answered within {TAKEN_WITHIN_S:.0f} s; {flag} lies there, and is obeyed as "
        f"soon as it looks. See `model-watchdog status`. If it hangs: kill -9 {pid}. systemd then starts it anew, and "
        f"it obeys what lies there first; where nothing starts it anew, give the order again"
    )


class _Rests:
    """The pauses between two looks; DaemonGoneError when there is nothing more to look for."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen_s = time.monotonic()

    def rest(self) -> None:
        now_s = time.monotonic()
        if watchdog_pid(self._settings) is not None:
            self._seen_s = now_s
        elif now_s - self._seen_s > GONE_FOR_S:
            raise DaemonGoneError(
                "no watchdog is running any more: it ended before the order was carried out. What was begun "
                "goes on once it is started again: model-watchdog run"
            )
        time.sleep(FOLLOW_EVERY_S)


def _follow_answer(
    journal: Journal, what: What, rests: _Rests, out: Console, comeback: Comeback | None
) -> int:
    while (
        given := next((o for o in journal.orders(5) if o.what == what), None)
    ) is None or given.answer is None:
        rests.rest()
    if not given.answer.startswith("incident "):
        if comeback is not None and given.answer in (HALT_OVER, PAUSE_OVER):
            say(out, given.answer)
            return comeback.wait(journal, given.at, rests.rest, out, paused=given.answer == PAUSE_OVER)
        refused = given.answer.startswith("refused")
        return say(out, given.answer, "red" if refused else "green", int(refused))
    number = int(given.answer.split()[1])
    # A halt turns an incident that is open already: what was done before is not its doing.
    shown = (
        0 if what == "rollback" else len([row for row in ended(journal, number) if row.began_at < given.at])
    )
    while True:
        incident = journal.incident(number)
        if incident is None:
            return say(out, f"incident {number} is not in the journal", "red", 1)
        shown = show_steps(journal, incident.id, shown, out)
        if what == "halt" and not incident.open and incident.plan != "halt":
            # It came while the incident was being closed: a halt of its own follows.
            newest = journal.incidents(1)[0].id
            number, shown = (newest, 0) if newest > number else (number, shown)
        elif not incident.open or (incident.monitoring and what == "rollback"):
            return end(incident, what, out)
        rests.rest()


def ended(journal: Journal, number: int) -> list[StepRow]:
    """The steps of an incident that have ended, well or not."""
    incident = journal.incident(number)
    return [] if incident is None else [row for row in journal.steps(incident) if row.result is not None]


def show_steps(journal: Journal, number: int, shown: int, out: Console) -> int:
    """Says which steps have ended since `shown` of them had; returns how many have now."""
    rows = ended(journal, number)
    for row in rows[shown:]:
        good = row.result == "done"
        say(out, f"{row.ended_at:%H:%M:%S} UTC  {row.step:<14}  {row.detail}", "" if good else "yellow")
    return len(rows)


def end(incident: Incident, what: str, out: Console) -> int:
    """Says how the order `what` ended; the exit code."""
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
