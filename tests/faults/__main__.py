"""`make faults`: every fault at every point, with real daemons and real bots; a table at the end.

    python -m tests.faults [--seed N] [--only WORD] [--jobs N] [--write FILE]

Exit 0: every invariant held in every life. 1: one did not; its folder is kept and named. A fault that this machine
cannot make (root, libfaketime, strace) is named as left out; with CI=true that is a failure, too.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.faults.faults import LIBRARIES, Need
from tests.faults.matrix import MATRIX
from tests.faults.page import write_page
from tests.faults.play import Life, Result, play
from tests.faults.stage import Stage

ATTACKED_SHARE = 0.8
"""Of the acts of a step: ticks act beside it, so that two lives do not count quite the same."""

EACH = 50
"""Where there is no bar that grows, a line after so many lives."""


def missing(needs: Sequence[Need]) -> str | None:
    """What this machine lacks for a fault, or None."""
    lacks = {
        "root": os.geteuid() != 0,
        "faketime": not LIBRARIES,
        "strace": shutil.which("strace") is None,
    }
    return next((need for need in needs if lacks[need]), None)


def lives(seed: int, only: str, acts: dict[str, int]) -> Iterator[Life]:
    """All lives that this machine can play; the seed says where exactly `during` is, and what a fault draws."""
    rng = random.Random(seed)
    for fault in MATRIX:
        for point in fault.points or (None,):
            own_seed = rng.randrange(1 << 30)
            if point is not None and point.endswith(":during"):
                most = int(acts.get(point.partition(":")[0], 1) * ATTACKED_SHARE)
                point = f"{point}:{random.Random(own_seed).randint(1, max(1, most))}"
            if only in fault.name and missing(tuple(fault.needs)) is None:
                yield Life(fault, point, own_seed)


def count_acts(top: Path) -> dict[str, int]:
    """A life without a fault tells how often each step acts upon the outside."""
    with Stage(top / "count", "count", {}, {}, 0) as stage:
        stage.watch()
        stage.find_out()
        stage.settle()
        return stage.acts()


def run(chosen: Sequence[Life], top: Path, jobs: int, console: Console) -> list[Result]:
    """Plays the lives, some side by side; what went wrong is shown at once."""
    results = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        ThreadPoolExecutor(jobs) as pool,
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("lives", total=len(chosen))
        futures: list[Future[Result]] = [
            pool.submit(play, life, top / f"{number:03d}") for number, life in enumerate(chosen)
        ]
        try:
            for future in as_completed(futures):
                results.append(future.result())
                progress.advance(task)
                tell(results[-1], console)
                if not console.is_terminal and len(results) % EACH == 0:
                    console.print(f"{len(results)} of {len(chosen)} lives", highlight=False)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)  # those that are being played come to their end
            raise
    return results


def tell(result: Result, console: Console) -> None:
    """What went wrong, at once."""
    if result.problems:
        where = result.life.point or "from the beginning"
        console.print(f"[bold red]FAILED[/] {result.life.fault.name}, {where} (seed {result.life.seed})")
        console.print("\n".join(result.problems), markup=False, highlight=False)


def show(results: Sequence[Result], console: Console) -> None:
    """One line a fault."""
    table = Table("fault", "lives", "struck", "ended", "held")
    for fault in MATRIX:
        own = [result for result in results if result.life.fault is fault]
        if not own:
            lack = missing(tuple(fault.needs))
            if lack is not None:
                table.add_row(fault.name, "-", "-", f"left out: needs {lack}", "-")
            continue
        ended = sorted({result.outcome for result in own})
        held = sum(not result.problems for result in own)
        mark = f"[green]{held}[/]" if held == len(own) else f"[bold red]{held} of {len(own)}[/]"
        table.add_row(fault.name, str(len(own)), str(sum(r.struck for r in own)), ", ".join(ended), mark)
    console.print(table)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="faults whose name holds this")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--write", type=Path, help="the page to write the table to")
    options = parser.parse_args()
    console, began = Console(width=None if sys.stdout.isatty() else 140), time.monotonic()
    top = Path(tempfile.mkdtemp(prefix="model-watchdog-faults-"))
    chosen = list(lives(options.seed, options.only, count_acts(top)))
    console.print(f"{len(chosen)} lives, seed {options.seed}, {options.jobs} at a time")
    results = run(chosen, top, options.jobs, console)
    show(results, console)
    failed = [result for result in results if result.problems]
    left_out = [fault.name for fault in MATRIX if missing(tuple(fault.needs)) is not None]
    minutes = (time.monotonic() - began) / 60
    console.print(
        f"{len(results) - len(failed)} passed, {len(failed)} failed, {len(left_out)} faults left out, "
        f"in {minutes:.1f} min (seed {options.seed})"
    )
    if failed:
        console.print(f"what they left: {top}")
    else:
        shutil.rmtree(top, ignore_errors=True)
    if options.write is not None and not failed:
        write_page(options.write, results, options.seed)
    return 1 if failed or (left_out and os.environ.get("CI") == "true") else 0


if __name__ == "__main__":
    sys.exit(main())
