"""This package's own commands, as people can copy them in any folder."""

import shlex
import sys
from pathlib import Path


def python() -> str:
    """The interpreter that has this package, in full, for people have another one in their PATH. With -P it does not
    look into the folder that it is called in: a bot's folder may well have a `config` of its own."""
    return f"{shlex.quote(sys.executable or 'python')} -P"


def typed(folder: Path, command: str, *versions: str) -> str:
    """A command for some versions."""
    key = " --key KEY_FILE" if command == "sign" else ""
    named = shlex.join(versions)
    return f"{python()} -m registry {command} {named} --registry-path {shlex.quote(str(folder))}{key}"
