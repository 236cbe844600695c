import json
import subprocess
import sys
from pathlib import Path

import pytest

from registry import ModelRegistry, RegistryError
from tests.registry.shop import LINKS, statuses, stock

ROOT = Path(__file__).parents[2]


def start(what: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A child that has begun."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.registry.children", what, str(folder), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() in ("begins\n", "ready\n")
    return process


def test_a_reader_meets_a_whole_registry_at_every_instant(models: Path) -> None:
    registry = stock(models, "v1", "v2", links=LINKS)
    registry.rollback()
    readings, longest = 0, 0
    with start("switch", models, "25") as writer:
        while writer.poll() is None:
            data = json.loads(registry.path.read_bytes())
            assert data["current_version"] == data["history"][-1]["version"]
            assert len(data["history"]) >= longest
            longest = len(data["history"])
            for name in LINKS:
                assert (models / name).read_bytes().decode().endswith((" v1", " v2"))
            readings += 1
    assert writer.returncode == 0
    assert readings > 30


def test_two_rollbacks_at_once_go_one_after_the_other(models: Path) -> None:
    for turn in range(3):
        folder = models / str(turn)
        registry = stock(folder, "v1", "v2", "v3", "v4", links=LINKS)
        both = [start("roll_back_on_a_sign", folder) for _ in range(2)]
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = {process.communicate()[0].strip() for process in both}
        assert answers == {"v3", "v2"}
        assert statuses(registry) == {
            "v1": "archived",
            "v2": "production",
            "v3": "quarantined",
            "v4": "quarantined",
        }
        switches = [(event["from"], event["version"]) for event in registry.read()["history"][-2:]]
        assert switches == [("v4", "v3"), ("v3", "v2")]
        assert registry.links_right()


def test_beside_a_writer_without_a_lock_every_reading_is_whole_and_no_key_of_its_own_is_lost(
    models: Path,
) -> None:
    registry = stock(models, "v1", "v2", "v3", links=LINKS)
    quick = ModelRegistry(models, LINKS)
    readings = switches = overtaken = 0
    with start("write_in_place", models, "50") as writer:
        while writer.poll() is None:
            assert quick.read()["current_version"] in ("v1", "v2", "v3")
            readings += 1
            if readings % 5 == 0:
                try:
                    quick.promote_model(("v1", "v2", "v3")[readings % 3], {})
                    switches += 1
                except RegistryError as error:
                    assert "another program" in str(error)  # noqa: PT017 (both outcomes are right)
                    overtaken += 1
    assert writer.returncode == 0
    assert readings > 20
    assert switches > 0
    assert registry.read()["theirs"] > 20
    registry.promote_model("v3", {})
    assert registry.rollback("v1") == "v1"
    assert registry.links_right()


def test_a_rollback_waits_no_longer_than_allowed_for_the_lock(models: Path) -> None:
    stock(models, "v1", "v2")
    first, second = ModelRegistry(models), ModelRegistry(models, lock_timeout_s=0.05)
    with first._store.locked(), pytest.raises(RegistryError, match=r"registry.json.lock: another program"):
        second.rollback()
    assert second.read()["current_version"] == "v2"
