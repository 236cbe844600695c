"""A filter before the engine's socket, as people run who do not give all of the engine away.

It passes on what is allowed, and answers 403 to the rest.
"""

import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

DENIED = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 22\r\n\r\n"
    b"<h1>403 Forbidden</h1>"
)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    engine: Path
    allowed: Sequence[str]
    refused: list[str]


class _Call(socketserver.BaseRequestHandler):
    """One connection carries one call: the engine is asked to close it afterwards."""

    server: _Server

    def handle(self) -> None:
        client: socket.socket = self.request
        head = b""
        while b"\r\n\r\n" not in head and (part := client.recv(65536)):
            head += part
        if not head:
            return
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
        asked = f"{method} {path.split('?')[0]}"
        if not any(re.fullmatch(pattern, asked) for pattern in self.server.allowed):
            self.server.refused.append(asked)
            client.sendall(DENIED)
            return
        lines, rest = head.split(b"\r\n\r\n", 1)
        kept = [line for line in lines.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(str(self.server.engine))
            engine.sendall(b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + rest)
            threading.Thread(target=_pump, args=(client, engine), daemon=True).start()
            _pump(engine, client)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)


@contextmanager
def filtered(engine: Path, socket_path: Path, *allowed: str) -> Iterator[list[str]]:
    """A socket that passes on the calls ("GET /v1.41/version", without the query) that match one of the patterns; the
    list grows by those that were refused."""
    with _Server(str(socket_path), _Call) as server:
        server.engine, server.allowed, server.refused = engine, allowed, []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.refused
        finally:
            server.shutdown()
            thread.join()
