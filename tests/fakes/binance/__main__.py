"""The server as a process of its own: `python -m tests.fakes.binance --port N --state FILE --log FILE`.

It prints its port once it listens, and ends at SIGTERM or SIGINT.
"""

import argparse
import asyncio
import signal
from pathlib import Path

from .server import KEY, SECRET, BinanceServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.binance")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--secret", default=SECRET)
    args = parser.parse_args()
    asyncio.run(serve(args))


async def serve(args: argparse.Namespace) -> None:
    server = BinanceServer(
        key=args.key, secret=args.secret, port=args.port, state_file=args.state, log_file=args.log
    )
    ending, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with server:
        print(server.port, flush=True)
        await ending.wait()


if __name__ == "__main__":
    main()
