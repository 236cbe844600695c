"""Opening the journal to look into it, for the commands."""

from config import Settings
from watchdog.assemble import journal_path
from watchdog.journal import Journal, JournalError


def open_journal(settings: Settings) -> Journal | None:
    """The journal, read-only; None when the watchdog has never run with this state_dir, JournalError for all else."""
    path = journal_path(settings)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise JournalError(
            f"{path}: {error.strerror}: run this as the watchdog's user, or as root"
        ) from error
    return Journal(path, read_only=True)
