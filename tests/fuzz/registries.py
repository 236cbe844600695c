"""Target: registry.json as anybody may have written it, in a folder with traps in it."""

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from registry import ModelRegistry, RegistryError
from registry.signing import SigningKey
from registry.store import Store
from tests.fuzz.target import Target, fresh
from tests.harmless import is_harmless

PEM = b"""\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f
-----END PRIVATE KEY-----
"""
"""Of no use but here: the bytes 0 to 31."""

KEY = SigningKey(PEM)
MOST_MESSAGE = 4000
LINKS = {"model.pkl": "main", "agent.zip": "rl_agent"}
GOOD = {name: f"the model in {name}".encode() for name in ("a.bin", "b.bin", "c.bin")}
OURS = {"registry.json", "registry.json.lock", *LINKS}


@cache
def folder() -> Path:
    """Three good files, and what should never be opened, waited for or read to its end."""
    found = fresh("registry") / "models_saved"
    found.mkdir()
    for name, content in GOOD.items():
        (found / name).write_bytes(content)
    (found / "folder").mkdir()
    os.mkfifo(found / "pipe")
    (found / "loop").symlink_to("loop")
    (found / "zero").symlink_to("/dev/zero")
    (found / "tty").symlink_to("/dev/tty")
    (found / "out").symlink_to("../..")
    return found


def whole() -> set[str]:
    """The names in the folder, apart from those that a registry makes; its good files are as they were."""
    found = {path.name for path in folder().iterdir()} - OURS
    assert all((folder() / name).read_bytes() == content for name, content in GOOD.items())
    return found


def registry(data: bytes) -> None:
    """No call waits, nor raises anything but RegistryError; one that fails has changed nothing, and a version that is
    switched to has files that verify."""
    before = whole()
    for links, key in (({}, None), (LINKS, None), ({}, KEY.public.text)):
        with suppress(FileNotFoundError):
            for name in OURS:
                (folder() / name).unlink()
        (folder() / "registry.json").write_bytes(data)
        found = ModelRegistry(folder(), links, lock_timeout_s=0.1, public_key=key)
        found._store = Store(folder(), lock_timeout_s=0.1, patience_s=0.0)
        versions = _read(found)
        for version in ("v1", "v2", "", *versions[:3]):
            _look_at(found, version)
        _change(found, [*versions[-2:], "v1"])
    for path in folder().glob("*.replaced-*"):
        path.unlink()
    assert whole() == before


def _read(found: ModelRegistry) -> list[str]:
    calls: tuple[Callable[[], object], ...] = (
        found.get_current_model, found.list_models, found.deployment, found.targets, found.survey, found.links_right,
    )  # fmt: skip
    for call in calls:
        _only_ours(call)
    data: Any = _only_ours(found.read)
    if data is None:
        return []
    assert isinstance(data["models"], dict)
    assert isinstance(data["history"], list)
    assert data["current_version"] is None or isinstance(data["current_version"], str)
    return list(data["models"])


def _look_at(found: ModelRegistry, version: str) -> None:
    calls: tuple[Callable[[str], object], ...] = (
        found.artifacts, found.check, found.verify_checksum, found.is_quarantined, found.why_not,
    )  # fmt: skip
    for call in calls:
        _only_ours(partial(call, version))
    with suppress(RegistryError):
        for state in found.check(version):
            _message(state.detail)


def _change(found: ModelRegistry, versions: list[str]) -> None:
    switches: list[Callable[[], object]] = [found.rollback]
    others: list[Callable[[], object]] = [found.sync_links]
    for version in versions:
        switches += [partial(found.rollback, version), partial(found.promote_model, version, {})]
        others.append(partial(found.release, version))
    others.append(partial(found.register_model, folder() / "c.bin", "v9", {}))
    for change in (*switches, *others):
        before = found.path.read_bytes()
        try:
            change()
        except RegistryError as error:
            _message(error)
            assert found.path.read_bytes() == before, "a refused change changed something"
        else:
            if change in switches and found.path.read_bytes() != before:
                assert found.verify_checksum(found.read()["current_version"])
                assert found.links_right()


def _only_ours(call: Callable[[], object]) -> object:
    try:
        return call()
    except RegistryError as error:
        _message(error)
        return None


def _message(said: RegistryError | str) -> None:
    """Words for people: bounded, and no more than words."""
    assert said
    assert len(str(said)) <= MOST_MESSAGE
    assert is_harmless(str(said), "\t")


def _signed(version: str, entry: dict[str, Any]) -> dict[str, Any]:
    return KEY.signed(version, entry)


def _entry(name: str, **more: object) -> dict[str, Any]:
    path = f"models_saved/{name}"
    return {"path": path, "checksum": hashlib.sha256(GOOD[name]).hexdigest(), "status": "archived", **more}


_GOOD: dict[str, Any] = {
    "models": {
        "v1": _entry(
            "a.bin", version="v1", model_type="ensemble", metadata={}, registered_at="2026-01-01T00:00:00"
        ),
        "v2": _entry(
            "b.bin", artifacts={"rl_agent": {"path": "/app/models_saved/c.bin", "checksum": "sha256:00"}}
        ),
        "v3": _entry("c.bin", artifacts={"rl_agent": _entry("a.bin")}, status="production"),
    },
    "current_version": "v3",
    "history": [
        {"version": "v1", "action": "promoted", "previous_version": None, "timestamp": "2026-01-01T00:00:00"},
        {
            "version": "v2",
            "action": "promoted",
            "previous_version": "v1",
            "timestamp": "2026-01-02T00:00:00Z",
        },
        {
            "version": "v1",
            "action": "rollback",
            "from": "v2",
            "reason": "x",
            "timestamp": "2026-01-03T00:00:00+02:00",
        },
        {"version": "v3", "action": "promoted", "previous_version": "v1", "timestamp": "2026-01-04T00:00:00"},
    ],
}
_SIGNED = {
    **_GOOD,
    "models": {
        version: _signed(version, entry) for version, entry in _GOOD["models"].items() if version != "v2"
    },
}
SEEDS = (
    json.dumps(_GOOD, indent=1).encode(),
    json.dumps(_SIGNED).encode(),
    json.dumps({**_GOOD, "current_version": "v1"}).encode(),
    json.dumps({**_GOOD, "models": {name: _entry("a.bin") for name in ("v1", "v2", "v3")}}).encode(),
    b'{"models": {"v1": {"path": "pipe", "artifacts": {"x": {"path": "../zero"}}}}, "current_version": "v1"}',
)
WORDS = (
    b'"v1"', b'"v2"', b'"v3"', b'"models": ', b'"current_version": ', b'"history": ', b'"path": ',
    b'"checksum": ', b'"artifacts": ', b'"status": ', b'"quarantined"', b'"action": ', b'"promoted"',
    b'"rollback"', b'"from": ', b'"previous_version": ', b'"timestamp": ', b'"released_at": ', b'"version": ',
    b'"main": ', b'"rl_agent": ', b'"reason": ', b"null", b"true", b"NaN", b"-Infinity", b"1e999",
    b"9" * 5000, b"[", b"]", b"{", b"}", b'{"a":', b'"', b",", b":", b'"\\ud800"', b'"\\u0000"', b'"\\udc80"',
    b"\xff", b"\xef\xbb\xbf", b'"../../../etc/passwd"', b'"/dev/zero"', b'"pipe"', b'"loop"', b'"zero"',
    b'"tty"', b'"folder"', b'"out/x"', b'"model.pkl"', b'"registry.json"', b'"C:\\\\x\\\\a.bin"', b'"a.bin/"',
    b'"' + b"x/" * 3000 + b'a.bin"', b'"' + b"n" * 300 + b'"', b'""', b'".."', b'"\\u001b[2J"', b'"v1\\nv2"',
)  # fmt: skip
REGISTRIES = (Target("registry", registry, SEEDS, WORDS),)
