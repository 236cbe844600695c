"""The desk of whoever runs the exchange: puts things on it, breaks it, and reads what is there.

Every method takes and gives plain JSON values, so that it can be called from another process as well
(`POST /_control/<method>` with the arguments as a JSON object; see remote.py). Amounts and prices are strings
or numbers, read as decimals.
"""

import inspect
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from .desk_spot import SpotDesk
from .desk_usdm import UsdmDesk
from .faults import Fault, Kind


class Desk(UsdmDesk, SpotDesk):
    """Faults, clock, journal and state."""

    def fault(
        self,
        endpoint: str,
        kind: Kind,
        *,
        nth: int = 1,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int = 0,
        done: bool | None = None,
        **options: Any,
    ) -> None:
        """Order a fault (faults.py lists the kinds and their options). ValueError for an unknown kind."""
        with self._gate.lock:
            self._gate.faults.append(Fault(endpoint, kind, nth, times, probability, seed, done, options))

    def heal(self) -> None:
        """Forget the faults to come, and end rate limits."""
        with self._gate.lock:
            self._gate.faults.clear()
            self._gate.limits.end()

    def shift_clock(self, seconds: float) -> None:
        """Let the server's clock be so far from its machine's: ahead, or behind if negative."""
        with self._change():
            self._exchange.state.shift_ms = int(seconds * 1000)

    def journal(self, endpoint: str = "*") -> list[dict[str, Any]]:
        """The requests so far, of the endpoints that match a pattern such as "POST *" (see gate.py)."""
        with self._gate.lock:
            entries = [dict(entry) for entry in self._gate.journal]
        return [e for e in entries if fnmatchcase(f"{e['method']} {e['path']}", endpoint)]

    def too_early(self) -> int:
        """How many calls came while a 429 or a ban was in force."""
        return self._gate.limits.too_early

    def state(self) -> dict[str, Any]:
        """Everything, as it is kept on disk (state.py)."""
        with self._gate.lock:
            found: dict[str, Any] = msgspec.to_builtins(self._exchange.state)
            return found


def command(desk: Desk, name: str, arguments: dict[str, Any]) -> Any:
    """Carry out a command of the control API. TypeError or ValueError if there is none such."""
    method = getattr(desk, name, None)
    if name.startswith("_") or not inspect.ismethod(method):
        raise ValueError(f"no command {name!r}")
    return method(**arguments)
