"""Puts alerts into the outbox, in the bot's name and without a secret. Telling never stops an action."""

from collections.abc import Callable
from typing import Literal

from notifier import Alert
from watchdog.incident import Incident

Severity = Literal["info", "warning", "critical"]


class Teller:
    """`put` takes an alert, and never raises (`Courier.tell`)."""

    def __init__(self, put: Callable[[Alert], object], bot_name: str) -> None:
        self._put = put
        self._bot_name = bot_name

    def tell(
        self,
        kind: str,
        text: str,
        severity: Severity = "info",
        *,
        key: str | None = None,
        coalesce: bool = True,
    ) -> None:
        """One alert. The first line of `text` is the headline; the bot's name is put before it."""
        self._put(Alert(kind, f"{self._bot_name}: {text}", severity, key, coalesce))

    def step(self, incident: Incident, name: str, text: str, severity: Severity = "info") -> None:
        """What a step did. Its key makes it told once, however often the step is run again after a crash."""
        # Incidents that could not be written down have no number of their own.
        number = incident.id or f"of {incident.opened_at.isoformat()}"
        key = f"incident {number}, {incident.plan} {incident.attempt}: {name}"
        self.tell(f"incident-{incident.id}", text, severity, key=key, coalesce=False)
