#!/usr/bin/env python3
"""Puts the previous good model version back, as the rollback playbook does it by hand.

Prints the playbook's lines on standard output and faults on standard error. Exit 0 when there is a version to
go back to (and, with --execute, it is current now), 1 when not, 2 for wrong usage or configuration. The bot
is neither stopped nor started: for the whole procedure there is `model-watchdog rollback`.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from registry import ModelRegistry, RegistryError
from registry.commands import python
from watchdog.lock import Lock

logger = logging.getLogger("rollback_model")

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_PATH = "./models_saved"
CONFIG_NAME = "watchdog.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    options = _options(argv)
    logging.basicConfig(level=logging.WARNING, format="[%(levelname)s] %(message)s", stream=sys.stderr)
    try:
        registry = _registry(options)
    except RegistryError as error:
        return _fail(str(error), code=2)
    _warn_of_watchdog(registry)
    try:
        return _roll_back(registry, options.to, execute=options.execute)
    except RegistryError as error:
        return _fail(str(error))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Roll back to the previous good model version.")
    parser.add_argument(
        "--execute", action="store_true", help="do it; without this, only show what would happen"
    )
    parser.add_argument(
        "--registry-path", metavar="P", help=f"folder of registry.json (default {DEFAULT_PATH})"
    )
    parser.add_argument("--to", metavar="V", help="this version, instead of the newest good one before")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="watchdog.yaml, for its registry.path and links"
    )
    return parser.parse_args(argv)


def _registry(options: argparse.Namespace) -> ModelRegistry:
    if options.config is None:
        if Path(CONFIG_NAME).exists():
            logger.warning(
                "%s is not looked at: with registry.links in it, add --config %s", *[CONFIG_NAME] * 2
            )
        return ModelRegistry(options.registry_path or DEFAULT_PATH)
    import config

    try:
        settings = config.load(options.config).registry
    except config.ConfigError as error:
        raise RegistryError(str(error)) from error
    path = options.registry_path or settings.path
    return ModelRegistry(path, settings.links, public_key=settings.signing_key)


def _roll_back(registry: ModelRegistry, to: str | None, *, execute: bool) -> int:
    current = registry.read()["current_version"]
    if not current:
        return _fail(f"No current production model found in {registry.path}; {_deploy(registry)}")
    _say(f"Current version: {current}")
    target = to or _newest_good(registry)
    if target is None:
        return _fail(f"No previous version found to go back to, nothing was changed; {_deploy(registry)}")
    _say(f"{'Rolling' if execute else 'Would roll'} back to: {target}")
    _say("Verifying checksum...")
    fault = registry.why_not(target)
    if fault is not None:
        return _fail(fault)
    _say(f"Checksum valid: {registry.check(target)[0].expected:.8}...")
    if not execute:
        _say("DRY RUN - nothing was changed; use --execute to perform the rollback")
        return 0
    registry.rollback(target, reason="by hand: scripts/rollback_model.py")
    _say("Rollback complete")
    _say(f"Current production model: {registry.read()['current_version']}")
    return 0


def _warn_of_watchdog(registry: ModelRegistry) -> None:
    """One in mode act holds this lock: it starts the bot that a person stopped for the rollback."""
    pid = Lock(registry.folder / "registry.json.watchdog").holder()
    if pid is not None:
        logger.warning(
            "model-watchdog (pid %s) guards this registry: unless it is paused it starts the bot by itself when that "
            "is down, and a second one trades beside it. Use `model-watchdog rollback` instead, or `model-watchdog "
            "pause` first",
            pid or "unknown",
        )


def _newest_good(registry: ModelRegistry) -> str | None:
    survey = registry.survey()
    for version, why_not in survey.passed_over.items():
        logger.warning("%s is passed over: %s", version, why_not)
    return survey.target


def _deploy(registry: ModelRegistry) -> str:
    folder = str(registry.folder)
    return (
        "deploy a known-good model: "
        f'{python()} -c "import sys; sys.path.insert(0, {str(ROOT)!r}); '
        f"from registry import ModelRegistry; r = ModelRegistry({folder!r}); "
        "r.register_model('FILE', 'VERSION', {}); r.promote_model('VERSION', {})\""
    )


def _say(text: str) -> None:
    print(f"[INFO] {text}", flush=True)


def _fail(text: str, code: int = 1) -> int:
    print(f"[ERROR] {text}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
