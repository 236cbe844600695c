"""Opening the journal, and the exchange, to look into them, for the commands."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from config import Settings
from watchdog.assemble import journal_path, make_exchange
from watchdog.caller import not_owner
from watchdog.clock import Clock
from watchdog.exchange.access import Access
from watchdog.journal import Journal, JournalError, NoJournalError


def open_journal(settings: Settings) -> Journal | None:
    """The journal, read-only; None when there is none yet, JournalError for all else."""
    path = journal_path(settings)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        remedy = not_owner(settings.state_dir) or "run this as the watchdog's user, or as root"
        raise JournalError(f"{path}: {error.strerror}: {remedy}") from error
    try:
        return Journal(path, read_only=True)
    except NoJournalError:
        return None
    except JournalError as error:
        if (how := not_owner(settings.state_dir)) is None:
            raise
        raise JournalError(f"{path}: may not be read by this user: {how}") from error


def halt_in_force(settings: Settings) -> dict[str, Any] | None:
    """What the journal has of it, or None; JournalError or sqlite3.Error where nobody can tell."""
    journal = open_journal(settings)
    if journal is None:
        return None
    try:
        found: dict[str, Any] | None = journal.get("halted")
        return found
    finally:
        journal.close()


@contextmanager
def open_exchange(settings: Settings) -> Iterator[Access]:
    """The account of the section exchange, which must be there. A ban that the daemon met is kept."""
    try:
        journal = open_journal(settings)
    except JournalError:
        journal = None  # then the exchange itself says that it does not want to be asked
    try:
        kept = {} if journal is None else journal.get("checkpoint") or {}
        access = make_exchange(
            settings, Clock(offset=timedelta(seconds=kept.get("offset_s", 0.0))), journal, keep=False
        )
        assert access is not None
        yield access
    finally:
        if journal is not None:
            journal.close()
