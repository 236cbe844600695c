"""A bot that only follows the formats: copied as main.py into a folder, it stands for programs that nobody here wrote.

It reads habits.json beside it, unpickles what the registry names, logs as such bots do, and writes into ran.jsonl
when it began, loaded, and was asked to end (time.time()), for tests that measure. Standard library alone.

habits: `name` (the path to load; null: what the registry says), `on_error` (per version: dummy, exit, crash, vanish;
crash: a traceback on stderr, nothing in the log), `sigterm` (die, ignore, flatten), `load_s`, `flatten_s`,
`dies_after_s`, `dies_on` (versions), `log_offset_h` (its clock), `says` (per version: lines that it logs at its start),
`as_if` (per version: the one that it loads in its place), `mute` and `hangs` (versions: logs nothing of its loading;
never comes to its end), `forks` (a worker in a session of its own).
"""

import fcntl
import hashlib
import json
import logging
import os
import pickle
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HABITS: dict[str, Any] = json.loads((HERE / "habits.json").read_text())
MODELS = HERE / "models_saved"
ensemble = logging.getLogger("models.ensemble")


def note(event: str, **facts: Any) -> None:
    """For the test."""
    with (HERE / "ran.jsonl").open("a") as file:
        when = {"at": time.time(), "monotonic": time.monotonic()}
        file.write(json.dumps({"event": event, "pid": os.getpid(), **when, **facts}) + "\n")


def age_s() -> float:
    """How long ago this process began: a loaded machine may take seconds to come to the first line."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def alone() -> None:
    """Two of them at once would trade twice. The lock goes with the process."""
    lock = os.open(HERE / "alone.lock", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(lock, HABITS.get("forks", False))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note("doubled")


def logging_as_usual() -> None:
    """The log's times are those of a clock that is `log_offset_h` ahead of UTC."""
    ahead = timedelta(hours=HABITS.get("log_offset_h", 0))
    formatter = logging.Formatter("%(asctime)s - %(name)s - %(levelname)s - %(message)s")
    formatter.converter = lambda seconds: (datetime.fromtimestamp(seconds or 0, UTC) + ahead).timetuple()
    (HERE / "logs").mkdir(exist_ok=True)
    handler = logging.FileHandler(HERE / "logs" / "trading_bot.log")
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def registered() -> tuple[str, Path]:
    """The current version and its file, however its path is written."""
    for _ in range(20):
        try:
            data = json.loads((MODELS / "registry.json").read_text())
            break
        except ValueError:
            time.sleep(0.05)
    entry = data["models"][data["current_version"]]
    return data["current_version"], MODELS / Path(entry["path"]).name


def load(version: str, path: Path) -> None:
    """Logs as FIELD-NOTES has it; what a failure means, the habits say."""
    if version in HABITS.get("mute", []):
        return
    ensemble.info("Loading ensemble model from ./models_saved/%s", path.name)
    time.sleep(3600 if version in HABITS.get("hangs", []) else HABITS.get("load_s", 0))
    how = HABITS.get("on_error", {}).get(version, "dummy")
    if how == "vanish":
        os._exit(7)
    try:
        loaded = pickle.loads(path.read_bytes())
    except Exception as error:
        if how == "crash":
            raise
        if how == "exit":
            ensemble.error("Error loading model: %s", error)
            sys.exit(1)
        ensemble.error("Error loading model: %s. Using dummy model.", error)
        note("dummy", version=version)
        return
    ensemble.info("Ensemble model loaded successfully")
    note("loaded", version=loaded["version"])


def asked_to_end(*_: object) -> None:
    note("asked to end")
    time.sleep(HABITS.get("flatten_s", 0))
    note("ended")
    os._exit(0)


def main() -> None:
    note("began", by="watchdog" if "MODEL_WATCHDOG_BOT" in os.environ else "hand", age_s=age_s())
    alone()
    if HABITS.get("sigterm") == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif HABITS.get("sigterm") == "flatten":
        signal.signal(signal.SIGTERM, asked_to_end)
    logging_as_usual()
    version, path = registered()
    path = path if HABITS.get("name") is None else MODELS / HABITS["name"]
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    note("registered", version=version, sha256=sha256)
    if HABITS.get("forks") and os.fork() == 0:
        os.setsid()
        while True:
            time.sleep(0.05)
    if other := HABITS.get("as_if", {}).get(version):
        version, path = other, path.with_name(path.name.replace(version, other))
    load(version, path)
    for line in HABITS.get("says", {}).get(version, []):
        logging.getLogger("bot.trading_bot").info(line)
    began = time.monotonic()
    while True:
        time.sleep(0.05)
        dies = version in HABITS.get("dies_on", [])
        if dies and time.monotonic() - began >= HABITS.get("dies_after_s", 0):
            note("died")
            os._exit(3)


if __name__ == "__main__":
    main()
