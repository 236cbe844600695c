"""The server itself: in the running loop, or in a thread of its own."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from .desk import Desk, command
from .exchange import Exchange
from .gate import Gate
from .http import Http
from .state import State, fresh

KEY = "TESTkey".ljust(64, "0")
SECRET = "TESTsecret".ljust(64, "0")
"""As long as real ones."""


class BinanceServer:
    """`async with` serves in the running loop, `with` in a thread; `desk` is usable from any thread.

    state_file: loaded if it is there, kept up to date after every change. log_file: the journal, one JSON object
    a line. clock: seconds since 1970, of the server's time and of rate limits.
    """

    def __init__(
        self,
        *,
        key: str = KEY,
        secret: str = SECRET,
        port: int = 0,
        state_file: Path | None = None,
        log_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.key, self.secret, self.port = key, secret, port
        kept = state_file is not None and state_file.exists() and state_file.read_bytes()
        state = msgspec.json.decode(kept, type=State) if kept else fresh()
        exchange = Exchange(state, clock)
        self.gate = Gate(exchange, key=key, secret=secret, state_file=state_file, log_file=log_file)
        self.desk = Desk(self.gate)
        self._http: Http | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None

    @property
    def base_url(self) -> str:
        """Stands in for scheme and host of every API."""
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Listen in the running loop; after `close` on the same port as before."""
        self._http = Http(self.gate, self._command)
        self.port = await self._http.start(self.port)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.stop()
            self._http = None

    def start(self) -> None:
        """Listen in a thread; after `stop` on the same port as before. OSError if the port is taken."""
        ready, problems = threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, args=(ready, problems), daemon=True)
        self._thread.start()
        ready.wait()
        if problems:
            self._thread.join()
            self._thread = None
            raise problems[0]

    def stop(self) -> None:
        if self._thread is not None and self._loop is not None and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join()
            self._thread = None

    def _run(self, ready: threading.Event, problems: list[BaseException]) -> None:
        async def serve() -> None:
            self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
            try:
                await self.open()
            except OSError as problem:
                problems.append(problem)
                return
            finally:
                ready.set()
            await self._ending.wait()
            await self.close()

        asyncio.run(serve())

    def _command(self, name: str, arguments: dict[str, Any]) -> Any:
        return command(self.desk, name, arguments)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
