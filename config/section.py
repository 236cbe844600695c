"""What all sections of the file have in common, and how their keys are declared."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


def required(doc: str) -> Any:
    """A key that the file must have."""
    return Field(description=doc)


def default(value: object, doc: str, *, alias: str | None = None) -> Any:
    """A key that may be left out; its default takes the same way as a value of the file."""
    return Field(value, description=doc, alias=alias, validate_default=True)


def left_out(doc: str) -> Any:
    """A section that may be left out, which is None then."""
    return Field(None, description=doc)


def empty_is_a_section(value: object) -> object:
    """`telegram:` with nothing behind it is a section without keys, not a section left out."""
    return {} if value is None else value


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, and types are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    _empty = model_validator(mode="before")(empty_is_a_section)
