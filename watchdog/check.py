"""`check`: walks through all that a rollback needs, before it is needed, and says how to mend what is not good."""

from collections.abc import Callable, Iterator

from rich.console import Console

from config import Settings
from notifier import Redactor
from watchdog.check_bot import bot_log, bot_process, trade_log
from watchdog.check_dry_run import dry_run
from watchdog.check_exchange import exchange
from watchdog.check_loaded import uncovered_files
from watchdog.check_model import registry
from watchdog.check_rights import rights
from watchdog.check_settings import configuration, name_clash, telegram
from watchdog.check_state import control_folder, folders, running
from watchdog.finding import Finding
from watchdog.screen import say, table

MARKS = {"good": ("good", "green"), "note": ("note", "yellow"), "bad": ("BAD", "bold red")}


def show(settings: Settings, out: Console) -> int:
    """Prints the table; 1 when something is bad."""
    findings = look(settings)
    redact = Redactor(settings.secrets())  # a finding may quote a line of a log
    rows = [
        ([MARKS[f.grade], (f.what, "")], redact(f.found + (f"\n-> {f.mend}" if f.mend else "")))
        for f in findings
    ]
    table(out, rows, header=(("", "what"), "found -> how to mend it"))
    bad = sum(f.grade == "bad" for f in findings)
    notes = sum(f.grade == "note" for f in findings)
    verdict = "ready to guard this bot" if not bad else f"{bad} to mend before this bot is guarded"
    say(out, verdict + (f", {notes} to know of" if notes else ""), "bold red" if bad else "green")
    return 1 if bad else 0


def look(settings: Settings) -> list[Finding]:
    """All findings, in the order of `PARTS`."""
    return [finding for part in PARTS for finding in _one(part, settings)]


def _one(part: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """A part that fails is bad news, and stops no other part."""
    try:
        yield from part(settings)
    except Exception as error:  # noqa: BLE001 - told as bad, whatever it is
        yield Finding(
            part.__name__.replace("_", " "),
            "bad",
            f"could not be checked: {type(error).__name__}: {error}",
        )


PARTS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    configuration, rights, folders, control_folder, bot_process, trade_log, bot_log, uncovered_files, registry, dry_run,
    running, exchange, telegram, name_clash,
)  # fmt: skip
