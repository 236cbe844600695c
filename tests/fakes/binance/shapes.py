"""Answers with exactly the fields of the recorded samples, in their order.

responses.json holds the samples by method and path; NOTICE says whose they are.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _samples() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("responses.json").read_text("utf-8"))
    return loaded


def sample(endpoint: str) -> dict[str, Any]:
    """A copy of the sample of an endpoint such as "GET /fapi/v1/order"; of a list, its first element."""
    found = _samples()[endpoint]
    return dict(found[0] if isinstance(found, list) else found)


def shape(endpoint: str, values: Mapping[str, Any], omit: Collection[str] = ()) -> dict[str, Any]:
    """The fields of the sample, less `omit`, filled from `values`. KeyError if one of them has no value."""
    return {name: values[name] for name in sample(endpoint) if name not in omit}
