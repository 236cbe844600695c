"""What the desks of both markets share."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from .gate import Gate

Amount = str | int | float


def decimal(amount: Amount) -> Decimal:
    return Decimal(str(amount))


class DeskBase:
    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._exchange = gate.exchange

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Change the state alone, with the old one remembered for `stale`, and put it on disk."""
        with self._gate.lock:
            self._exchange.remember()
            yield
            self._gate.save()
