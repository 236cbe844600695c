"""What is known of the current version's files and of those to go back to: remembered, kept ready, hashed anew."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry import HashMemory, ModelRegistry
from registry.hashing import FileStat, Look
from registry.memory import RealDisk
from tests.registry.keys import key
from tests.registry.shop import damage, edit, main_file, model_bytes, sha, stock
from watchdog.bots.proc import boot_id
from watchdog.clock import Clock
from watchdog.hashes import remembered
from watchdog.journal import Journal
from watchdog.model_files import REHASH_S, SETTLED_S, STANDBY, ModelFiles

PEM, PUBLIC = key()
VERSIONS = ("v1", "v2", "v3", "v4", "v5", "v6")


class Counting(RealDisk):
    """The real disk; tells what is hashed, may hold it up, and rots as is wanted."""

    def __init__(self) -> None:
        self.hashed: list[str] = []
        self.rotten: set[str] = set()
        self.at: Callable[[Path, Look], None] = lambda path, look: None

    def sha256(self, path: Path, look: Look) -> tuple[FileStat, str]:
        self.hashed.append(path.name)
        self.at(path, look)
        found, digest = super().sha256(path, look)
        return found, sha(b"rot") if path.name in self.rotten else digest

    def take(self) -> list[str]:
        hashed, self.hashed = self.hashed, []
        return hashed


class Shelf:
    """A registry of six versions, one file each, and a watchdog's memory of it. Time stands still until it `go`es."""

    def __init__(self, folder: Path, journal: Journal, **more: Any) -> None:
        self.folder, self.journal, self.more = folder, journal, more
        self.disk = Counting()
        self.monotonic_s = 1000.0
        self.wall_s = max(path.stat().st_ctime for path in folder.iterdir()) + 7200
        self.files = self.made()

    def made(self, hashes: HashMemory | None = None) -> ModelFiles:
        """By a new process of the watchdog."""
        self.hashes = hashes or HashMemory()
        self.hashes.wall, self.hashes.monotonic = lambda: self.wall_s, lambda: self.monotonic_s
        self.hashes.disk = self.disk
        self.registry = ModelRegistry(self.folder, hashes=self.hashes, **self.more)
        clock = Clock(lambda: datetime.fromtimestamp(self.wall_s, UTC), lambda: self.monotonic_s)
        return ModelFiles(self.registry, clock, self.journal)

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.monotonic_s += seconds

    async def look(self, times: int = 1, version: str = "v6") -> None:
        """As so many ticks do, and all that they begin is done afterwards."""
        for _ in range(times):
            await self.files.check(version)
            self.files.look_for_target()
            await self.done()

    async def done(self) -> None:
        for task in (self.files._target_task, self.files._leisure_task):
            if task is not None:
                await asyncio.wait({task})


def name(version: str) -> str:
    return f"ensemble_{version}.pkl"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = Journal(tmp_path / "watchdog.db")
    yield found
    found.close()


@pytest.fixture
def shelf(tmp_path: Path, journal: Journal) -> Shelf:
    return stocked(tmp_path / "models_saved", journal)


def stocked(folder: Path, journal: Journal, *, signing_key: bytes | None = None, **more: Any) -> Shelf:
    folder.mkdir()
    registry = ModelRegistry(folder, signing_key=signing_key)
    for version in VERSIONS:
        main_file(folder, version).write_bytes(model_bytes(version))
        registry.register_model(main_file(folder, version), version, {})
        registry.promote_model(version, {})
    return Shelf(folder, journal, **more)


# --- known hashes


async def test_the_next_targets_are_kept_ready_and_nothing_is_hashed_twice(shelf: Shelf) -> None:
    await shelf.look(3)
    assert sorted(shelf.disk.take()) == [name(version) for version in ("v3", "v4", "v5", "v6")]
    assert STANDBY == 3
    assert shelf.files.target == "v5"
    assert shelf.registry.rollback() == "v5"
    assert shelf.disk.take() == [], "a rollback needs no hashing"


async def test_the_target_is_named_before_those_after_it_are_ready(shelf: Shelf) -> None:
    gate, reached = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(path: Path, look: Look) -> None:
        if path.name == name("v4"):
            loop.call_soon_threadsafe(reached.set)
            asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(20)

    shelf.disk.at = slow
    shelf.files.look_for_target()
    async with asyncio.timeout(20):
        await reached.wait()
    assert shelf.files.target == "v5"
    assert shelf.files.look_for_target(), "the rest goes on beside"
    gate.set()
    await shelf.done()


async def test_a_target_that_is_damaged_gives_way_to_the_next_at_once(shelf: Shelf) -> None:
    await shelf.look(2)
    damage(main_file(shelf.folder, "v5"))
    shelf.disk.take()
    await shelf.look(2)
    assert shelf.files.target == "v4"
    assert name("v4") not in shelf.disk.take()


async def test_a_restart_hashes_nothing_again(shelf: Shelf) -> None:
    await shelf.look(2)
    shelf.disk.take()
    shelf.go(60)
    shelf.files = shelf.made(remembered(shelf.journal))
    await shelf.look(2)
    assert shelf.disk.take() == []
    assert shelf.files.target == "v5"
    assert [check.state for check in shelf.files.checks] == ["ok"]


async def test_a_restart_sees_what_was_damaged_meanwhile(shelf: Shelf) -> None:
    await shelf.look(2)
    damage(main_file(shelf.folder, "v6"))
    shelf.files = shelf.made(remembered(shelf.journal))
    await shelf.look()
    assert [check.state for check in shelf.files.checks] == ["mismatch"]


async def test_a_reboot_forgets_all_for_what_was_hashed_may_never_have_reached_the_disk(shelf: Shelf) -> None:
    await shelf.look(2)
    kept = shelf.journal.get("hashes")
    assert kept["boot"] == boot_id()
    shelf.journal.put("hashes", {**kept, "boot": "another"})
    shelf.disk.take()
    shelf.files = shelf.made(remembered(shelf.journal))
    await shelf.look(2)
    assert len(shelf.disk.take()) == 4


@pytest.mark.parametrize("kept", [None, {}, {"boot": boot_id()}, {"boot": boot_id(), "files": "garbage"}])
async def test_a_journal_without_usable_hashes_only_costs_time(shelf: Shelf, kept: Any) -> None:
    shelf.journal.put("hashes", kept)
    shelf.files = shelf.made(remembered(shelf.journal))
    await shelf.look(2)
    assert shelf.files.target == "v5"


async def test_a_disk_that_refuses_to_keep_them_stops_nothing_and_is_tried_again(shelf: Shelf) -> None:
    put, refused = shelf.journal.put, []

    def refuse(name: str, value: Any) -> None:
        refused.append(name)
        raise sqlite3.OperationalError("database or disk is full")

    shelf.journal.put = refuse  # type: ignore[method-assign]
    await shelf.look(2)
    assert (shelf.files.target, set(refused)) == ("v5", {"hashes"})
    shelf.journal.put = put  # type: ignore[method-assign]
    await shelf.look()
    assert len(shelf.journal.get("hashes")["files"]) == 4


# --- hashed anew, at leisure


async def test_after_an_hour_each_file_is_hashed_anew_one_at_a_time(shelf: Shelf) -> None:
    await shelf.look(2)
    shelf.disk.take()
    shelf.go(REHASH_S - 1)
    await shelf.look(6)
    assert len(shelf.disk.take()) == 1, "the current one's, once it was settled"
    shelf.go(1)
    hashed = []
    for _ in range(12):
        await shelf.look()
        now = shelf.disk.take()
        assert len(now) <= 1
        hashed += now
    assert sorted(hashed) == [name(version) for version in ("v3", "v4", "v5")]
    shelf.go(REHASH_S)
    await shelf.look(12)
    assert sorted(shelf.disk.take()) == [name(version) for version in ("v3", "v4", "v5", "v6")]


async def test_a_version_that_has_just_become_current_is_hashed_anew_once_the_bot_has_loaded_it(
    shelf: Shelf,
) -> None:
    await shelf.look(2)
    shelf.go(100)
    assert shelf.registry.rollback() == "v5"
    shelf.files.forget()
    shelf.disk.take()
    shelf.go(SETTLED_S - 1)
    await shelf.look(4, "v5")
    assert name("v5") not in shelf.disk.take()
    shelf.go(1)
    await shelf.look(6, "v5")
    assert shelf.disk.take() == [name("v5")]


@pytest.mark.parametrize("version", ["v6", "v5"])
async def test_rot_that_no_stat_shows_is_found_within_the_hour(shelf: Shelf, version: str) -> None:
    await shelf.look(2)
    shelf.disk.rotten.add(name(version))
    await shelf.look(2)
    assert shelf.files.checks[0].state == "ok"
    shelf.go(REHASH_S)
    await shelf.look(5)  # each of four files, and one look at what was found
    assert shelf.files.checks[0].state == ("mismatch" if version == "v6" else "ok")
    assert shelf.files.target == ("v5" if version == "v6" else "v4")


async def test_what_is_hashed_at_leisure_holds_up_neither_the_look_nor_the_start_of_the_bot(
    shelf: Shelf,
) -> None:
    await shelf.look(2)
    shelf.go(REHASH_S)
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(path: Path, look: Look) -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(20)

    shelf.disk.at = slow
    shelf.disk.take()
    shelf.files.look_for_target()
    for _ in range(4):
        assert [check.state for check in await shelf.files.check("v6")] == ["ok"]
        shelf.files.look_for_target()
    assert shelf.files.obstacle("v6") is None
    assert len(shelf.disk.take()) == 1, "one at a time"
    gate.set()
    await shelf.done()


async def test_what_takes_long_is_cut_short_when_another_version_becomes_current(shelf: Shelf) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(path: Path, look: Look) -> None:
        loop.call_soon_threadsafe(begun.set)
        try:
            while True:
                look()
        finally:
            loop.call_soon_threadsafe(ended.set)

    shelf.disk.at = slow
    shelf.files.look_for_target()
    await begun.wait()
    shelf.files.forget()
    async with asyncio.timeout(20):
        await ended.wait()


async def test_while_the_current_file_is_still_being_hashed_nothing_is_hashed_at_leisure(
    shelf: Shelf,
) -> None:
    await shelf.look(2)
    shelf.go(REHASH_S)
    gate = asyncio.Event()
    shelf.files._check_task = asyncio.create_task(gate.wait())  # type: ignore[arg-type]
    shelf.disk.take()
    shelf.files.look_for_target()
    await shelf.done()
    assert shelf.disk.take() == []
    shelf.files.forget()


async def test_without_a_memory_of_its_own_and_without_a_journal_it_works_all_the_same(
    tmp_path: Path,
) -> None:
    registry = stock(tmp_path / "models_saved", "v1", "v2")
    files = ModelFiles(registry, Clock())
    files.look_for_target()
    assert files._target_task is not None
    await files._target_task
    assert files.target == "v1"


# --- signatures


@pytest.fixture
def signed(tmp_path: Path, journal: Journal) -> Shelf:
    return stocked(tmp_path / "models_saved", journal, signing_key=PEM, public_key=PUBLIC)


@pytest.fixture
def unsigned(tmp_path: Path, journal: Journal) -> Shelf:
    """Signatures are asked for, and nothing was ever signed."""
    return stocked(tmp_path / "models_saved", journal, public_key=PUBLIC)


def strip(shelf: Shelf, version: str) -> None:
    edit(shelf.registry, lambda data: data["models"][version].pop("signatures"))


async def test_signed_versions_are_as_good_as_ever(signed: Shelf) -> None:
    await signed.look(2)
    assert [check.state for check in signed.files.checks] == ["ok"]
    assert signed.files.target == "v5"
    assert (signed.files.unsigned, signed.files.unsigned_targets, signed.files.obstacle("v6")) == (
        None,
        None,
        None,
    )


async def test_what_was_never_signed_is_told_with_what_to_do_and_is_not_started(unsigned: Shelf) -> None:
    await unsigned.look(2)
    assert [check.state for check in unsigned.files.checks] == ["unsigned"]
    assert unsigned.files.target is None
    assert not unsigned.files.look_for_target()
    assert "v6 bears no signature by the key" in str(unsigned.files.obstacle("v6"))
    said = str(unsigned.files.unsigned)
    assert "v6 bears no signature by the key" in said
    assert f"-P -m registry sign v6 --registry-path {unsigned.folder} --key KEY_FILE" in said
    said = str(unsigned.files.unsigned_targets)
    assert said.startswith("v5, v4, v3, v2, v1: not gone back to, for want of the signature")
    assert "-P -m registry sign v5 v4 v3 v2 v1 --registry-path" in said


async def test_once_they_are_signed_all_is_well_without_a_restart(unsigned: Shelf) -> None:
    await unsigned.look(2)
    signer = ModelRegistry(unsigned.folder, signing_key=PEM)
    signer.sign("v6")
    signer.sign("v4")
    await unsigned.look(2)
    assert (unsigned.files.unsigned, unsigned.files.obstacle("v6")) == (None, None)
    assert unsigned.files.target == "v4"
    assert str(unsigned.files.unsigned_targets).startswith("v5: not gone back to")


async def test_a_signature_that_is_taken_away_is_a_forgery_also_over_a_restart(signed: Shelf) -> None:
    await signed.look(2)
    strip(signed, "v6")
    await signed.look()
    check = signed.files.checks[0]
    assert (check.state, check.detail) == ("forged", "v6 was signed, and its signature is gone")
    assert signed.files.obstacle("v6") == "v6 was signed, and its signature is gone"
    assert signed.files.unsigned is None
    signed.files = signed.made()
    await signed.look()
    assert signed.files.checks[0].state == "forged"


async def test_a_target_s_signature_is_known_too_before_it_becomes_current(signed: Shelf) -> None:
    await signed.look(2)
    signed.registry.rollback()
    strip(signed, "v5")
    signed.files.forget()
    await signed.look(1, "v5")
    assert signed.files.checks[0].state == "forged"


async def test_under_a_new_key_nothing_was_ever_signed(signed: Shelf) -> None:
    """So a change of the key is told, and rolls nothing back."""
    await signed.look(2)
    signed.more["public_key"] = key("theirs")[1]
    signed.files = signed.made()
    await signed.look(2)
    seen = [check.state for check in signed.files.checks]
    ModelRegistry(signed.folder, signing_key=key("theirs")[0]).sign("v6")
    await signed.look(2)
    seen += [check.state for check in signed.files.checks]
    strip(signed, "v6")
    await signed.look(2)
    assert [*seen, *(check.state for check in signed.files.checks)] == ["unsigned", "ok", "forged"]


async def test_an_entry_that_was_edited_is_a_forgery_whoever_saw_it_first(signed: Shelf) -> None:
    edit(signed.registry, lambda data: data["models"]["v6"].update(model_type="pickle"))
    await signed.look()
    assert signed.files.checks[0].state == "forged"
    assert "the signature of v6 does not fit its entry" in str(signed.files.obstacle("v6"))


async def test_a_garbled_older_entry_behind_a_good_target_is_nobody_s_trouble(shelf: Shelf) -> None:
    edit(shelf.registry, lambda data: data["models"].update(v4="garbled"))
    await shelf.look(2)
    assert (shelf.files.target, shelf.files.entry_trouble) == ("v5", None)
    edit(shelf.registry, lambda data: data["models"].update(v5="garbled"))
    await shelf.look(1)
    assert shelf.files.target == "v3"


async def test_the_times_of_what_was_found_are_the_clock_s(shelf: Shelf) -> None:
    await shelf.look()
    assert abs(shelf.files.checks[0].at.timestamp() - shelf.wall_s) < timedelta(seconds=1).total_seconds()
