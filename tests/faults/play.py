"""Plays one fault at one point, from the bad version to the end, and asks the oracle."""

import shutil
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from tests.faults.account import faults_of
from tests.faults.faults import Fault
from tests.faults.oracle import violations
from tests.faults.stage import Stage


@dataclass(frozen=True)
class Life:
    """One fault at one point; `seed` decides what is left to chance."""

    fault: Fault
    point: str | None
    seed: int


@dataclass(frozen=True)
class Result:
    """How a life ended: `problems` is empty when all is well. `struck`: the daemon came to the point."""

    life: Life
    outcome: str
    struck: bool
    problems: tuple[str, ...]
    seconds: float


def play(life: Life, top: Path) -> Result:
    """One life. Raises nothing that the product could cause."""
    began = time.monotonic()
    try:
        outcome, struck, problems = _live(life, top)
    except (AssertionError, OSError) as error:
        outcome, struck, problems = "error", True, (f"{type(error).__name__}: {error}",)
    except Exception:  # noqa: BLE001 (a mistake of the stage is this life's, and the others go on)
        outcome, struck, problems = "error", True, (traceback.format_exc(),)
    if not problems:
        shutil.rmtree(top, ignore_errors=True)
    return Result(life, outcome, struck, problems, time.monotonic() - began)


def _live(life: Life, top: Path) -> tuple[str, bool, tuple[str, ...]]:
    fault = life.fault
    with Stage(top, life.point, fault.habits, fault.changes, life.seed) as stage:
        fault.prepare(stage)
        stage.watch()
        if life.point is None:
            fault.strike(stage)
        struck = stage.find_out()
        if struck and life.point is not None:
            fault.strike(stage)
        stage.go_on()
        if struck:
            time.sleep(fault.lasts_s)  # how long the fault lasts; whatever happens meanwhile is right
            fault.mend(stage)
            stage.told_to += fault.told_to
        if stage.house.daemon.poll() is not None:
            stage.again()
        stage.settle()
        evidence = replace(stage.evidence(settled=True), orders=tuple(faults_of(stage)))
        problems = violations(evidence)
        outcome = stage.outcome()
        if struck and outcome not in fault.ends:
            problems.append(f"it ended {outcome}, not {' or '.join(sorted(fault.ends))}")
        problems += _leave_alone(stage)
        if problems:
            problems.append(stage.house.story())
        return outcome, struck, tuple(problems)


def _leave_alone(stage: Stage) -> list[str]:
    """Invariant 10: the daemon ends, and the bot does not."""
    before = sorted(process.pid for process in stage.house.bots())
    code = stage.house.stop()
    after = sorted(process.pid for process in stage.house.bots())
    found = [] if code == 0 else [f"the daemon ended with {code}"]
    return found if before == after else [*found, f"10: bots {before} before the daemon ended, {after} after"]
