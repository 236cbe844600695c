"""Opening the journal to look into it, for the commands."""

from config import Settings
from watchdog.assemble import journal_path
from watchdog.journal import Journal, JournalError, NoJournalError


def open_journal(settings: Settings) -> Journal | None:
    """The journal, read-only; None when there is none yet, JournalError for all else."""
    path = journal_path(settings)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JournalError(
            f"{path}: {error.strerror}: run this as the watchdog's user, or as root"
        ) from error
    try:
        return Journal(path, read_only=True)
    except NoJournalError:
        return None
