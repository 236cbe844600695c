"""Durations (`10s 5m 24h 7d`), shares (`25%`) and numbers, from YAML values to typed ones."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from config.variables import FromVariable

DURATION_PATTERN = r"^(0|[0-9]+(\.[0-9]+)?[smhd])$"
SHARE_PATTERN = r"^[0-9]+(\.[0-9]+)?%$"
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = timedelta(days=3650)


def duration(value: object) -> timedelta:
    """`90s`, `1.5h`, `7d` as a timedelta; a bare 0 needs no unit. ValueError for anything else."""
    if isinstance(value, timedelta):
        return value
    if value == 0 and not isinstance(value, bool):
        return timedelta()
    if not isinstance(value, str) or not re.fullmatch(DURATION_PATTERN, value):
        raise ValueError(
            "must be a duration: a number and its unit, such as 10s, 5m, 24h or 7d, not negative"
        )
    if value == "0":
        return timedelta()
    seconds = float(value[:-1]) * _UNIT_S[value[-1]]
    if seconds > _LONGEST.total_seconds():
        raise ValueError(f"is too long: a duration of at most {_LONGEST.days}d is allowed")
    return timedelta(seconds=seconds)


def share(value: object) -> float:
    """`25%` as 0.25; ValueError unless it lies above 0 % and below 100 %."""
    if not isinstance(value, str) or not re.fullmatch(SHARE_PATTERN, value):
        raise ValueError("must be a share with its percent sign, such as 25% or 2.5%")
    fraction = float(value[:-1]) / 100
    if not 0 < fraction < 1:
        raise ValueError("must be above 0% and below 100%")
    return fraction


def _longer_than_zero(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than 0, such as 10s")
    return value


def _whole_hours(value: timedelta) -> timedelta:
    if value < timedelta(hours=2) or value % timedelta(hours=1):
        raise ValueError("must be whole hours, at least 2h: the rule works on hourly returns")
    return value


def _a_week_or_longer(value: timedelta) -> timedelta:
    if value < timedelta(days=7):
        raise ValueError("must be at least 7d: the counters of a day and the last incidents are needed")
    return value


def _number_from_variable(value: object) -> object:
    """A number that came through `${NAME}` arrives as text; any other text stays one and is refused."""
    if isinstance(value, FromVariable) and _NUMBER.fullmatch(value):
        try:
            return float(value) if "." in value else int(value)
        except ValueError:  # more digits than Python takes
            return value
    return value


def _flag_from_variable(value: object) -> object:
    if isinstance(value, FromVariable):
        return {"true": True, "false": False}.get(value, value)
    return value


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["10s", "24h"]})
_SHARE_SCHEMA = WithJsonSchema({"type": "string", "pattern": SHARE_PATTERN, "examples": ["25%"]})

Duration = Annotated[timedelta, BeforeValidator(duration), _DURATION_SCHEMA]
"""Zero or longer."""
Positive = Annotated[
    timedelta, BeforeValidator(duration), AfterValidator(_longer_than_zero), _DURATION_SCHEMA
]
"""Longer than zero."""
WholeHours = Annotated[timedelta, BeforeValidator(duration), AfterValidator(_whole_hours), _DURATION_SCHEMA]
"""2h, 3h, ..."""
Weeks = Annotated[timedelta, BeforeValidator(duration), AfterValidator(_a_week_or_longer), _DURATION_SCHEMA]
"""7d or longer."""
Share = Annotated[float, BeforeValidator(share), _SHARE_SCHEMA]
"""A fraction between 0 and 1, both excluded."""

Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number_from_variable)]
Amount = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(_number_from_variable)]
Count = Annotated[int, Field(ge=0), BeforeValidator(_number_from_variable)]
CountFromOne = Annotated[int, Field(ge=1), BeforeValidator(_number_from_variable)]
Flag = Annotated[bool, BeforeValidator(_flag_from_variable)]
