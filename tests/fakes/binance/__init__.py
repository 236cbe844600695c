"""Binance on 127.0.0.1, as far as a client of USD-M futures and spot can notice.

    async with BinanceServer() as server:           # or `with`, in a thread
        server.desk.set_position("SOLUSDT", "1.3", "150.2")
        server.desk.fault("POST /fapi/v1/order", "hang", done=True, seconds=1)   # a lost answer
        ...  # call server.base_url, with KEY and SECRET
        assert len(server.desk.journal("POST /fapi/v1/order")) == 1

It keeps accounts, orders and positions, checks signatures, clocks and the form of numbers, answers with the
fields and error codes of the real API, and fails on demand (faults.py). `python -m tests.fakes.binance` runs it as
a process of its own, steered through RemoteDesk(base_url).
"""

from .desk import Desk
from .remote import RemoteDesk
from .server import KEY, SECRET, BinanceServer

__all__ = ["KEY", "SECRET", "BinanceServer", "Desk", "RemoteDesk"]
