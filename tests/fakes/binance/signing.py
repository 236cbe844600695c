"""Who may call: the key, the clock and the signature of a signed request."""

import hashlib
import hmac
import re

from .errors import ApiError, illegal, missing
from .params import INTEGER, Params

DEFAULT_WINDOW_MS = 5000
LONGEST_WINDOW_MS = 60000
AHEAD_MS = 1000


def check(
    *, key: str, secret: str, sent_key: str | None, query: str, body: str, params: Params, now_ms: int
) -> None:
    """Raise ApiError unless the request carries the key, a timely timestamp, and the HMAC-SHA256 of what was sent.

    What is signed is the query string followed by the body, byte for byte, less the signature itself.
    """
    if not sent_key or re.fullmatch(r"[A-Za-z0-9_-]+", sent_key) is None:
        raise ApiError(-2014, "API-key format invalid.", 401)
    if sent_key != key:
        raise ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    _in_time(params, now_ms)
    signature = params.text("signature")
    signed = _unsigned(query) + _unsigned(body)
    expected = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature.lower()):
        raise ApiError(-1022, "Signature for this request is not valid.")


def _unsigned(part: str) -> str:
    return "&".join(field for field in part.split("&") if not field.startswith("signature="))


def _in_time(params: Params, now_ms: int) -> None:
    timestamp = params.integer("timestamp")
    if timestamp is None:
        raise missing("timestamp")
    window = params.sent.get("recvWindow", str(DEFAULT_WINDOW_MS))
    if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,3})?", window) is None:
        raise illegal("recvWindow", INTEGER)
    if float(window) > LONGEST_WINDOW_MS:
        raise ApiError(-1131, "recvWindow must be less than 60000")
    if timestamp >= now_ms + AHEAD_MS:
        raise ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    if now_ms - timestamp > float(window):
        raise ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
