"""Real files on the disk that the tests run on. The wall clock is two hours ahead where files shall not count as just
written; what is just written is tried as well."""

import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry.hashing import FileStat, Look, no_look
from registry.memory import CAPACITY, MAX_AGE_S, BeingWrittenError, HashMemory, RealDisk
from tests.registry.shop import sha

GOOD = b"model" * 1000


@dataclass
class Clocks:
    """Both clocks; the wall clock is that of a machine on which the files are old."""

    wall_s: float
    monotonic_s: float = 5000.0

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    def memory(self) -> HashMemory:
        return HashMemory(lambda: self.wall_s, lambda: self.monotonic_s)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ensemble_v2.pkl"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def clocks(model: Path) -> Clocks:
    return Clocks(model.stat().st_ctime + 7200)


def test_a_file_that_nobody_touched_is_hashed_once(model: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    for _ in range(5):
        assert memory.sha256(model) == sha(GOOD)
        clocks.go(60)
    assert memory.hashed_files == 1


def test_a_file_that_was_only_just_written_is_hashed_again_until_its_stat_is_a_proof(
    model: Path, clocks: Clocks
) -> None:
    memory, written = clocks.memory(), model.stat().st_ctime
    for age_s, hashed in ((0.0, 1), (1.0, 2), (1.9, 3), (2.5, 4), (2.6, 4), (100.0, 4)):
        clocks.wall_s, clocks.monotonic_s = written + age_s, 5000 + age_s
        assert memory.sha256(model) == sha(GOOD)
        assert memory.hashed_files == hashed, age_s


def test_a_hash_grows_too_old_to_prove_anything(model: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    memory.sha256(model)
    clocks.go(MAX_AGE_S - 1)
    memory.sha256(model)
    assert memory.hashed_files == 1
    assert memory.age_s(model) == MAX_AGE_S - 1
    clocks.go(1)
    memory.sha256(model)
    assert memory.hashed_files == 2
    memory.sha256(model, max_age_s=0.0)
    assert memory.hashed_files == 3


# --- the clock


def test_a_clock_stepped_back_to_before_the_last_change_makes_the_stat_no_proof(
    model: Path, clocks: Clocks
) -> None:
    """The very time of the change comes again: another change could bear it, too."""
    memory = clocks.memory()
    memory.sha256(model)
    clocks.wall_s -= 86400
    clocks.go(10)
    memory.sha256(model)
    assert memory.hashed_files == 2
    clocks.go(10)
    memory.sha256(model)
    assert memory.hashed_files == 2, "the change lies in the future now, and the clock is far from it"
    clocks.go(86400)
    memory.sha256(model)
    assert memory.hashed_files == 3, "now it may have been there"


def test_a_clock_stepped_back_and_past_the_change_again_is_noticed_by_the_other_clock(
    model: Path, clocks: Clocks
) -> None:
    memory = clocks.memory()
    memory.sha256(model)
    clocks.wall_s -= 8000
    clocks.go(2000)
    memory.sha256(model)
    assert memory.hashed_files == 2


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0, 86400.0])
def test_steps_that_pass_by_the_change_cost_nothing(model: Path, clocks: Clocks, step_s: float) -> None:
    memory = clocks.memory()
    memory.sha256(model)
    clocks.wall_s += step_s
    clocks.go(60)
    memory.sha256(model)
    assert memory.hashed_files == 1


# --- ways of changing a file, each with size and time of writing as they were


def keep_times(path: Path, before: os.stat_result) -> None:
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def in_place(path: Path) -> None:
    path.write_bytes(b"MODEL" * 1000)


def one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(2500)
        file.write(b"X")


def by_rename(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"MODEL" * 1000)
    keep_times(new, path.stat())
    new.replace(path)


def deleted_and_made_anew(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"MODEL" * 1000)


def through_a_hard_link(path: Path) -> None:
    os.link(path, path.with_name("hard"))
    path.with_name("hard").write_bytes(b"MODEL" * 1000)
    path.with_name("hard").unlink()


def cut_and_grown_again(path: Path) -> None:
    os.truncate(path, 10)
    os.truncate(path, len(GOOD))


def by_copying_a_range(path: Path) -> None:
    path.with_name("source").write_bytes(b"MODEL" * 1000)
    with path.with_name("source").open("rb") as source, path.open("r+b") as target:
        os.copy_file_range(source.fileno(), target.fileno(), len(GOOD))


def by_a_store_through_a_mapping(path: Path) -> None:
    code = "import mmap, sys; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); m[7] = 0; m.flush()"
    subprocess.run([sys.executable, "-c", code, path], check=True)


def by_another_link(path: Path) -> None:
    path.rename(path.with_name("old"))
    path.with_name("other").write_bytes(b"MODEL" * 1000)
    keep_times(path.with_name("other"), path.with_name("old").stat())
    path.symlink_to("other")


CHANGES: list[Callable[[Path], None]] = [
    in_place,
    one_byte,
    by_rename,
    deleted_and_made_anew,
    through_a_hard_link,
    cut_and_grown_again,
    by_copying_a_range,
    by_a_store_through_a_mapping,
    by_another_link,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_every_way_of_changing_a_file_is_seen(
    model: Path, clocks: Clocks, change: Callable[[Path], None]
) -> None:
    memory, before = clocks.memory(), model.stat()
    assert memory.sha256(model) == sha(GOOD)
    while (
        model.stat().st_ctime_ns == before.st_ctime_ns
    ):  # two changes within a tick of the kernel's clock look alike
        change(model)
        keep_times(model, before)
    content = model.read_bytes()
    assert (content != GOOD, len(content)) == (True, len(GOOD))
    assert model.stat().st_mtime_ns == before.st_mtime_ns
    assert memory.sha256(model) == sha(content)


def test_a_link_that_is_turned_to_an_older_file_is_seen(model: Path, clocks: Clocks) -> None:
    other = model.with_name("other")
    other.write_bytes(b"MODEL" * 1000)
    keep_times(other, model.stat())
    link = model.with_name("ensemble.pkl")
    memory = clocks.memory()
    for target in (model, other, model, other):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        assert memory.sha256(link) == sha(target.read_bytes())


@pytest.mark.privileged
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts, in a namespace of its own")
def test_another_file_mounted_over_it_is_seen(model: Path) -> None:
    """In a mount namespace that ends with its process."""
    code = """
        import os, subprocess, sys, time
        from pathlib import Path
        from registry import HashMemory
        model, other = map(Path, sys.argv[1:])
        memory = HashMemory(lambda: time.time() + 7200)
        def look(): print(memory.sha256(model), memory.hashed_files)
        look()
        subprocess.run(["mount", "--bind", other, model], check=True)
        look()
        subprocess.run(["umount", model], check=True)
        look()
    """
    other = model.with_name("other")
    other.write_bytes(b"MODEL" * 1000)
    keep_times(other, model.stat())
    made = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", textwrap.dedent(code), model, other],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert made.stdout.split() == [sha(GOOD), "1", sha(b"MODEL" * 1000), "2", sha(GOOD), "3"]


def test_what_a_stat_cannot_show_is_found_when_the_file_is_hashed_anew(model: Path, clocks: Clocks) -> None:
    """As bits rot, or somebody writes to the raw device: the content changes, the stat does not."""

    class Rotting(RealDisk):
        rotten = False

        def sha256(self, path: Path, look: Look) -> tuple[FileStat, str]:
            stat, found = super().sha256(path, look)
            return stat, sha(b"rotten") if self.rotten else found

    disk = Rotting()
    memory = HashMemory(lambda: clocks.wall_s, lambda: clocks.monotonic_s, disk)
    assert memory.sha256(model) == sha(GOOD)
    disk.rotten = True
    assert memory.sha256(model) == sha(GOOD)
    memory.sha256(model, max_age_s=0.0)
    assert memory.sha256(model) == sha(b"rotten")


# --- trouble while hashing


def test_a_file_that_changes_while_it_is_read_proves_nothing(model: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    memory.sha256(model)
    before = model.stat()

    def grow() -> None:
        while model.stat().st_ctime_ns == before.st_ctime_ns:
            in_place(model)

    with pytest.raises(BeingWrittenError, match="is being written"):
        memory.sha256(model, grow, max_age_s=0.0)
    assert (memory.stat_of(model), memory.age_s(model)) == (None, None)
    assert memory.sha256(model) == sha(b"MODEL" * 1000)


def test_a_file_that_is_exchanged_while_it_is_read_proves_nothing(model: Path, clocks: Clocks) -> None:
    with pytest.raises(BeingWrittenError):
        clocks.memory().sha256(model, lambda: by_rename(model))


def test_a_hashing_that_is_cut_short_leaves_what_was_known(model: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    memory.sha256(model)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.sha256(model, stop, max_age_s=0.0)
    assert memory.sha256(model, stop) == sha(GOOD)
    assert memory.hashed_files == 1


def test_what_is_no_file_any_more_is_no_longer_known_as_one(model: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    memory.sha256(model)
    model.unlink()
    with pytest.raises(FileNotFoundError):
        memory.sha256(model)
    model.mkdir()
    with pytest.raises(IsADirectoryError):
        memory.sha256(model)


def test_several_threads_may_ask_at_once(tmp_path: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    files = [tmp_path / f"{number}.pkl" for number in range(8)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 50_000)
    wrong: list[Path] = []

    def ask() -> None:
        for number, file in enumerate(files):
            if memory.sha256(file) != sha(bytes([number]) * 50_000):
                wrong.append(file)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert memory.hashed_files >= 8


def test_the_memory_is_bounded_and_forgets_what_was_not_asked_for_the_longest(
    tmp_path: Path, clocks: Clocks
) -> None:
    class OneStat(RealDisk):
        """Of as many files as one likes."""

        def stat(self, path: Path) -> FileStat:
            return FileStat(1, 1, 1, 1, 1)

        def sha256(self, path: Path, look: Look) -> tuple[FileStat, str]:
            return self.stat(path), sha(str(path).encode())

    memory = HashMemory(lambda: clocks.wall_s, lambda: clocks.monotonic_s, OneStat())
    for number in range(CAPACITY):
        memory.sha256(Path(str(number)))
    memory.sha256(Path("0"))
    assert memory.hashed_files == CAPACITY
    memory.sha256(Path("new"))
    assert memory.age_s(Path("1")) is None
    assert memory.age_s(Path("0")) == 0.0
    assert len(memory.dump()) == CAPACITY


def test_a_file_that_is_forgotten_is_hashed_at_the_next_look(model: Path, clocks: Clocks) -> None:
    memory = clocks.memory()
    memory.forget(model)
    memory.sha256(model)
    memory.forget(model)
    memory.sha256(model)
    assert memory.hashed_files == 2


# --- over a restart


def test_a_restart_goes_on_with_what_was_known(model: Path, clocks: Clocks) -> None:
    before = clocks.memory()
    before.sha256(model)
    state = json.loads(json.dumps(before.dump()))
    clocks.go(60)
    after = clocks.memory()
    after.restore(state)
    assert after.sha256(model) == sha(GOOD)
    assert (after.hashed_files, after.age_s(model)) == (0, 60.0)
    one_byte(model)
    assert after.sha256(model) == sha(model.read_bytes())


def test_after_a_restart_a_clock_that_was_stepped_meanwhile_is_noticed(model: Path, clocks: Clocks) -> None:
    before = clocks.memory()
    before.sha256(model)
    clocks.wall_s -= 8000
    clocks.go(2000)
    after = clocks.memory()
    after.restore(before.dump())
    after.sha256(model)
    assert after.hashed_files == 1


ROW = ["/models/a.pkl", 1, 2, 3, 4, 5, "ab" * 32, 1e9, 10.0]


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        "text",
        7,
        [None],
        [[]],
        [ROW[:-1]],
        [[*ROW, 1.0]],
        [[5, *ROW[1:]]],
        [["/a", "1", *ROW[2:]]],
        [[*ROW[:6], None, *ROW[7:]]],
        [[*ROW[:7], float("nan"), 10.0]],
        [[*ROW[:7], 1e9, float("inf")]],
        [[*ROW[:7], 1e9, "10"]],
        [[*ROW[:7], 1e9, 9e9]],
    ],
)
def test_what_is_no_memory_is_passed_over(state: object) -> None:
    memory = HashMemory(monotonic=lambda: 100.0)
    memory.restore(state)
    assert memory.dump() == []
    memory.restore([ROW])
    assert memory.dump() == [ROW]


def test_nothing_happens_where_nobody_looks() -> None:
    no_look()
