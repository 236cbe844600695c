"""The faults: what each does while the daemon is frozen at a point, how long it lasts, and how it may end."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tests.acceptance.hostile import stamp
from tests.faults.stage import Stage

Deed = Callable[[Stage], None]
Need = Literal["root", "faketime", "strace"]

STEPS = (
    "assess",
    "stop_bot",
    "settle_orders",
    "roll_back",
    "start_bot",
    "confirm_loaded",
    "monitor",
    "close",
)
BEFORE = tuple(f"{step}:before" for step in STEPS)
AROUND = tuple(f"{step}:{when}" for step in STEPS for when in ("before", "during", "after"))
DOWN = (
    "stop_bot:after",
    "settle_orders:before",
    "settle_orders:after",
    "roll_back:before",
    "roll_back:after",
)
"""Where the bot is stopped and not yet started again."""

ROLLED_BACK = frozenset({"rolled back"})
EITHER = frozenset({"rolled back", "halted"})
HALTED = frozenset({"halted"})


def nothing(stage: Stage) -> None:
    """Nothing is done."""


@dataclass(frozen=True)
class Fault:
    """`strike` while the daemon is frozen, `mend` after it went on for `lasts_s`. `points`: where, each in a life of
    its own; none: `strike` comes before the bad version is found out, and nothing freezes.
    """

    name: str
    strike: Deed = nothing
    points: tuple[str, ...] = ()
    mend: Deed = nothing
    lasts_s: float = 0.0
    ends: frozenset[str] = ROLLED_BACK
    told_to: tuple[str, ...] = ()
    prepare: Deed = nothing
    """Before the daemon is started."""
    habits: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()


# -- the daemon itself


def kill(stage: Stage) -> None:
    """kill -9, and systemd starts it again."""
    stage.house.kill()
    stage.again()


def terminate(stage: Stage) -> None:
    """SIGTERM: it hands over, with exit code 0, and systemd starts it again."""
    stage.house.signal(signal.SIGTERM)
    stage.go_on()
    code = stage.house.daemon.wait(30)
    assert code == 0, f"exit code {code} after SIGTERM\n{stage.house.story()}"
    stage.again()


def second_daemon(stage: Stage) -> None:
    """Somebody starts another one for the same bot."""
    other = stage.house.begin("run")
    said, _ = other.communicate(timeout=30)
    assert other.returncode == 1, f"the second daemon ended with {other.returncode}: {said}"
    assert str(stage.house.daemon.pid) in said, said


# -- the clock


LIBRARIES = [
    path
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
    if (path := Path(folder, "faketime", "libfaketime.so.1")).exists()
]
NO_SLEEP = """
import select
time.sleep = lambda seconds: select.select([], [], [], seconds)  # libfaketime breaks clock_nanosleep
HERE = """


def fake_clock(stage: Stage) -> None:
    """The daemon and its bot live by a wall clock that can be stepped."""
    clock = stage.house.top / "clock"
    clock.write_text("+0\n", encoding="utf-8")
    program = stage.bot.folder / "main.py"
    program.write_text(program.read_text(encoding="utf-8").replace("HERE = ", NO_SLEEP, 1), encoding="utf-8")
    stage.house.environ |= {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_TIMESTAMP_FILE": str(clock),
    }


def clock_steps(days: int) -> Deed:
    """The wall clock is set, once and for good."""

    def step(stage: Stage) -> None:
        (stage.house.top / "clock").write_text(f"{days * 86400:+d}\n", encoding="utf-8")

    return step


# -- disks


def small_disk(where: Callable[[Stage], Path]) -> Deed:
    """The folder is a file system of its own, of 4 MiB."""

    def mount(stage: Stage) -> None:
        folder = where(stage)
        folder.mkdir(mode=0o700, exist_ok=True)
        kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", folder], check=True)
        stage.afterwards.callback(lambda: subprocess.run(["umount", "-l", folder], check=True))
        for name, body in kept.items():
            (folder / name).write_bytes(body)

    return mount


def state(stage: Stage) -> Path:
    return stage.house.state


def models(stage: Stage) -> Path:
    return stage.bot.models


def fill(where: Callable[[Stage], Path]) -> Deed:
    """Not a byte is free."""

    def write(stage: Stage) -> None:
        with (where(stage) / "filler").open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    continue

    return write


def clear(where: Callable[[Stage], Path]) -> Deed:
    """Somebody makes room."""
    return lambda stage: (where(stage) / "filler").unlink()


def fsync_fails(stage: Stage) -> None:
    """Every fsync of the journal answers EIO, as of a dying disk."""
    names = [str(stage.house.state / name) for name in ("watchdog.db", "watchdog.db-wal")]
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(stage.house.daemon.pid)]
        + [word for name in names for word in ("-P", name)]
        + ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"],
        stderr=subprocess.DEVNULL,
    )
    stage.house.others.append(tracer)
    status = Path(f"/proc/{stage.house.daemon.pid}/status")
    stage.until(
        lambda: f"TracerPid:\t{tracer.pid}" in status.read_text(encoding="ascii"), "strace is attached"
    )


def fsync_works(stage: Stage) -> None:
    """The tracer lets go."""
    stage.house.others[-1].terminate()
    stage.house.others[-1].wait(30)


def registry_fsync_fails(stage: Stage) -> None:
    """Every fsync that the daemon itself asks for answers EIO."""
    Path(f"{stage.reached}.fsync").touch()


def registry_fsync_works(stage: Stage) -> None:
    """The disk is well again."""
    Path(f"{stage.reached}.fsync").unlink()


# -- the journal


def lock_journal(stage: Stage) -> None:
    """Another program holds the write lock of the database."""
    holder = sqlite3.connect(stage.house.state / "watchdog.db", isolation_level=None, check_same_thread=False)
    stage.afterwards.callback(holder.close)
    stage.lock = holder
    holder.execute("BEGIN EXCLUSIVE")


def unlock_journal(stage: Stage) -> None:
    """It lets go."""
    assert stage.lock is not None
    stage.lock.execute("ROLLBACK")


def damage_journal(stage: Stage) -> None:
    """Blocks in the middle of the database and of its log turn to noise."""
    for name in ("watchdog.db", "watchdog.db-wal"):
        path = stage.house.state / name
        if path.exists() and path.stat().st_size > 8192:
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(stage.rng.randbytes(4096))


# -- the registry


def registry_file(stage: Stage) -> Path:
    return stage.bot.models / "registry.json"


def truncate_registry(stage: Stage) -> None:
    """A program that writes it in place died half way."""
    _spoil(stage, lambda path, body: path.write_bytes(body[: len(body) // 2]))


def empty_registry(stage: Stage) -> None:
    """A program that writes it in place died right at the beginning."""
    _spoil(stage, lambda path, body: path.write_bytes(b""))


def hide_registry(stage: Stage) -> None:
    """Nobody can read it: a link that leads to itself (root may read whatever its mode says)."""

    def loop(path: Path, body: bytes) -> None:
        path.rename(path.with_name("registry.aside"))
        path.symlink_to(path.name)

    _spoil(stage, loop)


def _spoil(stage: Stage, how: Callable[[Path, bytes], object]) -> None:
    stage.struck_registry = True
    stage.kept = registry_file(stage).read_bytes()
    how(registry_file(stage), stage.kept)


def restore_registry(stage: Stage) -> None:
    """Somebody puts it back as it was."""
    assert stage.kept is not None
    aside = registry_file(stage).with_name("registry.restored")
    aside.write_bytes(stage.kept)
    aside.replace(registry_file(stage))
    stage.until(lambda: stage.house.registry.read(), "it can be read")
    stage.struck_registry = False


def rewrite_registry(stage: Stage) -> None:
    """Another program writes the very same in place, over and over, not caring for locks: readers meet halves."""
    stage.struck_registry = True
    path, stop = registry_file(stage), threading.Event()

    def write() -> None:
        while not stop.is_set():
            body = path.read_bytes()
            try:
                json.loads(body)
            except ValueError:
                continue
            with path.open("r+b") as file:
                file.truncate(len(body) // 2)
                time.sleep(0.002)
                file.write(body)
            time.sleep(0.02)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    stage.afterwards.callback(thread.join)
    stage.afterwards.callback(stop.set)


def promote_another(stage: Stage) -> None:
    """A deployment pipeline makes a new, sound version current, in the middle of it."""
    path = registry_file(stage)
    data = json.loads(path.read_bytes())
    file = stage.bot.model_file("v2.2.0")
    body = stage.bot.model_file("v2.0.0").read_bytes().replace(b"v2.0.0", b"v2.2.0")
    file.write_bytes(body)
    checksum = hashlib.sha256(body).hexdigest()
    before, now = data["current_version"], stamp(datetime.now(UTC))
    data["models"]["v2.2.0"] = {
        "version": "v2.2.0",
        "model_type": "ensemble",
        "path": f"models_saved/{file.name}",
        "checksum": checksum,
        "metadata": {},
        "registered_at": now,
        "status": "production",
    }
    data["current_version"] = "v2.2.0"
    data["history"].append(
        {"version": "v2.2.0", "action": "promoted", "previous_version": before, "timestamp": now}
    )
    stage.checksums["v2.2.0"] = checksum
    aside = path.with_name("registry.pipeline")
    aside.write_text(json.dumps(data), encoding="utf-8")
    aside.replace(path)


def damage_target(stage: Stage) -> None:
    """The file that is about to be gone back to is damaged."""
    with stage.bot.model_file("v2.0.0").open("r+b") as file:
        file.seek(100)
        file.write(b"\0\0\0\0")
    stage.grounds["checksum"] = {"v2.0.0"}


# -- the bot and its logs


def bring_back(stage: Stage) -> None:
    """cron, or a person, starts the bot."""
    begun = len(stage.bot.ran("registered"))
    stage.house.others.append(
        subprocess.Popen(
            [sys.executable, "main.py"],
            cwd=stage.bot.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    )
    stage.until(lambda: len(stage.bot.ran("registered")) > begun, "it runs")


def upgrade_bot(stage: Stage) -> None:
    """A new build of the bot's program is put in place."""
    program = stage.bot.folder / "main.py"
    aside = program.with_name("main.new")
    aside.write_text(program.read_text(encoding="utf-8") + "\n# a new build\n", encoding="utf-8")
    aside.replace(program)


def rotate_by_rename(stage: Stage) -> None:
    """logrotate, as it does by default."""
    for path in (stage.bot.trade_log, stage.bot.log):
        path.rename(path.with_name(path.name + ".1"))


def rotate_by_copy(stage: Stage) -> None:
    """logrotate with copytruncate."""
    for path in (stage.bot.trade_log, stage.bot.log):
        shutil.copy2(path, path.with_name(path.name + ".1"))
        os.truncate(path, 0)


# -- people and channels


def order(name: str, text: str = "") -> Deed:
    """Somebody lays a flag file."""

    def lay(stage: Stage) -> None:
        stage.house.flag(name, text)
        stage.halt_ordered = name == "HALT"

    return lay


def withdraw(name: str) -> Deed:
    """Somebody takes it away again."""
    return lambda stage: (stage.house.control / name).unlink(missing_ok=True)


def telegram_down(stage: Stage) -> None:
    """Nothing answers."""
    stage.telegram.stop()


def telegram_up(stage: Stage) -> None:
    """It is back, at the same place."""
    stage.telegram.start()


def telegram_fails(fault: Any, **options: Any) -> Deed:
    """Every message meets this."""
    return lambda stage: stage.telegram.fail_always(fault, **options)


def telegram_heals(stage: Stage) -> None:
    """All is well again."""
    stage.telegram.heal()
