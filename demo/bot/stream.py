"""A data stream of the bot: `python -m bot.stream PID`. It has a session of its own and outlives the bot.

It ends by itself a minute after the bot (PID) did, or as soon as the bot's folder is gone, so that no test
and no demo leaves one behind.
"""

import os
import sys
import time
from pathlib import Path

OUTLIVES_S = 60.0
EVERY_S = 0.25


def main() -> None:
    """Streams nothing, patiently."""
    bot_pid, folder = int(sys.argv[1]), Path(__file__).parent
    last_seen_s = time.monotonic()
    while folder.exists() and time.monotonic() - last_seen_s < OUTLIVES_S:
        if os.getppid() == bot_pid:
            last_seen_s = time.monotonic()
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
