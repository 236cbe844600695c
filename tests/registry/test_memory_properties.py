"""Whatever happens to a file and to the clocks: a remembered hash is never that of another content than the file's.

Once on a disk in memory, whose stamps are as coarse as one likes and whose machine's clock is stepped to and fro, and
once with real files, damaged in every way there is.
"""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from registry.hashing import FileStat, Look
from registry.memory import BeingWrittenError, HashMemory

MODEL = Path("/models/ensemble.pkl")
SPANS = st.one_of(
    st.floats(0.0, 0.01), st.floats(0.0, 5.0), st.sampled_from([0.0, 1.0, 2.0]), st.floats(0.0, 7200.0)
)
STEPS = st.one_of(st.floats(-10.0, 10.0), st.floats(-86400.0, 86400.0))


def sha(content: int) -> str:
    return hashlib.sha256(str(content).encode()).hexdigest()


class Machine:
    """A machine's clocks, and one file on its disk. Every change of the file keeps its size and its time of writing."""

    def __init__(self, granularity_s: float) -> None:
        self.granularity_s = granularity_s
        self.wall, self.monotonic = 1_800_000_000.0, 1000.0
        self.content = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.change()

    def change(self) -> None:
        self.content += 1
        self.ctime_ns = int(self.wall // self.granularity_s * self.granularity_s * 1e9)

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def stat(self, path: Path) -> FileStat:
        return FileStat(0, self.ctime_ns, 7, 1, 1)

    def sha256(self, path: Path, look: Look) -> tuple[FileStat, str]:
        stat, found = self.stat(path), sha(self.content)
        self.meanwhile()
        return stat, found


class CoarseDisk(RuleBasedStateMachine):
    """The clock is stepped at most once between two looks: more than that no program could know."""

    @initialize(granularity_s=st.sampled_from([0.004, 1.0, 2.0]))
    def begin(self, granularity_s: float) -> None:
        self.machine = Machine(granularity_s)
        self.stepped = False
        self.memory = self.remembering()

    def remembering(self) -> HashMemory:
        return HashMemory(lambda: self.machine.wall, lambda: self.machine.monotonic, self.machine)

    @rule(seconds=SPANS)
    def time_passes(self, seconds: float) -> None:
        self.machine.go(seconds)

    @precondition(lambda self: not self.stepped)
    @rule(seconds=STEPS)
    def the_clock_is_stepped(self, seconds: float) -> None:
        self.machine.wall += seconds
        self.stepped = True

    @precondition(lambda self: not self.stepped)
    @rule(seconds=st.floats(-3.0, 3.0))
    def the_clock_is_set_to_about_the_last_change(self, seconds: float) -> None:
        self.machine.wall = self.machine.ctime_ns / 1e9 + seconds
        self.stepped = True

    @rule()
    def the_file_is_changed(self) -> None:
        self.machine.change()

    @rule(before_s=SPANS, after_s=SPANS)
    def the_file_is_changed_while_it_is_read(self, before_s: float, after_s: float) -> None:
        def meanwhile() -> None:
            self.machine.go(before_s)
            self.machine.change()
            self.machine.go(after_s)

        self.machine.meanwhile = meanwhile
        try:
            self.memory.sha256(MODEL)
        except BeingWrittenError:
            pass
        finally:
            self.machine.meanwhile = lambda: None
        self.stepped = False

    @rule()
    def the_watchdog_is_started_anew(self) -> None:
        before, self.memory = self.memory, self.remembering()
        self.memory.restore(before.dump())

    @rule()
    def somebody_looks(self) -> None:
        assert self.memory.sha256(MODEL) == sha(self.machine.content)
        self.stepped = False


TestCoarseDisk = CoarseDisk.TestCase
TestCoarseDisk.settings = settings(
    max_examples=800 if os.environ.get("CI") or os.environ.get("MODEL_WATCHDOG_THOROUGH") else 80,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

GRANULARITY_S = 0.03
"""More than any kernel's tick, so that a test need not wait for the two seconds of the coarsest disks."""

SIZE = 5000


class RealFiles(RuleBasedStateMachine):
    """`path` is what is asked for; it may be a link, and the file may have further names."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "model.pkl"
        self.path.write_bytes(bytes(SIZE))
        self.memory = HashMemory(granularity_s=GRANULARITY_S)
        self.number = 0

    def fresh(self) -> bytes:
        self.number += 1
        return self.number.to_bytes(4, "big") * (SIZE // 4)

    def keeping_times(self, change: Callable[[Path], object]) -> None:
        before = self.path.stat()
        change(self.path)
        os.utime(self.path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule()
    def its_stat_becomes_a_proof(self) -> None:
        until = self.path.stat().st_ctime + GRANULARITY_S
        while time.time() <= until:
            time.sleep(0.005)
        self.memory.sha256(self.path)

    @rule(at=st.integers(0, SIZE - 4))
    def a_few_bytes_are_written(self, at: int) -> None:
        def change(path: Path) -> None:
            with path.open("r+b") as file:
                file.seek(at)
                file.write(self.fresh()[:4])

        self.keeping_times(change)

    @rule()
    def all_of_it_is_written(self) -> None:
        self.keeping_times(lambda path: path.write_bytes(self.fresh()))

    @rule(keep=st.booleans())
    def another_is_renamed_onto_it(self, keep: bool) -> None:
        new = self.folder / "new"
        new.write_bytes(self.fresh())
        if keep:
            shutil.copystat(self.path, new)
        new.replace(self.path)

    @rule()
    def it_is_deleted_and_made_anew(self) -> None:
        def change(path: Path) -> None:
            path.unlink()
            path.write_bytes(self.fresh())

        self.keeping_times(change)

    @rule()
    def it_is_written_under_another_name(self) -> None:
        other = self.folder / "hard"
        other.unlink(missing_ok=True)
        os.link(self.path.resolve(), other)
        self.keeping_times(lambda _: other.write_bytes(self.fresh()))

    @rule()
    def it_becomes_a_link_to_another(self) -> None:
        target = self.folder / f"target-{self.number}"
        target.write_bytes(self.fresh())
        shutil.copystat(self.path, target)
        self.path.unlink()
        self.path.symlink_to(target.name)

    @rule(size=st.integers(0, SIZE))
    def it_is_cut_and_grows_again(self, size: int) -> None:
        def change(path: Path) -> None:
            os.truncate(path, size)
            os.truncate(path, SIZE)

        self.keeping_times(change)

    @rule()
    def only_its_rights_change(self) -> None:
        self.path.chmod(0o600 if self.path.stat().st_mode & 0o044 else 0o644)

    @rule()
    def the_watchdog_is_started_anew(self) -> None:
        before, self.memory = self.memory, HashMemory(granularity_s=GRANULARITY_S)
        self.memory.restore(before.dump())

    @invariant()
    def its_hash_is_that_of_its_content(self) -> None:
        assert self.memory.sha256(self.path) == hashlib.sha256(self.path.read_bytes()).hexdigest()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)


TestRealFiles = RealFiles.TestCase
TestRealFiles.settings = settings(
    max_examples=300 if os.environ.get("CI") or os.environ.get("MODEL_WATCHDOG_THOROUGH") else 15,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
