"""Troubles that last: told when they begin, again every few hours while they last, and when they are over."""

import re
from collections.abc import Collection, Mapping
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

    def update(
        self,
        now: datetime,
        current: Mapping[str, tuple[str, Severity]],
        undecided: Collection[str] = frozenset(),
    ) -> None:
        """`current`: name -> (a sentence with the remedy, how bad). Names that are gone are told as over, unless nobody
        has looked for them yet since a restart (`undecided`)."""
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
        for name in [n for n in self._known if n not in current and n not in undecided]:
            known = self._known.pop(name)
            if known["told"] is not None and not name.startswith(
                "rule-"
            ):  # what a rule led to is told by itself
                lasted = span(now - datetime.fromisoformat(known["since"]))
                what = _without_remedy(known.get("text", name))
                self._say(name, f"over after {lasted}. It was: {what}", "info")

    def dump(self) -> dict[str, Any]:
        """What to keep."""
        return self._known

    def _say(self, name: str, text: str, severity: Severity) -> None:
        self._teller.tell(f"condition-{name}", text, severity, coalesce=False)  # they limit themselves


def _without_remedy(text: str) -> str:
    """The first sentence of a trouble, up to the colon or semicolon after which it is said in detail or what to do: an
    instruction must not be read again when there is nothing left to be done."""
    sentence = re.split(r"\.\s+(?=[A-Z`])", text, maxsplit=1)[0]
    what = re.match(r".*?\s.*?(?=[:;] )", sentence)  # `PATH: what is wrong with it` begins with no sentence
    return what[0] if what else sentence
