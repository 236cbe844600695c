"""Real files; `now` and the monotonic clock are arguments, and what happens during the settling time is a function."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from triggers.records import ArtifactCheck
from watchdog.artifacts import ArtifactWatch

# Later than any change a test makes, so that files do not count as just written.
NOW = datetime.now(UTC) + timedelta(hours=1)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


SOUND = sha256(b"model" * 1000)


def rewrite(path: Path, data: bytes) -> None:
    """In place, with the time of writing set back to what it was."""
    before = path.stat()
    # ctime goes by the kernel's tick: until it has moved on, nobody could tell.
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(data)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def settling(change: Callable[[], object] = lambda: None) -> Callable[[float], Awaitable[None]]:
    async def sleep(_seconds: float) -> None:
        change()

    return sleep


async def look(
    watch: ArtifactWatch, path: Path, expected: str | None, monotonic: float = 0.0, now: datetime = NOW
) -> ArtifactCheck:
    [check] = await watch.check("v2.1.0", {"main": (path, expected)}, now, monotonic)
    return check


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ensemble_v2.1.0.pkl"
    path.write_bytes(b"model" * 1000)
    return path


async def test_a_file_as_registered_is_ok(model: Path) -> None:
    check = await look(ArtifactWatch(), model, SOUND.upper())
    assert check == ArtifactCheck(NOW, "v2.1.0", "main", str(model), "ok", "")


async def test_each_artifact_gets_a_record(model: Path) -> None:
    other = model.with_name("rl_agent.zip")
    checks = await ArtifactWatch().check(
        "v2.1.0", {"main": (model, SOUND), "rl_agent": (other, "0" * 64)}, NOW, 0.0
    )
    assert [(check.artifact, check.state) for check in checks] == [("main", "ok"), ("rl_agent", "missing")]


async def test_a_damaged_file_is_a_mismatch_with_both_hashes(model: Path) -> None:
    check = await look(ArtifactWatch(sleep=settling()), model, "ab" * 32)
    assert check.state == "mismatch"
    assert SOUND[:12] in check.detail
    assert "abababababab" in check.detail


async def test_a_file_being_written_is_changing(model: Path) -> None:
    def grow() -> None:
        with model.open("ab") as file:
            file.write(b"more")

    check = await look(ArtifactWatch(sleep=settling(grow)), model, "ab" * 32)
    assert check.state == "changing"


async def test_a_file_exchanged_while_settling_is_changing_and_then_ok(model: Path) -> None:
    def exchange() -> None:
        new = model.with_name("new")
        new.write_bytes(b"sound")
        new.replace(model)

    watch = ArtifactWatch(sleep=settling(exchange))
    assert (await look(watch, model, sha256(b"sound"))).state == "changing"
    assert (await look(watch, model, sha256(b"sound"), 1.0)).state == "ok"


async def test_a_file_removed_while_settling_is_missing(model: Path) -> None:
    check = await look(ArtifactWatch(sleep=settling(model.unlink)), model, "ab" * 32)
    assert check.state == "missing"


@pytest.mark.parametrize("gone", ["file", "folder", "link"])
async def test_a_missing_file_is_told(tmp_path: Path, gone: str) -> None:
    path = tmp_path / "model.pkl"
    if gone == "folder":
        (tmp_path / "in").write_text("a file where a folder should be")
        path = tmp_path / "in" / "model.pkl"
    elif gone == "link":
        path.symlink_to(tmp_path / "nowhere")
    check = await look(ArtifactWatch(), path, "ab" * 32)
    assert (check.state, check.detail) == ("missing", f"{path} is not there")


@pytest.mark.parametrize("expected", [None, "", "  "])
async def test_without_a_checksum_nothing_is_proved(model: Path, expected: str | None) -> None:
    check = await look(ArtifactWatch(), model, expected)
    assert (check.state, check.detail) == ("unreadable", "the registry holds no checksum")
    assert (await look(ArtifactWatch(), model.with_name("gone"), expected)).state == "missing"


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
async def test_what_is_not_a_file_is_unreadable_and_hangs_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.pkl"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    check = await look(ArtifactWatch(), path, "ab" * 32)
    assert check.state == "unreadable"
    assert "not a file" in check.detail


async def test_an_unreadable_file_names_the_error(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.symlink_to(path)
    check = await look(ArtifactWatch(), path, "ab" * 32)
    assert check.state == "unreadable"
    assert "Too many levels of symbolic links" in check.detail


async def test_a_file_is_hashed_again_only_when_it_changed_or_an_hour_has_passed(model: Path) -> None:
    watch = ArtifactWatch()
    for monotonic, hashed in ((0.0, 1), (10.0, 1), (3599.0, 1), (3600.0, 2), (3610.0, 2)):
        assert (await look(watch, model, SOUND, monotonic)).state == "ok"
        assert watch.hashed_files == hashed
    rewrite(model, b"model" * 1000)
    assert (await look(watch, model, SOUND, 3620.0)).state == "ok"
    assert watch.hashed_files == 3


async def test_a_mismatch_is_remembered_too_and_a_new_checksum_needs_no_hashing(model: Path) -> None:
    watch = ArtifactWatch(sleep=settling())
    assert (await look(watch, model, "ab" * 32, 0.0)).state == "mismatch"
    assert (await look(watch, model, "ab" * 32, 10.0)).state == "mismatch"
    assert (await look(watch, model, SOUND, 20.0)).state == "ok"
    assert watch.hashed_files == 1


async def test_a_change_that_keeps_size_and_time_of_writing_is_noticed(model: Path) -> None:
    watch = ArtifactWatch(sleep=settling())
    assert (await look(watch, model, SOUND)).state == "ok"
    rewrite(model, b"MODEL" * 1000)
    assert (await look(watch, model, SOUND, 1.0)).state == "mismatch"


async def test_a_file_that_was_only_just_written_is_hashed_again(model: Path) -> None:
    """Its stat would be the same after another change within the same tick of the kernel's clock."""
    watch = ArtifactWatch()
    for now, hashed in ((datetime.now(UTC), 1), (NOW, 2), (NOW, 2)):
        await look(watch, model, SOUND, now=now)
        assert watch.hashed_files == hashed


async def test_files_no_longer_asked_for_are_forgotten(model: Path) -> None:
    watch = ArtifactWatch()
    await look(watch, model, SOUND)
    await watch.check("v2.0.0", {}, NOW, 1.0)
    await look(watch, model, SOUND, 2.0)
    assert watch.hashed_files == 2


async def test_a_cancelled_check_leaves_nothing_half_hashed_behind(model: Path) -> None:
    size = 128 << 20
    os.truncate(model, 0)
    os.truncate(model, size)
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    watch = ArtifactWatch()
    check = asyncio.create_task(look(watch, model, digest.hexdigest()))
    for _ in range(5):
        await asyncio.sleep(0)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert watch.hashed_files == 0
    assert (await look(watch, model, digest.hexdigest(), 1.0)).state == "ok"


async def test_a_cancelled_check_does_not_read_on(model: Path) -> None:
    os.truncate(model, 256 << 30)  # minutes to hash, nothing on disk
    check = asyncio.create_task(look(ArtifactWatch(), model, "ab" * 32))
    await asyncio.sleep(0.01)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    async with asyncio.timeout(20):
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_the_event_loop_goes_on_while_a_big_file_is_hashed(model: Path) -> None:
    os.truncate(model, 256 << 20)
    check = asyncio.create_task(look(ArtifactWatch(sleep=settling()), model, "ab" * 32))
    turns = 0
    while not check.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert (await check).state == "mismatch"
    assert turns > 5
