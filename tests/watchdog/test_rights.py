"""Who else could write to what the watchdog believes, with real modes and owners."""

import os
import re
from pathlib import Path

import pytest

from watchdog.rights import (
    Others,
    RightsError,
    others_in_state,
    others_who_write,
    refuse_others_in_state,
    replaceable,
)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    for name in ("watchdog.db", "watchdog.db-wal"):
        (folder / name).touch(mode=0o600)
    return folder


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o750, 0o500, 0o775, 0o770])
def test_the_owner_and_its_own_group_are_nobody_else(state: Path, mode: int) -> None:
    state.chmod(mode)
    assert others_who_write(state) is None
    refuse_others_in_state(state)


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o1777])
def test_everybody_is_refused_with_what_they_could_do_and_the_remedy(state: Path, mode: int) -> None:
    state.chmod(mode)
    with pytest.raises(
        RightsError, match=rf"everybody .* lift a halt, reset the counters.*: chmod o-w {state}$"
    ):
        refuse_others_in_state(state)
    state.chmod(mode & ~0o002)
    refuse_others_in_state(state)


def test_a_journal_that_everybody_can_write_to_is_as_bad_as_its_folder(state: Path) -> None:
    (state / "watchdog.db-wal").chmod(0o666)
    (found,) = others_in_state(state)
    assert found == (
        state / "watchdog.db-wal",
        Others("everybody on this machine can write to it", f"chmod o-w {state}/watchdog.db-wal"),
    )
    with pytest.raises(RightsError, match=re.escape(f"chmod o-w {state}/watchdog.db-wal")):
        refuse_others_in_state(state)


@root_only
def test_another_user_and_another_group_are_refused(state: Path) -> None:
    os.chown(state, 54321, -1)
    with pytest.raises(RightsError, match=rf"belongs to uid 54321, .*: chown 0 {state}, or run as uid 54321"):
        refuse_others_in_state(state)
    os.chown(state, 0, 54321)
    state.chmod(0o770)
    with pytest.raises(RightsError, match=rf"group 54321 can write to it.*: chmod g-w {state}"):
        refuse_others_in_state(state)
    state.chmod(0o750)
    refuse_others_in_state(state)


def test_what_is_missing_is_nobodys(tmp_path: Path) -> None:
    assert list(others_in_state(tmp_path / "none")) == []
    with pytest.raises(FileNotFoundError):
        others_who_write(tmp_path / "none")


def test_a_folder_on_the_way_that_everybody_can_write_to_lets_everything_below_be_replaced(
    state: Path,
) -> None:
    assert (
        replaceable(state) is None
    )  # /tmp is for everybody as well, but there nobody can move what is another's
    state.parent.chmod(0o777)
    found = replaceable(state / "watchdog.db")
    assert found == Others(
        f"everybody on this machine can write to {state.parent}, and so replace it",
        f"chmod o-w {state.parent}",
    )
    state.parent.chmod(0o1777)
    assert replaceable(state) is None
    assert replaceable(state / "not" / "there" / "yet") is None
