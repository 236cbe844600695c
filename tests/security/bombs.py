"""Files that run code when they are loaded as models are loaded, and a life of the watchdog among them.

`python -m tests.security.bombs FOLDER`: registers, promotes, checks, rolls back, with the real commands and a real bot
that loads nothing, in one process that notes every class that is looked up for a pickle. Prints what it noted, as JSON.
"""

import io
import json
import os
import pickle
import signal
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import psutil

from tests.watchdog.yard import Yard

NOTED: list[str] = []
MARKER = "went-off"


class _Bomb:
    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self._marker), "w"))


def bomb(marker: Path) -> bytes:
    """Loading it makes the file `marker`."""
    return pickle.dumps(_Bomb(marker))


def bombs(marker: Path) -> dict[str, bytes]:
    """Of each kind that libraries load: a bare pickle, a compressed one (joblib), a zip (torch), an array (numpy)."""
    plain, zipped = bomb(marker), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", plain)
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"
    return {
        "ensemble.pkl": plain,
        "rl_agent.joblib": zlib.compress(plain),
        "net.pt": zipped.getvalue(),
        "scaler.npy": b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + plain,
    }


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook."""
    if event == "pickle.find_class":
        NOTED.append(f"{arguments[0]}.{arguments[1]}")


def register(yard: Yard, version: str) -> None:
    """A version whose four files are bombs, made the current one."""
    files: dict[str, Path] = {}
    for name, content in bombs(yard.top / MARKER).items():
        files[name] = yard.registry.folder / f"{version}-{name}"
        files[name].write_bytes(content)
    main, *further = files
    yard.registry.register_model(
        files[main], version, {"framework": "sklearn"}, artifacts={name: files[name] for name in further}
    )
    yard.registry.promote_model(version, {})


def live(top: Path) -> dict[str, Any]:
    """What the commands said along the way."""
    yard = Yard(
        top, bot={"stop_timeout": "2s"}, registry={"path": "models_saved", "links": {"model.pkl": "main"}}
    )
    for version in ("v3.0.0", "v3.1.0"):
        register(yard, version)
    said = {}
    for command in (
        ["check"],
        ["status"],
        ["rollback", "--dry-run"],
        ["rollback"],
        ["incidents"],
        ["incidents", "1"],
    ):
        done = yard.cli(*command)
        said[" ".join(command)] = f"{done.code} {done.out}{done.err}"
    yard.registry.release("v3.1.0")
    said["verify"] = str(yard.registry.verify_checksum("v3.1.0"))
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and Path(process.cwd()) == top:
                process.send_signal(signal.SIGKILL)
        except (psutil.Error, OSError):
            continue
    return {"noted": NOTED, "said": said, "current": yard.registry.read()["current_version"]}


if __name__ == "__main__":
    sys.addaudithook(note)
    print(json.dumps(live(Path(sys.argv[1]))))
