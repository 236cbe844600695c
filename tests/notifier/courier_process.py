"""A small program that tells, to be killed: `python -m tests.notifier.courier_process DB BASE_URL COUNT`.

Puts COUNT alerts, each with a key, printing the number of each once it is on disk; delivers until all are
delivered, then prints "done". Started again it goes on where it was.
"""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from notifier import Backoff, Courier, Outbox, Pace, TelegramChannel
from tests.fakes.telegram import TOKEN

from .helpers import step


async def main(db: Path, base_url: str, count: int) -> None:
    TelegramChannel.preload()
    outbox = Outbox(db)
    channel = TelegramChannel(TOKEN, -5, base_url, pace=Pace(1000))
    courier = Courier(outbox, [channel], lambda: datetime.now(UTC), backoff=Backoff(first_s=0.02, cap_s=0.1))
    running = asyncio.create_task(courier.run())
    for number in range(count):
        text = f"alert {number}"
        if number % 5 == 0:
            text += "\n" + "a line of a long report\n" * 400
        courier.tell(step(text, key=f"alert {number}"))
        print(number, flush=True)
        await asyncio.sleep(0.002)
    await courier.drain(60)
    print("done", flush=True)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await courier.aclose()
    outbox.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
