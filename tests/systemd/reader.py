"""Run in the machine, beside the service: answers each line of its input with what stands in the journal, as JSON.

(From outside the database cannot be opened: SQLite follows /proc/<pid>/root to the host's own folders.)
"""

import json
import sys
from pathlib import Path
from typing import Any

from watchdog.journal import Journal, JournalError


def look(path: Path) -> dict[str, Any]:
    """The incidents, oldest first, the steps of the newest, and the last tick."""
    try:
        journal = Journal(path, read_only=True)
    except JournalError:
        return {"incidents": [], "steps": [], "tick": None}
    try:
        incidents = journal.incidents()[::-1]
        steps = journal.steps(incidents[-1]) if incidents else []
        tick = journal.get("tick")
        return {
            "incidents": [{"open": i.open, "step": i.step, "outcome": i.outcome} for i in incidents],
            "steps": [{"step": s.step, "result": s.result, "detail": s.detail} for s in steps],
            "tick": tick and tick["at"],
        }
    finally:
        journal.close()


if __name__ == "__main__":
    for _ in sys.stdin:
        print(json.dumps(look(Path(sys.argv[1]))), flush=True)
