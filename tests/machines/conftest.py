from tests.machines.engine import engine, engines
from tests.machines.systemd import machine

__all__ = ["engine", "engines", "machine"]
