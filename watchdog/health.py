"""The bot's health endpoint (`bot.health`): alive, and perhaps which model it runs. Bounded in time and size."""

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import Any, Literal

from watchdog.plain import one_line

TIMEOUT_S = 2.0
MOST_BYTES = 64 << 10
LONGEST = 200
"""Characters of a version's name."""


@dataclass(frozen=True)
class Health:
    """`well`: a status of 2xx; `unwell`: another one; `silent`: no answer in time. `version`: the model version that
    the answer names, or None. `said`: a phrase for people."""

    state: Literal["well", "unwell", "silent"]
    version: str | None
    said: str


async def ask(url: str, timeout_s: float = TIMEOUT_S) -> Health:
    """One GET. Never raises: what goes wrong on the way is `silent`. Redirects are not followed."""
    import httpx  # not before it is needed: most bots have no such endpoint

    secure = ssl.create_default_context() if url.startswith("https:") else False
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(trust_env=False, verify=secure) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            body = b""
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > MOST_BYTES:
                    break
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, ValueError) as error:
        return Health("silent", None, f"does not answer ({_why(error)})")
    state: Literal["well", "unwell"] = "well" if 200 <= status < 300 else "unwell"
    return Health(state, version_in(body), f"answers {status}")


def _why(error: Exception) -> str:
    name = type(error).__name__
    words = {
        "ConnectError": "no connection",
        "ReadTimeout": "no answer in time",
        "ConnectTimeout": "no answer in time",
    }
    return "no answer in time" if isinstance(error, TimeoutError) else words.get(name, name)


def version_in(body: bytes) -> str | None:
    """`{"model_version": "v2.0.0"}`, `{"model": "v2.0.0"}` or `{"model": {"version": "v2.0.0"}}`; a bare `version` may
    be the program's own and says nothing of the model."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    model = found.get("model")
    for value in (found.get("model_version"), model.get("version") if isinstance(model, dict) else model):
        if isinstance(value, str) and (version := one_line(value, LONGEST)):
            return version
    return None
