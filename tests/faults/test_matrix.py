"""Two lives of the matrix, so that it cannot rot: real daemons, frozen at a point, struck there, and judged.

All of them: `make faults`.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.faults.__main__ import lives, missing
from tests.faults.faults import Fault
from tests.faults.matrix import MATRIX
from tests.faults.play import Life, play
from tests.faults.stage import Stage

KILLED = "the daemon is killed with kill -9"
HALTED = "a person orders HALT"


def named(name: str) -> Fault:
    return next(fault for fault in MATRIX if fault.name == name)


def left_in(folder: Path) -> list[psutil.Process]:
    """Processes that were started in this folder."""
    every = psutil.process_iter(["cwd", "cmdline"])
    return [one for one in every if str(folder) in f"{one.info['cwd']} {one.info['cmdline']}"]


@pytest.mark.parametrize(
    ("name", "point", "outcome"),
    [
        (KILLED, "roll_back:during:2", "rolled back"),
        (HALTED, "settle_orders:after", "halted"),
    ],
)
def test_a_life_is_struck_at_its_point_and_holds(tmp_path: Path, name: str, point: str, outcome: str) -> None:
    result = play(Life(named(name), point, 7), tmp_path / "life")
    assert result.problems == ()
    assert (result.struck, result.outcome) == (True, outcome)
    assert not (tmp_path / "life").exists()
    assert left_in(tmp_path) == []


def breaks(stage: Stage) -> None:
    raise AssertionError("the stage broke")


def test_a_life_that_breaks_is_a_failure_and_its_folder_is_kept(tmp_path: Path) -> None:
    result = play(Life(replace(named(KILLED), prepare=breaks), "assess:before", 7), tmp_path / "life")
    assert (result.outcome, result.problems) == ("error", ("AssertionError: the stage broke",))
    assert (tmp_path / "life").exists()
    assert left_in(tmp_path) == []


# -- which lives there are


def test_the_same_seed_is_the_same_lives_and_another_seed_is_others() -> None:
    acts = {"roll_back": 40, "start_bot": 40}
    assert list(lives(7, "", acts)) == list(lives(7, "", acts))
    assert list(lives(7, "", acts)) != list(lives(8, "", acts))


def test_every_fault_that_this_machine_can_make_strikes_at_each_of_its_points() -> None:
    count = Counter(life.fault.name for life in lives(7, "", {}))
    assert count == {
        fault.name: max(1, len(fault.points)) for fault in MATRIX if missing(tuple(fault.needs)) is None
    }


def test_a_life_is_the_same_whichever_others_are_played() -> None:
    """`--only` plays a failed one again."""
    alone = list(lives(7, HALTED, {"roll_back": 40}))
    assert alone
    assert [life for life in lives(7, "", {"roll_back": 40}) if life.fault.name == HALTED] == alone


def test_during_is_somewhere_among_the_acts_of_the_step() -> None:
    points = [life.point or "" for seed in range(30) for life in lives(seed, KILLED, {"roll_back": 40})]
    where = {int(point.rpartition(":")[2]) for point in points if point.startswith("roll_back:during")}
    assert min(where) >= 1
    assert 20 < max(where) <= 40
    assert len(where) > 10
    never_seen = {point for point in points if point.startswith("monitor:during")}
    assert never_seen == {"monitor:during:1"}
