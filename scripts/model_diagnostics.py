#!/usr/bin/env python3
"""What is known of one version, as the rollback playbook asks after a rollback: `--version v2.0.0`.

Files and checksums, deployments with the trades made in them, and what the bot's log says of loading it. Loads no
model, changes nothing and needs no running watchdog. Exit 0 when its files verify, 1 when not or when there is no
such version, 2 for wrong usage or configuration.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import config
from notifier import Redactor
from registry import RegistryError
from watchdog.caller import load_without_secrets
from watchdog.diagnostics import version
from watchdog.open_registry import open_registry


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What is known of a model version.")
    parser.add_argument("--version", metavar="V", help="default: the current one")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="default: ./watchdog.yaml, or that in /etc"
    )
    options = parser.parse_args(argv)
    try:
        settings, _ = load_without_secrets(config.find(options.config))
    except config.ConfigError as error:
        return _fail(str(error), 2)
    try:
        registry = open_registry(settings)
        wanted = options.version or registry.read()["current_version"]
        if not wanted:
            return _fail(f"{settings.registry.path}: no version is current; name one: --version V", 1)
        answer = version(settings, registry, wanted, datetime.now(UTC))
    except RegistryError as error:
        return _fail(str(error), 1)
    print(Redactor(settings.secrets())("\n".join(answer.lines)))  # lines of a log may hold anything
    return 0 if answer.good else 1


def _fail(text: str, code: int) -> int:
    print(f"[ERROR] {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
