"""Faults at every step that changes a folder: the interpreter reports each one to an audit hook before it is done."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

CHANGING = ("os.rename", "os.symlink", "os.link", "os.remove", "os.chmod", "os.chown")
_OPENING = os.O_WRONLY | os.O_RDWR | os.O_DIRECTORY

Watch = Callable[[str, tuple[object, ...]], None]
_watching: list[Watch] = []


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Calls `watch` with name and arguments of each audited event of this process, before it happens.

    What `watch` raises, the event raises, and does not happen.
    """
    _install()
    _watching.append(watch)
    try:
        yield
    finally:
        _watching.remove(watch)


@contextmanager
def before_each_change(folder: Path, act: Callable[[int], None]) -> Iterator[None]:
    """Calls `act` with 0, 1, 2 ... before each step that changes something, writes in or syncs the folder."""
    steps = 0

    def watch(event: str, args: tuple[object, ...]) -> None:
        nonlocal steps
        if event == "open":
            path, _, flags = args
            counts = isinstance(flags, int) and bool(flags & _OPENING) and str(path).startswith(str(folder))
        else:
            counts = event in CHANGING
        if counts:
            steps += 1
            act(steps - 1)

    with watching(watch):
        yield


@cache
def _install() -> None:
    """A hook cannot be taken out again: one is put in, and does nothing most of the time."""
    sys.addaudithook(lambda event, args: [watch(event, args) for watch in _watching] and None)
