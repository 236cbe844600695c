#!/usr/bin/env python3
"""How the bot predicts, as the rollback playbook asks after a rollback: `--last-hour 1`.

Reads the predictions file, the bot's log or the trade log, whichever tells of predictions, and compares the last
hours with as many before; where another version became current meanwhile (a rollback), that one since then with the one
before it, until then. Changes nothing and needs no running watchdog. Exit 0 when there were predictions, 1 when
there were none, 2 for wrong usage or configuration.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import config
from notifier import Redactor
from watchdog.caller import load_without_secrets
from watchdog.diagnostics import predictions

MOST_HOURS = 24 * 365


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The distribution of the bot's predictions.")
    parser.add_argument(
        "--last-hour", metavar="N", type=_hours, default=1.0, help="so many hours (default 1)"
    )
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="default: ./watchdog.yaml, or that in /etc"
    )
    options = parser.parse_args(argv)
    try:
        settings, _ = load_without_secrets(config.find(options.config))
    except config.ConfigError as error:
        print(f"[ERROR] {error}", file=sys.stderr)
        return 2
    answer = predictions(settings, options.last_hour, datetime.now(UTC))
    print(Redactor(settings.secrets())("\n".join(answer.lines)))  # lines of a log may hold anything
    return 0 if answer.good else 1


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= MOST_HOURS:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most {MOST_HOURS}")
    return hours


if __name__ == "__main__":
    sys.exit(main())
