"""Logs: for a person on a terminal, for the journal under systemd. No secret in either."""

import logging
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from notifier import RedactingFormatter, Redactor, quiet_libraries
from watchdog.plain import plain

alerts = logging.getLogger("watchdog.alerts")

LEVEL_VARIABLE = "MODEL_WATCHDOG_LOG"
"""Environment variable: a level (DEBUG, WARNING, ...) in place of the usual one; DEBUG shows the libraries, too."""

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_COLOUR = {logging.INFO: "", logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}
_LEVEL = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.CRITICAL}


def say_alert(text: str, severity: str) -> None:
    """Alerts on the console are log lines, so that the systemd journal has them, too."""
    alerts.log(_LEVEL[severity], "%s", text)


def under_systemd() -> bool:
    """Whether stderr goes to the systemd journal (which then reads `<N>` as the priority)."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))


class _Hanging(logging.Formatter):
    """What follows the first line hangs below it, so that no text can pass for a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record)).replace("\n", "\n    ")


class _Priorities(logging.Formatter):
    """`<4>message`, each line with its priority: the journal has the time by itself."""

    def format(self, record: logging.LogRecord) -> str:
        prefix = f"<{_PRIORITY.get(record.levelno, 6)}>"
        return "\n".join(prefix + line for line in plain(super().format(record)).split("\n"))


class _Terminal(logging.Handler):
    """Time and words, coloured by level."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        style = _COLOUR.get(record.levelno, "dim")
        text = escape(self.format(record))
        self._console.print(f"[{style}]{text}[/]" if style else text, highlight=False, soft_wrap=True)


def set_up(secrets: Sequence[str], level: int = logging.INFO) -> None:
    """One handler on the root logger, for stderr, that takes the secrets out of every line and traceback."""
    handler: logging.Handler = logging.StreamHandler()
    if under_systemd():
        inner: logging.Formatter = _Priorities("%(message)s")
    elif sys.stderr.isatty():
        handler = _Terminal(Console(stderr=True))
        inner = _Hanging("%(asctime)s  %(message)s", "%H:%M:%S")
    else:
        inner = _Hanging("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(RedactingFormatter(Redactor(secrets), inner))
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping().get(os.environ.get(LEVEL_VARIABLE, "").upper(), level)
    root.setLevel(level)
    if level > logging.DEBUG:
        quiet_libraries()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
