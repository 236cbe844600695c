"""Every parser against what anybody may write: mutated valid inputs, bare garbage, and what was a find once.

A few seconds for all targets; MODEL_WATCHDOG_THOROUGH=1 tries a hundred times as much. `python -m tests.fuzz` goes on
for as long as one likes, guided by coverage.
"""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutate import KINDS, MOST_BYTES, VALUES, Edit, at_random, edited, every_other
from tests.fuzz.target import CORPUS, Target, TooSlow
from tests.fuzz.targets import TARGETS

THOROUGH = os.environ.get("MODEL_WATCHDOG_THOROUGH") == "1"
SLOW = {
    "bot_api": 4,
    "registry": 8,
    "collector": 4,
    "journal": 4,
    "exchange": 2,
    "bot_folder": 4,
    "configuration": 2,
    "alert_text": 2,
}
"""What one input costs more than those of the others do."""

NAMES = sorted(TARGETS)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What the parsers log of garbage is nobody's business here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def edits(target: Target) -> st.SearchStrategy[list[Edit]]:
    """Changes that know the target's grammar."""
    share = st.floats(0, 1)
    words = st.sampled_from(target.words or (b"\0",)) | st.binary(max_size=8)
    edit = st.builds(Edit, st.sampled_from(KINDS), share, share, words, st.integers(0, len(VALUES) - 1))
    return st.lists(edit, min_size=1, max_size=6)


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Mostly valid inputs after a few changes; now and then words in any order, or bare bytes."""
    mutated = st.builds(edited, st.sampled_from(target.seeds), edits(target))
    soup = st.lists(st.sampled_from([*target.words, b"\n"]) | st.binary(max_size=4), max_size=40).map(
        b"".join
    )
    return mutated | mutated | mutated | soup | st.binary(max_size=200)


def examples(name: str) -> int:
    return (4_000 if THOROUGH else 160) // SLOW.get(name, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.timeout(3600 if THOROUGH else 120)
def test_nothing_but_a_declared_error_comes_out(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=examples(name), deadline=None, suppress_health_check=list(HealthCheck))
    @given(inputs(target))
    def holds(data: bytes) -> None:
        target(data)

    holds()


FINDS = [(name, path) for name in NAMES for path in TARGETS[name].corpus]


@pytest.mark.parametrize(
    ("name", "number"), [(name, n) for name in NAMES for n in range(len(TARGETS[name].seeds))]
)
def test_the_valid_inputs_that_mutation_begins_with_are_none_to_complain_of(name: str, number: int) -> None:
    TARGETS[name](TARGETS[name].seeds[number])


@pytest.mark.parametrize(("name", "path"), FINDS, ids=[f"{name}/{path.name}" for name, path in FINDS])
def test_what_was_a_find_once_is_none_any_more(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


WHOLE = ("checkpoint", "registry", "journal", "exchange")


@pytest.mark.skipif(not THOROUGH, reason="MODEL_WATCHDOG_THOROUGH=1 runs it")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WHOLE)
def test_every_value_and_every_key_of_a_valid_input_may_be_any_other(name: str) -> None:
    """One after the other, nothing left out: what a random search meets too seldom."""
    for seed in TARGETS[name].seeds:
        for data in every_other(seed):
            TARGETS[name](data)


def test_every_folder_of_the_corpus_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= TARGETS.keys()


# -- the fuzzing itself can fail


def test_a_target_lets_through_what_is_declared_and_nothing_else() -> None:
    def run(data: bytes) -> None:
        raise KeyError(data) if data else ValueError

    target = Target("toy", run, (b"",), errors=(ValueError,))
    target(b"")
    with pytest.raises(KeyError):
        target(b"x")


def test_a_target_that_takes_too_long_is_a_find() -> None:
    with pytest.raises(TooSlow, match=r"toy: .* s for 1 bytes"):
        Target("toy", len, (b"",), most_cpu_s=-1.0)(b"x")


@given(st.binary(max_size=300), st.integers(0, 2**32))
def test_mutation_is_bounded_and_follows_from_its_seed(data: bytes, seed: int) -> None:
    words = (b"word", b"x" * 3000)
    found = at_random(data, words, seed, 4096)
    assert found == at_random(data, words, seed, 4096)
    assert len(found) <= 4096


def test_mutation_of_json_changes_values_and_keeps_it_json() -> None:
    seed = b'\x07{"a": [1, {"b": "c"}], "d": null}'
    kinds = [
        Edit("value", begin / 10, 0.0, b"", value) for begin in range(11) for value in range(len(VALUES))
    ]
    found = {edited(seed, [edit]) for edit in kinds}
    assert len(found) > 100
    assert all(json.loads(data[1:]) is not None and data[:1] == b"\x07" for data in found)
    assert len(edited(b"x", [Edit("nest", 0.0, 1.0, b"y" * 2000, 0)] * 9)) <= MOST_BYTES
