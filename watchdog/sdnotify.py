"""What systemd is told: READY=1, STATUS=, WATCHDOG=1, STOPPING=1, RELOADING=1 (see sd_notify(3)).

Every message is one datagram to the socket that systemd named. Telling never raises and never blocks: a lost
STATUS does no harm, a daemon that hangs or dies of its own report does.
"""

import os
import socket
import time
from collections.abc import MutableMapping


class SdNotify:
    """Tells systemd; outside of systemd every call does nothing and answers False.

    Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of `environ`, so that no child (such as the bot)
    inherits them and speaks, or falls silent, in the daemon's name.
    """

    def __init__(self, environ: MutableMapping[str, str] = os.environ) -> None:
        name = environ.pop("NOTIFY_SOCKET", "")
        usec = environ.pop("WATCHDOG_USEC", "")
        pid = environ.pop("WATCHDOG_PID", "")
        # "@name" is systemd's way of writing an abstract address, which begins with a zero byte.
        self._address = os.fsencode("\0" + name[1:] if name.startswith("@") else name)
        meant_for_us = pid in ("", str(os.getpid()))
        self.watchdog_s = int(usec) / 1e6 if usec.isascii() and usec.isdigit() and meant_for_us else None
        """`WatchdogSec=` in seconds (a WATCHDOG=1 must come at least so often), or None if it is off."""

    @property
    def enabled(self) -> bool:
        """Whether systemd asked to be told at all."""
        return self._address[:1] in (b"/", b"\0")

    def ready(self, status: str = "") -> bool:
        """The daemon is up, or done with the reload that `reloading` announced."""
        return self._tell("READY=1", *([_status(status)] if status else []))

    def status(self, text: str) -> bool:
        """The line that `systemctl status` shows."""
        return self._tell(_status(text))

    def watchdog(self) -> bool:
        """A sign of life: a tick was finished, or at the start an open incident is being carried on."""
        return self._tell("WATCHDOG=1")

    def stopping(self, status: str = "") -> bool:
        """The daemon is on its way out by itself."""
        return self._tell("STOPPING=1", *([_status(status)] if status else []))

    def reloading(self) -> bool:
        """The configuration is being read again; `ready` must follow. The time is CLOCK_MONOTONIC."""
        return self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def _tell(self, *lines: str) -> bool:
        if not self.enabled:
            return False
        message = "\n".join(lines).encode(errors="replace")
        try:
            with socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            ) as sock:
                sock.sendto(message, self._address)
        except OSError:  # nobody listens, the queue is full, no file descriptor is left
            return False
        return True


def _status(text: str) -> str:
    """One line: what follows a line end would be read as a message of its own."""
    return "STATUS=" + " ".join(text.splitlines())
