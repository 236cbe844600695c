from tests.machines.systemd import machine

__all__ = ["machine"]
