"""Names, paths, URLs, patterns and secrets. No message here repeats the value: it may be a secret."""

from __future__ import annotations

import base64
import difflib
import re
import warnings
import zoneinfo
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticKnownError

from config.variables import FromVariable

_CHAT = re.compile(r"-?[0-9]{1,19}|@[A-Za-z0-9_]{4,}", re.ASCII)
_UNIT_NAME = re.compile(r"[A-Za-z0-9_.:@\\][A-Za-z0-9_.:@\\-]*", re.ASCII)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)
_REGISTRY_FILES = ("registry.json", "registry.json.lock")


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if not value.isprintable():
        raise ValueError("must be one line of printable characters")
    return value


def _unit_name(value: str) -> str:
    if not _UNIT_NAME.fullmatch(value):
        raise ValueError("must be a name of letters, digits and . _ : @ - alone, and must not begin with -")
    return value


def _project(value: str) -> str:
    if not _PROJECT.fullmatch(value):
        raise ValueError(
            "must be a project's name as compose takes it: small letters, digits, - and _ alone, and a letter or digit "
            "first"
        )
    return value


def _symbol(value: str) -> str:
    if re.search(r"[\s/:]", value) or value != value.upper():
        raise ValueError(
            "must be a symbol as the exchange writes it: upper case without / or :, such as SOLUSDT"
        )
    return value


def _link(value: str) -> str:
    if "/" in value or "\\" in value or value in (".", ".."):
        raise ValueError(
            "must be the name of a file in the registry's folder, without folders, such as model.pkl"
        )
    if value in _REGISTRY_FILES:
        raise ValueError("must not be the registry's own file: name the file that the bot loads")
    return value


def _path(value: object, info: ValidationInfo) -> Path:
    """Relative paths are relative to the folder of the configuration file, wherever the program runs."""
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    if value.startswith("~"):
        raise ValueError("must be written in full: ~ is another folder for each user")
    folder: Path = info.context["path"].parent if info.context else Path()
    return folder / _text(value)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        plain = (
            not (parts.username or parts.password or parts.query or parts.fragment)
            and "@" not in parts.netloc
        )
    except ValueError:
        good = plain = False
    if not (good and plain and re.fullmatch(r"[!-~]+", value)):
        raise ValueError(
            "must be an http or https URL such as http://127.0.0.1:9301, without user, password, ? or #"
        )
    return value.rstrip("/")


def _time_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(value, zoneinfo.available_timezones(), 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"is no known time zone: must be UTC or a name of the IANA list such as Europe/Berlin{hint}"
        ) from None
    return value


def _pattern(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a future Python may read differently works today
            re.compile(value)
    except re.error as error:
        at = "" if error.pos is None else f" at character {error.pos + 1}"
        # Python's words quote the pattern, which is nobody's business if it came through a variable.
        words = f": {error.msg}{at}" if not isinstance(value, FromVariable) else at
        raise ValueError(f"must be a regular expression in Python's syntax{words}") from None
    except (OverflowError, RecursionError):
        raise ValueError("must be a regular expression: this one is too deep or repeats too often") from None
    return str(value)


def _chat(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value != 0 and abs(value) < 10**19:
        return value
    if isinstance(value, str) and _CHAT.fullmatch(value) and value.strip("-0"):
        return str(value) if value.startswith("@") else int(value)
    raise ValueError('must be the number of a chat such as -1001234567890, or "@channel" in quotes')


def _secret(value: SecretStr) -> SecretStr:
    secret = value.get_secret_value()
    if not secret:
        raise ValueError("must not be empty: write it here or give it as ${NAME}")
    if not re.fullmatch(r"[!-~]+", secret):
        raise ValueError("must be one line without white space: copy it once more")
    return value


def _public_key(value: str) -> str:
    prefix, _, encoded = value.partition(":")
    try:
        length = len(base64.b64decode(encoded, validate=True))
    except ValueError:
        length = 0
    if prefix != "ed25519" or length != 32:
        raise ValueError(
            "must be a public key, ed25519: and 44 characters, as `python -P -m registry keygen` prints it "
            "(neither a file's name, nor the private key)"
        )
    return value


def _token(value: SecretStr) -> SecretStr:
    if re.search(r"[/?#%]", value.get_secret_value()):  # it becomes part of a URL
        raise ValueError("must be a bot's token, which contains no / ? # or %: copy it once more")
    return value


Text = Annotated[str, AfterValidator(_text), WithJsonSchema({"type": "string", "minLength": 1})]
UnitName = Annotated[str, AfterValidator(_unit_name), WithJsonSchema({"type": "string", "minLength": 1})]
ProjectName = Annotated[Text, AfterValidator(_project)]
Symbol = Annotated[Text, AfterValidator(_symbol)]
PublicKey = Annotated[Text, AfterValidator(_public_key)]
LinkName = Annotated[Text, AfterValidator(_link)]
FilePath = Annotated[Path, BeforeValidator(_path), WithJsonSchema({"type": "string", "minLength": 1})]
Url = Annotated[Text, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
TimeZone = Annotated[Text, AfterValidator(_time_zone)]
Pattern = Annotated[Text, BeforeValidator(_pattern)]
Chat = Annotated[int | str, BeforeValidator(_chat), WithJsonSchema({"type": ["integer", "string"]})]
Secret = Annotated[SecretStr, AfterValidator(_secret), WithJsonSchema({"type": "string", "minLength": 1})]
Token = Annotated[Secret, AfterValidator(_token)]
