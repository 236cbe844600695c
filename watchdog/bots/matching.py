"""Is the command line of a running process the configured command?

A person who starts the bot by hand writes `python3 -u ./main.py` for `python main.py`: that is the same bot,
and starting a second one beside it would trade twice. `python main.py --dry-run` is another one.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

_FLAGS = frozenset("bBdEIOPqsSuvx")  # of the interpreter: they change how it runs and not what runs
_MULTI_CALL = frozenset({"busybox", "toybox", "coreutils"})  # one file, as many programs as it has names
_FLAGS_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")


def same_command(wanted: Sequence[str], actual: Sequence[str], exe: str | None, directory: Path) -> bool:
    """`wanted` as configured, `actual` from /proc/<pid>/cmdline (run by `exe`), both in `directory`."""
    if not actual:
        return False
    # The arguments first: they tell most of a machine's processes apart without touching a disk.
    if _same_arguments(wanted, actual, directory) and same_program(wanted[0], actual[0], exe, directory):
        return True
    return any(
        _same_arguments(wanted, rest, directory) and _same_script(wanted[0], rest[0], directory)
        for rest in _behind_interpreter(actual)
    )


def same_program(wanted: str, actual: str, exe: str | None, directory: Path) -> bool:
    """The same text, name or file, or both a Python (`python`, `python3`, `/usr/bin/python3.11`)."""
    names = (Path(wanted).name, Path(actual).name)
    if names[0] == names[1] or all(name.startswith("python") for name in names):
        return True
    if exe is None or Path(exe).name in _MULTI_CALL:
        return False
    found = locate(wanted, directory)
    return found is not None and os.path.realpath(found) == os.path.realpath(exe)


def locate(program: str, directory: Path) -> Path | None:
    """The file that executing `program` in `directory` would run, None if there is none."""
    if "/" in program:
        path = directory / program
        return path if os.access(path, os.F_OK) else None
    found = shutil.which(program)
    return Path(found) if found else None


def _behind_interpreter(actual: Sequence[str]) -> list[Sequence[str]]:
    """The command line of a script without the `#!` line's interpreter, and without its one option."""
    found = [actual[1:]] if len(actual) > 1 else []
    if len(actual) > 2 and actual[1].startswith("-"):
        found.append(actual[2:])
    return found


def _same_script(wanted: str, actual: str, directory: Path) -> bool:
    found = locate(wanted, directory)
    return found is not None and _same_file(found, directory / actual)


def _same_arguments(wanted: Sequence[str], actual: Sequence[str], directory: Path) -> bool:
    ours, theirs = _without_flags(wanted), _without_flags(actual)
    return len(ours) == len(theirs) and all(
        a == b or _same_file(directory / a, directory / b) for a, b in zip(ours, theirs, strict=True)
    )


def _without_flags(command: Sequence[str]) -> list[str]:
    """The arguments (without the program), for a Python also without the interpreter's own flags."""
    rest = list(command[1:])
    if not Path(command[0]).name.startswith("python"):
        return rest
    while rest and rest[0].startswith("-") and len(rest[0]) > 1:
        if rest[0] in _FLAGS_WITH_VALUE:
            del rest[:2]
        elif set(rest[0][1:]) <= _FLAGS or rest[0].startswith(("-X", "-W")):
            del rest[0]
        else:
            break
    return rest


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except (OSError, ValueError):
        return False
