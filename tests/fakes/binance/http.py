"""The HTTP side: requests in as they were sent, answers out, whole or broken."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from .errors import ApiError
from .faults import Answer
from .gate import Gate, Request

CONTROL = "/_control/"


class Http:
    """Serves on 127.0.0.1 in the running loop. `command` carries out what is asked of the control API."""

    def __init__(self, gate: Gate, command: Callable[[str, dict[str, Any]], Any]) -> None:
        self._gate = gate
        self._command = command
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> int:
        """Listen; the port, chosen freely if 0 was asked."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Refuse connections and break those that wait for an answer."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        body = (await request.read()).decode("utf-8", "replace")
        if path.startswith(CONTROL):
            return self._control(path.removeprefix(CONTROL), body)
        key = request.headers.get("X-MBX-APIKEY")
        answer = self._gate.answer(Request(request.method, path, query, body, key))
        return await self._deliver(request, answer)

    def _control(self, name: str, body: str) -> web.Response:
        try:
            result = self._command(name, json.loads(body or "{}"))
        except (ApiError, TypeError, ValueError, ArithmeticError) as problem:
            return web.json_response({"error": f"{type(problem).__name__}: {problem}"}, status=400)
        return web.json_response({"result": result})

    async def _deliver(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if answer.delay_s:
            await self._wait(answer.delay_s)
        if answer.later is not None:
            answer = answer.later()
        if answer.ending in ("hang", "drop"):
            return self._cut(request, web.StreamResponse())
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type = answer.content_type
        response.content_length = len(answer.body)
        try:
            await response.prepare(request)
            if answer.ending == "half":
                await response.write(answer.body[: len(answer.body) // 2])
                return self._cut(request, response, abort=False)
            await response.write(answer.body)
        except ConnectionError:
            return response  # whoever asked has gone, which is part of the tests
        return response

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _cut(
        self, request: web.Request, response: web.StreamResponse, *, abort: bool = True
    ) -> web.StreamResponse:
        """Break the connection; abort without even what is still to be written."""
        if request.transport is not None:
            if abort:
                request.transport.abort()
            else:
                request.transport.close()
        return response
