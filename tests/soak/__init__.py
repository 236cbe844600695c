"""Weeks of trading in minutes, through the real service: see `tests.soak.__main__`."""
