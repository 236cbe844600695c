"""What the courier asks of a channel."""

from collections.abc import Sequence
from typing import Protocol

from .alert import Pending
from .text import Part


class Channel(Protocol):
    """Where alerts go."""

    @property
    def name(self) -> str:
        """Names the channel in the outbox; must not change from one run to the next."""
        ...

    def parts(self, alert: Pending) -> Sequence[Part]:
        """The alert as messages, the same ones each time: sending goes on after the last one that was
        taken."""
        ...

    async def send(self, part: Part) -> None:
        """Return once the message was accepted; raise TransportError if it was not, or may not have been."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...
