"""A small trading bot for the demo and for tests: it behaves like the ones that model-watchdog is made for.

`make.py` writes a throw-away folder for it: main.py, this package as `bot/`, bot.json, models, a registry.
"""
