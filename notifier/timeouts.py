"""How long a channel may take over one message."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds: to connect, between two reads or writes, and for one call altogether. Generous, because a
    message that timed out may have arrived and is sent again; nothing else waits for it meanwhile."""

    connect_s: float = 10.0
    read_s: float = 20.0
    total_s: float = 60.0
