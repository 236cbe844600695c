#!/usr/bin/env python3
"""The demo's trading bot. In its own folder, beside `bot/` and bot.json: `python main.py [--dry-run]`."""

import sys

from bot.trading_bot import main  # type: ignore[import-not-found]  # the bot's folder has it, this repository not

if __name__ == "__main__":
    sys.exit(main())
