"""From a file to `Settings`, or to every mistake in it at once, each with its place and what is allowed."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from config.document import Document, Loc, Place, SyntaxProblem, parse
from config.errors import ConfigError, Problem
from config.settings import Exchange, Settings, Telegram

PLACES = (Path("watchdog.yaml"), Path("/etc/model-watchdog/watchdog.yaml"))
MAX_BYTES = 256 * 1024

_WORDS = {  # pydantic's type of an error -> what is allowed
    "string_type": "must be text",
    "int_type": "must be a whole number, such as 3",
    "float_type": "must be a number in plain digits, such as 2000 or 0.5 (1e3 and digits in quotes are text)",
    "finite_number": "must be a finite number, such as 2000 or 0.5",
    "bool_type": "must be true or false",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a section of keys and values",
    "too_short": "must not be empty: at least one entry is needed",
    "literal_error": "must be {expected}",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge} or more",
    "value_error": "{error}",
}
_UNREADABLE: dict[type[Exception], str] = {
    FileNotFoundError: "does not exist: `model-watchdog init` writes one, --config FILE names another",
    IsADirectoryError: "is a folder: name the file in it",
    PermissionError: "may not be read by this user: mend its owner or mode, and those of its folders",
}
_READ_AS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "timestamp": "a date",
    "null": "empty",
}


def find(explicit: Path | None, places: Sequence[Path] = PLACES) -> Path:
    """The file to load: the one asked for, else the first of `places`; ConfigError if there is none."""
    if explicit is not None:
        return explicit
    for place in places:
        if os.path.lexists(place):
            return place
    known = " nor ".join(str(place) for place in places)
    message = f"there is neither {known}: write one (`model-watchdog init`), or name it with --config FILE"
    raise ConfigError([Problem(places[0], 0, 0, "", message)])


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings in `path`, relative paths resolved against its folder.

    `environ` is where `${NAME}` and CREDENTIALS_DIRECTORY are looked up. ConfigError has every problem.
    """
    file = Path(path)
    try:
        document = parse(_read(file), environ)
    except SyntaxProblem as error:
        problems = [Problem(file, error.line, error.column, "", error.message)]
    else:
        settings, problems = _validate(document, file)
        if settings and not problems:
            return settings
    # Raised out here, so that no exception of a library, which may hold values, hangs on to it.
    raise ConfigError(problems)


def control_dir(path: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The control folder that a file names though `load` refused it, for whoever needs it all the same; None where that
    cannot be told: there is no such file, it is no YAML, or this very value is wrong."""
    file = Path(path)
    try:
        document = parse(_read(file), environ)
    except (ConfigError, SyntaxProblem):
        return None
    if document is None or not isinstance(document.data, dict):
        return None
    if ("control_dir",) in {*document.broken, *(loc for loc, _, _ in document.problems)}:
        return None
    named = document.data.get("control_dir", Settings.model_fields["control_dir"].default)
    if not isinstance(named, str) or not named.strip() or not named.isprintable() or named.startswith("~"):
        return None
    return file.absolute().parent / named


def _read(file: Path) -> str:
    """The text of the file; ConfigError or SyntaxProblem if it cannot be had."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        other = f"cannot be read: {getattr(error, 'strerror', None) or 'this is no valid file name'}"
        why = _UNREADABLE.get(type(error), other)
        raise ConfigError([Problem(file, 0, 0, "", why)]) from None
    if len(data) > MAX_BYTES:
        raise ConfigError([Problem(file, 0, 0, "", f"is too large: {MAX_BYTES // 1024} KiB are allowed")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
    raise SyntaxProblem("is not UTF-8 text: save the file as UTF-8", line, column)


def _validate(document: Document | None, file: Path) -> tuple[Settings | None, list[Problem]]:
    if document is None:
        return None, [Problem(file, 1, 1, "", "is empty: `model-watchdog init` writes one to begin with")]
    if () not in document.broken and not isinstance(document.data, dict):
        root = document.places[()].value.start_mark
        words = "must be sections of keys and values: bot, registry, trade_log, ..."
        return None, [Problem(file, root.line + 1, root.column + 1, "", words)]
    problems = [_problem(file, loc, mark, words) for loc, mark, words in document.problems]
    settings = None
    try:
        settings = Settings.model_validate(document.data, context={"path": file.absolute()})
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        problems += [_told(document, file, details) for details in errors if not _follows(document, details)]
    return settings, problems


def _follows(document: Document, details: ErrorDetails) -> bool:
    """Whether an error is but the consequence of a value that is known to be broken."""
    loc: Loc = details["loc"]
    return details["type"] != "extra_forbidden" and any(loc[: len(way)] == way for way in document.broken)


def _told(document: Document, file: Path, details: ErrorDetails) -> Problem:
    """One of pydantic's errors in our words, at the nearest place that the file has."""
    loc: Loc = details["loc"]
    nearest = loc
    while nearest not in document.places:
        nearest = nearest[:-1]
    place = document.places[nearest]
    unknown = details["type"] == "extra_forbidden"
    on_key = unknown or loc[-1:] == ("[key]",) or not isinstance(place.value, yaml.ScalarNode)
    mark = (place.key if on_key and place.key else place.value).start_mark
    return _problem(file, loc, mark, _unknown(loc) if unknown else _words(details, loc, place))


def _words(details: ErrorDetails, loc: Loc, place: Place) -> str:
    kind = details["type"]
    if kind == "missing":
        return f"is required: {_field(loc).description}"
    if kind == "model_type":
        return f"must be a section with the keys {', '.join(_keys(_model(loc)))}"
    words = _WORDS.get(kind, "is not allowed").format(**details.get("ctx", {}))
    tag = place.value.tag.rpartition(":")[2]
    if kind == "string_type" and tag in _READ_AS:
        words += f": YAML reads this as {_READ_AS[tag]}, put it in quotes"
    return " ".join(words.split())


def _unknown(loc: Loc) -> str:
    """What is said of an unknown key: the known one that it resembles, or the section where it belongs."""
    *section, key = loc
    known = list(_keys(_model(section)))
    near = difflib.get_close_matches(str(key), known, 1)
    elsewhere = [".".join(way) for way in _sections(Settings) if key in _keys(_model(way))]
    hint = f"did you mean {near[0]}? " if near else f"it belongs into {elsewhere[0]}. " if elsewhere else ""
    return f"is an unknown key: {hint}Known here: {', '.join(known)}"


def _problem(file: Path, loc: Loc, mark: yaml.Mark, words: str) -> Problem:
    return Problem(file, mark.line + 1, mark.column + 1, _shown(loc), words)


def _shown(loc: Loc) -> str:
    """The way to a value as people write it, cut off before a key that may be a misplaced secret."""
    shown = ""
    model: type[BaseModel] | None = Settings
    for part in loc:
        if isinstance(part, int):
            shown += f"[{part}]"
            continue
        known = _keys(model) if model else {}
        if part not in known and not _may_be_shown(part, model, list(known)):
            break
        shown += f".{part}" if shown else part
        if model and part not in known:
            break
        model = _model_of(known[part]) if part in known else None
    return shown


def _may_be_shown(key: str, model: type[BaseModel] | None, known: list[str]) -> bool:
    """Whether an unknown key is a word and no secret; beside secrets it must all but equal a known one."""
    if model in (Telegram, Exchange):
        return bool(difflib.get_close_matches(key, known, 1, 0.8))
    return re.fullmatch(r"[A-Za-z_-]{1,30}" if model else r"[A-Za-z0-9_.-]{1,60}", key, re.ASCII) is not None


def _keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys of a section, as the file writes them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _field(loc: Loc) -> FieldInfo:
    return _keys(_model(loc[:-1]))[str(loc[-1])]


def _model(loc: Sequence[str | int]) -> Any:
    model: type[BaseModel] | None = Settings
    for part in loc:
        model = _model_of(_keys(model)[str(part)]) if model else None
    return model


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds; None if it holds a plain value."""
    for option in (field.annotation, *get_args(field.annotation)):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _sections(model: type[BaseModel], way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to every section of the file but the root."""
    for key, field in _keys(model).items():
        inner = _model_of(field)
        if inner:
            yield (*way, key)
            yield from _sections(inner, (*way, key))
