"""Random moves of the bot, of rotation and of restarts; and a real process that rotates while the log is read."""

import os
import random
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.watchdog.rotating_log import RotatingLog, drain
from watchdog.follow import Follower
from watchdog.place import Place

MOVES = (
    "append",
    "append",
    "read",
    "half",
    "rename",
    "create",
    "copytruncate",
    "vanish",
    "restart",
    "compress",
)


@settings(max_examples=400, deadline=None)
@given(moves=st.lists(st.sampled_from(MOVES), max_size=40), dated=st.booleans(), data=st.data())
def test_every_line_once_and_in_order_whatever_happens(
    moves: list[str], dated: bool, data: st.DataObject
) -> None:
    """Random interleavings; the clock stands still, so that times tell nothing of the order."""
    with TemporaryDirectory() as folder:
        log = RotatingLog(Path(folder), dated)
        follower = Follower(log.path, max_line_bytes=400, batch_bytes=400)
        wanted: list[str] = []
        got: list[str] = []
        asides: list[Path] = []
        half = ""
        for move in moves:
            if move == "append":
                count = data.draw(st.integers(1, 12))
                lines = log.append(count)
                wanted += [half + lines[0], *lines[1:]]
                half = ""
            elif move == "half":
                piece = f"<{log.line()}>"
                log.write(piece)
                half += piece
            elif move == "read":
                got += drain(follower)
            elif move == "restart":
                place = Place.restore(follower.place.dump())
                follower.close()
                follower = Follower(log.path, place, max_line_bytes=400, batch_bytes=400)
            elif move == "vanish" and log.path.exists() and not half:
                # What nobody has read is lost with the file: so it is read before.
                got += drain(follower)
                log.path.unlink()
                got += drain(follower)
            elif move in ("rename", "create", "copytruncate") and log.path.exists():
                if half:
                    wanted.append(half)
                    half = ""
                aside = log.copytruncate() if move == "copytruncate" else log.rename(move == "create")
                os.utime(aside, (1_800_000_000, 1_800_000_000))
                asides.append(aside)
            elif move == "compress" and asides and dated:
                log.compress(asides.pop(0))
        last = log.append(1)
        wanted += [half + last[0]]
        got += drain(follower)
        follower.close()
        assert got == wanted
        assert drain(follower) == []
        follower.close()


WRITER = """
import random, sys
from pathlib import Path
from tests.watchdog.rotating_log import RotatingLog
folder, dated, seed = Path(sys.argv[1]), sys.argv[2] == "dated", int(sys.argv[3])
log, dice = RotatingLog(folder, dated), random.Random(seed)
for _ in range(50):
    for _ in range(dice.randrange(1, 20)):
        log.append()
    log.copytruncate() if dice.random() < 0.5 else log.rename(create=dice.random() < 0.5)
log.append()
log.write("end\\n")
"""


@pytest.mark.parametrize("names", ["dated", "numbered"])
def test_no_line_is_lost_between_two_system_calls(tmp_path: Path, names: str) -> None:
    """Another process writes and rotates as fast as it can, while the log is read and the follower restarted."""
    (tmp_path / "trades.jsonl").touch()
    follower = Follower(tmp_path / "trades.jsonl")
    got: list[str] = []
    dice = random.Random(1)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), names, "1"]) as writer:
        while "end" not in got[-1:]:
            ended = writer.poll() is not None
            got += [line.decode() for line in follower.read()]
            if dice.random() < 0.02:
                place = follower.place
                follower.close()
                follower = Follower(follower.path, place)
            if ended and follower.caught_up:
                break
    assert writer.returncode == 0
    assert got.pop() == "end"
    assert [int(line.split(":")[0]) for line in got] == list(range(1, len(got) + 1))
    assert len(got) > 300
    assert follower.lost_track == 0
