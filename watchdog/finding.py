"""What `check` finds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Grade = Literal["good", "note", "bad"]


@dataclass(frozen=True)
class Finding:
    """One line of the table. `mend` says what to do about it."""

    what: str
    grade: Grade
    found: str
    mend: str = ""


def is_missing(path: Path) -> bool:
    """Whether there is nothing at `path`; what may not be looked at is not missing."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
