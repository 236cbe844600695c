"""The state with its clock, its numbering and its memory of what it was before."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from .params import Params
from .state import State

Handler = Callable[["Exchange", Params], Any]
HISTORY = 20
KEPT = 1000
"""Of closed orders, trades and the like; the oldest are forgotten, so that a soak does not grow."""


class Exchange:
    """clock: seconds since 1970; the server's own time is that plus `state.shift_ms`.

    spare: how many orders the next cancel-all leaves behind, a fault. fill_share: how much of a market order
    is filled, likewise.
    """

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self.state = state
        self.clock = clock
        self.spare = 0
        self.fill_share = "1"
        self._before: deque[bytes] = deque(maxlen=HISTORY)

    def now_ms(self) -> int:
        return int(self.clock() * 1000) + self.state.shift_ms

    def next_id(self) -> int:
        self.state.last_id += 1
        return self.state.last_id

    def remember(self) -> None:
        """Keep the present state for `stale`; called before what may change it."""
        self._forget()
        self._before.append(msgspec.json.encode(self.state))

    def _forget(self) -> None:
        usdm, spot = self.state.usdm, self.state.spot
        for orders in (usdm.orders, usdm.algo_orders, spot.orders):
            closed = [order for order in orders if not order.open]
            for order in closed[:-KEPT]:
                orders.remove(order)  # type: ignore[arg-type]
        for rows in (usdm.trades, usdm.income, spot.deposits, spot.withdrawals, spot.lists):
            del rows[:-KEPT]

    def stale(self, handler: Handler, params: Params) -> Any:
        """What `handler` would have answered before its answer changed last."""
        now = handler(self, params)
        for kept in reversed(self._before):
            before = Exchange(msgspec.json.decode(kept, type=State), self.clock)
            if (old := handler(before, params)) != now:
                return old
        return now
