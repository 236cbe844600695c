"""Secrets taken out of everything that is written: log lines, their arguments, tracebacks, alerts.

The Telegram token is part of every URL of the Bot API, so that a library's debug line or the repr of an
exception is enough to give it away. Redacting the finished line covers message, arguments, traceback and
stack alike.
"""

import json
import logging
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
MIN_LENGTH = 4  # characters; a shorter "secret" would blank half of every line and protect nothing
_TOKEN = re.compile(r"\d+:([\w-]{16,})")  # <bot id>:<secret>; the second half alone is as good as the whole
_LIBRARIES = ("httpx", "httpcore", "telegram")


class Redactor:
    """A function from text to text without the secrets, in any of the forms in which they get written down
    (as they are, percent-encoded as in a URL, escaped as in JSON or a repr)."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Hide these too (after a reload of the configuration)."""
        for secret in secrets:
            self._forms |= _forms(secret)
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        return self._pattern.sub(REDACTED, text) if self._pattern else text

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"


def _forms(secret: str) -> set[str]:
    found = {secret, secret.strip()}
    if token := _TOKEN.fullmatch(secret.strip()):
        found.add(token[1])
    for plain in tuple(found):
        encoded = {quote(plain, safe=""), quote(plain), quote_plus(plain), quote(plain, safe=":")}
        found |= encoded | {re.sub("%..", lambda escape: escape[0].lower(), form) for form in encoded}
        found |= {json.dumps(plain)[1:-1], json.dumps(plain, ensure_ascii=False)[1:-1], repr(plain)[1:-1]}
    return {form for form in found if len(form) >= MIN_LENGTH}


class RedactingFormatter(logging.Formatter):
    """Formats with `inner` and redacts the result, tracebacks and stacks included."""

    def __init__(self, redact: Redactor, inner: logging.Formatter | None = None) -> None:
        super().__init__()
        self._redact = redact
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(self._inner.format(record))


def quiet_libraries() -> None:
    """Keep the HTTP stack's request lines, which hold the token, and its chatter out of the log."""
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
