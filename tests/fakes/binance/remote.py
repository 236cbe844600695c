"""The desk of a server in another process, through its control API."""

import inspect
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from .desk import Desk

if TYPE_CHECKING:
    _Base = Desk
else:
    _Base = object


class RemoteDesk(_Base):
    """Has the methods of Desk. RuntimeError with the server's words when it refuses one."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url

    def __getattr__(self, name: str) -> Any:
        signature = inspect.signature(getattr(Desk, name))

        def call(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(self, *args, **kwargs).arguments
            bound.pop("self")
            for extra in ("options", "restrictions"):
                bound |= bound.pop(extra, {})
            return self._post(name, bound)

        return call

    def _post(self, name: str, arguments: dict[str, Any]) -> Any:
        address = f"{self._base_url}/_control/{name}"
        request = urllib.request.Request(address, json.dumps(arguments).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)["result"]
        except urllib.error.HTTPError as refused:
            with refused:
                raise RuntimeError(json.load(refused)["error"]) from None
