"""The health endpoint, asked for real: what it answers, and what it must not be able to do to us."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from watchdog.health import MOST_BYTES, Health, ask, version_in


@contextlib.asynccontextmanager
async def endpoint(*parts: bytes, pause_s: float = 0.0) -> AsyncIterator[str]:
    """Answers with these bytes, a pause before each."""

    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                await asyncio.sleep(pause_s)
                writer.write(part)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz"
    finally:
        server.close()
        for task in served:
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


def http(status: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def test_200_is_well_and_its_json_may_name_the_model() -> None:
    async with endpoint(http("200 OK", b'{"status": "ok", "model_version": "v2.0.0"}')) as url:
        found = await ask(url)
    assert (found.state, found.version, found.said) == ("well", "v2.0.0", "answers 200")


async def test_503_is_unwell() -> None:
    async with endpoint(http("503 Service Unavailable", b"heartbeat is 61 s old")) as url:
        assert (await ask(url)).state == "unwell"


async def test_a_redirect_is_not_followed_and_not_well() -> None:
    async with endpoint(http("302 Found")) as url:
        found = await ask(url)
    assert (found.state, found.said) == ("unwell", "answers 302")


async def test_nobody_there_is_silent() -> None:
    async with endpoint() as url:
        pass
    assert await ask(url) == Health("silent", None, "does not answer (no connection)")


@pytest.mark.parametrize("answer", [b"", b"\xff\xfe\x00", b"HTTP/1.1 2", b"SSH-2.0-OpenSSH\r\n\r\n"])
async def test_what_is_no_http_is_silent(answer: bytes) -> None:
    async with endpoint(answer) as url:
        assert (await ask(url)).state == "silent"


async def test_a_slow_drip_takes_no_longer_than_the_time_allowed() -> None:
    began = time.monotonic()
    async with endpoint(b"HTTP/1.1 200 OK\r\n", *[b"a"] * 1000, pause_s=0.05) as url:
        assert await ask(url, timeout_s=0.3) == Health("silent", None, "does not answer (no answer in time)")
    assert time.monotonic() - began < 10


async def test_an_endless_body_is_cut() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    async with endpoint(head, *[b"x" * MOST_BYTES] * 50) as url:
        assert (await ask(url)).state == "well"


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b'{"model": "v2\\u202e\\n\\ud800"}', "v2\ufffd \ufffd"),
        (b'{"model_version": "' + b"v" * 5000 + b'"}', "v" * 199 + "…"),
        (b'{"model_version": " v2.0.0 "}', "v2.0.0"),
        (b'{"model": "v2.0.0"}', "v2.0.0"),
        (b'{"model": {"version": "v2.0.0"}}', "v2.0.0"),
        (b'{"version": "v2.0.0"}', None),  # the program's own
        (b'{"model_version": 2, "model": {"version": null}}', None),
        (b'{"model_version": ""}', None),
        (b"[]", None),
        (b"ok", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_only_what_names_the_model_names_a_version(body: bytes, version: str | None) -> None:
    assert version_in(body) == version
