#!/usr/bin/env python3
"""Makes and removes a throw-away registry, to practise a rollback before it is needed.

    python scripts/test_rollback.py --setup
    python scripts/rollback_model.py --execute
    python scripts/test_rollback.py --cleanup

Three good versions are made, so that two rollbacks in a row work. A registry that is there already is never
touched. What was made is listed in a marker file beside it, with checksums; cleaning up removes that and no
more, and says what it left because somebody has changed it or put it there. Exit 0 good, 1 refused, 2 wrong
usage.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.bot.make import SOUND
from demo.bot.modelfile import encode
from demo.bot.models import FEATURES
from registry import ModelRegistry, RegistryError

VERSIONS = ("v1.9.0", "v2.0.0", "v2.1.0")
MARKER = ".rollback-test.json"
OF_THE_REGISTRY = ("registry.json", "registry.json.lock")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A throw-away registry for practising a rollback.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--setup", action="store_true", help="make it")
    which.add_argument("--cleanup", action="store_true", help="remove what --setup made")
    parser.add_argument("--registry-path", metavar="P", type=Path, default=Path("./models_saved"))
    options = parser.parse_args(argv)
    try:
        return set_up(options.registry_path) if options.setup else clean_up(options.registry_path)
    except (RegistryError, OSError) as error:
        return _fail(str(error))


def set_up(folder: Path) -> int:
    """The marker is written first, so that a set-up that was cut short can be cleaned up."""
    if (folder / MARKER).exists():
        return _fail(f"{folder} holds a test registry already; remove it first: test_rollback.py --cleanup")
    files = dict(_files())
    for name in (*OF_THE_REGISTRY, *files):
        if (folder / name).is_symlink() or (folder / name).exists():
            return _fail(
                f"{folder / name} is there already and stays as it is; choose another --registry-path"
            )
    made_folder = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    _write_new(
        folder / MARKER, json.dumps({"made_folder": made_folder, "files": checksums}, indent=2).encode()
    )
    for name, content in files.items():
        _write_new(folder / name, content)
    registry = ModelRegistry(folder)
    for version in VERSIONS:
        agent = {"rl_agent": folder / _name("rl_agent", version)}
        registry.register_model(folder / _name("ensemble", version), version, {"test": True}, artifacts=agent)
        registry.promote_model(version, {})
    _say(f"Test registry made in {folder}: {', '.join(VERSIONS)}; current version: {VERSIONS[-1]}")
    return 0


def clean_up(folder: Path) -> int:
    """The marker goes last, so that a clean-up that was cut short can be run again."""
    marker = folder / MARKER
    if not marker.exists():
        return _fail(
            f"{folder} holds nothing that --setup made, nothing was removed; name its --registry-path"
        )
    made = json.loads(marker.read_text())
    left = list(_strangers(folder, made["files"]))
    if not left:
        for name in OF_THE_REGISTRY:
            (folder / name).unlink(missing_ok=True)
    for name, checksum in made["files"].items():
        file = folder / name
        if not file.exists():
            continue
        if hashlib.sha256(file.read_bytes()).hexdigest() == checksum:
            file.unlink()
        else:
            left.append(f"{file} (changed since)")
    marker.unlink()
    others = sorted(path for path in folder.iterdir()) if folder.exists() else []
    if made["made_folder"] and not others:
        folder.rmdir()
    _say(f"Test registry removed from {folder}")
    left += [str(path) for path in others if not any(line.startswith(str(path)) for line in left)]
    for line in left:
        _say(f"Left as it is: {line}")
    return 0


def _strangers(folder: Path, files: dict[str, str]) -> Iterator[str]:
    """registry.json, when it holds a version that is not of our making."""
    path = folder / OF_THE_REGISTRY[0]
    if path.exists():
        models: dict[str, dict[str, Any]] = ModelRegistry(folder).read()["models"]
        others = [name for name, entry in models.items() if entry.get("checksum") not in files.values()]
        if others:
            yield f"{path} (holds {', '.join(others)} too)"


def _files() -> Iterator[tuple[str, bytes]]:
    """Name and content of each model file, in the format that the demo's bot loads."""
    for version in VERSIONS:
        ensemble = {"kind": "ensemble", "version": version, "weights": [0.1] * FEATURES, **SOUND}
        yield _name("ensemble", version), encode(ensemble)
        yield _name("rl_agent", version), encode({"kind": "rl_agent", "version": version, "exposure": 1.0})


def _name(kind: str, version: str) -> str:
    return f"rollback_test_{kind}_{version}.bin"


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)


def _say(text: str) -> None:
    print(f"[INFO] {text}")


def _fail(text: str) -> int:
    print(f"[ERROR] {text}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
