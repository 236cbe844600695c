"""`check`: the dry run of a rollback's target: is there one, can it be executed, can it be rehearsed, how did it go."""

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from config import Settings
from watchdog import rehearsal, scratch
from watchdog.bots.matching import locate
from watchdog.bots.proc import command_text
from watchdog.finding import Finding
from watchdog.reading import open_journal

WHAT = "dry run"
UNTRIED = "a bot that ignores an option that it does not know just runs, and trades, as a second one"


def dry_run(settings: Settings) -> Iterator[Finding]:
    """Nothing is run here: a check is asked for beside a bot that trades."""
    command = settings.bot.dry_run
    if command is None:
        mend = (
            "set bot.dry_run to a command that loads the model and ends, such as [python, main.py, --dry-run]"
        )
        yield Finding(
            WHAT, "note", "none: whether a version can be loaded is known only once it is needed", mend
        )
        return
    directory = scratch.working_directory(settings)
    program = locate(command[0], directory)
    if program is None or not os.access(program, os.X_OK, effective_ids=True):
        mend = "give the full path of the program in bot.dry_run"
        yield Finding(WHAT, "bad", f"{command[0]} is not found, or may not be executed, in {directory}", mend)
        return
    obstacle = scratch.obstacle(settings)
    if obstacle is not None:
        found = "run before the bot is started in a rollback, and not daily"
        yield Finding(WHAT, "note", f"{found}: {obstacle.partition('; ')[0]}", obstacle.partition("; ")[2])
        yield _untried(command)
        return
    yield Finding(
        WHAT, "good", f"{' '.join(command)}: before a start, and daily in a copy of the bot's folder"
    )
    yield from _last(settings, command)


def _untried(command: Sequence[str]) -> Finding:
    """Nobody has seen it end."""
    mend = f"see it by hand, while the bot is stopped: {command_text(command)}"
    return Finding(
        "rehearsal", "note", f"none yet; it must end by itself and must not trade: {UNTRIED}", mend
    )


def _last(settings: Settings, command: Sequence[str]) -> Iterator[Finding]:
    journal = open_journal(settings)
    try:
        kept = None if journal is None else journal.get(rehearsal.KEPT)
    finally:
        if journal is not None:
            journal.close()
    if kept is None:
        yield _untried(command)
        return
    said = str(rehearsal.in_short(kept, kept["version"], datetime.now(UTC)))
    if rehearsal.is_no_dry_run(kept, settings):
        mend = "give it an option that loads the model and ends, then restart the watchdog"
        yield Finding("rehearsal", "bad", said, mend)
    elif kept["ok"]:
        yield Finding("rehearsal", "good", said)
    else:
        mend = "mend it, or promote a version that can be loaded"
        yield Finding("rehearsal", "bad" if kept["ok"] is False else "note", said, mend)
