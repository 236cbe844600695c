"""Troubles that last: told when they begin, again every few hours while they last, and when they are over."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from watchdog.journal import Journal
from watchdog.messages import span
from watchdog.tell import Severity, Teller

REMIND = timedelta(hours=6)

PATIENCE = {
    "bot-log": timedelta(seconds=30),  # a bot that has just been started has not written its files yet
    "trade-log": timedelta(seconds=30),
    "journal": timedelta(seconds=30),  # somebody looked into it
}


class Conditions:
    """Which troubles people know of. Kept in the journal, so that a restart tells nothing twice."""

    def __init__(self, journal: Journal, teller: Teller) -> None:
        self._teller = teller
        self._known: dict[str, Any] = journal.get("conditions", {})

    def update(self, now: datetime, current: Mapping[str, tuple[str, Severity]]) -> None:
        """`current`: name -> (a sentence with the remedy, how bad). Names that are gone are told as over."""
        for name, (text, severity) in current.items():
            known = self._known.setdefault(name, {"since": now.isoformat(), "told": None})
            known["text"] = text.splitlines()[0]
            lasts = now - datetime.fromisoformat(known["since"])
            if known["told"] is None:
                if lasts >= PATIENCE.get(name, timedelta(0)):
                    known["told"] = now.isoformat()
                    self._say(name, text, severity)
            elif now - datetime.fromisoformat(known["told"]) >= REMIND:
                known["told"] = now.isoformat()
                self._say(name, f"still so after {span(lasts)}: {text}", severity)
        for name in [name for name in self._known if name not in current]:
            known = self._known.pop(name)
            if known["told"] is not None and not name.startswith(
                "rule-"
            ):  # what a rule led to is told by itself
                lasted = span(now - datetime.fromisoformat(known["since"]))
                self._say(name, f"over after {lasted}: {known.get('text', name)}", "info")

    def dump(self) -> dict[str, Any]:
        """What to keep."""
        return self._known

    def _say(self, name: str, text: str, severity: Severity) -> None:
        self._teller.tell(f"condition-{name}", text, severity, coalesce=False)  # they limit themselves
