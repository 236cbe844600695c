"""Words of others (a bot's log, flags, command lines, the registry) made fit for terminals, alerts, logs and reports.

What they may not do there: move the cursor or change colours (control characters), turn the reading direction
(so that a text reads otherwise than it is), end a line and begin one that looks like ours, or be without end.
"""

import re

_NOT_PLAIN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # reading direction
    "\u2028\u2029"  # line ends
    "\ufff9-\ufffb\ud800-\udfff]"  # annotations; halves of characters, which could be neither stored nor sent
)
REPLACEMENT = "\ufffd"
LINE = 500
"""Characters of one line: a reason, a command."""


def plain(text: str) -> str:
    """The text in its lines, with U+FFFD for whatever would do more than be read."""
    return _NOT_PLAIN.sub(REPLACEMENT, text)


def one_line(text: str, most: int = LINE) -> str:
    """The text as one line of at most `most` characters; all white space is a blank."""
    # Cut before it is worked on, for it may be megabytes; white space makes it shorter, nothing makes it longer.
    line = " ".join(plain(text[: 8 * most].replace("\r", "\n")).split())
    return line if len(line) <= most else line[: most - 1] + "…"
