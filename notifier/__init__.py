"""Alerts to people: an outbox on disk, Telegram and the console. Knows nothing of triggers or bots.

An alert is on disk before it is sent, and is sent at least once and in order, through outages of hours and
through a kill -9; a channel that fails delays neither the caller nor the other channels.
"""

from .alert import SEVERITIES, Alert, Pending, Severity, Told
from .channel import Channel
from .console import ConsoleChannel, stream_writer
from .courier import Backoff, Courier
from .damage import is_locked, means_damage
from .errors import NotifyError, TransportError
from .outbox import Outbox
from .pace import Pace
from .redact import RedactingFormatter, Redactor, quiet_libraries
from .telegram import TelegramChannel
from .text import Part
from .timeouts import Timeouts

__all__ = [
    "SEVERITIES",
    "Alert",
    "Backoff",
    "Channel",
    "ConsoleChannel",
    "Courier",
    "NotifyError",
    "Outbox",
    "Pace",
    "Part",
    "Pending",
    "RedactingFormatter",
    "Redactor",
    "Severity",
    "TelegramChannel",
    "Timeouts",
    "Told",
    "TransportError",
    "is_locked",
    "means_damage",
    "quiet_libraries",
    "stream_writer",
]
