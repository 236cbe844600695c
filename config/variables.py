"""`${NAME}` in a value: from the environment, or from a file that systemd's `LoadCredential=` put there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LIKE_A_NAME = re.compile(r"[A-Z0-9_]{1,40}|[a-z0-9_]{1,40}", re.ASCII)
_REFERENCE = re.compile(r"\$\{([^}]*)(\}?)")


class FromVariable(str):
    """A text that came out of a variable: it may be a secret, and it may stand for a number."""

    __slots__ = ()


class VariableProblems(Exception):
    """Some of the variables of a value cannot be had; one message for each of them."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__("; ".join(messages))
        self.messages = messages


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """`text` with each `${NAME}` replaced; raises VariableProblems naming every variable that is missing."""
    if "${" not in text:
        return text
    messages: list[str] = []

    def value(reference: re.Match[str]) -> str:
        name, closed = reference.groups()
        if not (closed and NAME.fullmatch(name)):
            messages.append("a variable is written ${NAME}, its name of letters, digits and _ alone")
            return ""
        try:
            return _look_up(name, environ)
        except LookupError as error:
            messages.append(str(error.args[0]))
            return ""

    replaced = _REFERENCE.sub(value, text)
    if messages:
        raise VariableProblems(messages)
    return FromVariable(replaced)


def _look_up(name: str, environ: Mapping[str, str]) -> str:
    """The environment first, then the credential; LookupError with a sentence if neither has it."""
    if name in environ:
        return environ[name]
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if not _LIKE_A_NAME.fullmatch(name):  # `${the secret itself}` is a mistake that must not be repeated
        raise LookupError(
            "the variable that stands here is not set: write the name of one, such as ${BOT_TOKEN}"
        )
    remedy = f"export it, or add LoadCredential={name}:FILE to the unit"
    if not folder:
        raise LookupError(f"the variable {name} is not set: {remedy}")
    file = Path(folder) / name
    try:
        text = file.read_bytes().decode()
    except FileNotFoundError:
        raise LookupError(f"the variable {name} is not set, and there is no file {file}: {remedy}") from None
    except OSError as error:
        raise LookupError(
            f"the variable {name} is not set, and {file} cannot be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise LookupError(f"the variable {name} is not set, and {file} is not UTF-8 text") from None
    return text.removesuffix("\n").removesuffix("\r")
