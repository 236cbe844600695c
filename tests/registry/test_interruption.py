"""A rollback or promotion that is broken off at any step leaves the old state or the new one, and can be run again."""

import errno
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from registry import ModelRegistry, RegistryError
from tests.registry.faults import before_each_change
from tests.registry.shop import LINKS, add, model_bytes, picture, stock

ROOT = Path(__file__).parents[2]
STEPS = 40
"""More than any of these changes has; each test makes sure of that."""


def prepared(models: Path, links: str) -> Callable[[], ModelRegistry]:
    """Makes the folder anew each time: v1 and v2 were current before v3, v4 is registered; see `links` below."""
    registry = stock(models, "v1", "v2", "v3", links=LINKS)
    add(registry, "v4")
    for name in LINKS if links != "links" else ():
        (models / name).unlink()
        if links == "files":
            (models / name).write_bytes(f"a person's {name}".encode())
        elif links == "copies":
            (models / name).write_bytes(model_bytes("v3", LINKS[name]))
    template = models.rename(models.with_name("template"))

    def prepare() -> ModelRegistry:
        shutil.rmtree(models, ignore_errors=True)
        shutil.copytree(template, models, symlinks=True)
        return registry

    return prepare


@contextmanager
def killer(models: Path) -> Iterator[Callable[[int, str], bool]]:
    """Runs one change in a process of its own, killed before the given step; whether it was killed."""
    command = [sys.executable, "-m", "tests.registry.children", "kill_at_steps", str(models)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def kill(step: int, do: str) -> bool:
            print(step, do, file=stdin)
            answer = stdout.readline().strip()
            assert answer in ("killed", "survived"), answer
            return answer == "killed"

        yield kill
        stdin.close()


def contents(models: Path) -> set[bytes]:
    return {path.read_bytes() for path in models.iterdir() if path.suffix not in (".json", ".lock")}


def links_of(models: Path) -> set[str]:
    return {(models / name).read_bytes().decode().rpartition(" ")[2] for name in LINKS}


@pytest.mark.parametrize("links", ["links", "absent", "files", "copies"])
@pytest.mark.parametrize(
    ("change", "new"),
    [(lambda registry: registry.rollback(), "v2"), (lambda registry: registry.promote_model("v4", {}), "v4")],
    ids=["rollback", "promote"],
)
def test_a_failure_at_any_step_leaves_everything_as_it_was_or_done(
    models: Path, links: str, change: Callable[[ModelRegistry], object], new: str
) -> None:
    prepare, failures = prepared(models, links), 0
    for step in range(STEPS):
        registry = prepare()
        was, before, reached = picture(models), contents(models), False

        def fail(number: int, step: int = step) -> None:
            nonlocal reached
            if number == step:
                reached = True
                raise OSError(errno.EIO, "the disk fails")

        try:
            with before_each_change(models, fail):
                change(registry)
        except RegistryError:
            failures += 1
            assert picture(models) == was, f"step {step} left something behind"
        else:
            assert registry.read()["current_version"] == new
            assert registry.links_right()
            assert before <= contents(models), f"step {step} lost a file"
            assert not [path for path in models.iterdir() if path.name.endswith(".new")]
        if not reached:
            break
    assert not reached, "there are more steps than were tried"
    assert failures > 5


@pytest.mark.parametrize("links", ["links", "files"])
@pytest.mark.parametrize(("do", "new"), [("rollback", "v2"), ("v4", "v4")])
def test_killed_at_any_step_the_same_call_heals_it(models: Path, links: str, do: str, new: str) -> None:
    prepare, old_seen, new_seen, steps = prepared(models, links), 0, 0, iter(range(STEPS))
    with killer(models) as kill:
        registry = prepare()
        before = contents(models)
        while kill(next(steps), do):
            current = registry.read()["current_version"]
            if current == "v3":
                old_seen += 1
                assert (
                    registry.rollback() if do == "rollback" else registry.promote_model(do)["version"]
                ) == new
            else:
                new_seen += 1
                assert current == new
            assert registry.links_right()
            assert registry.verify_checksum(new)
            assert before <= contents(models)
            assert not [path for path in models.iterdir() if path.name.endswith(".new")]
            events = [event["action"] for event in registry.read()["history"] if event["version"] == new]
            assert events[-1] == ("rollback" if do == "rollback" else "promoted")
            registry = prepare()
    assert old_seen > 5
    assert new_seen >= 1


def test_killed_between_two_links_a_sync_goes_back_to_the_old_version(models: Path) -> None:
    prepare, mixed, steps = prepared(models, "links"), 0, iter(range(STEPS))
    with killer(models) as kill:
        registry = prepare()
        while kill(next(steps), "rollback") and registry.read()["current_version"] == "v3":
            mixed += links_of(models) == {"v2", "v3"}
            registry.sync_links()
            assert registry.links_right()
            assert links_of(models) == {"v3"}
            registry = prepare()
    assert mixed >= 1, "no kill fell between the two links"


def test_killed_at_random_moments_the_registry_is_whole_and_the_links_can_be_mended(models: Path) -> None:
    registry = stock(models, "v1", "v2", links=LINKS)
    registry.rollback()
    rng, seen = random.Random(20260301), set()
    command = [sys.executable, "-m", "tests.registry.children", "switch", str(models), "100000"]
    for _ in range(10):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        data = json.loads(registry.path.read_bytes())
        seen.add(data["current_version"])
        assert data["current_version"] == data["history"][-1]["version"]
        registry.sync_links()
        assert links_of(models) == {data["current_version"]}
        if data["current_version"] == "v2":
            assert registry.rollback("v1") == "v1"
        else:
            registry.release("v2")
            registry.promote_model("v2", {})
    assert seen == {"v1", "v2"}, "the kills always fell into the same half"
    assert not [path for path in models.iterdir() if path.name.endswith(".new")]
