import os
from pathlib import Path
from typing import Any

import pytest

from registry.artifacts import Artifact, artifacts_of, check
from tests.registry.shop import sha, unprivileged


def state_of(path: Path, expected: str | None) -> str:
    return check(Artifact("main", path, expected)).state


def test_a_file_with_the_registered_hash_is_ok(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"model")
    state = check(Artifact("main", tmp_path / "a.pkl", sha(b"model")))
    assert state.ok
    assert (state.name, state.path, state.expected, state.actual) == (
        "main",
        tmp_path / "a.pkl",
        sha(b"model"),
        sha(b"model"),
    )


def test_another_content_is_a_mismatch_that_shows_both_hashes(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"damaged")
    state = check(Artifact("main", tmp_path / "a.pkl", sha(b"model")))
    assert (state.state, state.ok) == ("mismatch", False)
    assert sha(b"model")[:8] in state.detail
    assert sha(b"damaged")[:8] in state.detail


def test_a_missing_file_is_missing_with_or_without_a_checksum(tmp_path: Path) -> None:
    assert state_of(tmp_path / "none.pkl", sha(b"")) == "missing"
    assert state_of(tmp_path / "none.pkl", None) == "missing"
    (tmp_path / "file").touch()
    assert state_of(tmp_path / "file" / "below.pkl", sha(b"")) == "missing"


def test_a_file_that_cannot_be_read_is_neither_missing_nor_a_mismatch(tmp_path: Path, public: Path) -> None:
    assert state_of(tmp_path, sha(b"")) == "unreadable"
    os.mkfifo(tmp_path / "pipe")
    assert state_of(tmp_path / "pipe", sha(b"")) == "unreadable"
    (public / "a.pkl").touch(mode=0)
    with unprivileged():
        assert state_of(public / "a.pkl", sha(b"")) == "unreadable"


@pytest.mark.parametrize(
    "checksum", [None, "", 7, [], "d41d8cd98f00b204e9800998ecf8427e", "0" * 63, "g" * 64]
)
def test_what_is_no_sha256_proves_nothing(tmp_path: Path, checksum: object) -> None:
    (tmp_path / "a.pkl").touch()
    (artifact,) = artifacts_of({"path": "a.pkl", "checksum": checksum}, tmp_path)
    assert check(artifact).state == "no_checksum"


@pytest.mark.parametrize("written", [sha(b"model"), sha(b"model").upper(), f"sha256:{sha(b'model')}"])
def test_a_sha256_is_read_in_its_usual_spellings(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.pkl").write_bytes(b"model")
    (artifact,) = artifacts_of({"path": "a.pkl", "checksum": written}, tmp_path)
    assert check(artifact).ok


def test_the_main_artifact_comes_first(tmp_path: Path) -> None:
    entry = {
        "artifacts": {"rl_agent": {"path": "r.zip", "checksum": sha(b"r")}},
        "path": "a.pkl",
        "checksum": sha(b"a"),
    }
    assert artifacts_of(entry, tmp_path) == [
        Artifact("main", tmp_path / "a.pkl", sha(b"a")),
        Artifact("rl_agent", tmp_path / "r.zip", sha(b"r")),
    ]
    assert len(artifacts_of({"path": "a.pkl", "artifacts": None}, tmp_path)) == 1


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (None, "not an object"),
        ("v1", "not an object"),
        ([], "not an object"),
        ({}, 'main has no "path"'),
        ({"path": None}, 'main has no "path"'),
        ({"path": 5}, 'main has no "path"'),
        ({"path": ""}, "names no file"),
        ({"path": "a", "artifacts": []}, '"artifacts" is not an object'),
        ({"path": "a", "artifacts": "r.zip"}, '"artifacts" is not an object'),
        ({"path": "a", "artifacts": {"main": {"path": "b"}}}, '"artifacts" holds "main"'),
        ({"path": "a", "artifacts": {"rl": "r.zip"}}, 'rl has no "path"'),
        ({"path": "a", "artifacts": {"rl": None}}, 'rl has no "path"'),
        ({"path": "a", "artifacts": {"rl": {"path": "/"}}}, "names no file"),
        ({"path": "a", "artifacts": {"r\nl": {"path": "b"}}}, r"'r\\nl' has no name of printable characters"),
        (
            {"path": "a", "artifacts": {"r" * 201: {"path": "b"}}},
            "has no name of printable characters, and not too many",
        ),
    ],
)
def test_an_entry_of_another_shape_says_what_is_wrong(tmp_path: Path, entry: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        artifacts_of(entry, tmp_path)
