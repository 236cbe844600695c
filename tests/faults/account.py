"""An account on a local Binance for a stage: what the bot left there, how it may fail, what must not become of it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

from tests.fakes.binance import KEY, SECRET, BinanceServer
from tests.fakes.binance.faults import Kind
from tests.faults.stage import Stage

SYMBOL = "SOLUSDT"
HELD = Decimal("5")


def trading(positions: Literal["keep", "close"], *, stop: bool = True) -> Any:
    """The bot holds a long position and has two orders on the book; `stop`: an order protects the position."""

    def prepare(stage: Stage) -> None:
        server = BinanceServer()
        server.start()
        stage.afterwards.callback(server.stop)
        server.desk.set_position(SYMBOL, "5", "150.2")
        server.desk.add_order(SYMBOL, "BUY", "1.3", "148.0", client_id="bot-1")
        server.desk.add_order(SYMBOL, "SELL", "1.3", "155.0", client_id="bot-2")
        if stop:
            server.desk.add_algo_order(SYMBOL, "SELL", "140", close_position=True, client_id="bot-stop")
        stage.exchange, stage.positions = server, positions
        stage.secrets |= {"the API key": KEY, "the API secret": SECRET}
        stage.house.environ |= {"HOUSE_KEY": KEY, "HOUSE_SECRET": SECRET}
        stage.house.configure(
            exchange={
                "kind": "binance_usdm",
                "api_key": "${HOUSE_KEY}",
                "api_secret": "${HOUSE_SECRET}",
                "symbols": [SYMBOL],
                "positions": positions,
                "base_url": server.base_url,
            }
        )

    return prepare


def exchange(stage: Stage) -> BinanceServer:
    """The stage's."""
    assert stage.exchange is not None
    return stage.exchange


def fails(endpoint: str, kind: Kind, **options: Any) -> Any:
    """From now on calls of this endpoint meet this fault."""
    return lambda stage: exchange(stage).desk.fault(endpoint, kind, **options)


def heals(stage: Stage) -> None:
    """All is well again."""
    exchange(stage).desk.heal()


def down(stage: Stage) -> None:
    """Nothing answers."""
    exchange(stage).stop()


def up(stage: Stage) -> None:
    """It is back, at the same place."""
    exchange(stage).start()


def faults_of(stage: Stage) -> Iterator[str]:
    """What is wrong with what the account was sent, and with how it was left."""
    if stage.exchange is None:
        return
    desk = stage.exchange.desk
    amount = Decimal(desk.positions().get(SYMBOL, "0"))
    if amount < 0:
        yield f"the position was turned round: {amount}"
    sold = sum(
        Decimal(call["params"]["quantity"])
        for call in desk.journal("POST /fapi/v1/order")
        if call["done"] and call["params"]["side"] == "SELL" and call["params"]["type"] == "MARKET"
    )
    if sold > HELD and amount != 0:
        yield f"{sold} were sold of {HELD}"
    if desk.too_early():
        yield f"{desk.too_early()} calls were made during a ban"
    told = " ".join(stage.house.alerts())
    left = [order["clientOrderId"] for order in desk.open_orders()]
    if left and "unknown" not in told and "still open" not in told:
        yield f"orders {left} are still open, and nobody was told"
    wanted = HELD if stage.positions == "keep" else Decimal(0)
    if amount != wanted and "unknown" not in told and "still held" not in told:
        yield f"{amount} is held in place of {wanted}, and nobody was told"
    if stage.positions == "keep" and not desk.open_algo_orders() and "naked" not in told:
        yield "the position is without a stop, and nobody was told"
