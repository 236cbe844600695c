"""Whoever can write to the registry's folder deploys: without a signing key whatever they like, with one only what was
signed. In neither case does the watchdog run anything of it, write elsewhere for it, or wait for it for ever.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry import ModelRegistry, RegistryError
from tests.registry.keys import key, key_file
from tests.watchdog.house import House

VERSIONS = ("v1", "v2", "v3")


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Three signed versions; v3 is current."""
    folder = tmp_path / "bot" / "models_saved"
    folder.mkdir(parents=True)
    registry = ModelRegistry(folder, signing_key=key_file(tmp_path))
    for version in VERSIONS:
        (folder / f"{version}.pkl").write_bytes(version.encode())
        registry.register_model(folder / f"{version}.pkl", version, {})
        registry.promote_model(version, {})
    return folder


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """As anybody with an editor can."""
    path = folder / "registry.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data), encoding="utf-8")


def slip_in(folder: Path) -> None:
    """Another file in the place of v2's, and its checksum with it."""
    (folder / "v2.pkl").write_bytes(b"evil")
    edit(folder, lambda data: data["models"]["v2"].update(checksum=sha(b"evil")))


def test_without_a_key_a_file_with_a_matching_checksum_is_a_good_version(models: Path) -> None:
    slip_in(models)
    assert ModelRegistry(models).target() == "v2"


def test_with_a_key_it_is_none(models: Path) -> None:
    slip_in(models)
    strict = ModelRegistry(models, public_key=key()[1])
    assert strict.target() == "v1"
    with pytest.raises(RegistryError, match="the signature of v2 does not fit"):
        strict.rollback("v2")
    with pytest.raises(RegistryError, match="the signature of v2 does not fit"):
        strict.promote_model("v2", {})


def test_with_a_key_a_writer_chooses_among_what_was_signed(models: Path) -> None:
    """`current_version`, `history` and `status` change in use, and are not signed."""

    def change(data: dict[str, Any]) -> None:
        data["current_version"] = "v1"
        data["history"] = [{"version": "v3", "action": "promoted"}, {"version": "v1", "action": "promoted"}]

    edit(models, change)
    assert ModelRegistry(models, public_key=key()[1]).target() == "v3"


LEADING_OUT = (
    "../outside/a.pkl",
    "../../outside/a.pkl",
    "/etc/passwd",
    "outside.pkl",
    "../outside",
    "~/a.pkl",
    "v1.pkl/../../x",
)


@pytest.mark.parametrize("path", LEADING_OUT)
def test_nothing_that_a_registry_holds_leads_to_a_write_outside_of_it(models: Path, path: str) -> None:
    outside = models.parent / "outside"
    outside.mkdir()
    (outside / "a.pkl").write_bytes(b"not ours")
    (models / "outside.pkl").symlink_to(outside / "a.pkl")

    def change(data: dict[str, Any]) -> None:
        data["models"]["v2"] |= {
            "path": path,
            "checksum": sha(b"not ours"),
            "artifacts": {"../../x": {"path": path}},
        }

    edit(models, change)
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (outside / "a.pkl", Path("/etc/passwd"))}
    registry = ModelRegistry(models, {"model.pkl": "main"})
    for call in (
        lambda: registry.rollback("v2"),
        lambda: registry.promote_model("v2", {}),
        registry.sync_links,
        registry.rollback,
    ):
        try:
            call()
        except RegistryError:
            continue
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in before} == before
    assert sorted(p.name for p in models.parent.iterdir()) == ["models_saved", "outside"]


async def test_whoever_holds_the_lock_keeps_the_switch_waiting_and_people_are_paged(
    build: Callable[..., House],
) -> None:
    """To hold it, it is enough to be able to read the file: so the folder is not for everybody's eyes either."""
    house = build()
    house.bot.begin(by_hand=True)
    with (house.models / "registry.json.lock").open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        def let_go() -> None:
            if house.told.said("is stuck at roll_back"):
                fcntl.flock(held, fcntl.LOCK_UN)

        house.machine.at_sleep.append(let_go)
        incident = await house.work(house.open())
    assert house.told.said("another program has held this lock")
    assert (incident.outcome, house.current) == ("rolled_back", "v2.0.0")
    assert [start.verified for start in house.bot.starts] == [True]
