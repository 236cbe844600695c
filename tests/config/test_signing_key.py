"""`registry.signing_key`: the public key, written into the file itself."""

import re
from pathlib import Path

import pytest

from config.schema import json_schema
from registry.signing import PublicKey
from tests.config.files import SMALLEST, loaded, only, told

DEFAULT_FILE = Path(__file__).parents[2] / "config" / "watchdog.yaml"
KEY = "ed25519:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def with_key(text: str) -> str:
    return SMALLEST.replace("models_saved}", f"models_saved, signing_key: {text}}}")


def test_left_out_nothing_has_to_be_signed(tmp_path: Path) -> None:
    assert loaded(tmp_path, SMALLEST).registry.signing_key is None


def test_the_line_that_keygen_prints_is_taken(tmp_path: Path) -> None:
    assert loaded(tmp_path, with_key(KEY)).registry.signing_key == KEY
    assert loaded(tmp_path, with_key("'${KEY}'"), {"KEY": KEY}).registry.signing_key == KEY


@pytest.mark.parametrize(
    "text",
    [
        "keys/model-signing.pub",
        "/etc/keys/model-signing.pem",
        KEY.removeprefix("ed25519:"),
        KEY[:-5],
        KEY + "AAAA",
        "rsa:" + KEY.removeprefix("ed25519:"),
        "ed25519:hunter2",
        '"ed25519:\u00fc"',
        '"-----BEGIN PRIVATE KEY-----"',
        "''",
        "5",
        "[ed25519]",
    ],
)
def test_a_wrong_key_is_told_with_its_place_and_what_is_allowed_and_not_repeated(
    tmp_path: Path, text: str
) -> None:
    problem = only(told(tmp_path, with_key(text)))
    assert re.match(r"6:(32|45) registry\.signing_key must ", problem)
    assert "hunter2" not in problem
    assert "PRIVATE" not in problem
    if text.startswith(("keys", "/etc", "ed25519:h")):
        assert "ed25519: and 44 characters, as `python -P -m registry keygen` prints it" in problem


def test_what_the_configuration_takes_the_registry_takes_and_nothing_else(tmp_path: Path) -> None:
    """Both know the format, for neither may import the other."""
    line = re.search(r"^  # signing_key: (\S+)$", DEFAULT_FILE.read_text(), re.MULTILINE)
    assert line
    for text in (KEY, line[1]):
        assert PublicKey(str(loaded(tmp_path, with_key(text)).registry.signing_key)).text == text


def test_editors_know_it() -> None:
    schema = json_schema()["$defs"]["RegistrySettings"]["properties"]["signing_key"]
    assert schema["type"] == "string"
    assert "ed25519" in schema["description"]
