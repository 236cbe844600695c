"""What a bot left behind, and the configuration that meets it: the scenes of the fault and kill tests."""

import os
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.binance import Desk
from tests.watchdog.exchange.bench import Stage

THOROUGH = os.environ.get("MODEL_WATCHDOG_THOROUGH") == "1" or os.environ.get("CI") == "true"
"""Every fault at every call, in place of a share of them that goes round."""


def one_way(desk: Desk) -> None:
    """Long, with an order that would add to it, a stop, and a profit to be taken."""
    desk.set_position("SOLUSDT", "1.3", "152")
    desk.add_order("SOLUSDT", "BUY", "1", "140")
    desk.add_algo_order("SOLUSDT", "SELL", "139", close_position=True)
    desk.add_algo_order("SOLUSDT", "SELL", "170", close_position=True, type="TAKE_PROFIT_MARKET")


def hedged(desk: Desk) -> None:
    """A long and a short position in one symbol, the long one with a stop."""
    desk.set_hedge_mode(True)
    desk.set_position("SOLUSDT", "1.3", "152", "LONG")
    desk.set_position("SOLUSDT", "-0.5", "152", "SHORT")
    desk.add_order("SOLUSDT", "BUY", "1", "140", position_side="LONG")
    desk.add_algo_order("SOLUSDT", "SELL", "139", close_position=True, position_side="LONG")


def spot(desk: Desk) -> None:
    """1.3005 SOL, of which an OCO holds 1."""
    desk.set_balance("SOL", "1.3005")
    desk.add_spot_order("SOLUSDT", "BUY", "1", "140")
    desk.add_oco("SOLUSDT", "SELL", "1", "170", "140", "139")


@dataclass(frozen=True)
class Scene:
    """A stage, the section exchange, and what is true at the end when nothing is in the way."""

    stage: Stage
    options: dict[str, Any]
    held: dict[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    """Types of the orders that are still open."""


SCENES = {
    "keep": Scene(one_way, {}, {"BOTH": "1.3"}, ("STOP_MARKET",)),
    "close": Scene(one_way, {"positions": "close"}),
    "hedged": Scene(hedged, {"positions": "close"}),
    "spot": Scene(spot, {"kind": "binance_spot"}, {"BOTH": "1.3005"}, ("LIMIT_MAKER", "STOP_LOSS_LIMIT")),
    "spot sold": Scene(spot, {"kind": "binance_spot", "positions": "close"}, {"BOTH": "0.0005"}),
}
