"""Known hashes and known signatures, kept in the journal, so that a restart of the watchdog need not hash again, and
cannot be used to slip in an entry whose signature was taken away."""

import logging
import sqlite3

from registry import HashMemory
from watchdog.bots.proc import boot_id
from watchdog.journal import Journal

log = logging.getLogger(__name__)

HASHES, SIGNED = "hashes", "signed"
MOST_VERSIONS = 500


def remembered(journal: Journal) -> HashMemory:
    """What the last watchdog hashed. Nothing after a reboot: what had not reached the disk by then is lost, and the
    stat does not tell."""
    hashes, kept = HashMemory(), journal.get(HASHES) or {}
    if kept.get("boot") == boot_id():
        hashes.restore(kept.get("files"))
    return hashes


class Keeper:
    """Writes down what has become known since the last time. A disk that refuses is tried again."""

    def __init__(self, journal: Journal | None, hashes: HashMemory, key: str | None) -> None:
        """`key`: the id of the public key that signatures are checked against."""
        self._journal, self._hashes, self._key = journal, hashes, key
        self._saved = hashes.hashed_files
        kept = (journal and journal.get(SIGNED)) or {"key": key, "versions": []}
        self._signed: dict[str, None] = dict.fromkeys(kept["versions"] if kept["key"] == key else ())
        self._unsaved = False

    def bears_signature(self, version: str) -> None:
        """It was seen with a signature that fits."""
        if version not in self._signed:
            self._signed[version] = None
            self._unsaved = True

    def bore_signature(self, version: str) -> bool:
        """Whether it was ever seen with one, by this key."""
        return version in self._signed

    def save(self) -> None:
        """Writes what is not on disk yet."""
        if self._journal is None:
            return
        hashed = self._hashes.hashed_files
        try:
            if self._unsaved:
                versions = list(self._signed)[-MOST_VERSIONS:]
                self._journal.put(SIGNED, {"key": self._key, "versions": versions})
                self._unsaved = False
            if hashed != self._saved:
                self._journal.put(HASHES, {"boot": boot_id(), "files": self._hashes.dump()})
                self._saved = hashed
        except sqlite3.Error as error:
            log.warning("the journal cannot be written (%s): known hashes are kept in memory alone", error)
