"""The house of the core's tests."""

from tests.watchdog.conftest import build

__all__ = ["build"]
