"""What was told from memory, so that a disk that refuses for hours does not make people read the same every minute.

The outbox knows better, as soon as it can be written again.
"""

from datetime import datetime, timedelta

from .alert import Alert

QUIET_FOR = timedelta(hours=1)
MOST = 1000


class Repeats:
    """Remembers the last `MOST` keys, and of each kind the text that was told last."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._texts: dict[str, tuple[str, datetime]] = {}

    def is_one(self, alert: Alert, text: str, now: datetime) -> bool:
        """Whether people have this already: its key, or the same words of a kind that may be told together."""
        if alert.key is not None and alert.key in self._keys:
            return True
        told = self._texts.get(alert.kind)
        return alert.coalesce and told is not None and told[0] == text and now - told[1] < QUIET_FOR

    def note(self, alert: Alert, text: str, now: datetime) -> None:
        """It was told."""
        if alert.key is not None:
            self._keys[alert.key] = None
        self._texts[alert.kind] = (text, now)
        for kept in (self._keys, self._texts):
            while len(kept) > MOST:
                del kept[next(iter(kept))]
