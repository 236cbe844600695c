"""Real files; `now` is an argument, and what happens during the settling time is a function."""

import asyncio
import hashlib
import json
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from registry import HashMemory, ModelRegistry, RegistryError
from registry.signing import SigningKey
from tests.registry.keys import key
from triggers.records import ArtifactCheck
from watchdog.artifacts import ArtifactWatch

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


SOUND = sha256(b"model" * 1000)


def settling(change: Callable[[], object] = lambda: None) -> Callable[[float], Awaitable[None]]:
    async def sleep(_seconds: float) -> None:
        change()

    return sleep


class Bench:
    """One version, `model` being its file. The clocks of the memory stand still, hours after the files were written."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self.monotonic_s = 1000.0
        wall = model.stat().st_ctime + 7200
        self.hashes = HashMemory(lambda: wall, lambda: self.monotonic_s)

    def register(self, checksum: object = SOUND, **more: Any) -> None:
        entry = {"path": self.model.name, "checksum": checksum, **more}
        data = {"models": {"v2.1.0": entry}, "current_version": "v2.1.0", "history": []}
        (self.model.parent / "registry.json").write_text(json.dumps(data))

    def watch(self, change: Callable[[], object] = lambda: None, **more: Any) -> ArtifactWatch:
        return ArtifactWatch(ModelRegistry(self.model.parent, **more), self.hashes, sleep=settling(change))

    async def look(self, watch: ArtifactWatch | None = None) -> ArtifactCheck:
        [check] = await (watch or self.watch()).check("v2.1.0", NOW)
        return check


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    path = tmp_path / "ensemble_v2.1.0.pkl"
    path.write_bytes(b"model" * 1000)
    found = Bench(path)
    found.register()
    return found


async def test_a_file_as_registered_is_ok(bench: Bench) -> None:
    assert await bench.look() == ArtifactCheck(NOW, "v2.1.0", "main", str(bench.model), "ok", "")


async def test_each_artifact_gets_a_record(bench: Bench) -> None:
    bench.register(artifacts={"rl_agent": {"path": "rl_agent.zip", "checksum": "0" * 64}})
    checks = await bench.watch().check("v2.1.0", NOW)
    assert [(check.artifact, check.state) for check in checks] == [("main", "ok"), ("rl_agent", "missing")]


async def test_a_damaged_file_is_a_mismatch_with_both_hashes(bench: Bench) -> None:
    bench.register("ab" * 32)
    check = await bench.look()
    assert check.state == "mismatch"
    assert check.detail == f"{bench.model} has SHA-256 {SOUND[:8]}..., the registry says abababab..."


async def test_a_file_being_written_is_changing(bench: Bench) -> None:
    def grow() -> None:
        with bench.model.open("ab") as file:
            file.write(b"more")

    bench.register("ab" * 32)
    check = await bench.look(bench.watch(grow))
    assert (check.state, check.detail) == ("changing", f"{bench.model} is being written")


async def test_a_file_exchanged_while_settling_is_changing_and_then_ok(bench: Bench) -> None:
    def exchange() -> None:
        new = bench.model.with_name("new")
        new.write_bytes(b"sound")
        new.replace(bench.model)

    bench.register(sha256(b"sound"))
    assert (await bench.look(bench.watch(exchange))).state == "changing"
    assert (await bench.look()).state == "ok"


async def test_a_file_removed_while_settling_is_changing_and_then_missing(bench: Bench) -> None:
    bench.register("ab" * 32)
    assert (await bench.look(bench.watch(bench.model.unlink))).state == "changing"
    check = await bench.look()
    assert (check.state, check.detail) == ("missing", f"{bench.model} is missing")


async def test_without_a_checksum_nothing_is_proved(bench: Bench) -> None:
    for checksum in (None, "", "  ", 7):
        bench.register(checksum)
        check = await bench.look()
        assert (check.state, check.detail) == (
            "unreadable",
            f"the registry holds no SHA-256 for {bench.model}",
        )
    bench.model.unlink()
    assert (await bench.look()).state == "missing"


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "loop"])
async def test_what_is_not_a_file_is_unreadable_and_hangs_nothing(bench: Bench, kind: str) -> None:
    bench.model.unlink()
    if kind == "folder":
        bench.model.mkdir()
    elif kind == "pipe":
        os.mkfifo(bench.model)
    elif kind == "device":
        bench.model.symlink_to("/dev/zero")
    else:
        bench.model.symlink_to(bench.model)
    check = await bench.look()
    assert check.state == "unreadable"
    assert check.detail.startswith(f"{bench.model} cannot be read: ")


async def test_an_entry_of_another_shape_is_an_error_of_the_registry(bench: Bench) -> None:
    bench.register(artifacts=7)
    with pytest.raises(RegistryError, match="artifacts"):
        await bench.look()


async def test_a_mismatch_is_remembered_too_and_a_new_checksum_needs_no_hashing(bench: Bench) -> None:
    bench.register("ab" * 32)
    assert (await bench.look()).state == "mismatch"
    assert (await bench.look()).state == "mismatch"
    bench.register()
    assert (await bench.look()).state == "ok"
    assert bench.hashes.hashed_files == 1


# --- signatures


def entry() -> dict[str, Any]:
    return {"path": "ensemble_v2.1.0.pkl", "checksum": SOUND}


@pytest.mark.parametrize("how", ["ok", "unsigned", "forged"])
async def test_the_signature_is_looked_at_with_the_files(bench: Bench, how: str) -> None:
    pem, public = key()
    signed = SigningKey(pem).signed("v2.1.0" if how == "ok" else "v2.0.0", entry())
    bench.register(**({} if how == "unsigned" else {"signatures": signed["signatures"]}))
    check = await bench.look(bench.watch(public_key=public))
    assert check.state == how
    assert ("v2.1.0" in check.detail) == (how != "ok")
    assert not check.detail.startswith("main: ")


# --- large files


async def test_a_file_is_hashed_anew_when_that_is_asked_for(bench: Bench) -> None:
    watch = bench.watch()
    await bench.look(watch)
    await watch.hash_anew(bench.model)
    assert bench.hashes.hashed_files == 2
    bench.model.unlink()
    await watch.hash_anew(bench.model)
    assert bench.hashes.age_s(bench.model) is None


async def test_a_cancelled_check_leaves_nothing_half_hashed_behind(bench: Bench) -> None:
    size = 128 << 20
    os.truncate(bench.model, 0)
    os.truncate(bench.model, size)
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(bytes(1 << 20))
    bench.register(digest.hexdigest())
    check = asyncio.create_task(bench.look())
    for _ in range(5):
        await asyncio.sleep(0)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert (await bench.look()).state == "ok"
    assert bench.hashes.hashed_files == 1


@pytest.mark.parametrize("what", ["check", "hash_anew"])
async def test_who_is_cancelled_does_not_read_on(bench: Bench, what: str) -> None:
    os.truncate(bench.model, 256 << 30)  # minutes to hash, nothing on disk
    watch = bench.watch()
    task = asyncio.create_task(bench.look(watch) if what == "check" else watch.hash_anew(bench.model))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        await asyncio.get_running_loop().shutdown_default_executor()


async def test_the_event_loop_goes_on_while_a_big_file_is_hashed(bench: Bench) -> None:
    os.truncate(bench.model, 256 << 20)
    check = asyncio.create_task(bench.look())
    turns = 0
    while not check.done():
        turns += 1
        await asyncio.sleep(0.001)
    assert (await check).state == "mismatch"
    assert turns > 5
