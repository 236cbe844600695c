"""The channel that is always there: the terminal, or the journal of the service."""

from collections.abc import Callable, Sequence
from typing import TextIO

from .alert import Pending, Severity
from .errors import TransportError
from .text import Part, headed, tag, to_plain

Write = Callable[[str, Severity], None]


def stream_writer(stream: TextIO) -> Write:
    """Writes plain text with the severity as a word, and flushes: for tests and for a bare terminal."""

    def write(text: str, severity: Severity) -> None:
        word = "" if severity == "info" else f"{severity.upper()}: "
        stream.write(f"{word}{text}\n")
        stream.flush()

    return write


class ConsoleChannel:
    """Hands each alert, as plain text of one or more lines that ends in its `#id`, to `write(text,
    severity)`."""

    name = "console"

    def __init__(self, write: Write) -> None:
        self._write = write

    def parts(self, alert: Pending) -> Sequence[Part]:
        """One part however long the text: a terminal has no limit."""
        return [Part(f"{headed(alert.text, alert.count).rstrip()}\n{tag(alert)}", alert.severity)]

    async def send(self, part: Part) -> None:
        try:
            self._write(to_plain(part), part.severity)
        except (OSError, ValueError) as error:  # a terminal that went away, a full pipe, a closed file
            problem = type(error).__name__
        else:
            return
        # A line that cannot be printed now is of no use later, and must not hold up those after it.
        raise TransportError(f"the console cannot be written to ({problem})", permanent=True)

    async def aclose(self) -> None:
        """Nothing to close: the stream belongs to the caller."""
