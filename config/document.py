"""A YAML file as plain data that remembers where each value stands, and every trap met on the way.

PyYAML's composer gives nodes with their places. Its constructor is not used: it takes the last of two equal
keys, follows aliases, and knows neither variables nor lines. What YAML 1.1 reads otherwise than people do
(`010`, `12:30:45`, `on`) is refused or, where a text was meant, explained by the loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from config.variables import VariableProblems, substitute

MAX_DEPTH = 20
_YAML = "tag:yaml.org,2002:"
_ALIAS = "alias"
_OCTAL = "is octal to YAML because of its leading zero: write a number without it, a text in quotes"
_SIXTIES = "is a number of base 60 to YAML because of its colons: put it in quotes to make it a text"
_NO_TAG = "has a tag (!...): write the plain value without one"
_NO_ALIAS = "is an alias (*...): write the value out"
_MERGE = "merge keys (<<) are not supported: write the values out"

Loc = tuple[str | int, ...]
"""The way to a value: keys, and places in lists counted from 0."""

_SYNTAX = (  # a part of PyYAML's words -> ours; theirs may quote the file, so that they are never shown
    ("'\\t'", "a tab stands here: indent with spaces"),
    ("cannot start any token", "this character cannot begin a value: put the value in quotes"),
    (
        "mapping values are not allowed",
        "a ':' is not allowed here: mend the indentation, or put the text in quotes",
    ),
    ("could not find expected ':'", "a key must be followed by ': ' and its value"),
    ("expected <block end>", "the indentation fits nothing above: indent the keys of one section alike"),
    (
        "expected ',' or",
        "a ',' or the closing bracket is missing; between brackets, ${NAME} must be in quotes",
    ),
    ("while scanning a quoted scalar", "a quoted text has no end: close the quote"),
    ("escape", "an unknown backslash sequence: use single quotes, where a backslash is a plain character"),
    ("another document", "a second document begins here: one file is one document, remove the '---'"),
    ("MAX_DEPTH", f"sections are nested too deep: {MAX_DEPTH} levels are allowed"),
)


class SyntaxProblem(Exception):
    """The text is no YAML at all. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class _Loader(yaml.SafeLoader):
    """Composes without following aliases, and not deeper than MAX_DEPTH."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        start, end = event.start_mark, event.end_mark
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            return yaml.ScalarNode(_ALIAS, "", start, end)
        if self._depth > MAX_DEPTH:
            raise yaml.MarkedYAMLError(problem="MAX_DEPTH", problem_mark=start)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


@dataclass(frozen=True)
class Place:
    """Where a value stands: its own node, and the node of its key if it has one."""

    value: yaml.Node
    key: yaml.Node | None = None


@dataclass
class Document:
    """`data` is what the file says. A value that cannot be had is a bare object(), its way is in `broken`."""

    data: object = None
    places: dict[Loc, Place] = field(default_factory=dict)
    problems: list[tuple[Loc, yaml.Mark, str]] = field(default_factory=list)
    broken: set[Loc] = field(default_factory=set)


def parse(text: str, environ: Mapping[str, str]) -> Document | None:
    """The document in `text`, None if there is nothing in it; SyntaxProblem if it is not YAML."""
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise SyntaxProblem("a control character stands here: remove it", line, column) from None
    try:
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context == "while scanning a quoted scalar":
            mark = error.context_mark  # the end of the file says nothing, the open quote does
        raise _syntax_problem(f"{error.problem} {error.context}", mark) from None
    except (ValueError, OverflowError):  # "\UFFFFFFFF": PyYAML asks chr() for it
        raise _syntax_problem("escape", loader.get_mark()) from None
    return _Reader(loader, environ).read(root) if root else None


def _syntax_problem(theirs: str, mark: yaml.Mark | None) -> SyntaxProblem:
    words = next(
        (ours for part, ours in _SYNTAX if part in theirs), "is not YAML: mend this line or the one above"
    )
    return SyntaxProblem(words, mark.line + 1 if mark else 1, mark.column + 1 if mark else 1)


class _Reader:
    """Walks the nodes of one document."""

    def __init__(self, loader: _Loader, environ: Mapping[str, str]) -> None:
        self.loader = loader
        self.environ = environ
        self.document = Document()

    def read(self, root: yaml.Node) -> Document:
        self.document.places[()] = Place(root)
        self.document.data = self.value(root, ())
        return self.document

    def broken(self, loc: Loc, node: yaml.Node, message: str) -> object:
        self.document.problems.append((loc, node.start_mark, message))
        self.document.broken.add(loc)
        return object()

    def value(self, node: yaml.Node, loc: Loc) -> object:
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_YAML}map":
            return self.mapping(node, loc)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_YAML}seq":
            return self.sequence(node, loc)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, loc)
        return self.broken(loc, node, _NO_TAG)

    def mapping(self, node: yaml.MappingNode, loc: Loc) -> object:
        data: dict[str, object] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _ALIAS:
                self.broken((*loc, "?"), key, "a key must be a plain word")
            elif key.tag == f"{_YAML}merge":
                self.broken((*loc, "<<"), key, _MERGE)
            elif key.value in data:
                first = self.document.places[(*loc, key.value)].key
                line = first.start_mark.line + 1 if first else 0
                self.document.problems.append(
                    (
                        (*loc, key.value),
                        key.start_mark,
                        f"is a duplicate key, given in line {line} already: keep one of them",
                    )
                )
            else:
                here = (*loc, key.value)
                self.document.places[here] = Place(value, key)
                data[key.value] = self.value(value, here)
        return data

    def sequence(self, node: yaml.SequenceNode, loc: Loc) -> object:
        for index, item in enumerate(node.value):
            self.document.places[(*loc, index)] = Place(item)
        return [self.value(item, (*loc, index)) for index, item in enumerate(node.value)]

    def scalar(self, node: yaml.ScalarNode, loc: Loc) -> object:
        kind = node.tag.removeprefix(_YAML)
        if kind in ("str", "value", "merge"):
            return self.text(node, loc)
        if kind == "null":
            return None
        if kind == "timestamp":
            return node  # no setting is a date: refused wherever it stands
        if kind in ("int", "float") and ":" in node.value:
            return self.broken(loc, node, _SIXTIES)
        if (
            kind == "int"
            and node.value.lstrip("+-").startswith("0")
            and node.value.lstrip("+-")[1:2].isdigit()
        ):
            return self.broken(loc, node, _OCTAL)
        if kind in ("int", "float", "bool"):
            try:
                return self.loader.construct_object(node)
            except (ValueError, LookupError, OverflowError):  # `!!int x`, or more digits than Python takes
                return self.broken(loc, node, "is not a value that YAML can read: write a plain one")
        return self.broken(loc, node, _NO_ALIAS if kind == _ALIAS else _NO_TAG)

    def text(self, node: yaml.ScalarNode, loc: Loc) -> object:
        try:
            text = substitute(node.value, self.environ)
            text.encode()
        except VariableProblems as error:
            for message in error.messages:
                self.broken(loc, node, message)
            return object()
        except UnicodeEncodeError:
            return self.broken(loc, node, "contains half a character (a surrogate): write it as UTF-8 text")
        if "\0" in text:
            return self.broken(loc, node, "contains a NUL character: remove it")
        return text
