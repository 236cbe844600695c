"""Lines such as the bots write, made by count."""

from datetime import datetime, timedelta

_START = datetime.fromisoformat("2026-03-01T10:00:00")


def trade_lines(count: int) -> list[bytes]:
    """Entries, exits and equity points in turn, one a second, without line ends."""
    makers = (_entry, _exit, _equity)
    return [makers[n % 3](n, (_START + timedelta(seconds=n)).isoformat()) for n in range(count)]


def _entry(n: int, at: str) -> bytes:
    return (
        f'{{"type": "entry", "timestamp": "{at}.123456", "direction": 1, "entry_price": {150 + n % 7}.2, '
        f'"size": 1.3, "stop_loss": 148.0, "take_profit": 155.0, "ml_confidence": 0.71}}'
    ).encode()


def _exit(n: int, at: str) -> bytes:
    return (
        f'{{"type": "exit", "timestamp": "{at}.5", "direction": 1, "entry_price": 150.2, "exit_price": 149.1, '
        f'"size": 1.3, "pnl": {n % 11 - 5}.43, "pnl_pct": -0.73, "duration": 7}}'
    ).encode()


def _equity(n: int, at: str) -> bytes:
    return f'{{"type": "equity", "timestamp": "{at}", "equity": {1990 + n % 13}.57, "pnl": -1.43}}'.encode()


def bot_lines(count: int) -> list[bytes]:
    """Lines of Python logging, one a second."""
    return [
        (
            f"{(_START + timedelta(seconds=n)).isoformat(' ')},{n % 1000:03d} - bot.trading_bot - INFO - "
            f"Signal {n}: confidence 0.71, holding"
        ).encode()
        for n in range(count)
    ]
