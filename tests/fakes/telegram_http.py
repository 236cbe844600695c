"""The HTTP side of the Bot API server: connections, threads, and breaking them."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from .telegram_answers import Answer


class Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(
        self, address: tuple[str, int], answer: Callable[[str, str, dict[str, Any]], Answer]
    ) -> None:
        super().__init__(address, Handler)
        self.answer = answer
        self.stopping = threading.Event()
        self._connections: set[Any] = set()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            Handler.cut(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a request is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Http

    def do_POST(self) -> None:
        """Every Bot API method; GET works as well, as it does at Telegram."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        token, _, method = unquote(path).removeprefix("/bot").rpartition("/")
        answer = self.server.answer(token, method, dict(parse_qsl(query)) | self._fields(body))
        if answer.hang:
            self.server.stopping.wait()
        else:
            self.server.stopping.wait(answer.delay_s)
        if answer.hang or answer.drop:
            self.close_connection = True
            self.cut(self.connection)
            return
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""

    def _fields(self, body: bytes) -> dict[str, Any]:
        if "json" in self.headers.get("Content-Type", ""):
            return dict(json.loads(body or b"{}"))
        return dict(parse_qsl(body.decode(), keep_blank_values=True))

    @staticmethod
    def cut(connection: Any) -> None:
        """End a connection at once, whatever thread is at work on it."""
        try:
            connection.shutdown(2)
        except OSError:
            return  # it has ended already
