"""The JSON schema of the configuration, for editors, made from the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from config.settings import Settings

SCHEMA_FILE = Path(__file__).with_name("watchdog.schema.json")
_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"

_NAMED = ("properties", "$defs")  # what is in there are names of ours, not words of JSON schema


def json_schema() -> dict[str, Any]:
    """A new dict, draft 2020-12."""
    schema: dict[str, Any] = _for_people(Settings.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "model-watchdog"}


def rendered() -> str:
    """The schema as the file beside this one holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _for_people(schema: Any) -> Any:
    """Without what pydantic adds for itself (titles, null), and with `${NAME}` wherever a value may stand."""
    if isinstance(schema, list):
        return [_for_people(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:  # "this or null": a key without a value is left out of the file
        schema = {key: value for key, value in schema.items() if key != "anyOf"} | options[0]
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NAMED:
            kept[key] = {name: _for_people(part) for name, part in value.items()}
        elif key != "title" and (key, value) != ("default", None):
            kept[key] = _for_people(value)
    if "pattern" in kept:
        kept["pattern"] += f"|{_VARIABLE}"
    if kept.get("type") in ("integer", "number", "boolean"):
        about = {key: kept.pop(key) for key in ("description", "default") if key in kept}
        return {**about, "anyOf": [kept, {"type": "string", "pattern": _VARIABLE}]}
    return kept
