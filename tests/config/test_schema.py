from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import config
from config.schema import SCHEMA_FILE, json_schema, rendered
from config.units import DURATION_PATTERN, SHARE_PATTERN


def _sections(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "", schema
    yield from schema["$defs"].items()


def test_the_schema_file_is_what_the_models_say() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == rendered(), "run `python -m config`"


def test_python_m_config_writes_the_schema_file(tmp_path: Path) -> None:
    package = tmp_path / "config"
    package.mkdir()
    for source in Path(config.__file__).parent.glob("*.py"):
        (package / source.name).write_bytes(source.read_bytes())
    subprocess.run([sys.executable, "-m", "config"], cwd=tmp_path, check=True, timeout=60)
    assert json.loads((package / "watchdog.schema.json").read_text()) == json_schema()


def test_the_default_file_points_an_editor_to_the_schema() -> None:
    first = SCHEMA_FILE.with_name("watchdog.yaml").read_text().splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE.name}"


def test_every_key_and_every_section_is_described_and_no_other_key_is_allowed() -> None:
    for name, section in _sections(json_schema()):
        assert section["additionalProperties"] is False, name
        assert section["description"], name
        for key, value in section["properties"].items():
            assert value.get("description") or value.get("$ref"), f"{name}.{key}"
            assert "title" not in value


def test_the_schema_names_what_must_be_there() -> None:
    schema = json_schema()
    assert set(schema["required"]) == {"bot", "registry", "trade_log"}
    defs = schema["$defs"]
    assert {name: section["required"] for name, section in defs.items() if "required" in section} == {
        "Bot": ["name", "control", "log"],
        "Compose": ["file", "service"],
        "Exchange": ["kind", "api_key", "api_secret", "symbols"],
        "Process": ["command"],
        "RegistrySettings": ["path"],
        "Systemd": ["unit"],
        "Telegram": ["token", "chat_id"],
        "TradeLog": ["path", "initial_equity"],
    }


def test_the_schema_wants_the_section_that_control_names() -> None:
    rules = json_schema()["$defs"]["Bot"]["allOf"]
    assert [(rule["if"]["properties"]["control"]["const"], rule["then"]["required"]) for rule in rules] == [
        (kind, [kind]) for kind in ("process", "compose", "systemd")
    ]
    assert rules[0]["then"]["properties"] == {"compose": False, "systemd": False}


def test_durations_and_shares_have_a_pattern_that_also_lets_variables_through() -> None:
    defs = json_schema()["$defs"]
    duration, share = defs["Sharpe"]["properties"]["window"], defs["Drawdown"]["properties"]["above"]
    assert (duration["default"], share["default"]) == ("24h", "25%")
    assert duration["pattern"].startswith(DURATION_PATTERN)
    assert share["pattern"].startswith(SHARE_PATTERN)
    for good in ("24h", "0.5s", "0", "${WINDOW}"):
        assert re.search(duration["pattern"], good)
    for bad in ("24", "-1h", "24 h", "x24h", "$WINDOW"):
        assert not re.search(duration["pattern"], bad)
    assert re.search(share["pattern"], "2.5%")
    assert not re.search(share["pattern"], "25")
    assert defs["Telegram"]["properties"]["base_url"]["pattern"].count("{") == 1


def test_the_schema_uses_words_of_json_schema_alone() -> None:
    known = {
        "$schema",
        "$defs",
        "$ref",
        "title",
        "description",
        "default",
        "examples",
        "type",
        "const",
        "enum",
    }
    known |= {"properties", "required", "additionalProperties", "propertyNames", "items", "anyOf", "allOf"}
    known |= {"if", "then", "pattern", "minLength", "minItems", "minimum", "exclusiveMinimum"}

    def words(part: object) -> Iterator[str]:
        if isinstance(part, list):
            for item in part:
                yield from words(item)
        if isinstance(part, dict):
            for key, value in part.items():
                yield key
                if key != "default":
                    yield from words(list(value.values()) if key in ("properties", "$defs") else value)

    assert set(words(json_schema())) <= known


def test_numbers_may_come_from_variables() -> None:
    equity = json_schema()["$defs"]["TradeLog"]["properties"]["initial_equity"]
    number, variable = equity["anyOf"]
    assert (number["type"], number["exclusiveMinimum"], variable["type"]) == ("number", 0, "string")
    assert equity["description"]
